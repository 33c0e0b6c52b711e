"""What a region of two pictures tells: in which of the two a thing stands there, and whether it is the same thing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np

_LONGEST = 72  # pixels of a window along its longer side; larger ones are looked at from farther away
_PLAIN = 2.0  # gray levels that are added to both sides of a ratio, so that noise over noise is no evidence
_CLIMBS = 12  # steps of a pixel from a likely shift to the best one

Shift = tuple[int, int]


@dataclass(frozen=True)
class Cut:
    """A region with its surroundings, cut out of both pictures, at most `_LONGEST` pixels long.

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


def cut_out(before: np.ndarray, after: np.ndarray, box: tuple[int, int, int, int], mask: np.ndarray) -> Cut:
    """The surroundings of a box (x, y, width, height) in pixels of both pictures; see `Cut`.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3) of the same size.
    mask : bool array (H, W): the changed pixels of all regions.
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
    factor = min(1.0, _LONGEST / max(own.shape))
    if factor < 1:
        size = (max(8, round(own.shape[1] * factor)), max(8, round(own.shape[0] * factor)))
        first, second = (cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in (first, second))
        own, other = (cv2.resize(one * 255, size, interpolation=cv2.INTER_AREA) for one in (own, other))
        own, other = (own > 100).astype(np.uint8), (other > 60).astype(np.uint8)
    first, second = (cv2.GaussianBlur(image.astype(np.float32), (0, 0), 0.8) for image in (first, second))
    return Cut(first, second, own, other, factor)


# ---------------------------------------------------------------------------------------------------------------------
# In which picture does a thing stand there?

SIDES = ("outline", "colors")
SAME = (*SIDES, "contrast", "foreign", "structure", "edges", "edges around", "map")


def measured(cut: Cut) -> tuple[np.ndarray, np.ndarray]:
    """What tells added, removed, recolored and replaced apart.

    Returns
    -------
    sides : float array (2,), in the order of `SIDES`: by how much more the region stands out of its surroundings before
        than after, as the logarithm of a ratio: the contrast along its outline, and how far its colors are from those
        around it.
    same : float array (8,), in the order of `SAME`: the first two the less the more one picture stands out alone; the
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
    values = [(_across(image, area), _apart(image[inner], image[ring])) for image in pictures]
    first, second = np.array(values) + _PLAIN
    sides = np.log(first / second)
    wide = cv2.dilate(area, disk(3))
    around = (_across(cut.before, wide) + _across(cut.after, wide)) / 2
    contrast = np.log(min(first[0], second[0]) / (around + _PLAIN))
    # Colors around are compared with their neighbors but one, as these are no nearer than those inside.
    scatter = [_apart(image[ring][::2], image[ring][1::2]) if np.count_nonzero(ring) > 1 else 0.0 for image in pictures]
    foreign = np.log(min(first[1] / (scatter[0] + _PLAIN), second[1] / (scatter[1] + _PLAIN)))
    detail = [_detail(image) for image in pictures]
    edges = [_edges(image) for image in pictures]
    # The surroundings weigh as much as the region, however large either is.
    weights = np.where(own, 1 / max(1, np.count_nonzero(own)), 1 / max(1, np.count_nonzero(near & ~own)))[near]
    same = [
        *-np.abs(sides),
        contrast,
        foreign,
        abs(_correlation(*(one[inner] for one in detail))),
        _correlation(*(one[inner] for one in edges)),
        _correlation(*(one[near] for one in edges)),
        _explained(*(image[near] for image in pictures), weights),
    ]
    return sides, np.array(same)


