"""Heat maps over pictures, to the value."""

from __future__ import annotations

import matplotlib
import numpy as np

from helpers import plotting


def test_a_heat_map_over_a_picture():
    picture = np.full((20, 40, 3), 100, np.uint8)
    heat = np.zeros((20, 40))
    heat[:, 20:] = 0.2
    own, common = plotting.overlay(picture, heat), plotting.overlay(picture, heat, highest=1.0)
    assert own.shape == picture.shape
    colors = matplotlib.colormaps[plotting.HEAT]([0.0, 0.2, 1.0])[:, :3]
    expected = np.rint(0.55 * 100 + 0.45 * 255 * colors)
    assert np.abs(own[5, [2, 37]] - expected[[0, 2]]).max() <= 1
    assert np.abs(common[5, [2, 37]] - expected[[0, 1]]).max() <= 1
