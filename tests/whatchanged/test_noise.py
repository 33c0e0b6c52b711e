"""The noise of a pair, where its standard deviation is known; and where most of the picture is flat."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.photographs import photograph
from tests.outside import pages, silent
from tests.outside.pages import Look
from whatchanged.noise import edges_of_both, less_unsteady, pair_noise, pixel_noise
from whatchanged.tolerance import tolerant_difference

PHOTO = photograph("coffee")
PAGE = pages.stack(pages.document(np.random.default_rng(2), Look(500, 15), 400), 400)


def noise_of(before, after):
    excess, _ = tolerant_difference(before, after)
    return pair_noise(before, after, excess, np.ones(before.shape[:2], bool), edges_of_both(before, after))


@pytest.mark.parametrize("sigma", [2, 5, 10])
def test_the_noise_of_pixels(sigma):
    rng = np.random.default_rng(0)
    before, after = (
        np.repeat(np.clip(120 + rng.normal(0, sigma, (300, 400, 1)), 0, 255), 3, axis=2).astype(np.uint8)
        for _ in range(2)
    )
    assert pixel_noise(before, after) == pytest.approx(sigma * np.sqrt(2), rel=0.05)


@pytest.mark.parametrize("shape", [(2, 3), (5, 2), (37, 51), (64, 20), (65, 20), (66, 20), (200, 300)])
def test_the_noise_is_the_median_of_what_neighbors_do_not_explain(shape):
    rng = np.random.default_rng(shape)
    before = rng.integers(60, 190, shape, np.uint8)
    after = (before + np.rint(rng.normal(0, 15, shape))).astype(np.uint8)
    apart = before.astype(int) - after
    fine = np.diff(np.diff(apart, axis=0), axis=1)
    assert pixel_noise(before, after) == pytest.approx(1.4826 * np.median(np.abs(fine)) / 2)


def test_a_line_of_pixels_has_no_noise_to_measure():
    line = np.arange(9, dtype=np.uint8)
    assert pixel_noise(line[None], line[None, ::-1]) == pixel_noise(line[:, None], line[::-1, None]) == 0


def test_a_page_saved_as_jpeg_has_noise_although_most_of_it_is_white():
    saved = silent.reencoded(PAGE, "JPEG", 50)
    assert pixel_noise(PAGE, saved) == 0
    assert noise_of(PAGE, saved).level > noise_of(PAGE, PAGE).level == 0


def test_a_noisier_pair_asks_for_larger_regions():
    rng = np.random.default_rng(0)
    areas = [
        noise_of(PHOTO, np.clip(PHOTO + rng.normal(0, sigma, PHOTO.shape), 0, 255).astype(np.uint8)).min_area
        for sigma in (1, 4, 12)
    ]
    assert areas == sorted(areas)
    assert areas[0] < areas[2]


def test_an_edit_is_not_taken_for_noise():
    after = PHOTO.copy()
    after[100:160, 100:200] = (0, 255, 0)
    assert noise_of(PHOTO, after).level == 0


def test_strong_edges_count_less():
    excess = np.full((1, 2), 20, np.float32)
    edges = np.array([[0, 255]], np.uint8)
    calm, strong = less_unsteady(excess, edges, 10.0)[0]
    assert calm == 20
    assert strong < 20
