"""Whether a region shows one thing twice: at two places, or in two sizes."""

from __future__ import annotations

import cv2
import numpy as np

from whatchanged.evidence import Cut, disk

_CLIMBS = 12  # steps of a pixel from a likely shift to the best one

Shift = tuple[int, int]


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

    def rank(shift: Shift) -> tuple[float, int, int, bool]:
        """The same for the opposite shift of the pictures in the other order: what is found must not hang on that."""
        dx, dy = shift
        return value(shift), abs(dx), abs(dy), dx * dy > 0

    starts = sorted(_likely(cut), key=lambda shift: max(rank(shift), rank(_back(shift))), reverse=True)[:4]
    for best in (shift for start in starts for shift in (start, _back(start)) if value(shift) > 0.3):
        for _ in range(_CLIMBS):
            around = [(best[0] + dx, best[1] + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
            up = max(around, key=rank)
            if value(up) <= value(best):
                break
            best = up
    # A step of a pixel aside is no move: the edges of whatever changed would explain it.
    found = max((one for one in tried if max(map(abs, one)) > 1), key=rank, default=(0, 0))
    if value(found) == value(_back(found)):  # what moved as well there as back did not move
        return (0, 0), 0.0, 0.0
    return found, *tried[found]


def _back(shift: Shift) -> Shift:
    return -shift[0], -shift[1]


def _shares(cut: Cut, shift: Shift, tolerance: float) -> tuple[float, float]:
    went, came = (one[cut.own > 0] for one in _reappears(cut, shift, tolerance))
    return float((went | came).mean()), float(min(went.mean(), came.mean()))


def _likely(cut: Cut, most: int = 8) -> list[Shift]:
    """Shifts at which the change is most unlike itself; each may be the shift back."""
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
                    found |= {max((sx, sy), (-sx, -sy)): None}
    return list(found)


def _reappears(cut: Cut, shift: Shift, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Where the picture before shows what the one after shows by the shift farther on, and the reverse: bool (h, w)."""
    limit = np.maximum(tolerance**2, 0.12 * _squares(cut.after - cut.before))
    went = _squares(_shifted(cut.after, shift) - cut.before) < limit
    came = _squares(_shifted(cut.before, _back(shift)) - cut.after) < limit
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