def _across(image: np.ndarray, area: np.ndarray) -> float:
    """The contrast across the outline of an area: the median of what lies just inside against just outside."""
    inside = cv2.erode(area, disk(1))
    inside = (inside if inside.any() else area).astype(np.float32)
    outside = 1 - cv2.dilate(area, disk(1)).astype(np.float32)
    near, weights = [], []
    for part in (inside, outside):
        weight = cv2.GaussianBlur(part, (0, 0), 1.5)
        near.append(cv2.GaussianBlur(image * part[..., None], (0, 0), 1.5) / np.maximum(weight, 1e-3)[..., None])
        weights.append(weight > 0.02)
    line = (cv2.morphologyEx(area, cv2.MORPH_GRADIENT, disk(1)) > 0) & weights[0] & weights[1]
    if not line.any():
        return 0.0
    return float(np.median(np.linalg.norm(near[0][line] - near[1][line], axis=1)))


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
    root, shares = np.sqrt(weights)[:, None], []
    for source, target in ((first, second), (second, first)):
        known = np.column_stack([source, np.ones(len(source))]) * root
        target = (target - np.average(target, axis=0, weights=weights)) * root
        # The ridge, a gray level squared, keeps noise in one color from passing for a map.
        squares = known.T @ known + np.eye(4) * weights.sum()
        left = target - known @ np.linalg.solve(squares, known.T @ target)
        shares.append(1 - (left**2).sum() / max((target**2).sum(), 1e-6))
    return float(np.clip(min(shares), 0, 1))


# ---------------------------------------------------------------------------------------------------------------------
# Is it the same thing, elsewhere or of another size?


