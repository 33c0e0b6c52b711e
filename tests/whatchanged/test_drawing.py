"""Regions, drawn."""

from __future__ import annotations

import numpy as np

from whatchanged import detection
from whatchanged.drawing import draw_regions


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
