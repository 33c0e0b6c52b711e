"""A pair says itself what kind it is; whoever knows better may say so."""

from __future__ import annotations

import numpy as np
import pytest

from tests.outside import layouts, screens, spots
from tests.outside.cameras import Shot, scene, take
from whatchanged.detection import detect


def pair(kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    if kind == "exact":
        if seed % 2:
            return spots.spotted(seed, seed, (480, 360))[:2]
        shown = screens.screen(rng, (800, 500))
        x, y, width, height = shown.places["button"][0]
        after = shown.pixels.copy()
        after[y : y + height, x : x + width] = after[y : y + height, x : x + width][..., ::-1]
        return shown.pixels, after
    if kind == "layout":
        edited = layouts.inserted(rng, "small", "paragraph", 50, "middle")
        return edited.before, edited.after
    wide = scene("motorcycle", (640, 480))
    shots = [Shot(noise=6), Shot(jpeg=70), Shot(degrees=1.5), Shot(gamma=1.2, noise=2)]
    return take(wide, Shot(), (480, 360)), take(wide, shots[seed], (480, 360), seed)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["exact", "layout", "camera"])
def test_the_kind_of_a_pair(kind, seed):
    assert detect(*pair(kind, seed)).kind == kind


@pytest.mark.parametrize("kind", ["exact", "layout", "camera"])
def test_the_kind_that_one_says(kind):
    result = detect(*pair("exact", 1), kind=kind)
    assert result.kind == kind
    assert result.regions


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="scan"):
        detect(*pair("exact", 1), kind="scan")
