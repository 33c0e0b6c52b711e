"""Textures: a task of many classes."""

from __future__ import annotations

import numpy as np

from helpers.textures import TEXTURE_NAMES, textures


def test_textures_are_a_task_of_many_classes():
    made = textures(0, 3 * len(TEXTURE_NAMES), size=32)
    assert len(TEXTURE_NAMES) >= 10
    assert np.bincount(made.labels).tolist() == [3] * len(TEXTURE_NAMES)
    assert made.names == TEXTURE_NAMES
    assert min(np.ptp(image) for image in made.images) > 30
