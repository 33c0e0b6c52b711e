"""Photographs with small strong edits: 15 to 150 pixels each, over 100 gray levels off, the rest as it was."""

from __future__ import annotations

import cv2
import numpy as np

from tests.outside.cameras import PHOTOGRAPHS, scene
from tests.outside.pages import Box

AREA, CONTRAST, APART = (15, 150), 100, 40


def spotted(seed: int, index: int, size: tuple[int, int] | None = None) -> tuple[np.ndarray, np.ndarray, list[Box]]:
    """Before, after and the boxes of one to eight edits; the photographs take turns by the index."""
    rng = np.random.default_rng((seed, index))
    width, height = size or [(480, 360), (640, 480), (900, 640), (1280, 720)][int(rng.integers(4))]
    before = scene(PHOTOGRAPHS[index % len(PHOTOGRAPHS)], (width, height))
    after, boxes, free = before.copy(), [], np.ones((height, width), bool)
    wanted = int(rng.integers(1, 9))
    for _ in range(200):
        if len(boxes) == wanted:
            break
        shape = figure(rng)
        high, wide = shape.shape
        x, y = int(rng.integers(0, width - wide + 1)), int(rng.integers(0, height - high + 1))
        there = np.s_[y : y + high, x : x + wide]
        color = contrasting(rng, before[there][shape])
        if color is None or not free[there].all():
            continue
        after[there][shape] = color
        boxes.append((x, y, wide, high))
        free[max(0, y - APART) : y + high + APART, max(0, x - APART) : x + wide + APART] = False
    return before, after, boxes


def figure(rng: np.random.Generator) -> np.ndarray:
    """A disc, a bar, a cross, a ring or a slanted stroke that fills its box: bool (h, w) of 15 to 150 pixels."""
    while True:
        tile, kind = np.zeros((64, 64), np.uint8), int(rng.integers(5))
        if kind == 0:
            cv2.circle(tile, (32, 32), int(rng.integers(2, 7)), 1, -1)
        elif kind == 1:
            wide, high = int(rng.integers(3, 30)), int(rng.integers(3, 30))
            tile[:high, :wide] = 1
        elif kind == 2:
            reach = int(rng.integers(4, 12))
            cv2.line(tile, (32 - reach, 32), (32 + reach, 32), 1, 2)
            cv2.line(tile, (32, 32 - reach), (32, 32 + reach), 1, 2)
        elif kind == 3:
            cv2.circle(tile, (32, 32), int(rng.integers(4, 10)), 1, 2)
        else:
            end = rng.integers(8, 56, 2).tolist()
            cv2.line(tile, (32, 32), end, 1, 2)
        if AREA[0] <= np.count_nonzero(tile) <= AREA[1]:
            x, y, wide, high = cv2.boundingRect(tile)
            return tile[y : y + high, x : x + wide] > 0


def contrasting(rng: np.random.Generator, pixels: np.ndarray) -> np.ndarray | None:
    """A color over 100 levels off each of these pixels (n, 3) in some channel; None where there is none at hand."""
    colors = rng.integers(0, 256, (12, 3))
    colors = np.concatenate([colors, [[255, 255, 255], [0, 0, 0]]])
    off = np.abs(pixels[None].astype(int) - colors[:, None]).max(axis=2).min(axis=1)
    good = colors[off > CONTRAST]
    return good[0].astype(np.uint8) if len(good) else None
