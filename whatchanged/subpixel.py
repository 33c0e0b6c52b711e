"""Letters drawn a fraction of a pixel off look the same to a person: they are told from those that changed."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

_LETTER, _LINE = (3, 3), (31, 9)  # pixels across and down between fragments of one letter, of one line
_AROUND = 4  # pixels around a fragment that must fit, too
_FARTHEST, _LETTER_FARTHEST = 0.8, 1.05  # pixels that something may lie off, and a single letter in a line
_EXPLAINED = 0.8  # share of the squared difference that one shift must explain
_WIDE = 1.8  # of its height, at most, is a letter wide
_EVEN = 0.1  # share of the difference that a letter that moved may add or take away
_SIDES = [(0,), (1,), (2,), (3,), (0, 2), (0, 3), (1, 2), (1, 3)]  # left or right, up or down
_FEWEST = 6  # pixels that differ; fewer fit any shift
_LETTERS = 4  # fragments that make a line
_EDGE = 24  # gray levels across 3 pixels
_TOUCHED = 0.25  # share of the edges that a shifted line has differences at
_KEPT = 0.006  # share of the difference that a shift may add or take away as a whole
_OUTSIDE = 0.002  # share of the squared difference that may leave the range of its neighbors
_SQUARE = np.ones((3, 3), np.uint8)


def without_shifts(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The mask without what a shift by less than a pixel explains.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3).
    mask : bool array (H, W): where they differ.

    Returns
    -------
    bool array (H, W).

    Notes
    -----
    A letter is dropped where one blend of its pixels with their neighbors explains most of the squared difference in
    its box and around it: around it, as something that really changed leaves its surroundings as they are. A line of
    letters is dropped where edges all along it differ, no pixel leaves the range of its neighbors in the other picture,
    and as much got darker as got brighter: a shift moves the ink, another color or letter takes or adds some. Where
    that was most of what differs, the few pixels of corners and dots that show no shift are dropped, too.
    """
    left = _drop(before, after, mask, _LINE, _is_shifted_line)
    left = _drop(before, after, left, _LETTER, _is_blend)
    if np.count_nonzero(left) <= np.count_nonzero(mask) / 2:  # shifts are this pair's noise
        left = _drop(before, after, left, _LETTER, _are_letters)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(left.view(np.uint8), connectivity=8)
        left &= np.isin(labels, [label for label in range(1, count) if stats[label, cv2.CC_STAT_AREA] >= _FEWEST])
    return left


