"""Edited photographs with exact truth: something pasted, removed or recolored; a crack drawn in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np

from helpers.datasets import Pictures
from helpers.nuisances import Nuisance, keeps_geometry, take, warped
from helpers.rendering import hold_size
from helpers.scenes import located, pick
from helpers.sentences import NOTHING
from helpers.surfaces import crack
from helpers.things import Pair

GROUNDS = ("brick", "grass", "gravel")
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "camera", "coins", "brick", "gravel")
EDITS = ("pasted", "removed", "recolored")
VISIBLE = 12  # gray levels; an edited pixel that differs by less is not counted as changed


@lru_cache
def photograph(name: str) -> np.ndarray:
    """One of the photographs that scikit-image ships: uint8 array (H, W, 3), RGB, not to be written to."""
    if name not in (known := sorted({*PHOTOGRAPHS, *GROUNDS})):
        raise ValueError(f"there is no photograph {name!r}: choose one of {', '.join(known)}")
    from skimage import data

    image = getattr(data, name)()
    image = np.ascontiguousarray(image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2))
    image.setflags(write=False)
    return image


def photo_pair(
    seed: int,
    index: int = 0,
    *,
    size: tuple[int, int] = (288, 384),
    edits: tuple[int, int] = (1, 3),
    kinds: Sequence[str] = EDITS,
    nuisance: Nuisance | None = None,
    name: str | None = None,
) -> Pair:
    """A real photograph, and the same one with objects pasted in, removed (painted over) or recolored.

    Parameters
    ----------
    seed, index : together they determine the pair; the photographs take turns by index unless `name` says which.
    size : (height, width) of the crop, in pixels.
    edits : fewest and most edits, inclusive; (0, 0) changes nothing.
    kinds : some of `EDITS`.
    nuisance : exactly how the after image was taken (not sampled). None: as the before image.
    name : one of `PHOTOGRAPHS`.

    Notes
    -----
    The true mask of an edit holds the pixels that differ by at least `VISIBLE` gray levels in some channel between the
    two pictures before any nuisance. The camera never looks past the crop's border onto invented pixels: the
    photograph goes on there.
    """
    rng = np.random.default_rng((seed, index))
    nuisance = nuisance or Nuisance()
    name = name or PHOTOGRAPHS[index % len(PHOTOGRAPHS)]
    margin = 0 if keeps_geometry(replace(nuisance, size=1)) else 12
    before = _crop(rng, photograph(name), size[0] + 24, size[1] + 24)
    inner = np.s_[12:-12, 12:-12]
    after, masks, drawn = before.copy(), [], []
    free = np.zeros(before.shape[:2], np.uint8)
    free[20:-20, 20:-20] = 1
    for _ in range(int(rng.integers(edits[0], edits[1] + 1))):
        kind = pick(rng, kinds)
        edited = _edit(rng, after, free, kind, name)
        if edited is not None:
            after, mask = edited
            masks.append(mask[inner])
            drawn.append(kind)
            free[cv2.dilate(mask.view(np.uint8), np.ones((33, 33), np.uint8)) > 0] = 0
    frame = np.s_[12 - margin : before.shape[0] - 12 + margin, 12 - margin : before.shape[1] - 12 + margin]
    shot = _shoot(after[frame], nuisance, margin, int(rng.integers(2**32)))
    changes = tuple(located((kind,), None, None, mask[None], nuisance) for kind, mask in zip(drawn, masks, strict=True))
    captions = tuple(f"something was {kind}" for kind in drawn) or NOTHING
    clean = np.ascontiguousarray(before[inner])
    return Pair(clean, shot, changes, captions, (), nuisance, nuisance.matrix(clean.shape))


def cracked_grounds(seed: int, count: int, *, size: int = 96) -> Pictures:
    """Crops of the photographs of `GROUNDS`, each twice: as it was taken, and with a crack drawn in (label 1).

    Parameters
    ----------
    seed, count : of pictures; 2 i and 2 i + 1 are the same crop, of ground i modulo three, whatever `count` is.
    size : of the square pictures; a crop has twice as many pixels a side, as far as the photograph has them.
    """
    hold_size(size)
    made = []
    for index in range(count):
        rng, whole = np.random.default_rng([seed, index // 2, 2]), photograph(GROUNDS[index // 2 % len(GROUNDS)])
        side = min(2 * size, *whole.shape[:2])
        y, x = (rng.integers(length - side + 1) for length in whole.shape[:2])
        crop = cv2.resize(whole[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_AREA)
        made.append(np.rint(crack(rng, crop.astype(np.float32))[0]).astype(np.uint8) if index % 2 else crop)
    return Pictures(np.stack(made), np.arange(count) % 2, ("sound", "cracked"))


def _shoot(image: np.ndarray, nuisance: Nuisance, margin: int, seed: int) -> np.ndarray:
    """Geometry on the picture with its margin, the rest on what the camera keeps."""
    if not margin:
        return take(image, nuisance, seed)
    moved = warped(image, replace(nuisance, size=1))[margin:-margin, margin:-margin]
    if nuisance.size != 1:
        moved = warped(moved, Nuisance(size=nuisance.size))
    return take(moved, replace(nuisance, rotation=0, shift_x=0, shift_y=0, scale=1, size=1), seed)


def _crop(rng: np.random.Generator, image: np.ndarray, height: int, width: int) -> np.ndarray:
    scale = max(height / image.shape[0], width / image.shape[1], 1.0)
    if scale > 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    y = int(rng.integers(image.shape[0] - height + 1)) if image.shape[0] > height else 0
    x = int(rng.integers(image.shape[1] - width + 1)) if image.shape[1] > width else 0
    return image[y : y + height, x : x + width].copy()


def _edit(rng, image: np.ndarray, free: np.ndarray, kind: str, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """One visible edit of a random blob in the free area: the new image and its mask; None if none was found."""
    for _ in range(40):
        coverage = _blob(rng, image.shape[:2])
        if (free[coverage > 0] == 0).any():
            continue
        paint = _EDITS[kind](rng, image, coverage, name)
        mixed = image + (paint.astype(np.float32) - image) * coverage[..., None]
        new = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
        mask = (cv2.absdiff(new, image).max(axis=2) >= VISIBLE) & (coverage > 0.5)
        if mask.sum() >= 0.6 * (coverage > 0.5).sum():
            return new, mask
    return None


def _blob(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Coverage (H, W) in 0..1 of a rounded, irregular patch about a tenth of the picture across."""
    side = min(shape)
    cy, cx = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
    radius, stretch, turn = side * rng.uniform(0.04, 0.09), rng.uniform(0.7, 1.4), rng.uniform(0, np.pi)
    waves = rng.uniform(0, 2 * np.pi, 2)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    x, y = x - np.float32(cx), y - np.float32(cy)
    u, v = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    u, v = u / stretch, v * stretch
    angle = np.arctan2(v, u)
    edge = radius * (1 + 0.12 * np.sin(2 * angle + waves[0]) + 0.08 * np.sin(3 * angle + waves[1]))
    return np.clip(0.5 - (np.hypot(u, v) - edge), 0, 1).astype(np.float32)


def _paste(rng, image, coverage, name) -> np.ndarray:
    """The content of another photograph under the blob."""
    other = photograph(pick(rng, PHOTOGRAPHS, name))
    return _crop(rng, other, *image.shape[:2])


def _inpaint(rng, image, coverage, name) -> np.ndarray:
    """The blob filled in from around it, as a retoucher removes an object."""
    return cv2.inpaint(image, (coverage > 0).astype(np.uint8), 5, cv2.INPAINT_TELEA)


def _recolor(rng, image, coverage, name) -> np.ndarray:
    """Another hue at the same lightness."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32)
    direction = rng.uniform(0, 2 * np.pi)
    lab[..., 1:] += 40 * np.array([np.cos(direction), np.sin(direction)], np.float32)
    return cv2.cvtColor(np.clip(lab, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)


_EDITS = {"pasted": _paste, "removed": _inpaint, "recolored": _recolor}
