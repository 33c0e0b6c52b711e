"""Pictures of concrete, plaster and brick whose every crack is known, and textures to pretrain a network on.

Cracked and sound surfaces carry the same *distractors*: stains, pores, joints, scratches, shadows and the lines of
formwork. So nothing but the crack tells them apart. Everything follows from `(seed, index)`, whatever was generated
before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from helpers.datasets import Pictures
from helpers.rendering import (
    FINE,
    camera,
    clouds,
    darken,
    direction,
    grain,
    hold_size,
    line,
    many,
    reduced,
    straight,
    tinted,
    walk,
)
from whatchanged.files import write_whole
from whatchanged.images import write_image

MATERIALS = ("concrete", "plaster", "brick")
DISTRACTORS = ("stain", "pores", "joint", "scratch", "shadow", "formwork")


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
    hold_size(size)
    if material is not None and material not in MATERIALS:
        raise ValueError(f"material is {material!r}: choose one of {', '.join(MATERIALS)}")
    rng = np.random.default_rng([seed, index, 1])
    drawn = MATERIALS[rng.integers(len(MATERIALS))]
    material = material or drawn
    image = MATERIAL_OF[material](rng, size)
    chosen = [name for name in DISTRACTORS if rng.random() < 0.25]
    for name in chosen:
        image = _DISTRACTORS[name](rng, image)
    mask = np.zeros((size, size), bool)
    if index % 2 if cracked is None else cracked:
        image, mask = crack(rng, image)
    return Surface(camera(rng, image), mask, material, tuple(chosen))


def surfaces(seed: int, count: int, *, size: int = 96, start: int = 0) -> Pictures:
    """Surfaces `start` to `start + count` of a seed, half of them cracked: label 1 is "cracked"."""
    made = many(lambda index: surface(seed, start + index, size=size), count)
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
            write_image(folder / name / f"{number:05}.png", pictures.images[number])
    return folder


def write_labeled_csv(folder: str | Path, pictures: Pictures) -> Path:
    """Write the pictures into `0/` and `1/`, with `0.csv` and `1.csv` (image_name, target) beside them."""
    folder = write_folder(folder, pictures, names=("0", "1"))
    for label in (0, 1):
        rows = [f"{number:05}.png,{label}\n" for number in np.flatnonzero(pictures.labels == label)]
        write_whole(folder / f"{label}.csv", ("image_name,target\n" + "".join(rows)).encode())
    return folder


def _concrete(rng, size):
    color = rng.uniform(120, 205) * rng.uniform(0.95, 1.05, 3)
    relief = 9 * clouds(rng, size, 5) + rng.uniform(3, 10) * grain(rng, size, 1)
    return tinted(color, relief)


def _plaster(rng, size):
    color = rng.uniform(150, 225) * rng.uniform((0.98, 0.94, 0.80), (1.04, 1.0, 0.98))
    relief = 6 * clouds(rng, size, 3) + rng.uniform(4, 12) * grain(rng, size, rng.choice([2, 3]))
    lit = cv2.Sobel(grain(rng, size, 2), cv2.CV_32F, 1, 0) * rng.uniform(0.3, 1.2)  # the trowel left ridges
    return tinted(color, relief + lit)


def _brick(rng, size):
    height = size * rng.uniform(0.22, 0.38)
    width, joint = height * rng.uniform(2.0, 3.0), size * rng.uniform(0.02, 0.045)
    y, x = np.mgrid[:size, :size].astype(np.float32) + rng.uniform(0, size, 2).astype(np.float32)[:, None, None]
    row = np.floor(y / height)
    x = x + (row % 2) * width / 2
    column = np.floor(x / width)
    edge = np.minimum(np.minimum(y % height, height - y % height), np.minimum(x % width, width - x % width))
    edge = edge + 0.4 * grain(rng, size, 3)
    mortar = np.clip(joint / 2 + 0.5 - edge, 0, 1)[..., None]
    tone = rng.uniform(-18, 18, 64)[((row * 7 + column * 13) % 64).astype(int)]
    color = np.array([165, 85, 65]) * rng.uniform(0.95, 1.3) * rng.uniform(0.92, 1.08, 3)
    bricks = tinted(color, tone + 7 * clouds(rng, size, 4) + rng.uniform(4, 10) * grain(rng, size, 1))
    return (1 - mortar) * bricks + mortar * tinted(rng.uniform(120, 210) * np.ones(3), 8 * grain(rng, size, 1))


def _stain(rng, image):
    size = len(image)
    soft = np.clip(3 * (clouds(rng, size, 2) - rng.uniform(0.4, 0.9)), 0, 1)[..., None]
    return image * (1 - soft * rng.uniform(0.1, 0.4) * rng.uniform(0.6, 1.0, 3))


def _pores(rng, image):
    size = len(image)
    spots = np.zeros((size * FINE, size * FINE), np.uint8)
    for x, y, radius in zip(
        *rng.uniform(0, size * FINE, (2, rng.integers(4, 20))), rng.uniform(1.5, 6, 40), strict=False
    ):
        axes = (round(radius), round(radius * rng.uniform(0.6, 1)))
        cv2.ellipse(spots, (round(x), round(y)), axes, rng.uniform(0, 180), 0, 360, 255, -1)
    return darken(image, reduced(spots, size), rng.uniform(0.4, 0.9))


def _joint(rng, image):
    width = rng.uniform(4, 0.06 * len(image) + 4)
    return darken(image, straight(rng, len(image), width), rng.uniform(0.4, 0.9))


def _scratch(rng, image):
    size = len(image)
    canvas = np.zeros((size * FINE, size * FINE), np.uint8)
    angle, center = rng.uniform(0, np.pi), rng.uniform(0.2, 0.8, 2) * size
    for _ in range(rng.integers(1, 5)):  # scratches of one tool run side by side
        middle = center + rng.normal(0, size / 12, 2)
        half = rng.uniform(0.08, 0.3) * size * direction(angle)
        line(canvas, middle - half, middle + half, rng.uniform(0.5, 1.2))
        angle += rng.normal(0, 0.05)
    return darken(image, reduced(canvas, size), rng.uniform(-0.5, -0.2))


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
        lines = np.maximum(lines, straight(rng, size, rng.uniform(0.7, 1.6), angle, offset - size / 2))
    return darken(image, lines, rng.choice([-1, 1]) * rng.uniform(0.15, 0.35))


def crack(rng, image):
    """Branching random walks of varying width; returns the cracked image and where it is cracked.

    Parameters
    ----------
    image : float array (size, size, 3), 0 to 255.
    """
    size = len(image)
    angle = rng.uniform(0, 2 * np.pi)
    start = size / 2 - rng.uniform(0.15, 0.5) * size * direction(angle) + rng.normal(0, size / 12, 2)
    width, length = rng.uniform(1.5, max(3.0, size / 40)), rng.uniform(0.8, 1.5) * size
    alpha = walk(rng, size, [(start, angle, width, length)])
    mask, cracked = alpha > 0.3, darken(image, alpha, rng.uniform(0.55, 0.9))
    if not mask.any() or (image - cracked)[mask].mean() < 30:  # outside the picture, or hidden in something dark
        return crack(rng, image)
    return cracked, mask


MATERIAL_OF = {"concrete": _concrete, "plaster": _plaster, "brick": _brick}
_DISTRACTORS = {
    "stain": _stain,
    "pores": _pores,
    "joint": _joint,
    "scratch": _scratch,
    "shadow": _shadow,
    "formwork": _formwork,
}
