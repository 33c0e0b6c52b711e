"""Transforms whose zoom, view and place are known; keypoints that find them again."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from helpers.photographs import photograph
from whatchanged import geometry
from whatchanged.keypoints import homography

PHOTO = photograph("coffee")
SHAPE = PHOTO.shape[:2]


def scaled(factor: float, x: float = 0, y: float = 0) -> np.ndarray:
    """Before to after, about the middle."""
    height, width = SHAPE
    cx, cy = (width - 1) / 2, (height - 1) / 2
    return np.array([[factor, 0, cx - factor * cx + x], [0, factor, cy - factor * cy + y], [0, 0, 1.0]])


@pytest.mark.parametrize("factor", [0.4, 0.8, 1.0, 1.7, 2.5])
def test_zoom_and_what_is_shown(factor):
    assert geometry.zoom(scaled(factor), SHAPE) == pytest.approx(factor, rel=1e-3)
    assert geometry.shown(scaled(factor), SHAPE).mean() == pytest.approx(min(1, 1 / factor**2), abs=0.02)


def test_displacement_and_size():
    assert geometry.displacement(scaled(1, 3, -4), SHAPE) == pytest.approx(4)
    half = geometry.at_size(scaled(1, 8, 6), SHAPE, (SHAPE[0] // 2, SHAPE[1] // 2))
    assert half[:2, 2] == pytest.approx([4, 3])


@pytest.mark.parametrize(
    ("matrix", "sane"),
    [
        (scaled(2.5), True),
        (scaled(0.4), True),
        (scaled(5), False),
        (scaled(1, 2000), False),
        (np.diag([-1.0, 1, 1]), False),
        (np.zeros((3, 3)), False),
        (np.array([[1, 0, 0], [0, 1, 0], [0, -0.01, 1.0]]), False),
    ],
)
def test_a_picture_stays_a_picture(matrix, sane):
    assert geometry.sane(matrix, SHAPE) == sane


@pytest.mark.parametrize("matrix", [scaled(2), scaled(0.5), scaled(1.2, 30, 20)])
def test_keypoints_find_it_again(matrix):
    gray = cv2.cvtColor(PHOTO, cv2.COLOR_RGB2GRAY)
    after = cv2.warpPerspective(gray, matrix, SHAPE[::-1], borderMode=cv2.BORDER_REPLICATE)
    found = homography(gray, after)
    middle = np.array([[[(SHAPE[1] - 1) / 2 + dx, (SHAPE[0] - 1) / 2 + dy] for dx in (-60, 60) for dy in (-50, 50)]])
    there, true = (cv2.perspectiveTransform(middle, one) for one in (found, matrix))
    assert np.abs(there - true).max() < 1


def test_nothing_in_common_is_said():
    noise = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)
    assert homography(cv2.cvtColor(PHOTO, cv2.COLOR_RGB2GRAY), noise) is None
    assert homography(np.zeros((64, 64), np.uint8), np.zeros((64, 64), np.uint8)) is None
