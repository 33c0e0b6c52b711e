"""What the page shows of a pair: no picture is squeezed, and the words are those of what was found."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from helpers.nuisances import CONDITIONS
from helpers.photographs import photo_pair
from whatchanged.drawing import draw_regions, overlay
from whatchanged.images import read_image
from whatchanged.page import showing
from whatchanged.page.comparing import Models, Settings, see

NO_MODELS = Models()


@pytest.fixture
def shown(tmp_path):
    """Two arrays -> what was found, and the pictures that the page shows."""

    def show(before, after, settings):
        for name, array in (("a", before), ("b", after)):
            Image.fromarray(array).save(tmp_path / f"{name}.png")
        seen = see(tmp_path / "a.png", tmp_path / "b.png", settings, NO_MODELS)
        (tmp_path / "shown").mkdir(exist_ok=True)
        made = showing.written_pictures(seen, settings, tmp_path / "shown")
        return seen, {name: read_image(path) for name, path in made.items()}

    return show


@pytest.fixture(scope="module")
def sheet():
    """A page of twelve lines."""
    made, rng = np.full((260, 300, 3), 255, np.uint8), np.random.default_rng(0)
    for line in range(12):
        letters = np.repeat(np.repeat(rng.random((5, 80)) < 0.5, 2, axis=0), 2, axis=1)
        made[10 + 20 * line : 20 + 20 * line, 20:180][letters] = 0
    return made


def test_a_longer_page_is_not_squeezed(sheet, shown):
    longer = np.concatenate([sheet[:110], np.full((40, 300, 3), 200, np.uint8), sheet[110:]])
    seen, pictures = shown(sheet, longer, Settings())
    assert seen.found.kind == "layout"
    np.testing.assert_array_equal(pictures["after"], longer)
    np.testing.assert_array_equal(pictures["before"][:260], sheet)
    assert (pictures["before"][260:] == 255).all()
    assert pictures["heat"].shape == sheet.shape
    np.testing.assert_array_equal(pictures["changes"], draw_regions(sheet, longer, seen.found))
    assert showing.summary(seen, Settings()) == (
        "1 region differs. A page whose rows moved: every pixel counts, wherever its row lies now."
        " The pictures are 300x260 and 300x300: what only one of them has is told."
    )


def test_cropped_only_what_both_have_is_shown(sheet, shown):
    after = sheet[:150].copy()
    after[60:70, 200:240] = 0
    seen, pictures = shown(sheet, after, Settings(size="crop"))
    np.testing.assert_array_equal(pictures["before"], sheet[:150])
    np.testing.assert_array_equal(pictures["after"], after)
    cold = overlay(sheet[:150], np.zeros((150, 300)), highest=1)
    ys, xs = np.nonzero((pictures["heat"] != cold).any(axis=2))
    assert (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) == (200, 60, 240, 70), "the heat lies on the change"
    assert "The pictures are 300x260 and 300x150: what both have at the top left is compared." in showing.summary(
        seen, Settings(size="crop")
    )


def test_scaled_both_are_shown_in_the_smaller_size(shown):
    pair = photo_pair(2, name="coffee", edits=(0, 0))
    half = cv2.resize(pair.after, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    seen, pictures = shown(pair.before, half, Settings(size="scale"))
    assert pictures["before"].shape == pictures["after"].shape == half.shape == pictures["heat"].shape
    assert np.abs(pictures["before"].astype(int) - pictures["after"]).mean() < 3
    assert "compared at the smaller size" in showing.summary(seen, Settings(size="scale"))


def test_photographs_lie_on_each_other_in_the_slider(shown):
    pair = photo_pair(2, name="coffee", edits=(0, 0), nuisance=CONDITIONS["shift 2 px"])
    seen, pictures = shown(pair.before, pair.after, Settings())
    apart = np.abs(pair.before.astype(int) - pair.after)[20:-20, 20:-20].mean()
    assert np.abs(pictures["before"].astype(int) - pictures["after"])[20:-20, 20:-20].mean() < apart / 3
    assert "Photographs: laid on each other, in one light." in showing.summary(seen, Settings())


def test_the_same_picture_has_no_difference(sheet, shown):
    seen, _ = shown(sheet, sheet, Settings())
    assert showing.summary(seen, Settings()) == "No difference. The same rendering: every pixel counts."
    assert showing.regions_table(seen).count("<tr>") == 1


def test_the_table_has_what_and_both_boxes(shown):
    before, after = np.full((80, 200, 3), 255, np.uint8), np.full((80, 200, 3), 255, np.uint8)
    for picture, x in ((before, 20), (after, 150)):
        picture[40:60, x : x + 30] = (20, 60, 200)
        picture[45:50, x + 5 : x + 10] = 0
    seen, _ = shown(before, after, Settings())
    table = showing.regions_table(seen)
    cells = "<td>1</td><td>moved</td><td>20, 40, 30, 20</td><td>150, 40, 30, 20</td><td>1200</td>"
    assert cells in table
    assert '<th scope="col">page</th>' not in table


def test_pages_are_told(tmp_path, sheet):
    edited = sheet.copy()
    edited[60:70, 200:240] = edited[100:110, 220:260] = 0
    for name, pages in (("a", [sheet, sheet, sheet]), ("b", [sheet, edited, edited])):
        first, *rest = map(Image.fromarray, pages)
        first.save(tmp_path / f"{name}.tif", save_all=True, append_images=rest)
    seen = see(tmp_path / "a.tif", tmp_path / "b.tif", Settings(), NO_MODELS)
    assert showing.summary(seen, Settings()).startswith("4 regions differ. Page 2 of 3 is shown.")
    table = showing.regions_table(seen)
    assert [f"<td>{number}</td><td>{page}</td>" in table for page in (2, 3) for number in (1, 2, 3)] == [
        True,
        True,
        False,
    ] * 2


def test_a_note_is_shown(sheet, shown):
    seen, _ = shown(sheet, sheet, Settings())
    seen.record["note"] = "faint, along edges"
    assert showing.summary(seen, Settings()).endswith("every pixel counts. Faint, along edges.")
