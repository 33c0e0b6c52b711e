"""Pages and screens drawn from strips: whoever puts in, takes out or moves a strip knows exactly what changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]
Box = tuple[int, int, int, int]
NOUNS = (
    "ledger",
    "harbor",
    "signal",
    "meadow",
    "copper",
    "archive",
    "lantern",
    "orchard",
    "canvas",
    "walnut",
    "oyster",
)
VERBS = ("joins", "lifts", "counts", "paints", "moves", "keeps", "opens", "measures", "lends", "repairs", "weighs")


@dataclass(frozen=True)
class Look:
    """How a page is set.

    Attributes
    ----------
    width : of the page, in pixels.
    px : height of the letters: 14 is a screen, 21 a page at 150 dpi, 42 one at 300 dpi.
    ink, paper, accent : of the text, of the page, of headings and buttons.
    leading : from one line to the next, in heights of a letter.
    margin : left and right of the text, in pixels.
    """

    width: int
    px: int = 16
    ink: Color = (20, 20, 20)
    paper: Color = (255, 255, 255)
    accent: Color = (30, 90, 170)
    leading: float = 1.7
    margin: int = 40

    @property
    def step(self) -> int:
        return round(self.px * self.leading)


class Strip(NamedTuple):
    """Some rows of a page over its whole width, uint8 (h, W, 3), and which block they belong to."""

    pixels: np.ndarray
    block: int = -1


@cache
def font(px: int, bold: bool = False, serif: bool = False) -> ImageFont.FreeTypeFont:
    import matplotlib

    name = f"DejaVu{'Serif' if serif else 'Sans'}{'-Bold' if bold else ''}.ttf"
    return ImageFont.truetype(str(Path(matplotlib.__file__).parent / "mpl-data" / "fonts" / "ttf" / name), px)


def sentence(rng: np.random.Generator, letters: int) -> str:
    """Words and numbers that fill so many letters."""
    text = ""
    while len(text) < letters:
        text += f"{rng.choice(NOUNS)} {rng.choice(VERBS)} {int(rng.integers(10, 9999))} {rng.choice(NOUNS)}, "
    return text[:letters].rstrip(" ,") + "."


def blank(look: Look, rows: int, color: Color | None = None) -> np.ndarray:
    return np.full((rows, look.width, 3), color or look.paper, np.uint8)


def line(look: Look, text: str, *, bold: bool = False, serif: bool = False, shift: float = 0.0) -> np.ndarray:
    """A strip with one line of text; `shift` moves it to the right by a part of a pixel, as another browser would."""
    image = Image.fromarray(blank(look, look.step))
    place = (look.margin + shift, (look.step - look.px) // 2 - look.px // 10)
    ImageDraw.Draw(image).text(place, text, font=font(look.px, bold, serif), fill=look.ink)
    return np.asarray(image).copy()


def letters(look: Look) -> int:
    """How many letters of text fit between the margins."""
    return max(4, int((look.width - 2 * look.margin) / (0.62 * look.px)))


def paragraph(rng: np.random.Generator, look: Look, lines: int) -> list[np.ndarray]:
    room = letters(look)
    full = [line(look, sentence(rng, room - int(rng.integers(0, max(1, room // 8))))) for _ in range(lines - 1)]
    return [*full, line(look, sentence(rng, max(4, int(room * rng.uniform(0.3, 0.9)))))]


def heading(rng: np.random.Generator, look: Look) -> list[np.ndarray]:
    larger = replace(look, px=round(1.5 * look.px), ink=look.accent, leading=1.6)
    return [line(larger, sentence(rng, max(4, letters(larger) // 2)), bold=True)]


def table(rng: np.random.Generator, look: Look, rows: int, columns: int) -> list[np.ndarray]:
    """Rows of numbers between rules of one pixel, the first row shaded."""
    rule = tuple(int(0.7 * p + 0.3 * i) for p, i in zip(look.paper, look.ink, strict=True))
    edges = np.linspace(look.margin, look.width - look.margin - 1, columns + 1).astype(int).tolist()
    strips = []
    for row in range(rows):
        strip = blank(look, look.step)
        if row == 0:
            strip[:, edges[0] : edges[-1]] = [int(0.9 * p + 0.1 * i) for p, i in zip(look.paper, look.ink, strict=True)]
        image = Image.fromarray(strip)
        for left in edges[:-1]:
            text = str(rng.choice(NOUNS)) if row == 0 else f"{int(rng.integers(10, 99999)) / 100:.2f}"
            place = (left + look.px // 2, (look.step - look.px) // 2 - look.px // 10)
            ImageDraw.Draw(image).text(
                place, text[: (edges[1] - edges[0]) // look.px], font=font(look.px), fill=look.ink
            )
        strip = np.asarray(image).copy()
        strip[-1, edges[0] : edges[-1] + 1] = rule
        strip[:, edges] = rule
        strips.append(strip)
    strips[0][0, edges[0] : edges[-1] + 1] = rule
    return strips


def ruled(look: Look) -> np.ndarray:
    strip = blank(look, look.px)
    strip[look.px // 2, look.margin : -look.margin] = (150, 150, 150)
    return strip


def band(look: Look, rows: int, color: Color) -> np.ndarray:
    """A bar of one color between the margins."""
    strip = blank(look, rows)
    strip[:, look.margin : look.width - look.margin] = color
    return strip


def picture(rng: np.random.Generator, look: Look, rows: int) -> np.ndarray:
    """A photograph at the left margin, as high as the strip."""
    from tests.outside.cameras import PHOTOGRAPHS, photograph

    strip, image = blank(look, rows), photograph(str(rng.choice(PHOTOGRAPHS)))
    width = min(look.width - 2 * look.margin, max(8, round(rows * image.shape[1] / image.shape[0])))
    strip[:, look.margin : look.margin + width] = cv2.resize(image, (width, rows), interpolation=cv2.INTER_AREA)
    return strip


def document(rng: np.random.Generator, look: Look, rows: int, *, dense: bool = False) -> list[Strip]:
    """Strips of headings, paragraphs, tables and rules, at least so many rows together.

    A dense one has neither headings nor gaps: line under line.
    """
    strips, block, height = [Strip(blank(look, 10 if dense else look.margin))], 0, 0
    while height < rows:
        kind = "paragraph" if dense else str(rng.choice(["paragraph"] * 4 + ["heading", "table", "rule"]))
        if kind == "paragraph":
            made = paragraph(rng, look, int(rng.integers(2, 7)))
        elif kind == "heading":
            made = heading(rng, look)
        elif kind == "table":
            made = table(rng, look, int(rng.integers(3, 7)), int(rng.integers(2, 6)))
        else:
            made = [ruled(look)]
        strips += [Strip(one, block) for one in made]
        if not dense:
            strips.append(Strip(blank(look, look.px)))
        block, height = block + 1, sum(len(one.pixels) for one in strips)
    return strips


def stack(strips: Iterable[Strip], rows: int | None = None, paper: Color = (255, 255, 255)) -> np.ndarray:
    """The strips below each other; cut off or filled up to so many rows."""
    page = np.concatenate([one.pixels for one in strips])
    if rows is None or len(page) == rows:
        return page
    rest = np.full((max(0, rows - len(page)), *page.shape[1:]), paper, np.uint8)
    return np.concatenate([page[:rows], rest])


def ink(pixels: np.ndarray, paper: Sequence[int]) -> Box | None:
    """The box (x, y, width, height) of all that has not the color of the page; None where it is blank."""
    drawn = (pixels != np.array(paper, np.uint8)).any(axis=2)
    x, y, width, height = cv2.boundingRect(drawn.view(np.uint8))
    return (int(x), int(y), int(width), int(height)) if width else None
