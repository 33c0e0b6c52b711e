"""Print on paper: whether a picture shows that, and whether one letter stands there for another one."""

from __future__ import annotations

import cv2
import numpy as np

from whatchanged.evidence import Cut, disk
from whatchanged.images import shrink
from whatchanged.options import Box

SHARP = 288  # pixels along the longer side of a region, where single strokes are looked for

_PLAIN = 30.0  # gray levels from the ground within which a pixel is paper
_PAPER = 0.35  # least share of the surroundings of a region that is paper
_INK = 0.4  # of the strongest contrast, or of the light of the paper, from which on a pixel is ink
_FAINT = 20.0  # gray levels below which nothing is ink
_LONGEST = 1600  # pixels along the longer side at which a page is looked at
_STROKE, _GAP = 9, 25  # pixels that a stroke is not wide, and a distance that strokes do not fill
_CALM, _DARK, _THICK = 0.7, (0.003, 0.3), 0.12  # of a page: paper, ink; of the ink: what is no stroke
_LIGHT = 100.0  # gray levels that paper has at least
_BOTH = 0.1  # of the ink that came or went, so much is not nothing
_SAME = 0.93  # of the ink of two words, at least as much lies on the other one's where they are the same word
_LEAST = 100  # pixels of ink, about two letters: fewer are found again too easily
_SLACK = 3  # pixels by which a word may lie beside where it was looked for
_STROKES = 2  # one letter is at most so many pieces
_ALIKE = 0.5  # least overlap (IoU) of the boxes of a letter before and after


def is_print(picture: np.ndarray) -> bool:
    """Whether a picture, uint8 (H, W, 3), shows print: light paper, and on it strokes that are dark and thin."""
    gray = cv2.cvtColor(shrink(picture, _LONGEST), cv2.COLOR_RGB2GRAY)
    paper = cv2.morphologyEx(gray, cv2.MORPH_CLOSE, np.ones((_GAP, _GAP), np.uint8))
    under = cv2.subtract(paper, gray)
    ink = (under > _PLAIN) & (under > _INK * paper)
    calm, dark = float((under < _PLAIN).mean()), float(ink.mean())
    if calm < _CALM or not _DARK[0] <= dark <= _DARK[1] or 1 - calm - dark > 2 * dark:
        return False
    thick = cv2.morphologyEx(ink.astype(np.uint8), cv2.MORPH_OPEN, np.ones((_STROKE, _STROKE), np.uint8))
    return float(thick.mean()) <= _THICK * dark and float(np.median(paper)) >= _LIGHT


def what_in_print(cut: Cut) -> str | None:
    """What happened in print to what did not move, as far as ink tells: "replaced", "added", "removed", or None.

    Letters share strokes, so that what differs between two of them looks like something that was added or removed. What
    is asked here is the ink: what was added only brings some, what was removed only takes some away; and of a letter
    that merely gained or lost a stroke both forms fill the same box.

    Parameters
    ----------
    cut : a region of pictures of which both show print (`is_print`), at least as sharp as `SHARP`.
    """
    own = cut.own > 0
    before, after = (_ink(picture, ~own) for picture in (cut.before, cut.after))
    if before is None or after is None:
        return None
    gained, lost = (int(np.count_nonzero(one & own)) for one in (after & ~before, before & ~after))
    if max(gained, lost) <= _BOTH * np.count_nonzero(own):  # another color
        return None
    if min(gained, lost) >= max(1.0, _BOTH * max(gained, lost)):
        return "replaced"
    _, pieces = cv2.connectedComponents((before | after | own).astype(np.uint8))
    touched = np.isin(pieces, np.unique(pieces[own]))
    first, second = ((one & touched).astype(np.uint8) for one in (before, after))
    if first.any() and second.any() and _is_one_letter(first, second):
        return "replaced"
    return "added" if gained > lost else "removed"


def is_same_print(before: np.ndarray, box: Box, after: np.ndarray, there: Box) -> bool:
    """Whether the ink in a box of a picture, uint8 (H, W, 3), is that in a box of another one, but for a pixel."""
    x, y, width, height = box
    left, top = there[0] + (there[2] - width) // 2 - _SLACK, there[1] + (there[3] - height) // 2 - _SLACK
    right, bottom = left + width + 2 * _SLACK, top + height + 2 * _SLACK
    first = _ink(before[y : y + height, x : x + width].astype(np.float32))
    second = _ink(after[max(0, top) : bottom, max(0, left) : right].astype(np.float32))
    if first is None or second is None or any(one < two for one, two in zip(second.shape, first.shape, strict=True)):
        return False
    if np.count_nonzero(first) < _LEAST:
        return False
    one, other = first.astype(np.uint8), second.astype(np.uint8)
    _, _, _, (column, row) = cv2.minMaxLoc(cv2.matchTemplate(other, one, cv2.TM_CCORR))
    other = other[row : row + height, column : column + width]
    return all(
        a.any() and float((cv2.dilate(b, disk(1)) > 0)[a > 0].mean()) >= _SAME for a, b in ((one, other), (other, one))
    )


def _ink(picture: np.ndarray, around: np.ndarray | None = None) -> np.ndarray | None:
    """Which pixels of a float32 picture (h, w, 3) are no paper, bool (h, w); None where there is no paper in it, or in
    what lies `around`, bool (h, w).
    """
    pixels = picture.reshape(-1, 3) if around is None else picture[around]
    if not len(pixels):
        return None
    shades = pixels.mean(axis=1)
    commonest = int(np.bincount((shades / 16).astype(int)).argmax())
    ground = np.median(pixels[np.abs(shades - 16 * commonest - 8) <= 16], axis=0)
    if (np.linalg.norm(pixels - ground, axis=1) < _PLAIN).mean() < _PAPER:
        return None
    apart = np.linalg.norm(picture - ground, axis=2)
    return apart > max(_FAINT, _INK * float(np.percentile(apart, 98)))


def _is_one_letter(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether ink is one letter that has another form, and not a line across several."""
    if max(cv2.connectedComponents(one)[0] - 1 for one in (before, after)) > _STROKES:
        return False
    (x, y, width, height), (left, top, wide, high) = cv2.boundingRect(before), cv2.boundingRect(after)
    across = max(0, min(x + width, left + wide) - max(x, left))
    both = across * max(0, min(y + height, top + high) - max(y, top))
    return both >= _ALIKE * (width * height + wide * high - both)
