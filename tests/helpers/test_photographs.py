"""Edited photographs and their masks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from helpers.photographs import GROUNDS, VISIBLE, cracked_grounds, photo_pair, photograph


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


def test_a_crack_is_all_that_differs_within_a_pair_of_grounds():
    made = cracked_grounds(5, 12, size=64)
    assert made.images.shape == (12, 64, 64, 3)
    assert made.labels.tolist() == [0, 1] * 6
    for sound, cracked in made.images.reshape(6, 2, 64, 64, 3):
        assert (cracked <= sound).all(), "a crack is dark"
        assert 20 < (sound != cracked).any(axis=2).sum() < 64 * 64 / 2
    assert np.array_equal(cracked_grounds(5, 4, size=64).images, made.images[:4])
    large = cracked_grounds(5, 4, size=384).images
    assert large.shape == (4, 384, 384, 3)
    assert np.array_equal(
        large[0, ..., 0], cv2.resize(photograph("brick"), (384, 384), interpolation=cv2.INTER_AREA)[..., 0]
    )
    for number, name in enumerate(GROUNDS):
        whole, crop = photograph(name).astype(np.float32), made.images[2 * number].astype(np.float32)
        # the crop at twice its size is found in the photograph of its ground
        large = cv2.resize(crop, (128, 128), interpolation=cv2.INTER_LINEAR)
        assert cv2.matchTemplate(whole, large, cv2.TM_CCOEFF_NORMED).max() > 0.85, name
