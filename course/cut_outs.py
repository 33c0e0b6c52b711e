"""Generated pairs made again from photographs: one behind them, and their objects cut out of others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np

from helpers.nuisances import take
from helpers.photographs import PHOTOGRAPHS, photograph
from helpers.things import COLORS, TEXTURES, Pair, Thing, rendered

FABRICS = dict(zip(TEXTURES, ("chelsea", "brick", "coins", "gravel", "grass"), strict=True))


def on_photographs(pairs: Iterable[Pair], *, cut_out: bool, seed: int = 0) -> Iterator[Pair]:
    """The same things, changes and camera on photographs that scikit-image ships.

    Parameters
    ----------
    pairs : of scenes in which things change in place, as `scenes.subtle_pair` makes them.
    cut_out : whether the things are of photographs, too: an object's texture says of which of `FABRICS` it is cut out,
        its shape is the silhouette, and it is tinted in its color. Otherwise they are drawn as before.
    seed : of the places in the photographs, and of the noise.
    """
    for index, pair in enumerate(pairs):
        rng = np.random.default_rng((seed, index, 7))
        size = pair.before.shape[:2]
        ground = _place(rng, PHOTOGRAPHS[index % len(PHOTOGRAPHS)], size)
        fabrics = {texture: _place(rng, name, size) for texture, name in FABRICS.items()} if cut_out else {}
        new = {change.before: change.after for change in pair.changes}
        before = _laid(ground, pair.things, fabrics)
        after = _laid(ground, [new.get(thing) or thing for thing in pair.things], fabrics)
        yield replace(pair, before=before, after=take(after, pair.nuisance, int(rng.integers(2**32))))


def _place(rng: np.random.Generator, name: str, size: tuple[int, ...]) -> np.ndarray:
    """A part of a photograph, shrunk by half where it has as many pixels: float32 array (H, W, 3)."""
    whole = photograph(name)
    times = min(2.0, whole.shape[0] / size[0], whole.shape[1] / size[1])
    height, width = int(times * size[0]), int(times * size[1])
    y, x = int(rng.integers(whole.shape[0] - height + 1)), int(rng.integers(whole.shape[1] - width + 1))
    part = whole[y : y + height, x : x + width]
    return cv2.resize(part, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)


def _laid(ground: np.ndarray, things: Sequence[Thing], fabrics: dict[str, np.ndarray]) -> np.ndarray:
    """Things on a ground, cut out of the fabrics where there are any: uint8 array (H, W, 3)."""
    image = ground.copy()
    for thing in things:
        where, paint, coverage = rendered(thing, (image.shape[0], image.shape[1]))
        if fabrics:
            grain = fabrics[thing.texture][where].mean(axis=2, keepdims=True)
            paint = np.clip(grain / max(float(grain.mean()), 1) * np.array(COLORS[thing.color], np.float32), 0, 255)
        image[where] += (paint - image[where]) * coverage[..., None]
    return np.rint(image).astype(np.uint8)
