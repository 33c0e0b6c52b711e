"""One tone for two photographs: contrast, gamma, white balance and gradients go, what was painted stays."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.photographs import photograph
from tests.outside import pages
from tests.outside.pages import Look
from whatchanged.tone import is_rendered, one_tone

PHOTO = photograph("coffee")
HEIGHT, WIDTH = PHOTO.shape[:2]
ALL = np.ones((HEIGHT, WIDTH), bool)
ACROSS = np.linspace(-1, 1, WIDTH)[None, :, None]
LIGHTS = {
    "contrast halved": lambda image: image * 0.5 + 64,
    "gamma .7": lambda image: 255 * (image / 255) ** 0.7,
    "gamma 1.5": lambda image: 255 * (image / 255) ** 1.5,
    "white balance": lambda image: image * [1.0, 0.9, 0.75],
    "a factor across": lambda image: image * (0.85 + 0.12 * ACROSS),
    "an offset across": lambda image: image * 0.8 + 20 + 15 * ACROSS,
}


def lit(image: np.ndarray, name: str) -> np.ndarray:
    return np.clip(np.rint(LIGHTS[name](image.astype(float))), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", LIGHTS)
@pytest.mark.parametrize("swapped", [False, True])
def test_a_light_goes_and_an_edit_stays(name, swapped):
    edited = PHOTO.copy()
    edited[150:200, 200:270] = (30, 200, 60)
    pair = (lit(edited, name), PHOTO) if swapped else (PHOTO, lit(edited, name))
    there = np.zeros(ALL.shape, bool)
    there[150:200, 200:270] = True
    before, after = one_tone(*pair, ALL)
    was, now = (np.abs(one.astype(int) - other).max(axis=2) for one, other in (pair, (before, after)))
    assert np.median(was[~there]) >= 8, "the light is seen"
    assert np.quantile(now[~there], 0.95) <= 5
    assert np.median(now[there]) >= 30


def test_a_recolored_majority_is_no_light():
    after = PHOTO.copy()
    rows = round(0.65 * HEIGHT)
    after[:rows] = after[:rows][..., [1, 2, 0]]
    before, same = one_tone(PHOTO, after, ALL)
    assert before is PHOTO
    assert same is after


def test_noise_alone_is_no_light():
    noise = np.random.default_rng(0).normal(0, 4, PHOTO.shape)
    after = np.clip(PHOTO + noise, 0, 255).astype(np.uint8)
    assert one_tone(PHOTO, after, ALL)[0] is PHOTO


def test_a_picture_that_lost_all_contrast_is_left():
    flat = np.full_like(PHOTO, 128)
    assert one_tone(PHOTO, flat, ALL)[0] is PHOTO


def test_what_is_rendered():
    look = Look(400, 14)
    assert is_rendered(pages.stack(pages.document(np.random.default_rng(1), look, 300), 300))
    assert not is_rendered(PHOTO)
