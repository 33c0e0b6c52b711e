"""Pixel difference: exact boxes, and OpenCV's thresholds."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from helpers.photographs import photograph
from whatchanged.pixels import gray_threshold, pixel_difference

RNG = np.random.default_rng(0)


PHOTO = photograph("coffee")


@pytest.mark.parametrize("threshold", ["otsu", "percentile", 30])
def test_pixel_difference_finds_exact_boxes(threshold):
    before = np.full((100, 140, 3), 90, np.uint8)
    after = before.copy()
    after[20:40, 30:70] = 200
    after[60:90, 100:110] = 0
    found = pixel_difference(before, after, threshold=threshold, percentile=90)
    assert found.boxes.tolist() == [[30, 20, 40, 20], [100, 60, 10, 30]]
    assert found.similarity == pytest.approx(1 - (800 + 300) / 14000)
    assert [region.area for region in found.regions] == [800, 300]
    assert found.regions[0].strength == pytest.approx(110 / 255)


def test_otsu_is_opencvs():
    gray = RNG.integers(0, 200, (50, 50)).astype(np.uint8)
    expected = cv2.threshold(gray, 0, 255, cv2.THRESH_OTSU)[0]
    assert gray_threshold(gray, "otsu", 0) == expected
    assert gray_threshold(gray, "percentile", 90) == pytest.approx(np.percentile(gray, 90))


def test_pixel_threshold_is_refused():
    with pytest.raises(ValueError, match="threshold is 'high'"):
        pixel_difference(PHOTO, PHOTO, threshold="high")
