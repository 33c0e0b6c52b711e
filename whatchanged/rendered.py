"""Rendered pictures, as documents and screens: each pixel that differs was changed, wherever its row lies now."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from whatchanged import images
from whatchanged.areas import pasted, within
from whatchanged.happened import what_happened
from whatchanged.layout import Layout, Rect, content, cut, ground
from whatchanged.options import Options
from whatchanged.regions import Difference, Region, regions, strongest_first
from whatchanged.subpixel import without_shifts

SHIFTED = "faint, along edges: they were drawn a fraction of a pixel off"
FAINT = "faint: what differs is weaker than the sensitivity asks for"
SMALL = "small: what differs has fewer pixels than a region is to have"
_ALL_OVER = 0.5  # of a page: a region that is so large says little
_RARE, _BEYOND = 99.9, 1.25  # percent of the changed pixels, and times what they differ by: what stands out is beyond
_DOT, _FEW = 6, 3  # pixels that stand out as one thing, and things that may
_WEAK = 8.0  # gray levels that half the sensitivity no longer reports


def lay(before: np.ndarray, after: np.ndarray, layout: Layout) -> np.ndarray:
    """The after page with each piece where it was before: uint8 array of the shape of before."""
    if not layout.is_shifted:
        return after
    laid = before.copy()
    for one, two in layout.pieces:
        cut(laid, one)[:] = cut(after, two)
    return laid


def compare_rendered(
    before: np.ndarray, after: np.ndarray, layout: Layout, how: Options, area: np.ndarray | None = None
) -> Difference:
    """What differs between two pages that are free of noise: the similarity is 1 less the share of pixels that differ
    at all, those that only one page has among them.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3); of any two sizes, where the layout says what belongs where.
    area : bool array (H, W): which pixels of before are compared; None: all.
    """
    laid = lay(before, after, layout)
    if area is not None:
        laid = pasted(before, laid, area)
    apart = images.apart(before, laid)
    differ = int(np.count_nonzero(apart))
    strong = apart > (0 if how.sensitivity >= 1 else _WEAK * (1 / how.sensitivity - 1))
    mask = without_shifts(before, laid, strong) if strong.any() else strong
    silent = SMALL if mask.any() else SHIFTED if strong.any() else FAINT
    strength = apart.astype(np.float32) / 255
    merge = max(6, min(24, min(mask.shape) // 60)) if how.merge is None else how.merge
    found = regions(mask, strength, merge=merge, min_area=how.min_area or 1, pad=how.pad)
    out, beyond = _standing_out(apart, mask, strength, found, merge, how)
    told = what_happened(before, laid, found, mask) + (what_happened(before, laid, out, beyond) if out else [])
    found = [_placed(region, layout) for region in told]
    alone = [one for one in _one_sided(before, after, layout) if area is None or _is_compared(one, area)]
    for region in alone:
        if region.what != "added":
            mask[region.y : region.y + region.height, region.x : region.x + region.width] = True
    if area is not None:
        mask &= area
    strength[mask & (apart == 0)] = 1
    found += alone
    differ += sum(region.area for region in alone)
    pixels = max(before.shape[0] * before.shape[1], after.shape[0] * after.shape[1])
    compared = pixels if area is None else pixels - int(np.count_nonzero(~area))
    similarity = 1 - min(1.0, differ / max(1, compared))
    note = silent if differ and not found else ""
    first = strongest_first(found)
    return Difference(
        how.method, similarity, first, strength, mask, note=note, kind="exact", compared=compared, pixels=pixels
    )


def _standing_out(
    apart: np.ndarray, mask: np.ndarray, strength: np.ndarray, found: list[Region], merge: int, how: Options
) -> tuple[list[Region], np.ndarray]:
    """Where a page was drawn anew all over, the few places that differ far more than the rest, as a name on a map that
    is spelled otherwise: regions of their own, and their pixels.
    """
    if not any(region.width * region.height >= _ALL_OVER * mask.size for region in found):
        return [], mask
    beyond = mask & (apart > _BEYOND * np.percentile(apart[mask], _RARE))
    least = max(_DOT, how.min_area or 1)
    out = regions(beyond, strength, merge=merge, min_area=least, pad=how.pad) if beyond.any() else []
    return (out, beyond) if len(out) <= _FEW else ([], mask)


def _is_compared(region: Region, area: np.ndarray) -> bool:
    """Whether something that only one page has, or that moved as a whole, lies where pixels are compared."""
    places = [region.box if region.what != "added" else None, region.after if region.what != "removed" else None]
    return any(within(area, place) for place in places if place)


def _placed(region: Region, layout: Layout) -> Region:
    """The region with its box in the after page: it lies where the piece does that holds most of it."""
    dx, dy = _offset(region.box, layout)
    x, y, width, height = region.after or region.box
    place = region.after if region.what in ("moved", "resized") else None
    return replace(region, after=(x + dx, y + dy, width, height), place=place)


def _offset(box: Rect, layout: Layout) -> tuple[int, int]:
    one, two = max(layout.pieces, key=lambda piece: _common(piece[0], box), default=(box, box))
    return two[0] - one[0], two[1] - one[1]


def _common(one: Rect, other: Rect) -> int:
    """How many pixels two rectangles share."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    return max(0, width) * max(0, height)


def _one_sided(before: np.ndarray, after: np.ndarray, layout: Layout) -> list[Region]:
    """What only one of the pages has, one region for each rectangle; what both have elsewhere is moved."""
    if not (layout.removed or layout.added or layout.moved):
        return []
    pages = images.packed(before), images.packed(after)
    colors = ground(pages[0]), ground(pages[1])
    gone = [(*_shown(pages[0], rect, colors[0]), rect, place) for rect, place in layout.removed]
    new = [(*_shown(pages[1], rect, colors[1]), rect, place) for place, rect in layout.added]
    found = [
        _region(_shown(pages[0], one, colors[0])[0], _shown(pages[1], two, colors[1])[0], area, "moved")
        for one, two in layout.moved
        for area in [_shown(pages[0], one, colors[0])[1]]
    ]
    for box, area, rect, place in gone:
        x, y, width, height = box
        match = next((one for one in new if area and _same(pages, rect, one[2], colors)), None)
        if match:
            new.remove(match)
            found.append(_region(box, match[0], area, "moved"))
        else:
            there = place[0] + x - rect[0], place[1] + y - rect[1], width, height
            found.append(_region(box, there, area or width * height, "removed"))
    for box, area, rect, place in new:
        x, y, width, height = box
        there = place[0] + x - rect[0], place[1] + y - rect[1], width, height
        found.append(_region(there, box, area or width * height, "added"))
    return found


def _same(pages: tuple[np.ndarray, np.ndarray], before: Rect, after: Rect, colors: tuple[int, int]) -> bool:
    """Whether two rectangles show the same, wherever it stands in them."""
    shown = []
    for page, rect, color in zip(pages, (before, after), colors, strict=True):
        part = cut(page, rect)
        x, y, width, height = cv2.boundingRect((part != color).view(np.uint8))
        shown.append(part[y : y + height, x : x + width])
    return np.array_equal(shown[0], shown[1])


def _region(before: Rect, after: Rect, area: int, what: str) -> Region:
    return Region(*before, area, 1.0, what, after, place=after if what == "moved" else None)


def _shown(page: np.ndarray, rect: Rect, color: int) -> tuple[Rect, int]:
    """The box of what a rectangle of a page shows, and how many pixels that is; all of it and 0 where it is empty."""
    mask = content(page, rect, color)
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    if not width:
        return rect, 0
    return (rect[0] + x, rect[1] + y, width, height), int(np.count_nonzero(mask))
