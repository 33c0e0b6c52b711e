"""A transform from pixels of one picture to those of another, as a 3 x 3 matrix: what it shows, and in what size."""

from __future__ import annotations

import cv2
import numpy as np


def shown(matrix: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Which pixels of the before image fall inside the after image: bool (H, W)."""
    height, width = shape
    inside = cv2.warpPerspective(
        np.full((height, width), 255, np.uint8), matrix, (width, height), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    )
    return inside > 0


def at_size(matrix: np.ndarray, old: tuple[int, ...], new: tuple[int, ...]) -> np.ndarray:
    """The same transform in the pixels of another resolution (pixel centers lie at whole numbers)."""
    sx, sy = new[1] / old[1], new[0] / old[0]
    up = np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2], [0, 0, 1.0]])
    return up @ matrix @ np.linalg.inv(up)


def displacement(matrix: np.ndarray, shape: tuple[int, ...]) -> float:
    """The farthest that a corner moves, in pixels."""
    corners = _corners(shape)
    return float(np.abs(_moved(matrix, corners) - corners).max())


def zoom(matrix: np.ndarray, shape: tuple[int, ...]) -> float:
    """How many pixels of the after image show one pixel of the before image, along a line in the middle of what both
    show; above 1 the after image is taken from nearer.
    """
    if np.allclose(matrix[2], (0, 0, 1)):
        return float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))  # the same everywhere
    x, y = shape[1] / 2, shape[0] / 2
    if abs(np.linalg.det(matrix)) > 1e-9:
        sums = cv2.moments(shown(matrix, (shape[0], shape[1])).view(np.uint8), binaryImage=True)
        if sums["m00"]:
            x, y = sums["m10"] / sums["m00"], sums["m01"] / sums["m00"]
    square = np.array([[x - 1, y - 1], [x + 1, y - 1], [x + 1, y + 1], [x - 1, y + 1]])
    area = cv2.contourArea(_moved(matrix, square).astype(np.float32))
    return float(np.sqrt(area / 4))


def warp(image: np.ndarray, matrix: np.ndarray, *, smooth: float = 1.0) -> np.ndarray:
    """The after image as seen from where the before image was taken: (H, W[, 3]), same dtype.

    Parameters
    ----------
    smooth : by how much the picture shrinks on the way; above 1.2 it is averaged first over what its new pixels hold.
    """
    height, width = image.shape[:2]
    if smooth > 1.2:
        image = blurred(image, smooth)
    flags, border = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, cv2.BORDER_REPLICATE
    if np.allclose(matrix[2], (0, 0, 1)):
        return cv2.warpAffine(image, matrix[:2], (width, height), flags=flags, borderMode=border)
    return cv2.warpPerspective(image, matrix, (width, height), flags=flags, borderMode=border)


def blurred(image: np.ndarray, factor: float) -> np.ndarray:
    """The image without what is lost when it shrinks by that factor."""
    return cv2.GaussianBlur(image, (0, 0), 0.5 * float(np.sqrt(factor * factor - 1))) if factor > 1.05 else image


def sane(matrix: np.ndarray, shape: tuple[int, int], *, least: float = 0.1, zooms: float = 3.2) -> bool:
    """Whether the picture stays a picture: not mirrored or folded, no corner far off its place in a parallelogram,
    zoomed by less than `zooms` either way, at least a share of `least` in view.
    """
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-9:
        return False
    corners = _corners(shape)
    depth = corners @ matrix[2, :2] + matrix[2, 2]
    if depth.min() <= 0 or depth.max() > 1.5 * depth.min():
        return False
    moved = _moved(matrix, corners)
    turns = [np.linalg.det([moved[i] - moved[i - 1], moved[(i + 1) % 4] - moved[i]]) for i in range(4)]
    size = float(np.sqrt(min(turns) / max(1, (shape[0] - 1) * (shape[1] - 1)))) if min(turns) > 0 else 0.0
    return bool(1 / zooms < size < zooms and shown(matrix, shape).mean() > least)


def _corners(shape: tuple[int, ...]) -> np.ndarray:
    height, width = shape[:2]
    return np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], float)


def _moved(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return cv2.perspectiveTransform(np.asarray(points, float)[None], np.asarray(matrix, float))[0]
