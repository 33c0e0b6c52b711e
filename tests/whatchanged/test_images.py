"""What every module does to an image array."""

import os

import cv2
import pytest

from whatchanged.images import one_a_core


def test_opencv_shares_no_picture_among_cores_within_the_pool_and_does_again_after_it():
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        with one_a_core() as pool:
            assert cv2.getNumThreads() == 1
            assert pool._max_workers == os.cpu_count()
            assert list(pool.map(str, range(3))) == ["0", "1", "2"]
        assert cv2.getNumThreads() == 3
        with pytest.raises(ValueError, match="here"), one_a_core():
            raise ValueError("here")
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)
