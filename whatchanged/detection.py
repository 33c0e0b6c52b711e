"""Where do two pictures differ? `detect`: what kind of pair it is, and how that kind is compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from whatchanged import images
from whatchanged.areas import compared_area, pasted
from whatchanged.happened import what_happened
from whatchanged.kinds import is_exact, same_rows
from whatchanged.layout import Layout, layout_of
from whatchanged.options import Box, Options
from whatchanged.regions import Difference, Region, regions
from whatchanged.rendered import compare_rendered, lay

WITHIN_NOISE = "faint or small: what differs is not more than this pair's noise may be"
Scale = tuple[np.ndarray, np.ndarray]


def detect(
    before: images.Picture, after: images.Picture, options: Options | None = None, **shortcuts: Any
) -> Difference:
    """Find the regions in which two pictures differ, and say what happened there.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3), RGB, or (H, W); pictures of Pillow; or image files, of which the first pages
        are compared (`documents.detect_pages` compares all).
    options : how; None is as usual.
    **shortcuts : some of the options by name, as `detect(before, after, method="ssim", size="crop")`; they go before
        those of `options`.

    Raises
    ------
    ValueError
        What `Options` refuses, a mask of another size, or no picture; `ImageError` where a file is none.
    TypeError
        `Options` has no field of the name of a shortcut.
    """
    how = replace(options or Options(), **shortcuts)
    *given, unseen = images.as_arrays(before, after)
    first, second = sized(given[0], given[1], how.size)
    area = compared_area(given[0], how)
    if area is not None and area.shape != first.shape[:2]:
        area = _sized_area(area, first, how.size)
    if how.kind is None and how.size == "scale" and given[0].shape != given[1].shape:
        how = replace(how, kind="camera")  # no pixel of another resolution is as it was
    kind, layout = _kind_within(first, second, area, how)
    if layout is not None:
        seen = replace(compare_rendered(first, second, layout, how, area), kind=kind)
    else:
        seen = _photographs(first, second, how, area)
    if unseen:
        seen = seen.noted(unseen)
    if how.size == "scale":
        scales = (given[0], first), (given[1], second)
        seen = replace(seen, regions=[_rescaled(region, *scales) for region in seen.regions])
    return seen


def _sized_area(area: np.ndarray, compared: np.ndarray, size: str) -> np.ndarray:
    """The area of what was cropped or scaled of the before picture."""
    height, width = compared.shape[:2]
    if size == "crop":
        return area[:height, :width]
    return cv2.resize(area.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0


def _kind_within(
    before: np.ndarray, after: np.ndarray, area: np.ndarray | None, how: Options
) -> tuple[str, Layout | None]:
    """The kind of the pair; what is ignored has no say where nothing moved, and else helps to see what did."""
    if area is not None and before.shape == after.shape:
        kind, layout = _kind(before, pasted(before, after, area), how)
        if layout is None or not layout.is_shifted:
            return kind, layout
    return _kind(before, after, how)


def _kind(before: np.ndarray, after: np.ndarray, how: Options) -> tuple[str, Layout | None]:
    """What kind of pair it is; for rendered ones how the after page lies under the before page."""
    if how.method != "tolerant" or how.kind == "camera" or (how.kind is None and (how.align or how.normalize)):
        return "camera", None
    one_size = before.shape == after.shape
    in_place = Layout([((0, 0, before.shape[1], before.shape[0]),) * 2]) if one_size else None
    if how.kind == "exact" and in_place:
        return "exact", in_place
    exact = how.kind is not None or (one_size and is_exact(before, after))
    if one_size and not exact and not same_rows(before, after):
        return "camera", None
    layout = layout_of(before, after)
    if exact or is_exact(*_both_have(before, lay(before, after, layout), layout)):
        return ("layout", layout) if layout.is_shifted or how.kind == "layout" else ("exact", in_place)
    return "camera", None


def _both_have(before: np.ndarray, laid: np.ndarray, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """The part of two pages that surrounds what both have: what one lacks at its edges is no sign of being exact."""
    if not layout.pieces:
        return before, laid
    boxes = np.array([one for one, _ in layout.pieces])
    left, top = boxes[:, :2].min(axis=0)
    right, bottom = (boxes[:, :2] + boxes[:, 2:]).max(axis=0)
    window = np.s_[top:bottom, left:right]
    return np.ascontiguousarray(before[window]), np.ascontiguousarray(laid[window])


def _photographs(before: np.ndarray, after: np.ndarray, how: Options, area: np.ndarray | None) -> Difference:
    """A camera pair; where one is larger, only what both show is compared."""
    height, width = before.shape[:2]
    canvas = np.maximum(before.shape, after.shape)
    shown = None if area is None else _on_canvas(area.view(np.uint8), canvas) > 0
    from whatchanged.camera import compare_photographs  # a third of all modules, which a screen does not need

    seen = compare_photographs(_on_canvas(before, canvas), _on_canvas(after, canvas), how, shown)
    strength, mask, valid = (one[:height, :width] for one in (seen.strength, seen.mask, seen.valid))
    matrix = np.eye(3) if seen.alignment is None else seen.alignment.matrix
    if before.shape != after.shape:
        valid = valid & _shows(after, matrix, before)
        mask = mask & valid
    merge = seen.merge if how.merge is None else how.merge
    min_area = seen.min_area if how.min_area is None else how.min_area
    found = regions(mask, strength, merge=merge, min_area=min_area, pad=how.pad)
    found = what_happened(seen.before[:height, :width], seen.after[:height, :width], found, mask)
    found = [replace(one, after=_carried(one.after or one.box, matrix, after), place=_place(one)) for one in found]
    note = seen.note or ("" if found or seen.similarity == 1 else WITHIN_NOISE)
    compared = int(np.count_nonzero(valid))
    return Difference(
        how.method, seen.similarity, found, strength, mask, seen.alignment, "camera", note, compared, mask.size
    )


def _place(region: Region) -> Box | None:
    return region.after if region.what in ("moved", "resized") else None


def _on_canvas(image: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """The image at the upper left of a canvas; its last pixels go on to the edge."""
    below, right = int(shape[0]) - image.shape[0], int(shape[1]) - image.shape[1]
    return cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE) if below or right else image


def _shows(after: np.ndarray, matrix: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Which pixels of the before image the after image shows, less a border of two: bool (H, W)."""
    inner = np.zeros(after.shape[:2], np.uint8)
    inner[2:-2, 2:-2] = 1
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(inner, matrix, before.shape[1::-1], flags=flags) > 0


