"""Files compared page by page, their regions in one list."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from whatchanged.documents import as_record, detect_pages
from whatchanged.formats import ImageError
from whatchanged.options import Options


def page(color: int, box: tuple[int, int, int, int] | None = None) -> np.ndarray:
    image = np.full((80, 120, 3), color, np.uint8)
    image[10:20, 10:60] = 0
    if box:
        x, y, width, height = box
        image[y : y + height, x : x + width] = (200, 30, 30)
    return image


def document(path, *pages):
    first, *rest = map(Image.fromarray, pages)
    first.save(path, save_all=True, append_images=rest)
    return path


def test_pages_and_one_that_is_missing(tmp_path):
    before = document(tmp_path / "a.tif", page(255), page(250), page(245))
    after = document(tmp_path / "b.tif", page(255), page(250, (70, 40, 20, 10)))
    found = as_record(one for _, one in detect_pages(before, after))
    told = [(one["page"], one["what"], one["x"], one["y"], one["width"], one["height"]) for one in found["regions"]]
    assert sorted(told) == [(2, "added", 70, 40, 20, 10), (3, "removed", 0, 0, 120, 80)]
    assert found["pages"] == 3
    assert found["similarity"] == 0
    assert found["note"] == "page 3: after has no such page"
    back = as_record(one for _, one in detect_pages(after, before))
    assert {(one["page"], one["what"]) for one in back["regions"]} == {(2, "removed"), (3, "added")}


def test_a_picture_alone_has_no_pages(tmp_path):
    before = document(tmp_path / "a.png", page(255))
    same = as_record(one for _, one in detect_pages(before, before))
    assert same == {
        "method": "tolerant",
        "kind": "exact",
        "similarity": 1.0,
        "changed_pixels": 0,
        "changed_share": 0.0,
        "uncompared_share": 0.0,
        "transform": None,
        "note": "",
        "regions": [],
    }


def test_one_pixel_of_many_is_not_rounded_away(tmp_path):
    before = np.full((2000, 2000, 3), 255, np.uint8)
    after = before.copy()
    after[7, 9] = 0
    paths = document(tmp_path / "a.png", before), document(tmp_path / "b.png", after)
    found = as_record(one for _, one in detect_pages(*paths))
    assert found["similarity"] < 1
    (region,) = found["regions"]
    assert (region["x"], region["y"], region["area"]) == (9, 7, 1)
    assert region["after"] == {"x": 9, "y": 7, "width": 1, "height": 1}


def test_options_and_errors_go_through(tmp_path):
    before, after = document(tmp_path / "a.png", page(255)), document(tmp_path / "b.png", page(255, (70, 40, 20, 10)))
    ((_, found),) = detect_pages(before, after, Options(method="ssim"))
    assert found.method == "ssim"
    with pytest.raises(ImageError, match="none.png does not exist"):
        list(detect_pages(before, tmp_path / "none.png"))
