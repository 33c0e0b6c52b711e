"""Edited pairs with exact truth: what happened to which thing. Photographs, pages, screens and drawn puzzles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import cv2
import numpy as np

from helpers.nuisances import Nuisance, take
from whatchanged.regions import HAPPENED, Region

_PHOTOGRAPHS = """
astronaut chelsea coffee rocket camera coins brick gravel cat retina hubble_deep_field immunohistochemistry moon
grass clock china.jpg flower.jpg motorcycle
"""
PHOTOGRAPHS = _PHOTOGRAPHS.split()
STUFF = ("cut-out", "pattern", "plain")
VISIBLE = 24  # gray levels by which a thing differs from what lies under it, over most of its pixels

Box = tuple[int, int, int, int]


class Edit(NamedTuple):
    """What happened, and the boxes (x, y, width, height) of the thing in the picture before and after it."""

    what: str
    before: Box
    after: Box


@lru_cache(maxsize=len(PHOTOGRAPHS))
def photograph(name: str) -> np.ndarray:
    """A photograph of scikit-image or scikit-learn: uint8 (H, W, 3), at most 640 pixels wide, not to be written to."""
    from skimage import data
    from sklearn.datasets import load_sample_image

    if name.endswith(".jpg"):
        image = load_sample_image(name)
    else:
        image = data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(data, name)()
    image = image[..., :3] if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    factor = min(1.0, 640 / image.shape[1])
    image = cv2.resize(np.ascontiguousarray(image), None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    image.setflags(write=False)
    return image


# ---------------------------------------------------------------------------------------------------------------------
# Photographs


@dataclass(frozen=True)
class Thing:
    """Something that is laid into a photograph: coverage, float32 (h, w), 0 to 1; paint, uint8 (h, w, 3)."""

    coverage: np.ndarray
    paint: np.ndarray

    def laid(self, image: np.ndarray, x: int, y: int) -> np.ndarray:
        out, (height, width) = image.copy(), self.coverage.shape
        window = np.s_[y : y + height, x : x + width]
        mixed = image[window] + (self.paint - image[window].astype(np.float32)) * self.coverage[..., None]
        out[window] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
        return out

    def box(self, x: int, y: int) -> Box:
        bx, by, width, height = cv2.boundingRect((self.coverage > 0.5).astype(np.uint8))
        return x + bx, y + by, width, height

    def stands_out(self, image: np.ndarray, x: int, y: int) -> bool:
        window = np.s_[y : y + self.coverage.shape[0], x : x + self.coverage.shape[1]]
        apart = cv2.absdiff(self.paint, np.ascontiguousarray(image[window])).max(axis=2)
        return bool((apart[self.coverage > 0.5] >= VISIBLE).mean() > 0.7)

    def scaled(self, factor: float) -> Thing:
        size = [max(6, round(side * factor)) for side in self.coverage.shape[::-1]]
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        coverage, paint = (cv2.resize(one, size, interpolation=how) for one in (self.coverage, self.paint))
        return Thing(np.clip(coverage, 0, 1), paint)


def _outline(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Coverage (height, width) of an ellipse, a polygon or a blob, with a soft edge of a pixel."""
    fine, angles = 4, np.sort(rng.uniform(0, 2 * np.pi, 64))
    kind = rng.choice(["ellipse", "polygon", "blob"])
    if kind == "ellipse":
        radius = np.ones(64)
    elif kind == "polygon":
        angles = (np.arange(n := int(rng.integers(3, 8))) + rng.uniform(-0.3, 0.3, n)) * 2 * np.pi / n
        radius = rng.uniform(0.7, 1, n)
    else:
        radius = 0.82 + 0.12 * np.sin(2 * angles + rng.uniform(0, 6)) + 0.06 * np.sin(3 * angles + rng.uniform(0, 6))
    points = np.stack([np.cos(angles) * radius, np.sin(angles) * radius], axis=1)
    low, high = points.min(axis=0), points.max(axis=0)
    points = (points - low) / (high - low) * (width * fine - 1, height * fine - 1)
    big = cv2.fillPoly(np.zeros((height * fine, width * fine), np.uint8), [np.rint(points).astype(np.int32)], 255)
    return cv2.GaussianBlur(cv2.resize(big, (width, height), interpolation=cv2.INTER_AREA) / np.float32(255), (3, 3), 0)


