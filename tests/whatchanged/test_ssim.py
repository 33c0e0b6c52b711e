"""SSIM against scikit-image, on made, photographed and real pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from helpers.nuisances import Nuisance, jpeg, take
from helpers.photographs import photograph
from whatchanged import detection
from whatchanged.images import read_image
from whatchanged.pixels import pixel_difference
from whatchanged.ssim import structural_difference

RNG = np.random.default_rng(0)


PHOTO = photograph("coffee")


def skimage_ssim(before, after):
    axis = 2 if before.ndim == 3 else None
    return structural_similarity(before, after, full=True, channel_axis=axis)


def random_pair(*shape):
    before = RNG.integers(0, 256, shape).astype(np.uint8)
    return before, np.clip(before + RNG.normal(0, 20, shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "pair",
    [
        random_pair(7, 7),
        random_pair(64, 512),
        random_pair(131, 1047),
        random_pair(90, 71, 3),
        (PHOTO, jpeg(PHOTO, 40)),
        (PHOTO[..., 1].copy(), take(PHOTO, Nuisance(rotation=1, gain=1.2))[..., 1].copy()),
        (np.full((40, 40), 255, np.uint8), np.full((40, 40), 250, np.uint8)),
        (PHOTO, np.where(np.arange(600)[:, None] < 300, PHOTO, 255 - PHOTO)),
    ],
    ids=["7x7", "tile", "tiles", "color", "jpeg", "rotated", "flat", "half"],
)
def test_ssim_equals_scikit_image(pair):
    expected_score, expected_map = skimage_ssim(*pair)
    score, ssim_map = structural_difference(*pair)
    assert score == pytest.approx(expected_score, abs=1e-4)
    assert ssim_map.shape == expected_map.shape
    assert np.abs(ssim_map - expected_map).max() < 1e-3


def test_detect_by_ssim_takes_the_weakest_channel_of_scikit_image():
    after = PHOTO.copy()
    after[40:60, 50:80, 2] //= 2  # one channel of three
    _, expected = skimage_ssim(PHOTO, after)
    found = detection.detect(PHOTO, after, method="ssim")
    assert found.map.shape == PHOTO.shape[:2]
    assert np.abs(found.map - (1 - expected.min(axis=2)) / 2).max() < 1e-3


def test_ssim_of_identical_images_is_one():
    score, ssim_map = structural_difference(PHOTO, PHOTO.copy())
    assert score == 1
    assert (ssim_map == 1).all()


@pytest.mark.real
@pytest.mark.parametrize("name", ["1", "4", "6"])
def test_real_screenshots(real_data, name):
    before, after = (read_image(real_data / "screenshots" / f"{name}{side}.png") for side in "ab")
    expected_score, expected_map = skimage_ssim(before, after)
    score, ssim_map = structural_difference(before, after)
    assert score == pytest.approx(expected_score, abs=1e-4)
    assert np.abs(ssim_map - expected_map).max() < 1e-3
    truly = np.abs(before.astype(int) - after).max(axis=2)
    gray = cv2.absdiff(*(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (before, after)))
    exact = pixel_difference(before, after, threshold=0, opening=0, closing=0)
    assert exact.similarity == pytest.approx(1 - (gray > 0).mean())
    assert detection.detect(before, after, method="ssim").regions, "the renderings differ"
    for method in ("tolerant", "pixel", "ssim"):
        found = detection.detect(before, after, method=method)
        assert 0 < found.similarity <= 1
        for x, y, width, height in found.boxes:
            assert truly[y : y + height, x : x + width].any()


@pytest.mark.parametrize(
    "array", [np.zeros((4, 4)), np.zeros((0, 4), np.uint8), np.zeros((2, 2, 3, 1), np.uint8), np.zeros(3, np.uint8)]
)
def test_what_is_no_image_is_refused(array):
    with pytest.raises(ValueError, match="give uint8"):
        structural_difference(array, array)
