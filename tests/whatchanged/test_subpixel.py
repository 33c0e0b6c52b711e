"""Letters a fraction of a pixel off are dropped; another letter, color or place is not."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from whatchanged.images import apart
from whatchanged.subpixel import without_shifts

FONT = Path(matplotlib.__file__).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf"
TEXTS = ("The quick brown fox jumps over it", "Total amount due 1,234.00 EUR", "Lorem ipsum dolor sit amet 5%")


def drawn(px: int, shift: tuple[int, int] = (0, 0), color: int = 0, texts: tuple[str, ...] = TEXTS) -> np.ndarray:
    """Lines of text, drawn three times as large and averaged; the shift is in thirds of a pixel."""
    image = Image.new("RGB", (1500, 300 + 6 * px * len(texts)), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.truetype(str(FONT), 3 * px)
    for number, text in enumerate(texts):
        pen.text((60 + shift[0], 60 + 6 * px * number + shift[1]), text, font=font, fill=(color,) * 3)
    return np.asarray(image.resize((image.width // 3, image.height // 3), Image.BOX)).copy()


def left(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    mask = apart(before, after) > 0
    assert mask.any()
    kept = without_shifts(before, after, mask)
    assert not (kept & ~mask).any()
    return kept


@pytest.mark.parametrize("px", [11, 14, 18, 24])
@pytest.mark.parametrize("shift", [(1, 0), (0, 1), (1, 1), (2, 0), (-1, 0)])
def test_text_a_fraction_of_a_pixel_off(px, shift):
    assert not left(drawn(px), drawn(px, shift)).any()


@pytest.mark.parametrize("px", [11, 14, 18, 24])
@pytest.mark.parametrize("shift", [(0, 0), (1, 0)])
@pytest.mark.parametrize(("old", "new"), [("1,234", "1,284"), ("1,234", "1.234"), ("due", "duo"), ("EUR", "EU")])
def test_another_letter_in_it(px, shift, old, new):
    other = tuple(text.replace(old, new) for text in TEXTS)
    kept = left(drawn(px), drawn(px, shift, texts=other))
    ys = np.nonzero(kept)[0]
    assert ys.size, "it is told"
    if shift == (0, 0):
        assert ys.min() >= 20 + 2 * px, "and only it"
        assert ys.max() <= 20 + 4 * px


@pytest.mark.parametrize("color", [30, 70, 120])
def test_another_color_of_it(color):
    before, after = drawn(14), drawn(14, color=color)
    assert np.count_nonzero(left(before, after)) >= 0.9 * np.count_nonzero(apart(before, after))


def test_a_word_a_whole_pixel_off_is_told():
    assert left(drawn(16), drawn(16, (3, 0))).any()


@pytest.mark.parametrize("at", [0, 1, 20, 38, 39])
@pytest.mark.parametrize("ground", ["flat", "noise", "gradient"])
def test_a_line_of_one_pixel_is_no_shift(at, ground):
    before = {
        "flat": np.full((40, 60, 3), 90, np.uint8),
        "noise": np.random.default_rng(0).integers(60, 190, (40, 60, 3), np.uint8),
        "gradient": np.tile(np.arange(60, 180, 2, np.uint8)[None, :, None], (40, 1, 3)),
    }[ground]
    after = before.copy()
    after[at, 10:40] += 40
    assert left(before, after).any()


@pytest.mark.parametrize("shift", [(1, 0), (5, 0)])
def test_what_surrounds_it_does_not_matter(shift):
    pair = drawn(14), drawn(14, shift)
    wide = [np.pad(one, ((70, 200), (300, 40), (0, 0)), constant_values=255) for one in pair]
    inner = left(*wide)[70:-200, 300:-40]
    assert np.array_equal(inner, left(*pair))
