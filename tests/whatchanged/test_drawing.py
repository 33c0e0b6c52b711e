"""Regions and heat maps, drawn on pictures."""

from __future__ import annotations

import matplotlib
import numpy as np

from whatchanged import detection
from whatchanged.drawing import draw_regions, overlay


def test_drawn_regions_lie_on_both_pictures():
    before, after = np.full((100, 120, 3), 128, np.uint8), np.full((50, 60, 3), 128, np.uint8)
    after[20:30, 30:40] = 0
    found = detection.detect(before, after, resize=True, align=False)
    drawn = draw_regions(before, after, found)
    gap = drawn.shape[1] - 240
    assert drawn.shape[0] == 100
    color = np.array([0xD5, 0x5E, 0x00])
    painted = (drawn == color).all(axis=2)
    x, y, width, height = found.boxes[0]
    assert painted[y, x : x + width].mean() > 0.8
    assert painted[y, x + 120 + gap : x + width + 120 + gap].mean() > 0.8
    assert painted[y - 10 : y, x : x + 10].mean() > 0.5, "its number stands on its upper left corner"
    painted[:, x : x + 20] = painted[:, x + 120 + gap : x + 140 + gap] = False
    assert not painted[: y - 4].any()


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
