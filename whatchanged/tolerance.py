"""The tolerant difference: how far each pixel lies outside of what the other picture shows nearby."""

from __future__ import annotations

from functools import reduce

import cv2
import numpy as np

from whatchanged.alignment import align, inside
from whatchanged.images import same_size
from whatchanged.light import normalize_illumination
from whatchanged.noise import pixel_noise

_LIKELY, _CERTAIN = 0.3, 0.9  # of the threshold: where a change begins to be likely, and where it is certain


def tolerant_difference(
    before: np.ndarray,
    after: np.ndarray,
    *,
    tolerance: int = 1,
    one_sided: bool = False,
    floor: float = 10.0,
    noise_factor: float = 4.0,
) -> tuple[np.ndarray, float]:
    """How far each pixel lies outside of what the other picture shows within a few pixels.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3) or (H, W) of the same size, aligned, in the same light.
    tolerance : how far, in pixels, an edge may lie off without counting.
    one_sided : count a pixel that leaves the range of the other picture on either side, rather than on both. It finds
        spurs and gaps thinner than the tolerance, and needs pictures with little noise.
    floor : gray levels that never count, however clean the pictures.
    noise_factor : how many standard deviations of the measured noise never count.

    Returns
    -------
    excess : float32 array (H, W), gray levels outside the envelope; symmetric in the two images.
    threshold : what an excess must exceed to be a change: the noise of this pair, or the floor.
    """
    before, after = same_size(before, after)
    noise = pixel_noise(before, after)
    a, b = (_denoise(image, noise) for image in (before, after))
    combine = np.maximum if one_sided else np.minimum
    excess = combine(_outside(a, b, tolerance), _outside(b, a, tolerance))
    excess = reduce(np.maximum, cv2.split(excess)).reshape(excess.shape[:2]).astype(np.float32)
    return cv2.blur(excess, (3, 3)).reshape(excess.shape), max(floor, noise_factor * noise)


def change_map(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How surely each pixel shows a change, after alignment and in one light: for finding clusters of changed pixels.

    The excess of `tolerant_difference` is cut off where it is sure. So a faint change stands beside a strong one as
    high, and one threshold for the whole map, as Otsu's, parts changes from noise rather than strong ones from faint.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3) of the same size.

    Returns
    -------
    before, after : uint8 arrays (H, W, 3): aligned, in the same light.
    certainty : float32 array (H, W), from 0 (noise, or not in both pictures) to 1 (a change).
    """
    found = align(before, after, "euclidean")
    before, after = normalize_illumination(before, found.warp(after), found.valid, grid=32)
    excess, threshold = tolerant_difference(before, after)
    certainty = np.clip((excess / threshold - _LIKELY) / (_CERTAIN - _LIKELY), 0, 1)
    return before, after, np.where(inside(found.valid), certainty, 0).astype(np.float32)


def _outside(image: np.ndarray, other: np.ndarray, tolerance: int) -> np.ndarray:
    """How far each pixel of `image` leaves the range of `other` within the tolerance: uint8."""
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (2 * tolerance + 1, 2 * tolerance + 1))
    high, low = (operation(other, kernel).reshape(other.shape) for operation in (cv2.dilate, cv2.erode))
    above, below = cv2.subtract(image, high), cv2.subtract(low, image)  # 0 where it would be negative
    return cv2.max(above, below).reshape(image.shape)


def _denoise(image: np.ndarray, noise: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), 0.7 if noise < 1 else 1.0).reshape(image.shape)
