"""Which part of a picture is compared: boxes that are ignored, and a mask."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from whatchanged.images import read_image, size
from whatchanged.options import Options


def compared_area(before: np.ndarray, how: Options) -> np.ndarray | None:
    """The pixels of the before picture that are compared: bool (H, W); None where all are.

    Raises
    ------
    ValueError
        The mask is of another size, or black everywhere.
    ImageError
        The file of the mask cannot be read.
    """
    if not how.ignore and how.mask is None:
        return None
    area = np.ones(before.shape[:2], bool) if how.mask is None else _white(how.mask, before)
    for x, y, width, height in how.ignore:
        area[y : y + height, x : x + width] = False
    return area


def within(area: np.ndarray, box: Sequence[int]) -> bool:
    """Whether any pixel of a box (x, y, width, height) is compared; beyond the area, all are."""
    x, y, width, height = box
    beyond = x < 0 or y < 0 or x + width > area.shape[1] or y + height > area.shape[0]
    return beyond or bool(area[y : y + height, x : x + width].any())


def pasted(before: np.ndarray, after: np.ndarray, area: np.ndarray) -> np.ndarray:
    """The after picture, uint8 (H, W, 3), showing what was before wherever nothing is compared: nothing differs there,
    nor does what is compared look changed for its neighbors there.
    """
    return np.where(area[..., None], after, before)


def _white(mask: object, before: np.ndarray) -> np.ndarray:
    values = mask if isinstance(mask, np.ndarray) else read_image(str(mask))
    what = "the mask" if isinstance(mask, np.ndarray) else str(mask)
    if values.shape[:2] != before.shape[:2]:
        raise ValueError(f"{what} is {size(values)} and the before picture {size(before)}: give a mask of its size")
    if values.ndim == 3:
        values = cv2.cvtColor(values, cv2.COLOR_RGB2GRAY)
    white = values if values.dtype == bool else values > 127
    if not white.any():
        raise ValueError(f"{what} is black everywhere: what is to be compared is white")
    return white.copy()
