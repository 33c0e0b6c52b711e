"""Textures that a network can learn to name before it sees a crack."""

from __future__ import annotations

import cv2
import numpy as np

from helpers.datasets import Pictures
from helpers.rendering import FINE, camera, clouds, darken, direction, hold_size, line, many, reduced, straight, walk
from helpers.surfaces import MATERIAL_OF, MATERIALS


def texture(seed: int, index: int, *, size: int = 96) -> tuple[np.ndarray, int]:
    """One generated texture: uint8 (H, W, 3) and its class, an index into `TEXTURE_NAMES`; classes take turns."""
    hold_size(size)
    rng = np.random.default_rng([seed, index, 2])
    label = index % len(TEXTURE_NAMES)
    pattern = _TEXTURES[TEXTURE_NAMES[label]](rng, size)
    pattern = (pattern - pattern.min()) / max(float(np.ptp(pattern)), 1e-6)
    ground = MATERIAL_OF[MATERIALS[rng.integers(len(MATERIALS))]](rng, size)
    contrast = rng.uniform(0.45, 0.9) if rng.random() < 0.7 else -rng.uniform(0.3, 0.7)
    return camera(rng, darken(ground, pattern, contrast)), label


def textures(seed: int, count: int, *, size: int = 96) -> Pictures:
    """Generated textures 0 to `count` of a seed: a classification task that needs neither photographs nor labels."""
    made = many(lambda index: texture(seed, index, size=size), count)
    return Pictures(np.stack([image for image, _ in made]), np.array([label for _, label in made]), TEXTURE_NAMES)


def _turned(rng, size):
    """Coordinates u, v (size, size) turned by a random angle about the center, in pixels."""
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[:size, :size].astype(np.float32) - rng.uniform(0.3, 0.7, 2).astype(np.float32)[:, None, None] * size
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def _period(rng, size):
    return rng.uniform(0.06, 0.16) * size


def _stripes(rng, size):
    u, _ = _turned(rng, size)
    return np.tanh(3 * np.sin(2 * np.pi * u / _period(rng, size)))


def _waves(rng, size):
    u, v = _turned(rng, size)
    bend = rng.uniform(0.03, 0.08) * size * np.sin(2 * np.pi * v / (rng.uniform(0.2, 0.5) * size))
    return np.sin(2 * np.pi * (u + bend) / _period(rng, size))


def _dots(rng, size):
    u, v = _turned(rng, size)
    period = _period(rng, size)
    away = np.hypot((u % period) - period / 2, (v % period) - period / 2)
    return np.clip(period * rng.uniform(0.2, 0.35) - away, -1, 1)


def _mesh(rng, size):
    u, v = _turned(rng, size)
    period = _period(rng, size) * 1.3
    away = np.minimum(np.abs((u % period) - period / 2), np.abs((v % period) - period / 2))
    return np.clip(away - rng.uniform(0.3, 1.0), 0, 1)


def _rings(rng, size):
    u, v = _turned(rng, size)
    return np.sin(2 * np.pi * np.hypot(u, v * rng.uniform(0.6, 1)) / _period(rng, size))


def _marble(rng, size):
    u, _ = _turned(rng, size)
    veins = np.abs(np.sin(np.pi * u / (rng.uniform(0.3, 0.6) * size) + 1.3 * clouds(rng, size, 5)))
    return np.minimum(veins, rng.uniform(0.15, 0.4))


def _cells(rng, size):
    """The borders between the areas that are nearest to each of some random points (Voronoi cells)."""
    points = rng.uniform(0, size, (int(rng.integers(20, 60)), 2)).astype(np.float32)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    away = (x[..., None] - points[:, 0]) ** 2 + (y[..., None] - points[:, 1]) ** 2
    nearest, second = np.moveaxis(np.sqrt(np.partition(away, 1, axis=2)[..., :2]), 2, 0)
    return np.minimum(second - nearest, rng.uniform(1.5, 3))


def _strokes(rng, size):
    canvas, angle = np.zeros((size * FINE, size * FINE), np.uint8), rng.uniform(0, np.pi)
    for _ in range(rng.integers(4, 30)):
        middle, turn = rng.uniform(0, size, 2), angle + rng.normal(0, 0.25)
        half = rng.uniform(0.05, 0.3) * size * direction(turn)
        line(canvas, middle - half, middle + half, rng.uniform(0.6, 1.6))
    return reduced(canvas, size)


def _fibers(rng, size):
    canvas = np.zeros((size * FINE, size * FINE), np.uint8)
    for _ in range(rng.integers(3, 14)):
        turns = np.cumsum(np.cumsum(rng.normal(0, 0.06, 40)) * 0.5) + rng.uniform(0, 2 * np.pi)
        steps = np.stack([np.cos(turns), np.sin(turns)], axis=1) * size / 60
        path = rng.uniform(0, size, 2) + np.cumsum(steps, axis=0)
        points = np.rint(path * FINE * 16).astype(np.int32)
        cv2.polylines(canvas, [points], False, 255, int(rng.integers(2, 5)), cv2.LINE_AA, 4)
    return reduced(canvas, size)


def _spots(rng, size):
    canvas = np.zeros((size * FINE, size * FINE), np.uint8)
    for x, y in rng.uniform(0, size * FINE, (rng.integers(6, 50), 2)):
        cv2.circle(canvas, (round(x), round(y)), int(rng.integers(2, 9)), 255, -1)
    return reduced(canvas, size)


def _bands(rng, size):
    return np.maximum.reduce([straight(rng, size, rng.uniform(3, 8)) for _ in range(rng.integers(1, 5))])


def _veins(rng, size):
    starts = [(rng.uniform(0, size, 2), rng.uniform(0, 2 * np.pi)) for _ in range(rng.integers(1, 5))]
    return walk(rng, size, [(*start, rng.uniform(0.8, 2.2), rng.uniform(0.4, 1.0) * size) for start in starts])


_TEXTURES = {
    "stripes": _stripes,
    "waves": _waves,
    "dots": _dots,
    "mesh": _mesh,
    "rings": _rings,
    "marble": _marble,
    "cells": _cells,
    "strokes": _strokes,
    "fibers": _fibers,
    "spots": _spots,
    "bands": _bands,
    "veins": _veins,
}
TEXTURE_NAMES = tuple(_TEXTURES)
