"""The tolerant difference: how far each pixel lies outside of what the other picture shows nearby."""

from __future__ import annotations

from functools import reduce

import cv2
import numpy as np
from scipy import ndimage

from whatchanged.alignment import inside
from whatchanged.images import same_size
from whatchanged.light import normalize_illumination
from whatchanged.noise import pixel_noise
from whatchanged.realignment import align_unchanged

_LIKELY, _CERTAIN = 0.3, 0.9  # of the threshold: where a change begins to be likely, and where it is certain
_OUTSTANDING = 18  # gray levels by which a thing stands out from the ground
_GAP = 25  # pixels: what is torn by less, on one thing, is one change
_LARGE = 0.006  # of a picture: from here on a thing keeps others off
_GROUND = 24, 15  # pixels of the smaller side at which the ground is looked for, and of the window whose median it is


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


def slope_tolerant_difference(
    before: np.ndarray, after: np.ndarray, *, shift: float = 0.5, floor: float = 16.0, noise_factor: float = 6.0
) -> tuple[np.ndarray, float]:
    """How much more each pixel differs than a small shift of the picture could make it.

    Where a picture lies `shift` pixels off, a value changes by at most about `shift` times the slope there; the steeper
    slope of the two pictures counts, and only what goes beyond. Unlike `tolerant_difference`, which passes over
    whatever is as thin as its tolerance, it sees the corners of a square that was a disk, and asks for pictures that
    lie on each other to `shift` pixels.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3) or (H, W) of the same size, aligned, in the same light.
    shift : how far, in pixels, the pictures may lie off.
    floor, noise_factor : as in `tolerant_difference`.

    Returns
    -------
    excess : float32 array (H, W), gray levels beyond what the shift explains; symmetric in the two images.
    threshold : what an excess must exceed to be a change: the noise of this pair, or the floor.
    """
    before, after = same_size(before, after)
    noise = pixel_noise(before, after)
    a, b = (_denoise(image, noise).astype(np.float32) for image in (before, after))
    excess = np.maximum(np.abs(a - b) - shift * np.maximum(_slope(a), _slope(b)), 0)
    excess = excess.reshape(*before.shape[:2], -1).max(axis=2)
    return cv2.blur(excess, (3, 3)).reshape(excess.shape), max(floor, noise_factor * noise)


def change_map(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How surely each pixel shows a change, after alignment and in one light: for finding clusters of changed pixels.

    The excess of `slope_tolerant_difference` is cut off where it is sure. So a faint change stands beside a strong one
    as high, and one threshold for the whole map, as Otsu's, parts changes from noise rather than strong ones from
    faint. And what is torn on one thing is joined, as the four corners of a square that was a disk: gaps are closed on
    each thing for itself, and not where the pictures show bare ground. What lies halfway between two things is left
    out, so that two changes side by side do not become one.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3) of the same size.

    Returns
    -------
    before, after : uint8 arrays (H, W, 3): aligned, in the same light.
    certainty : float32 array (H, W), from 0 (noise, or not in both pictures) to 1 (a change).
    """
    found = align_unchanged(before, after)
    before, after = normalize_illumination(before, found.warp(after), found.valid, grid=32)
    excess, threshold = slope_tolerant_difference(before, after)
    certainty = np.clip((excess / threshold - _LIKELY) / (_CERTAIN - _LIKELY), 0, 1)
    certainty = np.where(inside(found.valid), certainty, 0).astype(np.float32)
    standing = things(before) | things(after)
    return before, after, np.where(_halfway(standing), 0, _joined(certainty, standing)).astype(np.float32)


def things(image: np.ndarray) -> np.ndarray:
    """Which pixels stand out from the ground, the median of a window as wide as most of the picture.

    Parameters
    ----------
    image : uint8 array (H, W, 3).

    Returns
    -------
    bool array (H, W) : less a border of one pixel around each thing, so that things that touch stay apart.
    """
    (height, width), (side, window) = image.shape[:2], _GROUND
    scale = side / min(height, width)
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    shrunk = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    around = window // 2
    framed = cv2.copyMakeBorder(shrunk, around, around, around, around, cv2.BORDER_REFLECT)
    ground = cv2.medianBlur(framed, window)[around:-around, around:-around]
    ground = cv2.resize(ground, (width, height), interpolation=cv2.INTER_LINEAR)
    standing = cv2.absdiff(_denoise(image, 1.0), ground).reshape(height, width, -1).max(axis=2) > _OUTSTANDING
    return cv2.erode(standing.view(np.uint8), np.ones((3, 3), np.uint8)) > 0


def _joined(certainty: np.ndarray, standing: np.ndarray) -> np.ndarray:
    """A map of certainty without specks, its gaps closed on each connected part of a mask; nowhere less than it was."""
    opened = cv2.morphologyEx(certainty, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    joined, labels = certainty.copy(), ndimage.label(standing, np.ones((3, 3)))[0]
    for number, where in enumerate(ndimage.find_objects(labels), start=1):
        own = labels[where] == number
        closed = _closed(np.where(own, opened[where], 0))
        joined[where] = np.where(own, np.maximum(joined[where], closed), joined[where])
    return joined


def _halfway(standing: np.ndarray) -> np.ndarray:
    """Which pixels are on no thing, and as near to one large connected part of a mask as to another: bool (H, W)."""
    _, labels, found, _ = cv2.connectedComponentsWithStats(standing.view(np.uint8))
    large = np.array([False, *(found[1:, cv2.CC_STAT_AREA] >= _LARGE * standing.size)])
    if large.sum() < 2:
        return np.zeros(standing.shape, bool)
    apart = (~large[labels]).view(np.uint8)
    _, nearest = cv2.distanceTransformWithLabels(apart, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    return (cv2.morphologyEx(nearest.astype(np.float32), cv2.MORPH_GRADIENT, cross) > 0) & ~standing


def _closed(certainty: np.ndarray) -> np.ndarray:
    """A map with its gaps closed, within an empty frame as wide as a gap."""
    around, gap = (_GAP,) * 4, np.ones((_GAP, _GAP), np.uint8)
    framed = cv2.copyMakeBorder(certainty, *around, cv2.BORDER_CONSTANT, value=0)
    return cv2.morphologyEx(framed, cv2.MORPH_CLOSE, gap)[_GAP:-_GAP, _GAP:-_GAP]


def _slope(image: np.ndarray) -> np.ndarray:
    """How much a float32 image changes from one pixel to the next where it changes most, in each channel."""
    across, down = (cv2.Sobel(image, cv2.CV_32F, x, 1 - x, ksize=3, scale=1 / 8) for x in (1, 0))
    return np.hypot(across, down)


def _outside(image: np.ndarray, other: np.ndarray, tolerance: int) -> np.ndarray:
    """How far each pixel of `image` leaves the range of `other` within the tolerance: uint8."""
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (2 * tolerance + 1, 2 * tolerance + 1))
    high, low = (operation(other, kernel).reshape(other.shape) for operation in (cv2.dilate, cv2.erode))
    above, below = cv2.subtract(image, high), cv2.subtract(low, image)  # 0 where it would be negative
    return cv2.max(above, below).reshape(image.shape)


def _denoise(image: np.ndarray, noise: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), 0.7 if noise < 1 else 1.0).reshape(image.shape)
