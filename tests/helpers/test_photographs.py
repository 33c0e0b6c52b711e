"""Edited photographs and their masks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from helpers.photographs import VISIBLE, photo_pair, photograph


def test_photograph_masks_are_the_pixels_that_differ():
    for index in range(8):
        pair = photo_pair(1, index)
        visible = (cv2.absdiff(pair.before, pair.after).max(axis=2) >= VISIBLE).astype(np.uint8)
        truth = np.logical_or.reduce([mask for change in pair.changes for mask in change.masks_before])
        assert visible[truth].all()
        assert visible[~truth].mean() < 0.005  # the soft edges of the edits


def test_unknown_photograph_is_refused():
    with pytest.raises(ValueError, match="no photograph 'nobody'"):
        photograph("nobody")
