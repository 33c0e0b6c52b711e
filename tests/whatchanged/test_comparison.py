"""`compare` in a cell: what Jupyter is given."""

from __future__ import annotations

import base64
import io
import re

import cv2
import numpy as np
import pytest
from PIL import Image
from support import save_picture

import whatchanged
from tests.outside.cameras import Shot, patched, scene, take
from whatchanged.comparison import CELL_BYTES, compare
from whatchanged.detection import detect
from whatchanged.images import read_image


def page():
    before = np.full((900, 1200, 3), 255, np.uint8)
    rng = np.random.default_rng(0)
    for row in range(20, 880, 16):
        for column in range(20, 1160, 40):
            before[row : row + 8, column : column + int(rng.integers(8, 34))] = rng.integers(0, 160, 3)
    after = before.copy()
    for row in range(100, 800, 60):
        after[row : row + 30, 300 + row // 3 : 380 + row // 3] = rng.integers(0, 255, (30, 80, 3))
    return before, after


def photographs():
    size, wide = (900, 700), scene("motorcycle", (1000, 800))
    after = take(patched(wide, (500, 200, 90, 70), size), Shot(shift=(8, -5), degrees=1, noise=4), size)
    return take(wide, Shot(), size), after


@pytest.fixture(params=[page, photographs], scope="module")
def shown(request):
    return compare(*request.param())


def test_what_it_finds_is_what_detect_finds(shown):
    expected = detect(shown.before, shown.after)
    assert shown.found.regions == expected.regions
    assert len(expected.regions) >= 1


def test_it_is_small_and_asks_for_nothing(shown):
    html = shown._repr_mimebundle_()[0]["text/html"]
    assert len(html.encode()) <= CELL_BYTES == 100_000
    assert html.count('src="data:image/') >= 3
    assert html.count("src=") == html.count('src="data:image/')
    assert "@import" not in html
    assert "url(" not in html


def embedded(html):
    """The pictures of a cell: before, heat map, after, and those of the regions; each with its bytes."""
    found = [base64.b64decode(data) for data in re.findall(r'src="data:image/\w+;base64,([^"]+)"', html)]
    return [(Image.open(io.BytesIO(data)).size, len(data)) for data in found]


def test_the_pictures_get_the_bytes():
    """Neither the heat map nor what is cut out of a region has more than they need: a texture all of which differs."""
    rng = np.random.default_rng(0)
    before = cv2.GaussianBlur(rng.integers(0, 256, (700, 700, 3), np.uint8), (0, 0), 2)
    before = cv2.normalize(before, None, 0, 255, cv2.NORM_MINMAX)
    after = before.copy()
    after[50:650, 50:650] = np.rot90(before[50:650, 50:650])
    shown = compare(before, after, kind="exact")
    (size, first), (heat, colors), (_, second), *cut_out = embedded(shown.html)
    assert size[0] * size[1] >= 30_000, "100 x 100 are left where the heat map keeps its size"
    assert heat[0] <= size[0]
    assert colors < first
    assert sum(count for _, count in cut_out) < first + second


def test_more_bytes_show_more(shown):
    more = compare(shown.before, shown.after, most=3_000_000)
    assert len(shown.html) < len(more.html) <= 3_000_000
    assert more.html.count("<img") >= shown.html.count("<img")


def test_where_no_html_is_shown_there_are_a_picture_and_words(shown):
    bundle, about = shown._repr_mimebundle_()
    picture = Image.open(io.BytesIO(bundle["image/png"]))
    assert picture.format == "PNG"
    assert max(picture.size) in (480, 640)
    assert len(bundle["image/png"]) <= CELL_BYTES
    assert bundle["text/plain"] == repr(shown)
    assert repr(shown) in about["image/png"]["alt"]
    assert repr(shown).startswith(f"{len(shown.found.regions)} region")


def test_files_pictures_of_pillow_and_options(tmp_path):
    before, after = page()
    files = [save_picture(tmp_path / f"{name}.png", one) for name, one in (("a", before), ("b", after))]
    assert np.array_equal(compare(*files).after, after)
    given = compare(Image.fromarray(before), str(files[1]), whatchanged.Options(sensitivity=0.5), kind="exact")
    assert (given.options.sensitivity, given.options.kind, given.found.kind) == (0.5, "exact", "exact")
    assert repr(whatchanged.compare(before, before)) == "No difference."


def test_it_is_saved_as_a_page_or_a_picture(tmp_path):
    shown = compare(*page())
    text = shown.save(tmp_path / "x.html").read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert len(text) > CELL_BYTES, "at full size"
    assert read_image(shown.save(tmp_path / "x.png")).shape[0] == 900


def test_a_difference_prints_as_one_short_line():
    before, after = page()
    found = detect(before, after)
    assert (
        repr(found) == f"Difference({len(found.regions)} regions, similarity {found.similarity:.4f}, tolerant, exact)"
    )
    assert repr(detect(before, before)) == "Difference(0 regions, similarity 1.0000, tolerant, exact)"
