"""The classic: gray absolute difference, threshold, clean-up, contours, boxes."""

from __future__ import annotations

import cv2
import numpy as np

from whatchanged import images
from whatchanged.images import same_size
from whatchanged.regions import Difference, region_of, strongest_first


def pixel_difference(
    before: np.ndarray,
    after: np.ndarray,
    *,
    threshold: str | float = "otsu",
    percentile: float = 98.5,
    opening: int = 3,
    closing: int = 7,
    channels: str = "gray",
) -> Difference:
    """The classic: gray absolute difference, threshold, opening, contours, boxes.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3) or (H, W) of the same size.
    threshold : "otsu", "percentile", or a number of gray levels from 0 to 255; a pixel counts where it differs by more.
    percentile : the percentile of the difference that `threshold="percentile"` uses, 0 to 100.
    opening, closing : sides of the squares, in pixels, that clear away specks and fill gaps; 0 or 1 does nothing.
    channels : "gray", the classic, which does not see another hue of the same gray; or "color", the channel that
        differs most.

    Returns
    -------
    Difference
        Its `similarity` is the share of pixels that did not change.
    """
    import imutils

    gray, mask = pixel_mask(before, after, threshold, percentile, opening, closing, channels)
    contours = imutils.grab_contours(cv2.findContours(mask.copy(), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE))
    strength = gray.astype(np.float32) / 255
    found = [region_of(cv2.boundingRect(contour), mask > 0, strength) for contour in contours]
    return Difference("pixel", unchanged_share(mask), strongest_first(found), strength, mask > 0)


def pixel_mask(
    before: np.ndarray,
    after: np.ndarray,
    threshold: str | float = "otsu",
    percentile: float = 98.5,
    opening: int = 3,
    closing: int = 7,
    channels: str = "gray",
) -> tuple[np.ndarray, np.ndarray]:
    """How much each pixel differs, in gray levels, and which count as changed, 1 or 0: uint8 arrays (H, W).

    Arguments as in `pixel_difference`, which puts them into boxes.
    """
    gray = differences(before, after, channels)
    mask: np.ndarray = (gray > gray_threshold(gray, threshold, percentile)).astype(np.uint8)
    for side, operation in ((opening, cv2.MORPH_OPEN), (closing, cv2.MORPH_CLOSE)):
        if side > 1:
            mask = cv2.morphologyEx(mask, operation, np.ones((side, side), np.uint8))
    return gray, mask


def differences(before: np.ndarray, after: np.ndarray, channels: str) -> np.ndarray:
    """By how many levels each pixel differs, in gray or in the channel that differs most: uint8 (H, W)."""
    if channels not in ("gray", "color"):
        raise ValueError(f"channels is {channels!r}: use 'gray' or 'color'")
    before, after = same_size(before, after)
    if channels == "color":
        return images.apart(images.color(before), images.color(after))
    return cv2.absdiff(images.gray(before), images.gray(after))


def unchanged_share(mask: np.ndarray) -> float:
    """The share of pixels that did not change."""
    return 1 - np.count_nonzero(mask) / mask.size


def gray_threshold(gray: np.ndarray, threshold: str | float, percentile: float) -> float:
    if threshold == "otsu":
        return cv2.threshold(gray, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[0]
    if threshold == "percentile":
        return float(np.percentile(gray, percentile))
    if isinstance(threshold, str) or not 0 <= threshold <= 255:
        raise ValueError(f"threshold is {threshold!r}: use 'otsu', 'percentile' or a number from 0 to 255")
    return float(threshold)