def shift_within(cut: Cut, tolerance: float) -> tuple[Shift, float, float]:
    """By how much one thing moved, whose old and new place both lie in the region.

    What was added less what went away is the thing twice, with opposite signs, so its correlation with itself has a
    minimum at the shift; or, where a plain thing overlaps its old place and only two crescents differ, at the shift
    from crescent to crescent, which together with the size of the region gives that of the thing.

    Parameters
    ----------
    tolerance : gray levels by which the same thing may differ.

    Returns
    -------
    shift : (dx, dy) in pixels of the cut; (0, 0) where there is none.
    share : of the changed pixels, 0 to 1, that the shift explains.
    weaker : the lesser of the share that shows what went away and of that which shows what came.
    """
    tried: dict[Shift, tuple[float, float]] = {}

    def value(shift: Shift) -> float:
        if shift not in tried:
            tried[shift] = _shares(cut, shift, tolerance)
        return tried[shift][0] + tried[shift][1] / 2

    starts = sorted(_likely(cut), key=value, reverse=True)[:2]
    for best in (shift for start in starts if value(start) > 0.3 for shift in (start, (-start[0], -start[1]))):
        for _ in range(_CLIMBS):
            around = [(best[0] + dx, best[1] + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
            up = max(around, key=value)
            if value(up) <= value(best):
                break
            best = up
    # A step of a pixel aside is no move: the edges of whatever changed would explain it.
    found = max((one for one in tried if max(map(abs, one)) > 1), key=value, default=(0, 0))
    return found, *tried.get(found, (0.0, 0.0))


def _shares(cut: Cut, shift: Shift, tolerance: float) -> tuple[float, float]:
    went, came = (one[cut.own > 0] for one in _reappears(cut, shift, tolerance))
    return float((went | came).mean()), float(min(went.mean(), came.mean()))


def _likely(cut: Cut, most: int = 8) -> list[Shift]:
    """Shifts at which the change is most unlike itself, in both directions."""
    change = (cut.after - cut.before) * cut.own[..., None]
    height, width = cut.own.shape
    spectrum = np.fft.rfft2(change, (2 * height, 2 * width), axes=(0, 1))
    alike = np.fft.irfft2((np.abs(spectrum) ** 2).sum(axis=2), (2 * height, 2 * width))
    alike = np.fft.fftshift(alike / max(float(alike[0, 0]), 1e-6)).astype(np.float32)
    rows, columns = np.nonzero((alike == cv2.erode(alike, np.ones((3, 3)))) & (alike < -0.1))
    _, _, wide, high = cv2.boundingRect(cut.own)
    found: dict[Shift, None] = {}
    for at in np.argsort(alike[rows, columns], kind="stable")[: 2 * most : 2]:  # each stands there with both signs
        dx, dy = int(columns[at]) - width, int(rows[at]) - height
        for sx in (dx, int(np.sign(dx)) * (wide - abs(dx))):
            for sy in (dy, int(np.sign(dy)) * (high - abs(dy))):
                if max(abs(sx), abs(sy)) >= 2 and abs(sx) < wide and abs(sy) < high:
                    found |= {(sx, sy): None, (-sx, -sy): None}
    return list(found)


def _reappears(cut: Cut, shift: Shift, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Where the picture before shows what the one after shows by the shift farther on, and the reverse: bool (h, w)."""
    limit = np.maximum(tolerance**2, 0.12 * _squares(cut.after - cut.before))
    went = _squares(_shifted(cut.after, shift) - cut.before) < limit
    came = _squares(_shifted(cut.before, (-shift[0], -shift[1])) - cut.after) < limit
    return went, came


def _squares(apart: np.ndarray) -> np.ndarray:
    """The squared length of the colors of an array (h, w, 3); `np.linalg.norm` takes ten times as long."""
    return np.einsum("ijk,ijk->ij", apart, apart)


def _shifted(image: np.ndarray, shift: Shift) -> np.ndarray:
    """The image as it is by the shift farther on; what lies outside is like nothing."""
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, matrix, image.shape[1::-1], flags=flags, borderValue=(-999, -999, -999))


def size_within(cut: Cut) -> tuple[float, float, tuple[float, float, float, float]]:
    """How well the region in one picture, made smaller, is found in the other.

    Returns
    -------
    share : of the variance that it explains, at most 1.
    factor : of the size; below 1 where the thing is smaller after, above where it is larger.
    box : of the smaller thing, x, y, width, height in pixels of the cut.
    """
    x, y, width, height = cv2.boundingRect(cut.own)
    room = max(1, round(0.08 * max(width, height)))
    x0, y0 = max(0, x - room), max(0, y - room)
    window = np.s_[y0 : y + height + room, x0 : x + width + room]
    shape = np.dstack([cv2.dilate(cut.filled, disk(room))[window].astype(np.float32)] * 3)
    best = (-1.0, 1.0, (0.0, 0.0, 0.0, 0.0))
    for larger, smaller, grows in ((cut.before, cut.after, False), (cut.after, cut.before, True)):
        large, small = larger[window], smaller[window]
        # A tenth apart, then between: stripes are found only at their own width.
        factors, step = list(np.geomspace(0.42, 0.92, 12)), 1.037
        for _ in range(3):
            shares = {factor: _smaller(large, small, shape, factor) for factor in factors}
            factor = max(shares, key=lambda one: shares[one][0])
            if shares[factor][0] > best[0]:
                share, column, row = shares[factor]
                box = (x0 + column + (x - x0) * factor, y0 + row + (y - y0) * factor, width * factor, height * factor)
                best = (share, 1 / factor if grows else factor, box)
            if shares[factor][0] < 0.2:
                break
            factors, step = [factor / step, factor * step], step**0.5
    return best


def _smaller(large: np.ndarray, small: np.ndarray, shape: np.ndarray, factor: float) -> tuple[float, int, int]:
    """The share of its variance that is found, and where, near the middle; -1 where it gets too small to tell."""
    height, width = large.shape[:2]
    size = (round(width * factor), round(height * factor))
    if min(size) < 5 or size[0] >= width or size[1] >= height:
        return -1.0, 0, 0
    scaled = cv2.resize(large, size, interpolation=cv2.INTER_AREA)
    weights = (cv2.resize(shape, size, interpolation=cv2.INTER_AREA) > 0.5).astype(np.float32)
    if np.count_nonzero(weights) < 36:
        return -1.0, 0, 0
    slack = max(1, round(0.12 * max(height, width)))
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    x0, y0 = max(0, left - slack), max(0, top - slack)
    part = small[y0 : top + slack + size[1] + 1, x0 : left + slack + size[0] + 1]
    apart, _, at, _ = cv2.minMaxLoc(cv2.matchTemplate(part, scaled, cv2.TM_SQDIFF, mask=weights))
    mean = (scaled * weights).sum(axis=(0, 1)) / weights.sum(axis=(0, 1))
    return 1 - apart / max(float((((scaled - mean) * weights) ** 2).sum()), 1.0), x0 + at[0], y0 + at[1]
