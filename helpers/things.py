"""The things of a generated scene: drawn, changed, and the pair of pictures that they make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from helpers.nuisances import Nuisance

COLORS: dict[str, tuple[int, int, int]] = {
    "red": (214, 45, 48),
    "orange": (242, 133, 34),
    "yellow": (245, 213, 61),
    "green": (52, 158, 70),
    "cyan": (70, 197, 214),
    "blue": (40, 96, 196),
    "purple": (132, 66, 176),
    "pink": (244, 143, 186),
}
SHAPES = ("circle", "square", "triangle", "star", "cross", "ring")
TEXTURES = ("plain", "striped", "dotted", "checked", "ringed")
ATTRIBUTES = ("color", "shape", "texture")
KINDS = (*ATTRIBUTES, "added", "removed", "moved")
VALUES: dict[str, tuple[str, ...]] = {"color": tuple(COLORS), "shape": SHAPES, "texture": TEXTURES}


@dataclass(frozen=True)
class Thing:
    """One object of a scene. Position and radius are fractions of the image's smaller side; the angle is in radians."""

    color: str
    shape: str
    texture: str
    x: float
    y: float
    radius: float
    angle: float

    def __str__(self) -> str:
        return f"{self.color} {self.texture} {self.shape}"


@dataclass(frozen=True)
class Change:
    """One change with its exact place. Each list has one entry, or two (old and new place) for "moved".

    Attributes
    ----------
    kinds : what changed: some of `KINDS`; several attributes of one object may change at once.
    before, after : the object on either side, None where it is absent (and for edits of photographs).
    boxes_before, boxes_after : int array (n, 4): x, y, width, height, in pixels of that image.
    masks_before, masks_after : bool array (n, H, W) of that image.
    """

    kinds: tuple[str, ...]
    before: Thing | None
    after: Thing | None
    boxes_before: np.ndarray
    boxes_after: np.ndarray
    masks_before: np.ndarray
    masks_after: np.ndarray


@dataclass(frozen=True)
class Pair:
    """Two pictures and all that is known about them.

    Attributes
    ----------
    before, after : uint8 array (H, W, 3), RGB.
    changes : the changes; empty where nothing changed.
    captions : several wordings of the same truth.
    things : the objects of the before image.
    nuisance : how the after image was taken.
    transform : float array (3, 3), pixels of the before image to pixels of the after image.
    """

    before: np.ndarray
    after: np.ndarray
    changes: tuple[Change, ...]
    captions: tuple[str, ...]
    things: tuple[Thing, ...]
    nuisance: Nuisance
    transform: np.ndarray

    @property
    def boxes(self) -> np.ndarray:
        """All boxes in pixels of the before image: int array (n, 4): x, y, width, height."""
        return np.concatenate([change.boxes_before for change in self.changes] or [np.zeros((0, 4), int)])

    @property
    def labels(self) -> dict[str, bool]:
        """For each of `KINDS`, whether some object changed that way."""
        present = {kind for change in self.changes for kind in change.kinds}
        return {kind: kind in present for kind in KINDS}


@lru_cache(maxsize=64)
def rendered(thing: Thing, shape: tuple[int, int]) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """Where a thing lies, its paint (h, w, 3) in 0..255 and its coverage (h, w) in 0..1, both float32."""
    side = min(shape)
    cx, cy, r = thing.x * side - 0.5, thing.y * side - 0.5, thing.radius * side
    x0, y0 = max(0, int(cx - r - 2)), max(0, int(cy - r - 2))
    x1, y1 = min(shape[1], int(cx + r + 3)), min(shape[0], int(cy + r + 3))
    x = np.arange(x0, x1, dtype=np.float32)[None, :] - np.float32(cx)
    y = np.arange(y0, y1, dtype=np.float32)[:, None] - np.float32(cy)
    c, s = np.float32(np.cos(thing.angle)), np.float32(np.sin(thing.angle))
    u, v = c * x + s * y, c * y - s * x
    coverage = np.clip(0.5 - _SHAPES[thing.shape](u, v, r), 0, 1)
    ink = _TEXTURES[thing.texture](u, v, max(4.0, 0.5 * r))[..., None]
    color = np.array(COLORS[thing.color], np.float32)
    light = (1.04 - 0.06 * (u + v) / max(r, 1))[..., None]  # lit from the upper left
    paint = np.clip((color + (_ink_color(thing.color) - color) * ink) * light, 0, 255)
    return (slice(y0, y1), slice(x0, x1)), paint, coverage


