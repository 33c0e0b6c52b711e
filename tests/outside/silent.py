"""What is no change: the same picture compressed, dithered, or its text set a third of a pixel further on."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw

from tests.outside import pages
from tests.outside.pages import Look

FINE = 6


def reencoded(image: np.ndarray, kind: str, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, quality=quality)
    return np.asarray(Image.open(file).convert("RGB")).copy()


def dithered(image: np.ndarray, seed: int = 0) -> np.ndarray:
    """Each value one level up, one down or as it was."""
    off = np.random.default_rng(seed).integers(-1, 2, image.shape)
    return np.clip(image.astype(int) + off, 0, 255).astype(np.uint8)


CHANGES = {
    "as JPEG 90": lambda image: reencoded(image, "JPEG", 90),
    "as WebP 80": lambda image: reencoded(image, "WEBP", 80),
    "dithered by one level": dithered,
}


def fine_line(look: Look, text: str, *, shift: float = 0.0, bold: bool = False) -> np.ndarray:
    """A line of text with edges wherever they fall: drawn six times as large, then averaged."""
    large = Image.new("L", (FINE * look.width, FINE * look.step))
    place = (FINE * look.margin + round(FINE * shift), FINE * (look.step - look.px) // 2 - FINE * look.px // 10)
    ImageDraw.Draw(large).text(place, text, font=pages.font(FINE * look.px, bold), fill=255)
    inked = np.asarray(large.reduce(FINE))[..., None] / 255
    return np.rint(inked * look.ink + (1 - inked) * look.paper).astype(np.uint8)


def set_again(
    seed: int, look: Look | None = None, rows: int = 24, shift: float = 1 / 3, *, fine: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """A page of text, and the same text drawn anew a part of a pixel to the right.

    Not `fine`, each letter is set on a whole pixel: some are a pixel further on, the others where they were.
    """
    rng, look = np.random.default_rng((seed, 7)), look or Look(900, int(np.random.default_rng(seed).integers(12, 26)))
    texts = [pages.sentence(rng, max(4, pages.letters(look) - int(rng.integers(0, 20)))) for _ in range(rows)]
    draw = fine_line if fine else pages.line
    first, second = (
        np.concatenate([draw(look, text, shift=by, bold=i % 7 == 0) for i, text in enumerate(texts)])
        for by in (0.0, shift)
    )
    return first, second