def _paint(rng: np.random.Generator, height: int, width: int, stuff: str, other: str) -> np.ndarray:
    if stuff == "cut-out":
        image = photograph(other)
        zoom = max(rng.uniform(0.4, 1), height / image.shape[0], width / image.shape[1])
        image = cv2.resize(image, None, fx=zoom + 0.01, fy=zoom + 0.01, interpolation=cv2.INTER_AREA)
        y, x = (int(rng.integers(have - need + 1)) for have, need in zip(image.shape, (height, width), strict=False))
        return np.ascontiguousarray(image[y : y + height, x : x + width])
    first, second = rng.integers(0, 256, (2, 3))
    share: Any = np.zeros((height, width))
    if stuff == "pattern":
        y, x = np.mgrid[:height, :width]
        along = np.cos(angle := rng.uniform(0, 3.2)) * x + np.sin(angle) * y
        share = 0.5 + 0.5 * np.sin(along * 2 * np.pi / rng.uniform(5, 14))
    else:
        second = first  # a lamp shines on plain things, too
        share = np.zeros((height, width))
    paint = first + (second - first) * share[..., None]
    return np.clip(paint * np.linspace(1, rng.uniform(0.85, 1), height)[:, None, None], 0, 255).astype(np.uint8)


def _other_colors(rng: np.random.Generator, paint: np.ndarray) -> np.ndarray:
    """Another hue or another lightness, the structure kept."""
    lab = cv2.cvtColor(paint, cv2.COLOR_RGB2LAB).astype(np.float32)
    turn = rng.uniform(0, 2 * np.pi)
    lab[..., 1:] += 42 * np.array([np.cos(turn), np.sin(turn)], np.float32)
    if rng.random() < 0.5:
        lab[..., 0] += rng.choice([-1, 1]) * rng.uniform(10, 40)
    return cv2.cvtColor(np.clip(lab, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)


def edited_photograph(
    rng: np.random.Generator, picture: str, stuff: str, edits: tuple[int, int] = (1, 4)
) -> tuple[np.ndarray, np.ndarray, list[Edit]]:
    """A photograph twice: between the two one to four things happened.

    Parameters
    ----------
    picture : one of `PHOTOGRAPHS`.
    stuff : one of `STUFF`, which the things are made of.
    edits : fewest and most edits.

    Returns
    -------
    before, after : uint8 arrays (H, W, 3), RGB; pixels that no edit touched are equal.
    truth : list of Edit; no two of them touch.
    """
    before = after = photograph(picture)
    truth: list[Edit] = []
    free = np.ones(before.shape[:2], bool)
    wanted = [str(what) for what in rng.choice(HAPPENED, int(rng.integers(edits[0], edits[1] + 1)))]
    largest = min(before.shape[:2]) * (0.5 if len(wanted) == 1 else 0.25)
    for what in wanted:
        edited, tries = None, 0
        while edited is None and (tries := tries + 1) < 60:
            size = float(np.exp(rng.uniform(np.log(12), np.log(largest))))
            edited = _happens(rng, (before, after), what, size, stuff, free)
        if edited is not None:
            before, after, edit = edited
            truth.append(edit)
            for x, y, width, height in (edit.before, edit.after):
                free[max(0, y - 30) : y + height + 30, max(0, x - 30) : x + width + 30] = False
    return before.copy(), after.copy(), truth


def _happens(rng, pair, what: str, size: float, stuff: str, free) -> tuple[np.ndarray, np.ndarray, Edit] | None:
    """Both pictures with one edit; None where it would not be seen or has no room."""
    before, after = pair
    height, width = (max(10, round(size * rng.uniform(0.7, 1))) for _ in range(2))
    others = rng.choice([name for name in PHOTOGRAPHS if not np.array_equal(photograph(name)[0], before[0])], 2)
    first = Thing(_outline(rng, height, width), _paint(rng, height, width, stuff, others[0]))
    shape, margin = before.shape, 14
    x, y = (
        int(rng.integers(margin, max(margin + 1, have - need - margin)))
        for have, need in ((shape[1], width), (shape[0], height))
    )
    second, (x2, y2) = first, (x, y)
    if what == "moved":
        if rng.random() < 0.4:
            turn, far = rng.uniform(0, 6.3), max(5.0, size * rng.uniform(0.3, 0.9))
            x2, y2 = x + round(far * np.cos(turn)), y + round(far * np.sin(turn))
        else:
            x2, y2 = int(rng.integers(margin, shape[1] - margin)), int(rng.integers(margin, shape[0] - margin))
    elif what == "recolored":
        if rng.random() < 0.5:  # a part of the photograph itself
            first = replace(first, paint=np.ascontiguousarray(before[y : y + height, x : x + width]))
            # On a plain wall another color of a part is a stain that was added.
            if first.paint.shape[:2] != first.coverage.shape or first.paint.std(axis=(0, 1)).max() < 14:
                return None
        second = replace(first, paint=_other_colors(rng, first.paint))
    elif what == "replaced":
        sides = [max(10, round(side * rng.uniform(0.8, 1.25))) for side in (height, width)]
        second = Thing(_outline(rng, *sides), _paint(rng, *sides, stuff, others[1]))
    elif what == "resized":
        second = first.scaled(rng.uniform(1.35, 2) ** rng.choice([-1, 1]))
    if what in ("replaced", "resized"):
        x2, y2 = (
            at + (a - b) // 2
            for at, a, b in ((x, width, second.coverage.shape[1]), (y, height, second.coverage.shape[0]))
        )
    for thing, left, top in ((first, x, y), (second, x2, y2)):
        inside = np.s_[max(0, top) : top + thing.coverage.shape[0], max(0, left) : left + thing.coverage.shape[1]]
        if min(left, top) < margin or free[inside].shape != thing.coverage.shape or not free[inside].all():
            return None
        if top + thing.coverage.shape[0] > shape[0] - margin or left + thing.coverage.shape[1] > shape[1] - margin:
            return None
    if (what != "recolored" and not first.stands_out(before, x, y)) or not second.stands_out(before, x2, y2):
        return None
    if what in ("recolored", "replaced") and not second.stands_out(first.laid(before, x, y), x2, y2):
        return None
    if what != "added":
        before = first.laid(before, x, y)
    if what != "removed":
        after = second.laid(after, x2, y2)
    return before, after, Edit(what, first.box(x, y), second.box(x2, y2))


MOTION = Nuisance(noise=3, jpeg=80, gain=1.06)


def by_camera(rng: np.random.Generator, before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as photographs: the second one turned by half a degree to one, shifted by 2 to 5 pixels, brighter; noise of
    3 gray levels and JPEG of 75 to 85 in both. Boxes of the truth stay in pixels of the before picture.
    """
    signs = rng.choice([-1, 1], 3)
    rotation, *shift = signs * rng.uniform((0.5, 2, 2), (1, 5, 5))
    quality, seeds = int(rng.integers(75, 86)), rng.integers(2**32, size=2)
    first = take(before, Nuisance(noise=3, jpeg=quality), int(seeds[0]))
    moved = Nuisance(rotation, *shift, noise=3, jpeg=quality, gain=rng.uniform(1.02, 1.1))
    return first, take(after, moved, int(seeds[1]))


# ---------------------------------------------------------------------------------------------------------------------
# Scores


def overlap(first: Sequence[int], second: Sequence[int]) -> float:
    """Intersection over union of two boxes."""
    width = min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0])
    height = min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1])
    both = max(width, 0) * max(height, 0)
    return both / (first[2] * first[3] + second[2] * second[3] - both)


def right(region: Region, edit: Edit) -> bool:
    """Whether a region tells of an edit: the label, and the box by an IoU of 0.3, of what moved both boxes."""
    there = region.box if edit.what != "added" or region.after is None else region.after
    if region.what != edit.what or overlap(there, edit.before) < 0.3:
        return False
    return edit.what != "moved" or (region.after is not None and overlap(region.after, edit.after) >= 0.3)


def counted(found: Sequence[Region], truth: Sequence[Edit]) -> dict[str, np.ndarray]:
    """For each label: right regions, regions of that label, edits of that label. Each edit is told of once."""
    counts = {what: np.zeros(3, int) for what in HAPPENED}
    left = list(truth)
    for region in found:
        answers = [edit for edit in left if right(region, edit)]
        if answers:
            left.remove(answers[0])
        if region.what in counts:
            counts[region.what] += (bool(answers), 1, 0)
    for edit in truth:
        counts[edit.what][2] += 1
    return counts


def f1_of(counts: dict[str, np.ndarray]) -> dict[str, float]:
    """F1 of each label, and "macro", their mean over the labels that occur."""
    scores = {what: float(2 * one[0] / max(1, one[1] + one[2])) for what, one in counts.items() if one[1:].any()}
    return scores | {"macro": float(np.mean(list(scores.values()) or [0]))}


def added_up(many: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {what: np.sum([one[what] for one in many], axis=0, dtype=int) for what in HAPPENED}
