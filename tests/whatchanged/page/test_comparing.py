"""What the page does with pictures: the same as the library underneath, or a sentence that names the file."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image
from support import save_picture

from whatchanged.detection import detect
from whatchanged.formats import ImageError
from whatchanged.page import comparing
from whatchanged.page.comparing import Models, Settings, Words

NO_MODELS = Models("nowhere", "nowhere")


@pytest.fixture
def files(pair, tmp_path):
    return save_picture(tmp_path / "before.png", pair.before), save_picture(tmp_path / "after.png", pair.after)


@pytest.mark.parametrize("method", ["tolerant", "pixel", "ssim"])
def test_it_is_detect(pair, files, method):
    seen = comparing.see(*files, Settings(method, align=False, sensitivity=1.5), NO_MODELS)
    expected = detect(pair.before, pair.after, method=method, align=False, sensitivity=1.5)
    ((page, found),) = seen.pages
    assert found.regions == expected.regions[:10]
    assert seen.record == expected.summary()
    np.testing.assert_array_equal(page.after, pair.after)
    few = comparing.see(*files, Settings(method, align=False, sensitivity=1.5, most=1), NO_MODELS)
    assert few.pages[0][1].regions == expected.regions[:1]
    assert few.record == seen.record


@pytest.mark.parametrize("kind", ["exact", "layout", "camera"])
def test_the_kind_may_be_said(pair, files, kind):
    seen = comparing.see(*files, Settings(kind=kind), NO_MODELS)
    assert seen.record == detect(pair.before, pair.after, kind=kind).summary()


@pytest.mark.parametrize("size", ["pad", "crop", "scale"])
def test_sizes_that_differ(pair, tmp_path, size):
    half = cv2.resize(pair.after, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    given = save_picture(tmp_path / "before.png", pair.before), save_picture(tmp_path / "after.png", half)
    seen = comparing.see(*given, Settings(size=size), NO_MODELS)
    ((page, found),) = seen.pages
    assert found.regions == detect(pair.before, half, size=size).regions[:10]
    assert page.after.shape == half.shape


def test_transparent_pictures_are_read_together(tmp_path):
    """White on transparent and nothing at all: on white both would be white."""
    clear = np.zeros((60, 80, 4), np.uint8)
    drawn = clear.copy()
    drawn[20:40, 30:50] = 255
    seen = comparing.see(
        save_picture(tmp_path / "before.png", clear), save_picture(tmp_path / "after.png", drawn), Settings(), NO_MODELS
    )
    assert [(one.what, one.box) for one in seen.pages[0][1].regions] == [("added", (30, 20, 20, 20))]


def paged(path, *pages):
    first, *rest = map(Image.fromarray, pages)
    first.save(path, save_all=True, append_images=rest)
    return path


def test_all_pages_are_compared_and_those_that_differ_are_shown(tmp_path):
    plain = np.full((60, 80, 3), 255, np.uint8)
    few, more = plain.copy(), plain.copy()
    few[10:20, 10:30] = more[10:50, 10:60] = 0
    before = paged(tmp_path / "before.tif", plain, plain, plain)
    seen = comparing.see(before, paged(tmp_path / "after.tif", plain, few, more), Settings(), NO_MODELS)
    assert [page.number for page, _ in seen.pages] == [2, 3]
    assert seen.record["pages"] == 3
    np.testing.assert_array_equal(seen.pages[0][0].after, few)
    assert [(one["page"], one["width"]) for one in seen.record["regions"]] == [(3, 50), (2, 20)]
    assert seen.record["similarity"] == pytest.approx(1 - 40 * 50 / (60 * 80), abs=1e-6)
    same = comparing.see(before, before, Settings(), NO_MODELS)
    assert [(page.number, found.regions) for page, found in same.pages] == [(1, [])]


def test_a_page_that_one_file_lacks_has_no_words(tmp_path):
    plain = np.full((60, 80, 3), 90, np.uint8)
    longer, shorter = paged(tmp_path / "before.tif", plain, plain), paged(tmp_path / "after.tif", plain)
    seen = comparing.see(longer, shorter, Settings(), NO_MODELS)
    ((page, found),) = seen.pages
    assert (page.number, page.after, found.regions[0].what) == (2, None, "removed")
    assert comparing.describe(seen, Settings(), NO_MODELS) == Words("", "only one of the files has this page")


def test_without_a_model_it_says_how_to_get_one(files):
    seen = comparing.see(*files, Settings(), NO_MODELS)
    told = comparing.describe(seen, Settings(), NO_MODELS)
    assert (told.said, told.unlike) == ("", None)
    assert "no trained model in nowhere: give the folder that" in told.why
    with pytest.raises(ValueError, match="no trained model in nowhere: give the file that"):
        _ = NO_MODELS.defects
    with pytest.raises(ValueError, match="no trained model in nowhere: give the folder that"):
        comparing.see(*files, Settings("words"), NO_MODELS)


def test_a_picture_is_named_as_its_owner_knows_it(tmp_path):
    (tmp_path / "letter.png").write_text("no image")
    with pytest.raises(ImageError, match=r"^letter.png is not an image"):
        comparing.read(tmp_path / "letter.png")
    small = save_picture(tmp_path / "small.png", np.zeros((9, 9, 3), np.uint8))
    for names in (("small.png", "letter.png"), ("letter.png", "small.png")):
        with pytest.raises(ImageError, match=r"^letter.png is not an image"):
            comparing.see(*(tmp_path / name for name in names), Settings(), NO_MODELS)
    whole = paged(tmp_path / "cut.tif", np.zeros((9, 9, 3), np.uint8), np.ones((900, 90, 3), np.uint8)).read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match=r"^(page 2 of )?cut.tif "):
        comparing.see(tmp_path / "cut.tif", small, Settings(), NO_MODELS)


@pytest.mark.parametrize(
    ("said", "regions", "told"),
    [
        ("the red disk was removed", 1, "the red disk was removed"),
        ("the two pictures show the same", 1, ""),
        ("nothing has changed.", 3, ""),
        ("there is no difference", 0, "there is no difference"),
        ("a red disk was added", 0, ""),
        ("the orange checked circle is now an orange checked circle", 1, ""),
        (
            "the red disk became a blue disk and the gray ring turned into a gray ring",
            2,
            "the red disk became a blue disk",
        ),
        ("the ring is gone and there is a new disk", 2, "the ring is gone and there is a new disk"),
        ("", 1, ""),
    ],
)
def test_words_do_not_contradict_the_boxes(said, regions, told):
    words, why = comparing.believed(said, regions)
    assert words == told
    assert ("does not agree with the comparison" in why) == (not told)


def test_what_is_ignored_is_not_compared(pair, files):
    x, y, width, height = detect(pair.before, pair.after).regions[0].box
    seen = comparing.see(*files, Settings(ignore=((x, y, width, height),)), NO_MODELS)
    assert (
        seen.record["regions"] == detect(pair.before, pair.after, ignore=((x, y, width, height),)).summary()["regions"]
    )
    assert seen.count == 2


def test_large_pictures_are_compared_as_by_the_command_line(tmp_path):
    """20000 x 2000 pixels: 40 million."""
    before = np.full((2000, 20_000, 3), 250, np.uint8)
    after = before.copy()
    after[900:940, 15_000:15_080] = 20
    seen = comparing.see(
        save_picture(tmp_path / "a.png", before), save_picture(tmp_path / "b.png", after), Settings(), NO_MODELS
    )
    assert [region["x"] for region in seen.record["regions"]] == [15_000]
