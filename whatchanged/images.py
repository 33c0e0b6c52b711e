"""The few things that every module does to an image array."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import cv2
import numpy as np


def gray(image: np.ndarray) -> np.ndarray:
    """uint8 (H, W) of an RGB (H, W, 3) or gray image."""
    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def color(image: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) of an RGB or gray (H, W) image."""
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def shrink(image: np.ndarray, longest: int) -> np.ndarray:
    """The image with at most `longest` pixels along its longer side; smaller images stay as they are."""
    factor = longest / max(image.shape[:2])
    if factor >= 1:
        return image
    height, width = (max(1, round(side * factor)) for side in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def size(image: np.ndarray) -> str:
    """ "640x480": width and height, for messages."""
    return f"{image.shape[1]}x{image.shape[0]}"


@contextmanager
def one_a_core() -> Iterator[ThreadPoolExecutor]:
    """A thread a core, for work on many pictures; within it OpenCV shares no picture among cores.

    OpenCV lets go of the interpreter while it computes, so threads are enough, and a picture a core is faster than one
    picture over all cores.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            yield pool
    finally:
        cv2.setNumThreads(threads)
