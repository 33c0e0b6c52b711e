"""What a region of two pictures tells: in which of them a thing stands there, and whether it has other colors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np

from whatchanged.images import middle

WINDOW = 72  # pixels of a window along its longer side; larger ones are looked at from farther away
_PLAIN = 2.0  # gray levels that are added to both sides of a ratio, so that noise over noise is no evidence


@dataclass(frozen=True)
class Cut:
    """A region with its surroundings, cut out of both pictures, at most `WINDOW` pixels long.

    Attributes
    ----------
    before, after : float32 arrays (h, w, 3), 0 to 255, slightly blurred.
    own : uint8 array (h, w), 0 or 1: the changed pixels of the region.
    other : the same of other regions.
    factor : pixels of the cut per pixel of the picture, at most 1.
    """

    before: np.ndarray
    after: np.ndarray
    own: np.ndarray
    other: np.ndarray
    factor: float

    @cached_property
    def filled(self) -> np.ndarray:
        """The changed pixels with small gaps closed and holes filled: uint8 (h, w), 0 or 1."""
        wide = cv2.copyMakeBorder(self.own, 4, 4, 4, 4, cv2.BORDER_CONSTANT, value=0)
        closed = cv2.morphologyEx(wide, cv2.MORPH_CLOSE, disk(2))[4:-4, 4:-4]
        outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        return cv2.drawContours(np.zeros_like(closed), outlines, -1, 1, cv2.FILLED)


@lru_cache(maxsize=64)
def disk(radius: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def cut_out(
    before: np.ndarray,
    after: np.ndarray,
    box: tuple[int, int, int, int],
    mask: np.ndarray,
    longest: int = WINDOW,
) -> Cut:
    """The surroundings of a box (x, y, width, height) in pixels of both pictures; see `Cut`.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3) of the same size.
    mask : bool array (H, W): the changed pixels of all regions.
    longest : of the cut, in pixels.
    """
    x, y, width, height = box
    room = int(np.clip(0.35 * max(width, height), 6, 80))
    x0, y0 = max(0, x - room), max(0, y - room)
    window = np.s_[y0 : y + height + room, x0 : x + width + room]
    first, second, other = before[window], after[window], mask[window].astype(np.uint8)
    inside = np.s_[y - y0 : y - y0 + height, x - x0 : x - x0 + width]
    own = np.zeros_like(other)
    own[inside] = other[inside]
    other[inside] = 0
    factor = min(1.0, longest / max(own.shape))
    if factor < 1:
        size = (max(8, round(own.shape[1] * factor)), max(8, round(own.shape[0] * factor)))
        first, second = (cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in (first, second))
        inner, outer = (cv2.resize(one * 255, size, interpolation=cv2.INTER_AREA) for one in (own, other))
        # a line of one pixel covers little of a pixel of the smaller picture
        own = (inner > min(100, int(inner.max()) // 2)).astype(np.uint8)
        other = (outer > 60).astype(np.uint8)
    first, second = (cv2.GaussianBlur(image.astype(np.float32), (0, 0), 0.8) for image in (first, second))
    return Cut(first, second, own, other, factor)


# ---------------------------------------------------------------------------------------------------------------------
# In which picture does a thing stand there?


def measured(cut: Cut) -> tuple[np.ndarray, np.ndarray]:
    """What tells added, removed, recolored and replaced apart.

    Returns
    -------
    sides : float array (2,): by how much more the region stands out of its surroundings before
        than after, as the logarithm of a ratio: the contrast along its outline, and how far its colors are from those
        around it.
    same : float array (8,): the first two the less the more one picture stands out alone; the
        contrast along the outline in the weaker picture, over that in the surroundings; how far the colors there are
        from those around, over how far those are from each other; how well structure and edges of the two pictures
        correlate, up to 1; and how much of either picture an affine map of the other one's colors explains, 0 to 1.
    """
    area, own = cut.filled, cut.filled > 0
    inner = cv2.erode(area, disk(1)) > 0
    inner = inner if np.count_nonzero(inner) >= 6 else own
    reach = int(np.clip(0.15 * np.sqrt(np.count_nonzero(own)), 3, 8))
    free = cut.other == 0
    ring = (cv2.dilate(area, disk(reach)) > 0) & (cv2.dilate(area, disk(1)) == 0) & free
    ring = ring if np.count_nonzero(ring) >= 6 else (cv2.dilate(area, disk(4)) > 0) & ~own
    ring = ring if ring.any() else ~own
    near = ((cv2.dilate(area, disk(3)) > 0) & free) | own
    pictures = (cut.before, cut.after)
    if not ring.any():  # the whole picture changed
        ring = own
    both = np.concatenate(pictures, axis=2)
    apart = [_apart(image[inner], image[ring]) for image in pictures]
    values = np.column_stack([_across(both, area), apart])
    first, second = values + _PLAIN
    sides = np.log(first / second)
    wide = cv2.dilate(area, disk(3))
    around = float(_across(both, wide).mean())
    contrast = np.log(np.minimum(first[0], second[0]) / (around + _PLAIN))
    # Colors around are compared with their neighbors but one, as these are no nearer than those inside.
    scatter = [_apart(image[ring][::2], image[ring][1::2]) if np.count_nonzero(ring) > 1 else 0.0 for image in pictures]
    foreign = np.log(np.minimum(first[1] / (scatter[0] + _PLAIN), second[1] / (scatter[1] + _PLAIN)))
    detail = [_detail(image) for image in pictures]
    edges = [_edges(image) for image in pictures]
    # The surroundings weigh as much as the region, however large either is.
    shares = [1 / max(1, int(np.count_nonzero(one))) for one in (own, near & ~own)]
    weights = np.where(own, *shares)[near]
    same = [
        *-np.abs(sides),
        contrast,
        foreign,
        abs(_correlation(*(one[inner] for one in detail))),
        _correlation(*(one[inner] for one in edges)),
        _correlation(*(one[near] for one in edges)),
        _explained(cut.before[near], cut.after[near], weights),
    ]
    return sides, np.array(same)


def _across(both: np.ndarray, area: np.ndarray) -> np.ndarray:
    """The contrast across the outline of an area, in each of two pictures, float (h, w, 6): the median of what lies
    just inside against just outside.
    """
    inside = cv2.erode(area, disk(1))
    inside = (inside if inside.any() else area).astype(np.float32)
    outside = 1 - cv2.dilate(area, disk(1)).astype(np.float32)
    line = cv2.morphologyEx(area, cv2.MORPH_GRADIENT, disk(1)) > 0
    weights = [cv2.GaussianBlur(part, (9, 9), 1.5) for part in (inside, outside)]
    line &= (weights[0] > 0.02) & (weights[1] > 0.02)
    if not line.any():
        return np.zeros(2)
    first, second = (
        cv2.GaussianBlur(both * part[..., None], (9, 9), 1.5)[line] / weight[line][:, None]
        for part, weight in zip((inside, outside), weights, strict=True)
    )
    squares = ((first - second) ** 2).reshape(-1, 2, 3).sum(axis=2)
    return np.sqrt([middle(channel) for channel in squares.T])


def _apart(inside: np.ndarray, around: np.ndarray) -> float:
    """How far colors, float (n, 3), are on average from the nearest of those around."""
    inside, around = inside[:: max(1, len(inside) // 96)], around[:: max(1, len(around) // 64)]
    squares = (inside**2).sum(axis=1)[:, None] + (around**2).sum(axis=1) - 2 * inside @ around.T
    return float(np.sqrt(np.maximum(squares.min(axis=1), 0)).mean())


def _detail(image: np.ndarray) -> np.ndarray:
    gray = image.mean(axis=2)
    return gray - cv2.GaussianBlur(gray, (0, 0), 3)


def _edges(image: np.ndarray) -> np.ndarray:
    return np.hypot(cv2.Sobel(image, -1, 1, 0), cv2.Sobel(image, -1, 0, 1)).sum(axis=2)


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    first, second = first - first.mean(), second - second.mean()
    return float((first * second).sum() / np.sqrt((first**2).sum() * (second**2).sum() + 1e-6))


def _explained(first: np.ndarray, second: np.ndarray, weights: np.ndarray) -> float:
    """How much of the variance of either an affine map of the other one's colors explains: the lesser, 0 to 1."""
    total, root = float(weights.sum()), np.sqrt(weights)[:, None].astype(np.float32)
    first, second = ((one - weights @ one / total) * root for one in (first, second))
    across, shares = first.T @ second, []
    for source, target, mixed in ((first, second, across), (second, first, across.T)):
        # The ridge, a gray level squared, keeps noise in one color from passing for a map.
        found = np.linalg.solve(source.T @ source + np.eye(3) * total, mixed)
        left = ((target - source @ found) ** 2).sum()
        shares.append(1 - float(left) / max(float((target**2).sum()), 1e-6))
    return float(np.clip(min(shares), 0, 1))