def _drop(
    before: np.ndarray, after: np.ndarray, mask: np.ndarray, reach: tuple[int, int], shifted: Callable[..., bool]
) -> np.ndarray:
    left = mask.copy()
    x0, y0, wide, high = cv2.boundingRect(mask.view(np.uint8))
    x0, y0, x1, y1 = max(0, x0 - reach[0]), max(0, y0 - reach[1]), x0 + wide + reach[0], y0 + high + reach[1]
    near = cv2.dilate(np.ascontiguousarray(mask[y0:y1, x0:x1]).view(np.uint8), np.ones(reach[::-1], np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    for label in range(1, count):
        x, y, width, height = map(int, stats[label, :4])
        part = labels[y : y + height, x : x + width] == label
        x, y = x + x0, y + y0
        part &= mask[y : y + height, x : x + width]
        bx, by, wide, high = cv2.boundingRect(part.view(np.uint8))
        ends = (x + bx == 0, y + by == 0, x + bx + wide == mask.shape[1], y + by + high == mask.shape[0])
        if np.count_nonzero(part) < _FEWEST or any(ends):  # at the edge a line could have left the picture
            continue
        around = np.s_[max(0, y - _AROUND) : y + height + _AROUND, max(0, x - _AROUND) : x + width + _AROUND]
        own = np.zeros(mask.shape, bool)[around]
        own[y - around[0].start :, x - around[1].start :][:height, :width] = part
        if shifted(before[around].astype(np.float32), after[around].astype(np.float32), own):
            left[y : y + height, x : x + width] &= ~part
    return left


def _is_blend(before: np.ndarray, after: np.ndarray, part: np.ndarray) -> bool:
    """Whether one of the two is a blend of the other with itself a pixel to the sides: all around; or both are, where
    they differ, and the ink is kept, as of a letter that moved beside others that stayed.
    """
    apart = after - before

    if any(_both(before, apart, after, np.ones(part.shape, bool), _FARTHEST)):
        return True
    _, _, width, height = cv2.boundingRect(part.view(np.uint8))
    return width <= _WIDE * height and _are_letters(before, after, part)


def _are_letters(before: np.ndarray, after: np.ndarray, part: np.ndarray) -> bool:
    """Whether what differs is ink that moved by up to a pixel, whatever stayed beside it."""
    apart = after - before
    kept = np.abs(apart[part].sum(axis=0)).max() <= _EVEN * np.abs(apart[part]).sum(axis=0).max()
    return bool(kept and all(_both(before, apart, after, part, _LETTER_FARTHEST)))


def _both(
    before: np.ndarray, apart: np.ndarray, after: np.ndarray, where: np.ndarray, farthest: float
) -> tuple[bool, bool]:
    """Whether a blend of the first picture explains the second one there, and the other way round."""
    least = _EXPLAINED * float((apart[where] ** 2).sum())
    return (
        _explained(before, apart, where, farthest) >= least,
        _explained(after, -apart, where, farthest) >= least,
    )


def _explained(image: np.ndarray, apart: np.ndarray, where: np.ndarray, farthest: float) -> float:
    """How much of the squared difference there the best blend of an image with its neighbors explains."""
    wide = cv2.copyMakeBorder(image, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    height, width = image.shape[:2]
    steps = [wide[y : y + height, x : x + width] - image for y, x in ((1, 0), (1, 2), (0, 1), (2, 1))]
    flat = np.stack([step[where].ravel() for step in steps])
    moments, along = flat @ flat.T, flat @ apart[where].ravel()
    best = 0.0
    for chosen in _SIDES:
        inner, found = moments[np.ix_(chosen, chosen)], along[list(chosen)]
        parts = np.linalg.lstsq(inner, found, rcond=1e-6)[0]
        if (parts >= -1e-6).all() and parts.sum() <= farthest:
            best = max(best, float(parts @ found))
    return best


def _is_shifted_line(before: np.ndarray, after: np.ndarray, part: np.ndarray) -> bool:
    """Whether a line of letters kept its ink, each bit of it within a pixel of where it was."""
    apart = after - before
    if np.abs(apart.sum(axis=(0, 1))).max() > _KEPT * np.abs(apart).sum(axis=(0, 1)).max():
        return False
    if cv2.connectedComponents(cv2.dilate(part.view(np.uint8), _SQUARE))[0] <= _LETTERS:
        return False
    if _moved_as_one(before, after, part):
        return False
    ranges = [(cv2.dilate(one, _SQUARE), cv2.erode(one, _SQUARE)) for one in (before, after)]
    edges = np.maximum(*(high - low for high, low in ranges)).max(axis=2) > _EDGE
    if (np.abs(apart).max(axis=2) > 0)[edges].mean() < _TOUCHED:
        return False
    outside = [
        np.maximum(np.maximum(one - high, low - one), 0)
        for one, (high, low) in zip((after, before), ranges, strict=True)
    ]
    return float((np.minimum(*outside) ** 2).sum()) <= _OUTSIDE * float((apart * apart).sum())


def _moved_as_one(before: np.ndarray, after: np.ndarray, part: np.ndarray) -> bool:
    """Whether all of it moved by just one pixel, as what is laid out anew does: that is told."""
    ys, xs = np.nonzero(part)
    inner = (ys > 0) & (xs > 0) & (ys < part.shape[0] - 1) & (xs < part.shape[1] - 1)
    ys, xs = ys[inner], xs[inner]
    steps = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
    return max(float((after[ys, xs] == before[ys + dy, xs + dx]).all(axis=1).mean()) for dy, dx in steps) > 0.95
