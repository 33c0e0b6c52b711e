"""Thin and faint things: the color of text, a link, a border, a rule; another hue of the same gray; a darker panel."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.outside import pages, screens
from tests.outside.cameras import scene
from tests.outside.claims import found
from tests.outside.pages import Look, Strip
from tests.outside.truths import changed_box, common
from whatchanged import images

LOOK = Look(900, 16)
TEXT = "The buyer reads the terms of delivery 4417 and pays."


def page(other: np.ndarray, at: int = 9) -> np.ndarray:
    """A page of text with one more strip in it."""
    strips = pages.document(np.random.default_rng(1), LOOK, 620)
    return pages.stack([*strips[:at], Strip(other), *strips[at:]], 620, LOOK.paper)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((20, 20, 20), (70, 70, 70)),
        ((26, 60, 200), (120, 40, 170)),
        ((180, 30, 30), (30, 120, 30)),
        ((90, 90, 90), (140, 140, 140)),
    ],
    ids=["black, dark gray", "blue, purple", "red, green", "gray, light gray"],
)
def test_the_color_of_a_line_of_text(old, new):
    before, after = (page(pages.line(replace(LOOK, ink=ink), TEXT)) for ink in (old, new))
    box = changed_box(before, after)
    result = found(before, after, box)
    assert sum(common(one.box, box) for one in result.regions) >= 0.6 * box[2] * box[3]


def test_the_color_of_all_text():
    rng = np.random.default_rng(4)
    texts = [pages.sentence(rng, pages.letters(LOOK)) for _ in range(18)]
    before, after = (
        np.concatenate([pages.line(replace(LOOK, ink=(gray,) * 3), text) for text in texts]) for gray in (20, 70)
    )
    result = found(before, after, changed_box(before, after), extra=0)
    inked = (before != after).any(axis=2)
    boxed = np.zeros(inked.shape, bool)
    for x, y, width, height in result.boxes:
        boxed[y : y + height, x : x + width] = True
    assert (boxed & inked).sum() >= 0.9 * inked.sum()


@pytest.mark.parametrize("shade", [120, 180])
def test_a_border_of_one_pixel(shade):
    before = page(pages.blank(LOOK, 200))
    after = before.copy()
    for image, gray in ((before, 210), (after, shade)):
        cv2.rectangle(image, (120, 330), (460, 470), (gray,) * 3, 1)
    found(before, after, (120, 330, 341, 141), extra=3)


def test_the_color_of_a_rule():
    before = page(pages.ruled(LOOK))
    after = before.copy()
    rows = np.flatnonzero((before == 150).all(axis=2).sum(axis=1) > 700)
    row = int(rows[0])
    after[row, LOOK.margin : -LOOK.margin] = (90, 120, 200)
    found(before, after, (LOOK.margin, row, LOOK.width - 2 * LOOK.margin, 1))


@pytest.mark.parametrize("method", ["tolerant", "pixel", "ssim"])
@pytest.mark.parametrize("ground", ["page", "motorcycle"])
def test_another_hue_of_the_same_gray(method, ground):
    old, new = (180, 60, 60), (60, 92, 209)
    before = page(pages.blank(LOOK, 160)) if ground == "page" else scene(ground, (640, 480)).copy()
    after = before.copy()
    cv2.ellipse(before, (300, 300), (40, 28), 0, 0, 360, old, -1)
    cv2.ellipse(after, (300, 300), (40, 28), 0, 0, 360, new, -1)
    assert np.array_equal(images.gray(before), images.gray(after))
    found(before, after, (260, 272, 81, 57), method=method)


@pytest.mark.parametrize("less", [10, 25])
def test_a_panel_somewhat_darker(less):
    shown = screens.screen(np.random.default_rng(5), (1000, 700))
    x, y, width, height = shown.places["card"][1]
    after = shown.pixels.copy()
    panel = after[y : y + height, x : x + width]
    panel[...] = np.clip(panel.astype(int) - less, 0, 255)
    result = found(shown.pixels, after, (x, y, width, height))
    assert max(common(one.box, (x, y, width, height)) for one in result.regions) >= 0.9 * width * height
