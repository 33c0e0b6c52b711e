"""What the page does with pictures: the same as the library underneath, or a sentence that names the file."""

from __future__ import annotations

import zipfile
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from helpers.photographs import photo_pair
from whatchanged.detection import detect
from whatchanged.formats import ImageError
from whatchanged.page import comparing
from whatchanged.page.comparing import Models, Settings

NO_MODELS = Models("nowhere", "nowhere")


@pytest.fixture(scope="module")
def pair():
    return photo_pair(2, name="coffee", edits=(3, 3))


def save(path, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
    return path


@pytest.fixture
def files(pair, tmp_path):
    return save(tmp_path / "before.png", pair.before), save(tmp_path / "after.png", pair.after)


@pytest.mark.parametrize("method", ["tolerant", "pixel", "ssim"])
def test_it_is_detect(pair, files, method):
    seen = comparing.see(*files, Settings(method, align=False, sensitivity=1.5), NO_MODELS)
    expected = detect(pair.before, pair.after, method=method, align=False, sensitivity=1.5)
    assert seen.found.regions == expected.regions[:10]
    assert seen.record == replace(expected, regions=expected.regions[:10]).summary()
    np.testing.assert_array_equal(seen.after, pair.after)
    few = comparing.see(*files, Settings(method, align=False, sensitivity=1.5, most=1), NO_MODELS)
    assert few.found.regions == expected.regions[:1]


@pytest.mark.parametrize("kind", ["exact", "layout", "camera"])
def test_the_kind_may_be_said(pair, files, kind):
    seen = comparing.see(*files, Settings(kind=kind), NO_MODELS)
    assert seen.record == detect(pair.before, pair.after, kind=kind).summary() | {
        "regions": [one.record() for one in detect(pair.before, pair.after, kind=kind).regions[:10]]
    }


@pytest.mark.parametrize("size", ["pad", "crop", "scale"])
def test_sizes_that_differ(pair, tmp_path, size):
    half = cv2.resize(pair.after, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    given = save(tmp_path / "before.png", pair.before), save(tmp_path / "after.png", half)
    seen = comparing.see(*given, Settings(size=size), NO_MODELS)
    assert seen.found.regions == detect(pair.before, half, size=size).regions[:10]
    assert seen.after.shape == half.shape


def test_transparent_pictures_are_read_together(tmp_path):
    """White on transparent and nothing at all: on white both would be white."""
    clear = np.zeros((60, 80, 4), np.uint8)
    drawn = clear.copy()
    drawn[20:40, 30:50] = 255
    seen = comparing.see(
        save(tmp_path / "before.png", clear), save(tmp_path / "after.png", drawn), Settings(), NO_MODELS
    )
    assert [(one.what, one.box) for one in seen.found.regions] == [("added", (30, 20, 20, 20))]


def paged(path, *pages):
    first, *rest = map(Image.fromarray, pages)
    first.save(path, save_all=True, append_images=rest)
    return path


def test_all_pages_are_compared_and_the_first_that_differs_is_shown(tmp_path):
    plain = np.full((60, 80, 3), 255, np.uint8)
    few, more = plain.copy(), plain.copy()
    few[10:20, 10:30] = more[10:50, 10:60] = 0
    before = paged(tmp_path / "before.tif", plain, plain, plain)
    seen = comparing.see(before, paged(tmp_path / "after.tif", plain, few, more), Settings(), NO_MODELS)
    assert (seen.page, seen.pages) == (2, 3)
    np.testing.assert_array_equal(seen.after, few)
    assert [(one["page"], one["width"]) for one in seen.record["regions"]] == [(3, 50), (2, 20)]
    assert seen.record["similarity"] == pytest.approx(1 - 40 * 50 / (60 * 80), abs=1e-6)
    assert not comparing.see(before, before, Settings(), NO_MODELS).found.regions


def test_a_page_that_one_file_lacks_has_no_words(tmp_path):
    plain = np.full((60, 80, 3), 90, np.uint8)
    longer, shorter = paged(tmp_path / "before.tif", plain, plain), paged(tmp_path / "after.tif", plain)
    seen = comparing.see(longer, shorter, Settings(), NO_MODELS)
    assert (seen.page, seen.pages, seen.found.regions[0].what) == (2, 2, "removed")
    assert (seen.before == 90).all()
    assert (seen.after == 255).all()
    assert comparing.describe(seen, Settings(), NO_MODELS) == ("", "only one of the files has this page")


def test_without_a_model_it_says_how_to_get_one(files):
    seen = comparing.see(*files, Settings(), NO_MODELS)
    said, why = comparing.describe(seen, Settings(), NO_MODELS)
    assert said == ""
    assert "no trained model in nowhere: give the folder that" in why
    with pytest.raises(ValueError, match="no trained model in nowhere: give the file that"):
        _ = NO_MODELS.defects
    with pytest.raises(ValueError, match="no trained model in nowhere: give the folder that"):
        comparing.see(*files, Settings("words"), NO_MODELS)


def test_a_picture_is_named_as_its_owner_knows_it(tmp_path, monkeypatch):
    (tmp_path / "letter.png").write_text("no image")
    with pytest.raises(ImageError, match=r"^letter.png is not an image"):
        comparing.read(tmp_path / "letter.png")
    monkeypatch.setattr(comparing, "LARGEST", 100)
    save(tmp_path / "big.png", np.zeros((11, 10, 3), np.uint8))
    with pytest.raises(ImageError, match=r"^big.png has 10x11 pixels: at most 100 are read"):
        comparing.read(tmp_path / "big.png")
    small = save(tmp_path / "small.png", np.zeros((9, 9, 3), np.uint8))
    for names in (("small.png", "big.png"), ("big.png", "small.png")):
        with pytest.raises(ImageError, match=r"^big.png has 10x11 pixels: at most 100 are read"):
            comparing.see(*(tmp_path / name for name in names), Settings(), NO_MODELS)
    with pytest.raises(ImageError, match=r"^page 2 of big.tif has 10x11 pixels"):
        comparing.see(
            paged(tmp_path / "big.tif", np.zeros((9, 9, 3), np.uint8), np.zeros((11, 10, 3), np.uint8)),
            small,
            Settings(),
            NO_MODELS,
        )


def test_uploads_are_laid_out(tmp_path, monkeypatch):
    one = save(tmp_path / "a" / "x.png", np.zeros((8, 8, 3), np.uint8))
    two = save(tmp_path / "b" / "x.png", np.zeros((8, 8, 3), np.uint8))
    three = save(tmp_path / "c" / "x_2.png", np.zeros((8, 8, 3), np.uint8))
    assert {path.name for path in comparing.lay_out([one, three], tmp_path / "1").iterdir()} == {"x.png", "x_2.png"}
    with pytest.raises(ValueError, match=r"two files are called x.png"):
        comparing.lay_out([one, two], tmp_path / "2")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(one, "mine/before/x.png")
        archive.write(two, "mine/after/x.png")
        archive.writestr("__MACOSX/mine/x", "")
    folder = comparing.lay_out([tmp_path / "all.zip"], tmp_path / "3")
    assert folder == tmp_path / "3" / "mine"
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("../outside.png", "x")
    with pytest.raises(ValueError, match="would leave the folder"):
        comparing.lay_out([tmp_path / "bad.zip"], tmp_path / "4")
    assert not (tmp_path / "outside.png").exists()
    (tmp_path / "no.zip").write_text("no zip")
    with pytest.raises(ValueError, match=r"no.zip is not an archive"):
        comparing.lay_out([tmp_path / "no.zip"], tmp_path / "5")
    monkeypatch.setattr(comparing, "MAX_ARCHIVE", 10)
    with pytest.raises(ValueError, match="unpacks to more than"):
        comparing.lay_out([tmp_path / "all.zip"], tmp_path / "6")


def test_many_pairs(pair, tmp_path, monkeypatch):
    for name, picture in (("a", pair.before), ("a_2", pair.after), ("b", pair.before), ("b_2", pair.before)):
        save(tmp_path / f"{name}.png", picture)
    (tmp_path / "c.png").write_text("no image")
    save(tmp_path / "c_2.png", pair.after)
    rows = [row for _, *row in comparing.batch(tmp_path, Settings(), NO_MODELS)]
    records = [record for record, _ in rows]
    assert records[0]["boxes"] == detect(pair.before, pair.after).boxes.tolist()
    assert records[0]["found"] == detect(pair.before, pair.after).summary()["regions"]
    assert [record["regions"] for record in records] == [3, 0, ""]
    assert [record["kind"] for record in records] == [detect(pair.before, pair.after).kind, "exact", ""]
    assert records[2]["error"] == "c.png is not an image that can be read"
    save(tmp_path / "alone.png", pair.before)
    *_, (_, alone, _) = sorted(
        comparing.batch(tmp_path, Settings(), NO_MODELS), key=lambda row: row[1]["before"] == "alone.png"
    )
    assert alone["error"].startswith("its name matches no rule")
    page = comparing.table(rows)
    assert page.count("<img") == 2
    assert page.count('alt="') == 2
    monkeypatch.setattr(comparing, "MAX_PAIRS", 2)
    with pytest.raises(ValueError, match="these are 3 pairs: at most 2"):
        list(comparing.batch(tmp_path, Settings(), NO_MODELS))


def test_a_table_says_names_as_text(tmp_path):
    record = dict.fromkeys(comparing.COLUMNS, "") | {"number": 1, "before": "<b>x", "error": "<script>"}
    page = comparing.table([(record, "")])
    assert "<script>" not in page
    assert "&lt;b&gt;x" in page