def _carried(box: Box, matrix: np.ndarray, after: np.ndarray) -> Box:
    """The box around a box of the before image in the after image, within its borders."""
    x, y, width, height = box
    corners = np.array([[[x, y], [x + width - 1, y], [x + width - 1, y + height - 1], [x, y + height - 1]]], float)
    there = cv2.perspectiveTransform(corners, matrix)[0]
    edge = np.array(after.shape[1::-1]) - 1
    x0, y0 = np.clip(np.rint(there.min(axis=0)), 0, edge).astype(int).tolist()
    x1, y1 = np.clip(np.rint(there.max(axis=0)), 0, edge).astype(int).tolist()
    return x0, y0, x1 - x0 + 1, y1 - y0 + 1


def sized(before: np.ndarray, after: np.ndarray, size: str) -> tuple[np.ndarray, np.ndarray]:
    """Two pictures of different sizes as they are compared: what `Options.size` says."""
    if before.shape == after.shape or size == "pad":
        return before, after
    if size == "crop":
        height, width = np.minimum(before.shape[:2], after.shape[:2]).tolist()
        return before[:height, :width], after[:height, :width]
    small, large = sorted((before, after), key=lambda image: image.shape[0] * image.shape[1])
    factor = np.sqrt(small.shape[0] * small.shape[1] / (large.shape[0] * large.shape[1]))
    height, width = (max(1, round(side * factor)) for side in large.shape[:2])
    if max(abs(height - small.shape[0]), abs(width - small.shape[1])) <= 2:
        height, width = small.shape[:2]  # the same shape, less rounding
    large = cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)
    return (large, small) if small is after else (small, large)


def _rescaled(region: Region, before: Scale, after: Scale) -> Region:
    """The region in pixels of the pictures as they were given; a scale is a picture and what was compared of it."""
    if all(given.shape == compared.shape for given, compared in (before, after)):
        return region
    box, there = _grown(region.box, *before), _grown(region.after or region.box, *after)
    grow = before[0].shape[0] * before[0].shape[1] / (before[1].shape[0] * before[1].shape[1])
    return replace(
        region,
        x=box[0],
        y=box[1],
        width=box[2],
        height=box[3],
        area=max(1, round(region.area * grow)),
        after=there,
        place=region.place and _grown(region.place, *before),
    )


def _grown(box: Box, given: np.ndarray, compared: np.ndarray) -> Box:
    sx, sy = given.shape[1] / compared.shape[1], given.shape[0] / compared.shape[0]
    x0, y0, x1, y1 = (
        round(box[0] * sx),
        round(box[1] * sy),
        round((box[0] + box[2]) * sx),
        round((box[1] + box[3]) * sy),
    )
    return x0, y0, max(1, x1 - x0), max(1, y1 - y0)
