"""Small things: one digit, a full stop, a star, an icon; tiny pictures; changes at every border."""

from __future__ import annotations

import numpy as np
import pytest

from tests.outside import pages, screens, spots
from tests.outside.cameras import scene
from tests.outside.claims import found
from tests.outside.pages import Look, Strip
from tests.outside.truths import changed_box

SHEETS = {"800 x 600": (800, 600, 14), "full HD": (1920, 1080, 14), "A4, 150 dpi": (1240, 1754, 21)}
LARGE = {"A4, 300 dpi": (2480, 3508, 42), "4K": (3840, 2160, 16)}
SLOW = [pytest.param(size, id=name, marks=pytest.mark.process) for name, size in LARGE.items()]
SIZES = [*(pytest.param(size, id=name) for name, size in SHEETS.items()), *SLOW]


def page_with(size, old, new, seed=0):
    """A page with one line that reads differently."""
    width, height, px = size
    rng, look = np.random.default_rng(seed), Look(width, px)
    strips = pages.document(rng, look, height)
    at = int(rng.integers(3, len(strips) // 2))
    return [
        pages.stack([*strips[:at], Strip(pages.line(look, text)), *strips[at:]], height, look.paper)
        for text in (old, new)
    ]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Amount due: 3,700.00 EUR", "Amount due: 8,700.00 EUR"),
        ("of no effect.", "of no effect"),
        ("is due", "not due"),
    ],
    ids=["digit", "stop", "word"],
)
def test_one_sign_on_a_page(size, old, new):
    before, after = page_with(size, old, new)
    found(before, after, changed_box(before, after))


def test_a_star_of_seven_pixels():
    sky = scene("hubble_deep_field", (1000, 872))
    for seed in range(3):
        rng, star = np.random.default_rng(seed), sky.copy()
        x, y = int(rng.integers(50, 940)), int(rng.integers(50, 800))
        there = star[y : y + 7, x : x + 7]
        disc = np.hypot(*np.mgrid[-3:4, -3:4]) <= 3.2
        there[disc] = (255, 250, 240)
        found(sky, star, (x, y, 7, 7))


def test_another_icon_in_a_sidebar():
    rng = np.random.default_rng(2)
    shown = screens.screen(rng)
    x, y, side, _ = shown.places["icon"][3]
    after = shown.pixels.copy()
    after[y : y + side, x : x + side] = np.roll(after[y : y + side, x : x + side], 5, axis=0)
    found(shown.pixels, after, changed_box(shown.pixels, after))


@pytest.mark.parametrize("width", [1, 2, 3, 5, 8, 16])
@pytest.mark.parametrize("height", [1, 4, 16])
def test_a_tiny_picture_from_white_to_black(width, height):
    white = np.full((height, width, 3), 255, np.uint8)
    (region,) = found(white, np.zeros_like(white), (0, 0, width, height)).regions
    assert region.box == (0, 0, width, height)


@pytest.mark.parametrize("side", [4, 6, 9, 16])
def test_a_few_pixels_of_an_icon(side):
    icon = screens.icon(np.random.default_rng(side), side, (30, 90, 200), (255, 255, 255))
    after, third = icon.copy(), max(2, side // 3)
    after[1 : 1 + third, 1 : 1 + third] = 255 - after[1 : 1 + third, 1 : 1 + third]
    (region,) = found(icon, after, (1, 1, third, third), slack=2).regions
    assert region.box == changed_box(icon, after)


@pytest.mark.parametrize("ground", ["white", "china"])
@pytest.mark.parametrize(("across", "down"), [(i, j) for i in (0, 1, 2) for j in (0, 1, 2) if (i, j) != (1, 1)])
def test_a_change_at_each_border_and_corner(ground, across, down):
    before = np.full((180, 260, 3), 255, np.uint8) if ground == "white" else scene(ground, (260, 180))
    x, y = (0, 110, 255)[across], (0, 90, 175)[down]
    after = before.copy()
    after[y : y + 5, x : x + 5] = np.where(before[y : y + 5, x : x + 5] > 127, 0, 255)
    found(before, after, (x, y, 5, 5))


@pytest.mark.parametrize("index", range(6))
def test_small_strong_edits_of_a_photograph(index):
    before, after, boxes = spots.spotted(3, index, (640, 480))
    found(before, after, *boxes, slack=8)
