"""One tone for two photographs: contrast, gamma, white balance and gradients go, what was painted stays."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.photographs import photograph
from tests.outside import pages
from tests.outside.cameras import Shot, patched, scene, take
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


@pytest.mark.parametrize("swapped", [False, True])
def test_white_that_was_cut_off_before_the_colors_were_balanced_is_no_change(swapped):
    bright = np.clip(PHOTO * 1.15, 0, 255)
    first = np.rint(bright).astype(np.uint8)
    second = np.rint(np.clip((bright - 128) * 1.12 + 128, 0, 255) * [0.94, 1.0, 0.96]).astype(np.uint8)
    white = first[..., 0] == 255
    assert white.mean() > 0.1
    assert second[..., 0].max() == 240
    before, after = one_tone(*((second, first) if swapped else (first, second)), ALL)
    apart = np.abs(before[..., 0].astype(int) - after[..., 0])
    assert np.quantile(apart[white], 0.95) <= 6


@pytest.mark.parametrize("swapped", [False, True])
def test_what_became_darker_than_white_stays_where_other_white_is_as_it_was(swapped):
    first = np.clip(PHOTO * 1.15, 0, 255).astype(np.uint8)
    second, white = lit(first, "gamma 1.5"), first[..., 0] == 255
    there = white & (np.arange(WIDTH) < WIDTH // 4)
    assert 0 < there.sum() < white.sum() / 2
    second[there] -= np.uint8([20, 0, 0])
    before, after = one_tone(*((second, first) if swapped else (first, second)), ALL)
    apart = np.abs(before[..., 0].astype(int) - after[..., 0])
    assert np.median(apart[there]) >= 15


def test_what_was_put_into_a_dark_picture_does_not_bend_the_tone():
    size, wide = (480, 360), scene("hubble_deep_field", (640, 480))
    shot = Shot(contrast=1.07, gamma=1.195, white=(1.05, 0.987, 0.994), gradient=0.077)
    sky, edited = take(wide, Shot(), size), take(patched(wide, (200, 150, 52, 40), size), shot, size)
    there = np.zeros(sky.shape[:2], bool)
    there[148:192, 198:254] = True
    before, after = one_tone(sky, edited, np.ones_like(there))
    apart = np.abs(before.astype(int) - after).max(axis=2)
    stars = (sky.max(axis=2) > 120) & ~there
    assert np.quantile(apart[stars], 0.95) <= 8
    assert np.median(apart[there]) >= 100


def test_what_is_rendered():
    look = Look(400, 14)
    assert is_rendered(pages.stack(pages.document(np.random.default_rng(1), look, 300), 300))
    assert not is_rendered(PHOTO)
