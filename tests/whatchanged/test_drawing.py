"""Regions and heat maps, drawn on pictures."""

from __future__ import annotations

import matplotlib
import numpy as np

from whatchanged import detection
from whatchanged.drawing import below_each_other, draw_regions, overlay

PAINT = np.array([0xD5, 0x5E, 0x00])


def test_each_box_stands_where_the_region_is_in_that_picture():
    """A smaller picture of the same: what is at 30, 20 in it is at 60, 40 before."""
    before, after = np.full((100, 120, 3), 128, np.uint8), np.full((50, 60, 3), 128, np.uint8)
    after[20:30, 30:40] = 0
    found = detection.detect(before, after, size="scale", kind="exact")
    assert found.boxes.tolist() == [[60, 40, 20, 20]]
    drawn = draw_regions(before, after, found)
    left = drawn.shape[1] - 60
    assert drawn.shape[0] == 100
    assert (drawn[50:, left:] == 255).all(), "white where the picture after ends"
    painted = (drawn == PAINT).all(axis=2)
    x, y, width, height = found.boxes[0]
    assert painted[y - 4, x : x + width].mean() > 0.8
    assert painted[16, left + 30 : left + 40].mean() > 0.8
    assert painted[y - 18 : y - 8, x - 8 : x + 2].mean() > 0.5, "its number stands on its upper left corner"
    for left_edge, top, side, shown in ((60, 40, 20, 128), (left + 30, 20, 10, 0)):
        inside = np.s_[top : top + side, left_edge : left_edge + side]
        assert (drawn[inside] == shown).all(), "what was found stays free"
    painted[:, x - 8 : x + 20] = painted[:, left + 22 : left + 50] = False
    assert not painted[: y - 7, :left].any()


def test_what_moved_is_boxed_where_it_was_and_where_it_is():
    before, after = np.full((80, 200, 3), 255, np.uint8), np.full((80, 200, 3), 255, np.uint8)
    for picture, x in ((before, 20), (after, 150)):
        picture[40:60, x : x + 30] = (20, 60, 200)
        picture[45:50, x + 5 : x + 10] = 0
    found = detection.detect(before, after)
    assert [(one.what, one.box, one.after) for one in found.regions] == [("moved", (20, 40, 30, 20), (150, 40, 30, 20))]
    drawn = draw_regions(before, after, found)
    sides = drawn[:, :200], drawn[:, -200:]
    for side, box, other in zip(sides, (20, 150), (150, 20), strict=True):
        painted = (side == PAINT).all(axis=2)
        assert painted[64, box : box + 30].mean() > 0.8
        assert not painted[64, other : other + 30].any()


def test_a_page_that_one_file_lacks_is_empty_there():
    page = np.full((60, 90, 3), 90, np.uint8)
    added = detection.detect(page, page)
    drawn = draw_regions(None, page, added)
    assert (drawn[:, :90] == 255).all()
    assert (drawn[:, -90:] == 90).all()
    assert np.array_equal(draw_regions(page, None, added)[:, :90], page)


def test_pages_lie_below_each_other():
    drawn = below_each_other([np.full((20, 30, 3), 10, np.uint8), np.full((10, 50, 3), 20, np.uint8)])
    assert drawn.shape == (34, 50, 3)
    assert (drawn[:20, :30] == 10).all()
    assert (drawn[24:] == 20).all()
    assert (drawn[:24, 30:] == 255).all()


def test_a_heat_map_over_a_picture():
    picture = np.full((20, 40, 3), 100, np.uint8)
    heat = np.zeros((20, 40))
    heat[:, 20:] = 0.2
    own, common = overlay(picture, heat), overlay(picture, heat, highest=1.0)
    assert own.shape == picture.shape
    colors = matplotlib.colormaps["magma"]([0.0, 0.2, 1.0])[:, :3]
    expected = np.rint(0.55 * 100 + 0.45 * 255 * colors)
    assert np.abs(own[5, [2, 37]] - expected[[0, 2]]).max() <= 1
    assert np.abs(common[5, [2, 37]] - expected[[0, 1]]).max() <= 1
