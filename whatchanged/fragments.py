"""Regions that are fragments of one thing, as one: the four corners at which a disk and a cross differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np

from whatchanged.regions import Region, strongest_first

_MOST = 200  # regions; with more, a page as a whole is another one
_LIKE = 10  # gray levels by which the color of a thing may vary
_CHANGED = 0.08  # least share of a thing that its fragments cover
_SPANNED = 0.7  # least overlap (IoU) of the box of the thing and that of its fragments

_Box = tuple[int, int, int, int]


def joined(before: np.ndarray, after: np.ndarray, found: list[Region], mask: np.ndarray) -> list[Region]:
    """The regions, those that one thing of one color holds together as one.

    Fragments belong together where all of them lie on one connected area of one color in one of the pictures, or at
    its edge, reach to its sides, and together span it. What surrounds them, such as a page or a panel, they do not
    span, or do not cover by enough.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3); what did not change is equal.
    found : the regions.
    mask : bool array (H, W): the changed pixels.
    """
    if not 1 < len(found) <= _MOST:
        return found
    left = list(found)
    boxes = np.array([one.box for one in found])
    for region in found:
        # Alone within sight, it is no fragment.
        place = np.array(region.box[:2])
        low, high = place - _room(region), place + region.box[2:] + _room(region)
        if ((boxes[:, :2] < high) & (boxes[:, :2] + boxes[:, 2:] > low)).all(axis=1).sum() < 2:
            continue
        for thing, area in _things((before, after), region, mask):
            parts = [one for one in left if _holds(thing, one.box)]
            if region not in parts or len(parts) < 2 or sum(one.area for one in parts) < _CHANGED * area:
                continue
            whole = _around([one.box for one in parts])
            if _overlap(whole, thing) < _SPANNED:
                continue
            left = [one for one in left if one not in parts]
            strongest = max(parts, key=lambda one: one.strength)
            x, y, width, height = whole
            area = sum(one.area for one in parts)
            left.append(replace(strongest, x=x, y=y, width=width, height=height, area=area))
            break
    return strongest_first(left)


def _room(region: Region) -> int:
    """Pixels around a region in which the thing is looked for that it is a part of."""
    return min(300, max(8, 4 * max(region.width, region.height)))


def _things(pictures: tuple[np.ndarray, ...], region: Region, mask: np.ndarray) -> Iterator[tuple[_Box, int]]:
    """The box and the area of what the region lies on, in each of the pictures; not where it goes on out of sight."""
    x, y, width, height = region.box
    room = _room(region)
    x0, y0 = max(0, x - room), max(0, y - room)
    window = np.s_[y0 : y + height + room, x0 : x + width + room]
    own: np.ndarray = np.zeros(mask[window].shape, bool)
    own[y - y0 : y - y0 + height, x - x0 : x - x0 + width] = mask[y : y + height, x : x + width]
    for picture in pictures:
        image = picture[window]
        colors = image[own].astype(int)
        steps = colors // _LIKE @ (1, 32, 1024)
        values, counts = np.unique(steps, return_counts=True)
        color = colors[steps == values[counts.argmax()]][0]
        near = cv2.inRange(image, np.maximum(color - _LIKE, 0), np.minimum(color + _LIKE, 255))
        _, labels, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
        touched = np.bincount(labels[own], minlength=len(stats))
        touched[0] = 0
        left, top, wide, high, area = map(int, stats[touched.argmax()])
        inside = left > 0 and top > 0 and left + wide < own.shape[1] and top + high < own.shape[0]
        if touched.any() and inside:
            yield (x0 + left, y0 + top, wide, high), area


def _holds(thing: _Box, box: _Box) -> bool:
    """Whether a box lies in the one of a thing or beside it, and reaches to one of its sides."""
    x, y, width, height = thing
    slack = (max(2, width // 25), max(2, height // 25))
    left, top, wide, high = box
    beside = left <= x + width + 1 and x <= left + wide + 1 and top <= y + height + 1 and y <= top + high + 1
    touches = beside and wide <= 1.1 * width and high <= 1.1 * height
    sides = (
        box[0] - x <= slack[0],
        box[1] - y <= slack[1],
        x + width - box[0] - box[2] <= slack[0],
        y + height - box[1] - box[3] <= slack[1],
    )
    return touches and any(sides)


def _around(boxes: list[_Box]) -> _Box:
    x, y = min(box[0] for box in boxes), min(box[1] for box in boxes)
    return x, y, max(box[0] + box[2] for box in boxes) - x, max(box[1] + box[3] for box in boxes) - y


def _overlap(first: _Box, second: _Box) -> float:
    """Intersection over union."""
    wide = min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0])
    high = min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1])
    both = max(0, wide) * max(0, high)
    return both / (first[2] * first[3] + second[2] * second[3] - both)
