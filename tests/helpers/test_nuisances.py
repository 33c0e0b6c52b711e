"""Nuisances do what they say, and no more than was asked for."""

from __future__ import annotations

from dataclasses import fields

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.nuisances import Nuisance, take
from helpers.photographs import photograph

EFFECTS = {
    "gain": (Nuisance(gain=1.2), lambda a, b: np.median(b / np.maximum(a, 1)) == pytest.approx(1.2, abs=0.02)),
    "bias": (Nuisance(bias=10), lambda a, b: np.median(b - a) == 10),
    "noise": (Nuisance(noise=3), lambda a, b: (b - a).std() == pytest.approx(3, rel=0.05)),
    "vignette": (Nuisance(vignette=0.4), lambda a, b: b[0, 0].mean() / a[0, 0].mean() == pytest.approx(0.6, abs=0.03)),
    "gradient": (Nuisance(gradient=0.2), lambda a, b: 1.2 < (b / a).max() / (b / a).min() < 1.55),
    "shadow": (Nuisance(shadow=0.4), lambda a, b: (b / a).min() == pytest.approx(0.6, abs=0.03)),
    "blur": (
        Nuisance(blur=2),
        lambda a, b: np.abs(np.diff(b, axis=0)).mean() < 0.7 * np.abs(np.diff(a, axis=0)).mean(),
    ),
    "jpeg": (Nuisance(jpeg=30), lambda a, b: 0 < np.abs(b - a).mean() < 5),
    "shift_x": (Nuisance(shift_x=3), lambda a, b: np.array_equal(b[:, 3:], a[:, :-3])),
    "shift_y": (Nuisance(shift_y=-3), lambda a, b: np.array_equal(b[:-3], a[3:])),
    "size": (Nuisance(size=0.5), lambda a, b: b.shape == (100, 150, 3)),
    "scale": (Nuisance(scale=1.1), lambda a, b: np.abs(b[100, 150] - a[100, 150]).max() < 12),
    "rotation": (Nuisance(rotation=180), lambda a, b: np.abs(b - a[::-1, ::-1]).max() <= 1),
}


def test_every_nuisance_has_its_test():
    assert set(EFFECTS) == {field.name for field in fields(Nuisance)}


@pytest.mark.parametrize("name", EFFECTS)
def test_a_nuisance_does_what_it_says(name):
    nuisance, holds = EFFECTS[name]
    image = cv2.resize(photograph("camera"), (300, 200), interpolation=cv2.INTER_AREA) // 2 + 60
    if name in ("gradient", "shadow", "noise"):
        image = np.full_like(image, 120)
    assert holds(image.astype(float), take(image, nuisance, 1).astype(float))


def test_no_nuisance_leaves_the_image_as_it_is():
    image = photograph("coffee")
    assert np.array_equal(take(image, Nuisance()), image)


@settings(max_examples=100)
@given(seed=st.integers(0, 10**6))
def test_sampled_nuisances_stay_within_the_limit(seed):
    limit = Nuisance(rotation=2, shift_x=1.5, gain=1.12, scale=1.05, noise=4, jpeg=70, shadow=0.3, size=0.8)
    drawn = limit.sample(np.random.default_rng(seed))
    assert abs(drawn.rotation) <= 2
    assert abs(drawn.shift_x) <= 1.5
    assert 1 / 1.12 <= drawn.gain <= 1.12
    assert 1 / 1.05 <= drawn.scale <= 1.05
    assert 0 <= drawn.noise <= 4
    assert 70 <= drawn.jpeg <= 95
    assert 0.8 <= drawn.size <= 1
    assert drawn.vignette == drawn.blur == 0


def test_scaled_nuisance():
    stronger = Nuisance(rotation=2, gain=1.1, jpeg=80, noise=4).scaled(1.5)
    assert (stronger.rotation, stronger.noise, stronger.jpeg) == (3, 6, 70)
    assert stronger.gain == pytest.approx(1.1**1.5)
    assert stronger.size == 1
