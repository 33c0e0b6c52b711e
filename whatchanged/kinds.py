"""What kind of pair is it: the same rendering, where every pixel counts, or pictures with noise of their own?"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from whatchanged import images

_LOOKED_AT = 32  # pixels of each row that are looked at first
_BLOCK = 64  # pixels a side of the places that are asked; smaller in small pictures
_EDGE = 24  # gray levels across 3 pixels that make an edge
_RIPPLE = 8  # gray levels across 3 pixels, at most, that a codec leaves beside an edge
_DRAWN = 0.3  # share of flat pixels from which on a picture is drawn rather than taken
_RIPPLED = 0.027  # share of the calm pixels beside edges that must ripple unlike the other picture's
_FAINT = 10  # gray levels that a codec changes beside edges, in the middle; a real change is stronger
# Shares of the places with edges that are identical, from which on a pair is exact although something ripples: in
# photographs; in drawn pictures where a strong and a faint difference lies beside the edges.
_FEW, _SOME, _MOST = 0.08, 0.2, 0.9


def is_exact(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether two pictures are free of noise, so that each pixel that differs was changed.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3) of the same size.

    Notes
    -----
    A majority of identical pixels does not tell: a page that was saved as JPEG is as white between its lines as before.
    What tells are the places with edges. Codecs and sensors leave ripples beside them, other ones each time; programs
    that draw leave none, or the same. Pictures without flat places, as photographs, hide such ripples. There an edit,
    as large as it may be, leaves some places identical; noise leaves none.
    """
    apart = images.apart(before, after)
    where = cv2.boundingRect((apart > 0).view(np.uint8))
    if not where[2]:
        return True
    side = max(4, min(_BLOCK, min(apart.shape) // 6))
    window = _grown(where, side, apart.shape)
    grays = images.gray(before), images.gray(after)
    one, two = (images.local_range(np.ascontiguousarray(gray[window])) for gray in grays)
    drawn = min(_flat(one), _flat(two)) >= _DRAWN
    ripples, strength = _rippled(one, two, apart[window]) if drawn else (1.0, 0.0)
    if drawn and ripples < _RIPPLED:
        return True
    if not drawn and _flat(apart) >= 0.5:
        return True
    if one.shape != apart.shape:
        one, two = (images.local_range(gray) for gray in grays)
    edges = cv2.max(one, two) > _EDGE
    places = _count(edges, side) > side // 2
    same = _count(apart > 0, side) == 0
    left = float(same[places].mean() if places.any() else same.mean())
    if not drawn:
        return left >= _FEW
    return left > (_MOST if strength <= _FAINT else _SOME) or (ripples < 4 * _RIPPLED and strength > _FAINT)


def same_rows(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether two pages of one width may have rows in common that lie elsewhere now: a twentieth of those that show
    something, and at least three.
    """
    every = max(1, before.shape[1] // _LOOKED_AT)
    seen = {row.tobytes() for row in np.ascontiguousarray(before[:, ::every])}
    if sum(row.tobytes() in seen for row in np.ascontiguousarray(after[:, ::every])) < 3:
        return False  # nor have they whole ones
    one, two = _rows(before), _rows(after)
    common = len(one & two)
    return common >= 3 and common >= min(len(one), len(two)) / 20


def _rows(page: np.ndarray) -> set[int]:
    """What stands in the rows that are not of one color."""
    lines = images.packed(page)
    return {hash(row.tobytes()) for row in lines[(lines != lines[:, :1]).any(axis=1)]}


def _rippled(before: np.ndarray, after: np.ndarray, apart: np.ndarray) -> tuple[float, float]:
    """How much of the calm pixels beside edges ripples unlike in the other picture, from the local ranges of both; and
    by how many gray levels the pictures differ there, in the middle.
    """
    low, high = np.minimum(before, after), np.maximum(before, after)
    edges = (high > _EDGE).view(np.uint8)
    near = cv2.dilate(edges, np.ones((13, 13), np.uint8)) > cv2.dilate(edges, np.ones((3, 3), np.uint8))
    calm = near & (high <= _RIPPLE)
    strengths = apart[near & (apart > 0)]
    share = int(np.count_nonzero(calm & (low != high))) / max(1, int(np.count_nonzero(calm)))
    return share, images.middle(strengths) if strengths.size else 255.0


def _flat(levels: np.ndarray) -> float:
    """The share of zeros."""
    return 1 - cv2.countNonZero(levels) / levels.size


def _grown(box: Sequence[int], by: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    x, y, width, height = map(int, box)
    return np.s_[max(0, y - by) : min(shape[0], y + height + by), max(0, x - by) : min(shape[1], x + width + by)]


def _count(mask: np.ndarray, side: int) -> np.ndarray:
    """How many pixels of each place count: int array (rows, columns)."""
    edges = [[*range(0, length, side), length] for length in mask.shape]
    return np.diff(np.diff(cv2.integral(mask.view(np.uint8))[np.ix_(*edges)], axis=0), axis=1)
