"""Where do two pictures differ? `detect`: align, even out the light, compare, box."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from typing import Any

import cv2
import numpy as np

from whatchanged import images
from whatchanged.alignment import align, inside
from whatchanged.features import feature_similarity
from whatchanged.images import same_size
from whatchanged.light import normalize_illumination
from whatchanged.options import Options
from whatchanged.pixels import gray_threshold, pixel_mask, unchanged_share
from whatchanged.regions import Difference, Region, hysteresis, regions
from whatchanged.ssim import structural_difference
from whatchanged.tolerance import tolerant_difference


def detect(before: np.ndarray, after: np.ndarray, options: Options | None = None, **shortcuts: Any) -> Difference:
    """Find the regions in which two pictures differ.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3), RGB, or (H, W).
    options : how; None is as usual.
    **shortcuts : some of the options by name, as `detect(before, after, method="ssim", resize=True)`; they go before
        those of `options`.

    Raises
    ------
    ValueError
        An unknown method, a sensitivity that is not positive, or pictures of different sizes without `resize`.
    TypeError
        `Options` has no field of the name of a shortcut.
    """
    how = replace(options or Options(), **shortcuts)
    original = before.shape
    before, after = _one_size(images.color(before), images.color(after), how.resize)
    laid = align(before, after, how.motion) if how.aligns else None
    if laid is not None:
        after = laid.warp(after)
    valid = np.ones(before.shape[:2], bool) if laid is None else inside(laid.valid)
    if how.normalizes:
        before, after = normalize_illumination(before, after, valid)
    similarity, strength, mask = _COMPARE[how.method](before, after, valid, how)
    mask &= valid
    merge = max(3, min(mask.shape) // 24) if how.merge is None else how.merge
    min_area = max(12, mask.size // 5000) if how.min_area is None else how.min_area
    found = regions(mask, strength, merge=merge, min_area=min_area, pad=how.pad)
    found = [_rescaled(region, mask.shape, original) for region in found]
    return Difference(how.method, similarity, found, strength, mask, laid)


Compared = tuple[float, np.ndarray, np.ndarray]
"""Similarity; strength, float32 (H, W), 0 to 1; changed pixels, bool (H, W)."""


def _by_pixel(before: np.ndarray, after: np.ndarray, valid: np.ndarray, how: Options) -> Compared:
    threshold: str | float = "otsu"
    if how.sensitivity != 1:
        otsu = gray_threshold(cv2.absdiff(images.gray(before), images.gray(after)), threshold, 0)
        threshold = min(255.0, otsu / how.sensitivity)
    gray, mask = pixel_mask(before, after, threshold)
    return unchanged_share(mask), gray.astype(np.float32) / 255, mask > 0


def _by_ssim(before: np.ndarray, after: np.ndarray, valid: np.ndarray, how: Options) -> Compared:
    score, ssim_map = structural_difference(before, after)
    apart = np.clip((1 - reduce(np.minimum, cv2.split(ssim_map))) / 2, 0, 1)  # min(axis=2) is five times slower
    return score, apart, hysteresis(apart, 0.25 / how.sensitivity)


def _by_features(before: np.ndarray, after: np.ndarray, valid: np.ndarray, how: Options) -> Compared:
    found = feature_similarity(before, after, weights=how.weights)
    least, top = max(0.01, 4 * float(np.median(found.map))), float(found.map.max())
    # The fields of view of neighbors overlap: a change fades out slowly.
    threshold = max(least, 0.4 * top) / how.sensitivity
    return found.similarity, found.map, hysteresis(found.map, threshold, low=0.7)


def _by_tolerance(before: np.ndarray, after: np.ndarray, valid: np.ndarray, how: Options) -> Compared:
    excess, threshold = tolerant_difference(before, after, tolerance=how.tolerance, one_sided=how.one_sided)
    mask = hysteresis(excess, threshold / how.sensitivity)
    changed = int(np.count_nonzero(mask & valid)) / max(1, int(np.count_nonzero(valid)))
    return 1 - changed, np.clip(excess / 255, 0, 1), mask


_COMPARE: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray, Options], Compared]] = {
    "tolerant": _by_tolerance,
    "pixel": _by_pixel,
    "ssim": _by_ssim,
    "features": _by_features,
}


def _rescaled(region: Region, shape: tuple[int, ...], original: tuple[int, ...]) -> Region:
    """The region in pixels of the before image as it was given."""
    if shape[:2] == original[:2]:
        return region
    sx, sy = original[1] / shape[1], original[0] / shape[0]
    x0, y0 = round(region.x * sx), round(region.y * sy)
    x1, y1 = round((region.x + region.width) * sx), round((region.y + region.height) * sy)
    return Region(x0, y0, max(1, x1 - x0), max(1, y1 - y0), round(region.area * sx * sy), region.strength)


def _one_size(before: np.ndarray, after: np.ndarray, resize: bool) -> tuple[np.ndarray, np.ndarray]:
    if before.shape[:2] == after.shape[:2] or not resize:
        return same_size(before, after)
    smaller = min(before, after, key=lambda image: image.shape[0] * image.shape[1])
    width, height = smaller.shape[1], smaller.shape[0]
    first, second = (
        image
        if image.shape[:2] == (height, width)
        else cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        for image in (before, after)
    )
    return first, second


BOARD_INSPECTION: dict[str, Any] = {
    "motion": "translation",
    "normalize": False,
    "tolerance": 3,
    "one_sided": True,
    "sensitivity": 0.15,
    "merge": 8,
    "min_area": 20,
    "pad": 10,
}
"""`detect` for high-contrast line art whose lines lie a few pixels off, as the boards of DeepPCB. Its boxes have room
around the fault, as the annotators drew them. Chosen on 60 pairs of that dataset: its score there is a fit.
"""