def _ink_color(color: str) -> np.ndarray:
    """The second color of a texture: white on dark paint, a dark shade of itself on bright paint."""
    paint = np.array(COLORS[color], np.float32)
    return paint * 0.35 if paint @ (0.299, 0.587, 0.114) > 150 else paint * 0.15 + 0.85 * 255


# Signed distance, in pixels, from a shape of radius r at the origin: negative inside. Half a pixel either side of the
# edge becomes partial coverage, which is what makes the edges smooth at any size.
_SHAPES: dict[str, Callable[[np.ndarray, np.ndarray, float], np.ndarray]] = {
    "circle": lambda u, v, r: np.hypot(u, v) - 0.92 * r,
    "square": lambda u, v, r: np.maximum(np.abs(u), np.abs(v)) - 0.78 * r,
    "triangle": lambda u, v, r: np.maximum(v, 0.866 * np.abs(u) - 0.5 * v) - 0.5 * r,
    "star": lambda u, v, r: _star(u, v, r),
    "cross": lambda u, v, r: np.minimum(
        np.maximum(np.abs(u) - 0.92 * r, np.abs(v) - 0.3 * r), np.maximum(np.abs(u) - 0.3 * r, np.abs(v) - 0.92 * r)
    ),
    "ring": lambda u, v, r: np.abs(np.hypot(u, v) - 0.7 * r) - 0.25 * r,
}


def _star(u: np.ndarray, v: np.ndarray, r: float) -> np.ndarray:
    """A five-pointed star: every point is folded into one tenth of the circle, whose edge is one straight line."""
    sector = np.float32(2 * np.pi / 5)
    angle = np.arctan2(u, -v)
    angle = np.abs(angle - sector * np.rint(angle / sector))
    distance = np.hypot(u, v)
    x, y = distance * np.sin(angle), distance * np.cos(angle)  # tip at (0, r), notch at half a sector
    inner = 0.45 * r
    nx, ny = inner * np.sin(sector / 2), inner * np.cos(sector / 2)
    length = np.hypot(nx, r - ny)
    return (x * (r - ny) + (y - r) * nx) / length


def _half(wave: np.ndarray, period: float) -> np.ndarray:
    """1 in every second half period of a coordinate in pixels, 0 in between, with edges one pixel soft."""
    distance = np.abs(np.mod(wave / period, 1) - 0.5) * period
    return np.clip(distance - period / 4 + 0.5, 0, 1)


def _checks(u: np.ndarray, v: np.ndarray, p: float) -> np.ndarray:
    a, b = _half(u, 1.4 * p), _half(v, 1.4 * p)
    return a + b - 2 * a * b


def _dots(u: np.ndarray, v: np.ndarray, p: float) -> np.ndarray:
    p = 1.1 * p
    return np.clip(0.3 * p + 0.5 - np.hypot(u - p * np.rint(u / p), v - p * np.rint(v / p)), 0, 1)


# How much ink (0..1) lies on each point of a thing; p is the period in pixels.
_TEXTURES: dict[str, Callable[[np.ndarray, np.ndarray, float], np.ndarray]] = {
    "plain": lambda u, v, p: np.zeros_like(u),
    "striped": lambda u, v, p: _half(v, p),
    "dotted": _dots,
    "checked": _checks,
    "ringed": lambda u, v, p: _half(np.hypot(u, v) + 0.25 * p, p),
}


def background(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A softly mottled, nearly gray surface: float32 (H, W, 3)."""
    base = rng.uniform(150, 205) + rng.uniform(-12, 12, 3)
    coarse = rng.normal(0, 7, (5, 5)).astype(np.float32)
    mottle = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = rng.standard_normal((height, width), np.float32)
    return (base.astype(np.float32) + (mottle + grain)[..., None]).clip(0, 255)
