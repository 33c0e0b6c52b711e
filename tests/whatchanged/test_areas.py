"""What is ignored is not compared: neither in what is found nor in any number."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from support import save_picture

from tests.outside.cameras import Shot, patched, scene, take
from whatchanged.areas import compared_area
from whatchanged.detection import detect
from whatchanged.options import METHODS, Options

PAGE = np.full((300, 400, 3), 255, np.uint8)
PAGE[20:40, 30:200] = 0
CLOCK, EDIT = (50, 100, 12, 10), (300, 200, 40, 20)


def changed(*boxes, page=PAGE):
    after = page.copy()
    for number, (x, y, width, height) in enumerate(boxes):
        after[y : y + height, x : x + width] = (200, 40 * number, 0)
    return after


def around(box, margin=5):
    x, y, width, height = box
    return x - margin, y - margin, width + 2 * margin, height + 2 * margin


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", [None, "camera"])
def test_a_clock_is_ignored_and_the_edit_is_not(method, kind):
    after = changed(CLOCK, EDIT)
    every = detect(PAGE, after, method=method, kind=kind, align=False)
    assert len(every.boxes) == 2 or method == "features"
    found = detect(PAGE, after, method=method, kind=kind, align=False, ignore=[around(CLOCK)])
    x, y, width, height = found.boxes[0]
    assert len(found.boxes) == 1
    assert (x - 35 <= EDIT[0], y - 35 <= EDIT[1], width >= EDIT[2], height >= EDIT[3]) == (True,) * 4
    assert not found.mask[95:115, 45:67].any()
    ignored = 22 * 20
    assert (found.compared, found.pixels) == (PAGE.shape[0] * PAGE.shape[1] - ignored, PAGE.shape[0] * PAGE.shape[1])


def test_nothing_differs_where_all_that_differs_is_ignored():
    found = detect(PAGE, changed(CLOCK, EDIT), ignore=[around(CLOCK), around(EDIT)])
    assert (found.similarity, found.regions, found.changed, found.note) == (1, [], 0, "")


def test_the_share_is_of_what_is_compared():
    found = detect(PAGE, changed(CLOCK, EDIT), ignore=[CLOCK, (0, 0, 400, 50)])
    compared = 300 * 400 - 12 * 10 - 400 * 50
    assert found.changed == 40 * 20
    assert found.changed_share == pytest.approx(800 / compared)
    assert found.similarity == pytest.approx(1 - 800 / compared)
    assert found.summary()["uncompared_share"] == pytest.approx(1 - compared / 120000)


def test_a_mask_is_compared_where_it_is_white(tmp_path):
    white = np.zeros((300, 400), np.uint8)
    white[150:, :] = 255
    file = save_picture(tmp_path / "mask.png", white)
    for mask in (white, white > 0, str(file), file):
        (one,) = detect(PAGE, changed(CLOCK, EDIT), mask=mask).regions
        assert one.box == EDIT
    assert not detect(PAGE, changed(CLOCK, EDIT), mask=white, ignore=[EDIT]).regions


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.full((20, 30), 255, np.uint8), "the mask is 30x20 and the before picture 400x300: give a mask of its"),
        (np.zeros((300, 400), np.uint8), "the mask is black everywhere: what is to be compared is white"),
    ],
)
def test_a_mask_that_makes_no_sense(mask, words):
    with pytest.raises(ValueError, match=words):
        detect(PAGE, PAGE, mask=mask)


@pytest.mark.parametrize("box", [(0, 0, 0, 5), (-1, 0, 4, 4), (1, 2, 3), "abcd", None, (0, 0, 5, -1)])
def test_a_box_that_is_none(box):
    with pytest.raises(ValueError, match="give boxes of x,y,width,height in pixels"):
        Options(ignore=(box,))


def test_a_box_beyond_the_edge_ends_there():
    area = compared_area(PAGE, Options(ignore=((390, 290, 50, 50), (1000, 1000, 5, 5))))
    assert area.sum() == 300 * 400 - 10 * 10


def test_rows_that_moved_below_an_advertisement():
    """It is in both pages at another place of the page after: ignored by its place before; rows below are in place."""
    rng = np.random.default_rng(0)
    page = np.full((400, 300, 3), 255, np.uint8)
    for row in range(10, 390, 20):
        page[row : row + 10, 20 : 20 + int(rng.integers(100, 260))] = rng.integers(0, 200, 3)
    after = np.insert(page, [60] * 24, 230, axis=0)
    after[264:284, 40:80] = (0, 90, 200)  # 240 before
    after[330:340, 30:60] = (0, 0, 0)  # 306 before
    both = {one.what for one in detect(page, after).regions}
    assert "added" in both
    told = [one.box for one in detect(page, after, ignore=[(30, 235, 60, 30)]).regions]
    assert any(y <= 306 < y + height for _, y, _, height in told)
    assert not any(y <= 250 < y + height and x <= 60 < x + width for x, y, width, height in told)
    without = detect(page, after, ignore=[(0, 55, 300, 30)]).regions
    assert not [one for one in without if one.what == "added" and one.y == 60]


def test_photographs_of_a_moved_camera():
    size, wide = (360, 280), scene("motorcycle", (440, 340))
    before = take(wide, Shot(), size)
    edited = patched(patched(wide, (240, 60, 50, 40), size), (60, 200, 50, 40), size, seed=1)
    after = take(edited, Shot(shift=(6, -4), degrees=1, contrast=0.9, noise=3), size)
    assert len(detect(before, after).regions) == 2
    found = detect(before, after, ignore=[(40, 180, 90, 80)])
    (one,) = found.regions
    assert abs(one.x - 240) < 8
    assert abs(one.y - 60) < 8
    assert found.similarity > detect(before, after).similarity
    assert found.summary()["uncompared_share"] > 90 * 80 / (360 * 280)


def test_pictures_of_another_size_are_cropped_or_scaled_with_their_area():
    after = changed(CLOCK, EDIT)
    half = np.asarray(Image.fromarray(after).resize((200, 150), Image.Resampling.BOX))
    assert len(detect(PAGE, half, size="scale").regions) == 2
    (one,) = detect(PAGE, half, size="scale", ignore=[around(CLOCK, 20)]).regions
    assert abs(one.x - EDIT[0]) < 12
    assert not detect(PAGE, after[:280, :390], size="crop", ignore=[around(CLOCK), around(EDIT)]).regions
