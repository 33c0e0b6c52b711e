"""Alignment of two pictures in which much changed: by the part of them that agrees most."""

from __future__ import annotations

import cv2
import numpy as np

from whatchanged import images
from whatchanged.alignment import Alignment, align
from whatchanged.geometry import shown
from whatchanged.structure import ROUGH, correlation, disagreement, refined, structure

_SURE = 0.75  # confidence of `align` that is believed as it is
_SHARE = 0.7  # of the pixels, those that agree most: they alone say how the pictures lie
_TIMES = 3


def align_unchanged(before: np.ndarray, after: np.ndarray) -> Alignment:
    """Lay the after image on the before image by a shift and a turn, also where changes fill much of both.

    `align` leaves out the tenth of the pixels that disagree most. Two things of three that moved disagree in more, and
    pull the pictures off each other. So where it is not sure, it is tried again by the seven tenths that agree most,
    from where it ended and from where the pictures are; the transform with the least disagreement is taken.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3) of the same size.
    """
    found = align(before, after, "euclidean")
    if found.confidence > _SURE:
        return found
    first, second = structure(images.gray(before)), structure(images.gray(after))
    tried = [found.matrix]
    for matrix in (np.eye(3), found.matrix):
        for _ in range(_TIMES):
            matrix = refined(first, second, matrix, "euclidean", _agreeing_most(first, second, matrix), ROUGH)
            tried.append(matrix)
    apart = [disagreement(first, second, matrix) for matrix in tried]
    best = tried[int(np.argmin(apart))]
    if best is found.matrix:
        return found
    return Alignment(best, shown(best, before.shape[:2]), correlation(first, second, best), "ecc")


def _agreeing_most(before: np.ndarray, after: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A mask (uint8, of the after image) of the share of pixels around which the structures agree most."""
    height, width = after.shape
    back = cv2.warpPerspective(before, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    error = cv2.blur(np.minimum(cv2.absdiff(back, after), 1), (9, 9))
    return (error <= np.quantile(error, _SHARE)).astype(np.uint8) * 255
