"""Where do two pictures differ? `detect`: align, even out the light, compare, box."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from whatchanged import images
from whatchanged.camera import compare_photographs
from whatchanged.images import same_size
from whatchanged.options import Options
from whatchanged.regions import Difference, Region, regions


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
    seen = compare_photographs(before, after, how)
    merge = seen.merge if how.merge is None else how.merge
    min_area = seen.min_area if how.min_area is None else how.min_area
    found = regions(seen.mask, seen.strength, merge=merge, min_area=min_area, pad=how.pad)
    found = [_rescaled(region, seen.mask.shape, original) for region in found]
    return Difference(how.method, seen.similarity, found, seen.strength, seen.mask, seen.alignment)


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
