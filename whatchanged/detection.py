"""Where do two pictures differ? `detect`: align, even out the light, compare, box."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import cv2
import numpy as np

from whatchanged import alignment, images
from whatchanged.alignment import inside
from whatchanged.features import feature_similarity
from whatchanged.images import same_size
from whatchanged.light import normalize_illumination
from whatchanged.pixels import gray_threshold, pixel_mask, unchanged_share
from whatchanged.regions import Difference, Region, hysteresis, regions
from whatchanged.ssim import structural_difference
from whatchanged.tolerance import tolerant_difference


def detect(
    before: np.ndarray,
    after: np.ndarray,
    *,
    method: str = "tolerant",
    align: bool | None = None,
    normalize: bool | None = None,
    motion: str = "affine",
    resize: bool = False,
    tolerance: int = 1,
    one_sided: bool = False,
    sensitivity: float = 1.0,
    merge: int | None = None,
    min_area: int | None = None,
    pad: int = 0,
    weights: str | None = None,
) -> Difference:
    """Find the regions in which two pictures differ.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3), RGB, or (H, W).
    method : "tolerant" (the course's best), "pixel", "ssim" or "features".
    align, normalize : register the after image first; remove differences of light first. None: as the method is
        meant, which is yes for "tolerant" and no for the three classic ones.
    motion : what `align` may do: "translation", "euclidean", "affine" or "perspective".
    resize : compare pictures of different sizes at the smaller size. Boxes stay in pixels of the before image.
    tolerance, one_sided : see `tolerant_difference`.
    sensitivity : above 1 reports weaker differences, below 1 only stronger ones.
    merge, min_area : see `regions`; None: 1/24 of the smaller side; at least 12 pixels, or 1/5000 of the picture.
    pad : pixels that each box grows on every side.
    weights : of the ResNet50 for "features", see `feature_similarity`.

    Raises
    ------
    ValueError
        An unknown method, a sensitivity that is not positive, or pictures of different sizes without `resize`.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}: choose one of {', '.join(METHODS)}")
    if not sensitivity > 0:
        raise ValueError(f"sensitivity is {sensitivity}: give a number above 0 (1 is the usual)")
    original = before.shape
    before, after = _one_size(images.color(before), images.color(after), resize)
    ask = method == "tolerant"
    found_alignment = alignment.align(before, after, motion) if (ask if align is None else align) else None
    if found_alignment is not None:
        after = found_alignment.warp(after)
    valid = np.ones(before.shape[:2], bool) if found_alignment is None else inside(found_alignment.valid)
    if ask if normalize is None else normalize:
        before, after = normalize_illumination(before, after, valid)
    similarity, strength, mask = METHODS[method](
        before, after, valid, sensitivity=sensitivity, tolerance=tolerance, one_sided=one_sided, weights=weights
    )
    mask &= valid
    side = min(mask.shape)
    merge = max(3, side // 24) if merge is None else merge
    min_area = max(12, mask.size // 5000) if min_area is None else min_area
    found = regions(mask, strength, merge=merge, min_area=min_area, pad=pad)
    found = [_rescaled(region, mask.shape, original) for region in found]
    return Difference(method, similarity, found, strength, mask, found_alignment)


def _by_pixel(before, after, valid, *, sensitivity, **_) -> tuple[float, np.ndarray, np.ndarray]:
    threshold: str | float = "otsu"
    if sensitivity != 1:
        otsu = gray_threshold(cv2.absdiff(images.gray(before), images.gray(after)), threshold, 0)
        threshold = min(255.0, otsu / sensitivity)
    gray, mask = pixel_mask(before, after, threshold)
    return unchanged_share(mask), gray.astype(np.float32) / 255, mask > 0


def _by_ssim(before, after, valid, *, sensitivity, **_) -> tuple[float, np.ndarray, np.ndarray]:
    score, ssim_map = structural_difference(before, after)
    apart = np.clip((1 - reduce(np.minimum, cv2.split(ssim_map))) / 2, 0, 1)  # min(axis=2) is five times slower
    return score, apart, hysteresis(apart, 0.25 / sensitivity)


def _by_features(before, after, valid, *, sensitivity, weights, **_) -> tuple[float, np.ndarray, np.ndarray]:
    found = feature_similarity(before, after, weights=weights)
    least, top = max(0.01, 4 * float(np.median(found.map))), float(found.map.max())
    threshold = (
        max(least, 0.4 * top) / sensitivity
    )  # the fields of view of neighbors overlap: a change fades out slowly
    return found.similarity, found.map, hysteresis(found.map, threshold, low=0.7)


def _by_tolerance(
    before, after, valid, *, sensitivity, tolerance, one_sided, **_
) -> tuple[float, np.ndarray, np.ndarray]:
    excess, threshold = tolerant_difference(before, after, tolerance=tolerance, one_sided=one_sided)
    mask = hysteresis(excess, threshold / sensitivity)
    changed = np.count_nonzero(mask & valid) / max(1, np.count_nonzero(valid))
    return float(1 - changed), np.clip(excess / 255, 0, 1), mask


METHODS: dict[str, Callable[..., tuple[float, np.ndarray, np.ndarray]]] = {
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
    height, width = min(before.shape[:2], after.shape[:2], key=lambda shape: shape[0] * shape[1])
    return tuple(
        image
        if image.shape[:2] == (height, width)
        else cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        for image in (before, after)
    )


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
