"""Printed pages scanned twice, a few words and digits of the second one other: with exact truth of what happened."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw

from helpers.nuisances import Nuisance, take
from tests.outside.pages import NOUNS, font

SIZE = (800, 760)  # width, height
KINDS = ("digit", "letter", "word", "added", "removed", "moved")
WHAT = {"digit": "replaced", "letter": "replaced", "word": "replaced"}


@dataclass(frozen=True)
class Printed:
    """A word, and where it stands."""

    text: str
    x: float
    y: float


@dataclass(frozen=True)
class Edit:
    """What was done to a word, and its box, x, y, width, height, before."""

    kind: str
    box: tuple[float, float, float, float]

    @property
    def what(self) -> str:
        return WHAT.get(self.kind, self.kind)


def print_pair(seed: int) -> tuple[np.ndarray, np.ndarray, list[Edit]]:
    """Two scans, uint8 (H, W, 3), of a page before and after six edits, one of each of `KINDS`, far from each other.

    A digit or a letter is replaced by one that is as wide but for two pixels, a word by one that is not wider; a word
    that is moved is half a line lower. The second scan is turned and shifted, both have noise and JPEG.
    """
    rng = np.random.default_rng((seed, 77))
    px, serif = int(rng.integers(18, 32)), bool(rng.integers(2))
    words = _page(rng, px, serif)
    before, after, edits, near, used = list(words), list(words), [], [], set()
    for kind in KINDS:
        for place in rng.permutation(len(words)):
            word = words[place]
            box = (word.x, word.y, _width(word.text, px, serif), 1.2 * px)
            new = _edited(rng, kind, word, px, serif)
            if (
                new is None
                or word.text in used
                or any(abs(word.y - y) < 3.5 * px and abs(word.x - x) < 7 * px for x, y in near)
            ):
                continue
            before[place] = None if kind == "added" else word
            after[place] = None if kind == "removed" else new
            edits.append(Edit(kind, box))
            near.append((word.x, word.y))
            used.add(word.text)
            break
    turn, *shift = rng.uniform(-1, 1, 3) * (0.6, 4, 4)
    quality, (first, second) = int(rng.integers(70, 92)), rng.integers(2**32, size=2)
    scanned = Nuisance(turn, *shift, noise=3, jpeg=quality, gain=float(rng.uniform(0.94, 1)))
    blur = float(rng.uniform(0.3, 0.8))
    pictures = [cv2.GaussianBlur(drawn(one, px, serif), (0, 0), blur) for one in (before, after)]
    return (
        take(pictures[0], Nuisance(noise=3, jpeg=quality), int(first)),
        take(pictures[1], scanned, int(second)),
        edits,
    )


def _width(text: str, px: int, serif: bool) -> float:
    return font(px, serif=serif).getlength(text)


def _page(rng: np.random.Generator, px: int, serif: bool) -> list[Printed]:
    words = []
    for y in range(50, SIZE[1] - 50 - px, int(1.8 * px)):
        x = 50.0
        while True:
            text = str(rng.integers(10, 99999)) if rng.random() < 0.3 else str(rng.choice(NOUNS))
            if x + (width := _width(text, px, serif)) > SIZE[0] - 50:
                break
            words.append(Printed(text, x, y))
            x += width + 0.5 * px
    return words


def _edited(rng: np.random.Generator, kind: str, word: Printed, px: int, serif: bool) -> Printed | None:
    """The word after an edit of that kind; None where it cannot be had of this word."""
    text = word.text
    if kind == "moved":
        return Printed(text, word.x, word.y + round(0.4 * px))
    if kind in ("added", "removed"):
        return word
    if (kind == "digit") != text.isdigit():
        return None
    if kind == "word":
        known = [
            one for one in NOUNS if one[0] != text[0] and -8 < _width(one, px, serif) - _width(text, px, serif) <= 2
        ]
    else:
        at = int(rng.integers(len(text)))
        signs = "0123456789" if kind == "digit" else "acenorsu"
        known = [text[:at] + sign + text[at + 1 :] for sign in signs if sign != text[at]]
        known = [one for one in known if abs(_width(one, px, serif) - _width(text, px, serif)) <= 2]
    return Printed(str(rng.choice(known)), word.x, word.y) if known else None


def drawn(words: list[Printed | None], px: int, serif: bool) -> np.ndarray:
    image = Image.new("RGB", SIZE, (252, 251, 248))
    draw = ImageDraw.Draw(image)
    for word in filter(None, words):
        draw.text((word.x, word.y), word.text, font=font(px, serif=serif), fill=(25, 25, 30))
    return np.asarray(image)
