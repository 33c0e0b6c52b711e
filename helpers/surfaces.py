"""Pictures of concrete, plaster and brick whose every crack is known, and textures to pretrain a network on.

Cracked and sound surfaces carry the same *distractors*: stains, pores, joints, scratches, shadows and the lines of
formwork. So nothing but the crack tells them apart. Everything follows from `(seed, index)`, whatever was generated
before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from helpers.images import one_a_core
from helpers.runtime import write_whole

MATERIALS = ("concrete", "plaster", "brick")
DISTRACTORS = ("stain", "pores", "joint", "scratch", "shadow", "formwork")
_FINE = 3  # cracks and lines are drawn this many times finer, then reduced


@dataclass(frozen=True)
class Surface:
    """One picture of a surface, with the truth.

    Attributes
    ----------
    image : uint8 array (H, W, 3), RGB.
    mask : bool array (H, W), where the crack is; empty on a sound surface.
    material : one of `MATERIALS`.
    distractors : what else is on it, some of `DISTRACTORS`.
    """

    image: np.ndarray
    mask: np.ndarray
    material: str
    distractors: tuple[str, ...]

    @property
    def cracked(self) -> bool:
        return bool(self.mask.any())


@dataclass(frozen=True)
class Pictures:
    """Many pictures in memory.

    Attributes
    ----------
    images : uint8 array (n, H, W, 3), RGB.
    labels : int64 array (n,): the index into `names`.
    names : of the classes.
    masks : bool array (n, H, W), where the defect is, or None.
    """

    images: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    masks: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)


# ---------------------------------------------------------------------------------------------------------------------
# Surfaces


def surface(seed: int, index: int, *, size: int = 96, cracked: bool | None = None, material: str | None = None):
    """One surface, cracked or sound.

    Parameters
    ----------
    seed, index : non-negative; they decide everything.
    size : of the square image, pixels, at least 32.
    cracked : None cracks every odd index.
    material : one of `MATERIALS`; None draws one.

    Returns
    -------
    Surface
    """
    _hold_size(size)
    if material is not None and material not in MATERIALS:
        raise ValueError(f"material is {material!r}: choose one of {', '.join(MATERIALS)}")
    rng = np.random.default_rng([seed, index, 1])
    drawn = MATERIALS[rng.integers(len(MATERIALS))]
    material = material or drawn
    image = _MATERIALS[material](rng, size)
    chosen = [name for name in DISTRACTORS if rng.random() < 0.25]
    for name in chosen:
        image = _DISTRACTORS[name](rng, image)
    mask = np.zeros((size, size), bool)
    if index % 2 if cracked is None else cracked:
        image, mask = _crack(rng, image)
    return Surface(_camera(rng, image), mask, material, tuple(chosen))


def surfaces(seed: int, count: int, *, size: int = 96, start: int = 0) -> Pictures:
    """Surfaces `start` to `start + count` of a seed, half of them cracked: label 1 is "cracked"."""
    made = _many(lambda index: surface(seed, start + index, size=size), count)
    return Pictures(
        np.stack([one.image for one in made]),
        np.array([one.cracked for one in made], np.int64),
        ("sound", "cracked"),
        np.stack([one.mask for one in made]),
    )


def write_folder(folder: str | Path, pictures: Pictures, names: Sequence[str] = ("Negative", "Positive")) -> Path:
    """Write the pictures as PNG files, a folder a class, as the concrete-crack images come."""
    folder = Path(folder)
    for label, name in enumerate(names):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in np.flatnonzero(pictures.labels == label):
            cv2.imwrite(str(folder / name / f"{number:05}.png"), pictures.images[number][..., ::-1])
    return folder


def write_labeled_csv(folder: str | Path, pictures: Pictures) -> Path:
    """Write the pictures into `0/` and `1/`, with `0.csv` and `1.csv` (image_name, target) beside them."""
    folder = write_folder(folder, pictures, names=("0", "1"))
    for label in (0, 1):
        rows = [f"{number:05}.png,{label}\n" for number in np.flatnonzero(pictures.labels == label)]
        write_whole(folder / f"{label}.csv", ("image_name,target\n" + "".join(rows)).encode())
    return folder


def _hold_size(size: int) -> None:
    if size < 32:
        raise ValueError(f"size is {size}: a surface needs at least 32 pixels")


def _many(make: Callable, count: int) -> list:
    if count < 1:
        raise ValueError(f"count is {count}: make at least 1 picture")
    with one_a_core() as pool:
        return list(pool.map(make, range(count)))


# Materials: float32 (size, size, 3), about 0 to 255.


def _concrete(rng, size):
    color = rng.uniform(120, 205) * rng.uniform(0.95, 1.05, 3)
    relief = 9 * _clouds(rng, size, 5) + rng.uniform(3, 10) * _grain(rng, size, 1)
    return _tinted(color, relief)


def _plaster(rng, size):
    color = rng.uniform(150, 225) * rng.uniform((0.98, 0.94, 0.80), (1.04, 1.0, 0.98))
    relief = 6 * _clouds(rng, size, 3) + rng.uniform(4, 12) * _grain(rng, size, rng.choice([2, 3]))
    lit = cv2.Sobel(_grain(rng, size, 2), cv2.CV_32F, 1, 0) * rng.uniform(0.3, 1.2)  # the trowel left ridges
    return _tinted(color, relief + lit)


def _brick(rng, size):
    height = size * rng.uniform(0.22, 0.38)
    width, joint = height * rng.uniform(2.0, 3.0), size * rng.uniform(0.02, 0.045)
    y, x = np.mgrid[:size, :size].astype(np.float32) + rng.uniform(0, size, 2).astype(np.float32)[:, None, None]
    row = np.floor(y / height)
    x = x + (row % 2) * width / 2
    column = np.floor(x / width)
    edge = np.minimum(np.minimum(y % height, height - y % height), np.minimum(x % width, width - x % width))
    edge = edge + 0.4 * _grain(rng, size, 3)
    mortar = np.clip(joint / 2 + 0.5 - edge, 0, 1)[..., None]
    tone = rng.uniform(-18, 18, 64)[((row * 7 + column * 13) % 64).astype(int)]
    color = np.array([165, 85, 65]) * rng.uniform(0.95, 1.3) * rng.uniform(0.92, 1.08, 3)
    bricks = _tinted(color, tone + 7 * _clouds(rng, size, 4) + rng.uniform(4, 10) * _grain(rng, size, 1))
    return (1 - mortar) * bricks + mortar * _tinted(rng.uniform(120, 210) * np.ones(3), 8 * _grain(rng, size, 1))


# Distractors: they take and return such an image.


def _stain(rng, image):
    size = len(image)
    soft = np.clip(3 * (_clouds(rng, size, 2) - rng.uniform(0.4, 0.9)), 0, 1)[..., None]
    return image * (1 - soft * rng.uniform(0.1, 0.4) * rng.uniform(0.6, 1.0, 3))


def _pores(rng, image):
    size = len(image)
    spots = np.zeros((size * _FINE, size * _FINE), np.uint8)
    for x, y, radius in zip(
        *rng.uniform(0, size * _FINE, (2, rng.integers(4, 20))), rng.uniform(1.5, 6, 40), strict=False
    ):
        axes = (round(radius), round(radius * rng.uniform(0.6, 1)))
        cv2.ellipse(spots, (round(x), round(y)), axes, rng.uniform(0, 180), 0, 360, 255, -1)
    return _darken(image, _reduced(spots, size), rng.uniform(0.4, 0.9))


def _joint(rng, image):
    width = rng.uniform(4, 0.06 * len(image) + 4)
    return _darken(image, _straight(rng, len(image), width), rng.uniform(0.4, 0.9))


def _scratch(rng, image):
    size = len(image)
    canvas = np.zeros((size * _FINE, size * _FINE), np.uint8)
    angle, center = rng.uniform(0, np.pi), rng.uniform(0.2, 0.8, 2) * size
    for _ in range(rng.integers(1, 5)):  # scratches of one tool run side by side
        middle = center + rng.normal(0, size / 12, 2)
        half = rng.uniform(0.08, 0.3) * size * _direction(angle)
        _line(canvas, middle - half, middle + half, rng.uniform(0.5, 1.2))
        angle += rng.normal(0, 0.05)
    return _darken(image, _reduced(canvas, size), rng.uniform(-0.5, -0.2))


def _shadow(rng, image):
    size = len(image)
    angle, softness = rng.uniform(0, 2 * np.pi), rng.uniform(0.02, 0.15) * size
    y, x = np.mgrid[:size, :size] - rng.uniform(0.25, 0.75, 2)[:, None, None] * size
    side = (x * np.cos(angle) + y * np.sin(angle)) / softness
    return image * (1 - rng.uniform(0.15, 0.5) / (1 + np.exp(-np.clip(side, -30, 30))))[..., None].astype(np.float32)


def _formwork(rng, image):
    size = len(image)
    angle, gap = rng.choice([0, np.pi / 2]) + rng.normal(0, 0.06), rng.uniform(0.25, 0.6) * size
    first, lines = rng.uniform(0, gap), np.zeros((size, size), np.float32)
    for offset in np.arange(first, size, gap):
        lines = np.maximum(lines, _straight(rng, size, rng.uniform(0.7, 1.6), angle, offset - size / 2))
    return _darken(image, lines, rng.choice([-1, 1]) * rng.uniform(0.15, 0.35))


def _crack(rng, image):
    """Branching random walks of varying width; returns the cracked image and where it is cracked."""
    size = len(image)
    angle = rng.uniform(0, 2 * np.pi)
    start = size / 2 - rng.uniform(0.15, 0.5) * size * _direction(angle) + rng.normal(0, size / 12, 2)
    width, length = rng.uniform(1.5, max(3.0, size / 40)), rng.uniform(0.8, 1.5) * size
    alpha = _walk(rng, size, [(start, angle, width, length)])
    mask, cracked = alpha > 0.3, _darken(image, alpha, rng.uniform(0.55, 0.9))
    if not mask.any() or (image - cracked)[mask].mean() < 30:  # outside the picture, or hidden in something dark
        return _crack(rng, image)
    return cracked, mask


def _walk(rng, size, walks):
    """Coverage (size, size), 0 to 1, of jagged walks from (start, angle, width, length) and of their branches."""
    canvas = np.zeros((size * _FINE, size * _FINE), np.uint8)
    walks, most = list(walks), len(walks) + 7
    for start, angle, width, length in walks:  # branches join the list while it is read
        point, heading, jag, step = start, angle, rng.uniform(0.5, 0.9), max(4.0, size / 40)
        for _ in range(int(length / step)):
            to = point + step * _direction(heading + rng.normal(0, jag))
            _line(canvas, point, to, max(0.8, width * rng.uniform(0.7, 1.3)))
            point, heading = to, heading + rng.normal(0, 0.12)
            if rng.random() < 0.08 and len(walks) < most:
                walks.append((point, heading + rng.choice([-1, 1]) * rng.uniform(0.5, 1.2), 0.75 * width, 0.5 * length))
    return _reduced(canvas, size)


def _direction(angle):
    return np.array([np.cos(angle), np.sin(angle)])


def _camera(rng, image):
    """Exposure, sensor noise and a little blur: uint8 (H, W, 3)."""
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.6))
    image = image * rng.uniform(0.8, 1.12) + rng.uniform(1, 4) * rng.standard_normal(image.shape, np.float32)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _tinted(color, relief):
    return (np.asarray(color, np.float32) * (1 + relief[..., None] / 160)).astype(np.float32)


def _darken(image, alpha, contrast):
    """Where `alpha` is 1 a share `contrast` of the light is gone; a negative one brightens."""
    return image * (1 - contrast * alpha[..., None])


def _line(canvas, start, end, width):
    """A stroke on a fine canvas; places and width in pixels of the reduced picture."""
    a, b = ((round(x * _FINE * 16), round(y * _FINE * 16)) for x, y in (start, end))
    cv2.line(canvas, a, b, 255, max(1, round(width * _FINE)), cv2.LINE_AA, 4)


def _straight(rng, size, width, angle=None, offset=None):
    """Coverage (size, size), 0 to 1, of a straight line across the whole picture."""
    angle = rng.uniform(0, np.pi) if angle is None else angle
    offset = rng.uniform(-0.35, 0.35) * size if offset is None else offset
    y, x = np.mgrid[:size, :size].astype(np.float32) - (size - 1) / 2
    away = np.abs(x * np.sin(angle) - y * np.cos(angle) - offset)
    return np.clip(width / 2 + 0.5 - away, 0, 1).astype(np.float32)


def _reduced(canvas, size):
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _grain(rng, size, cell):
    """Random values about 0 with deviation 1, one a cell of that many pixels."""
    small = rng.standard_normal((-(-size // cell) + 1,) * 2, np.float32)
    return small[:size, :size] if cell == 1 else cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC)


def _clouds(rng, size, octaves):
    """Soft shapes of several scales, each half as large and half as strong as the one before; deviation about 1."""
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        cells = 3 * 2**octave
        small = rng.standard_normal((cells, cells), np.float32)
        total += cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC) / 2**octave
    return total


_MATERIALS = {"concrete": _concrete, "plaster": _plaster, "brick": _brick}
_DISTRACTORS = {
    "stain": _stain,
    "pores": _pores,
    "joint": _joint,
    "scratch": _scratch,
    "shadow": _shadow,
    "formwork": _formwork,
}


# ---------------------------------------------------------------------------------------------------------------------
# Textures: the source task of transfer learning


def texture(seed: int, index: int, *, size: int = 96) -> tuple[np.ndarray, int]:
    """One generated texture: uint8 (H, W, 3) and its class, an index into `TEXTURES`; classes take turns."""
    _hold_size(size)
    rng = np.random.default_rng([seed, index, 2])
    label = index % len(TEXTURES)
    pattern = _TEXTURES[TEXTURES[label]](rng, size)
    pattern = (pattern - pattern.min()) / max(float(np.ptp(pattern)), 1e-6)
    ground = _MATERIALS[MATERIALS[rng.integers(len(MATERIALS))]](rng, size)
    contrast = rng.uniform(0.45, 0.9) if rng.random() < 0.7 else -rng.uniform(0.3, 0.7)
    return _camera(rng, _darken(ground, pattern, contrast)), label


def textures(seed: int, count: int, *, size: int = 96) -> Pictures:
    """Generated textures 0 to `count` of a seed: a classification task that needs neither photographs nor labels."""
    made = _many(lambda index: texture(seed, index, size=size), count)
    return Pictures(np.stack([image for image, _ in made]), np.array([label for _, label in made]), TEXTURES)


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
    veins = np.abs(np.sin(np.pi * u / (rng.uniform(0.3, 0.6) * size) + 1.3 * _clouds(rng, size, 5)))
    return np.minimum(veins, rng.uniform(0.15, 0.4))


def _cells(rng, size):
    """The borders between the areas that are nearest to each of some random points (Voronoi cells)."""
    points = rng.uniform(0, size, (int(rng.integers(20, 60)), 2)).astype(np.float32)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    away = (x[..., None] - points[:, 0]) ** 2 + (y[..., None] - points[:, 1]) ** 2
    nearest, second = np.moveaxis(np.sqrt(np.partition(away, 1, axis=2)[..., :2]), 2, 0)
    return np.minimum(second - nearest, rng.uniform(1.5, 3))


def _strokes(rng, size):
    canvas, angle = np.zeros((size * _FINE, size * _FINE), np.uint8), rng.uniform(0, np.pi)
    for _ in range(rng.integers(4, 30)):
        middle, turn = rng.uniform(0, size, 2), angle + rng.normal(0, 0.25)
        half = rng.uniform(0.05, 0.3) * size * _direction(turn)
        _line(canvas, middle - half, middle + half, rng.uniform(0.6, 1.6))
    return _reduced(canvas, size)


def _fibers(rng, size):
    canvas = np.zeros((size * _FINE, size * _FINE), np.uint8)
    for _ in range(rng.integers(3, 14)):
        turns = np.cumsum(np.cumsum(rng.normal(0, 0.06, 40)) * 0.5) + rng.uniform(0, 2 * np.pi)
        steps = np.stack([np.cos(turns), np.sin(turns)], axis=1) * size / 60
        path = rng.uniform(0, size, 2) + np.cumsum(steps, axis=0)
        points = np.rint(path * _FINE * 16).astype(np.int32)
        cv2.polylines(canvas, [points], False, 255, int(rng.integers(2, 5)), cv2.LINE_AA, 4)
    return _reduced(canvas, size)


def _spots(rng, size):
    canvas = np.zeros((size * _FINE, size * _FINE), np.uint8)
    for x, y in rng.uniform(0, size * _FINE, (rng.integers(6, 50), 2)):
        cv2.circle(canvas, (round(x), round(y)), int(rng.integers(2, 9)), 255, -1)
    return _reduced(canvas, size)


def _bands(rng, size):
    return np.maximum.reduce([_straight(rng, size, rng.uniform(3, 8)) for _ in range(rng.integers(1, 5))])


def _veins(rng, size):
    starts = [(rng.uniform(0, size, 2), rng.uniform(0, 2 * np.pi)) for _ in range(rng.integers(1, 5))]
    return _walk(rng, size, [(*start, rng.uniform(0.8, 2.2), rng.uniform(0.4, 1.0) * size) for start in starts])


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
TEXTURES = tuple(_TEXTURES)
