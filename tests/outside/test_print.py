"""What happened in scans of print: another digit is "replaced", though it shares strokes with the one before."""

from __future__ import annotations

from collections import Counter

import cv2
import numpy as np
import pytest

from helpers.nuisances import Nuisance, take
from tests.outside.cameras import PHOTOGRAPHS, photograph
from tests.outside.pages import font
from tests.outside.prints import Printed, drawn, print_pair
from whatchanged.detection import detect
from whatchanged.evidence import Cut
from whatchanged.strokes import is_print, what_in_print

PAIRS = 12


@pytest.fixture(scope="module")
def pairs():
    return [print_pair(seed) for seed in range(PAIRS)]


def near(region, edit) -> bool:
    x, y, width, height = edit.box
    left, top, wide, high = region.box
    room = 6
    return left < x + width + room and left + wide > x - room and top < y + 1.5 * height and top + high > y - room


def test_what_happened_to_words_and_digits(pairs):
    right, wrong, missed, elsewhere = Counter(), Counter(), 0, 0
    for before, after, edits in pairs:
        found = detect(before, after).regions
        elsewhere += sum(not any(near(one, edit) for edit in edits) for one in found)
        for edit in edits:
            told = {one.what for one in found if near(one, edit)}
            missed += not told
            (right if told == {edit.what} else wrong)[edit.what] += bool(told)
    assert missed <= 4
    assert elsewhere <= 1
    for what in ("replaced", "added", "removed", "moved"):
        assert right[what] >= 0.8 * (right[what] + wrong[what]), (right, wrong)
    assert right.total() >= 0.88 * (right + wrong).total(), (right, wrong)


def test_print_is_known(pairs):
    assert all(is_print(before) and is_print(after) for before, after, _ in pairs)
    enlarged = cv2.resize(pairs[0][0], None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)  # 300 dots an inch
    assert is_print(enlarged)
    dim = np.linspace(0.6, 1, 800)[None, :, None] * pairs[0][0]  # by a lamp from the right
    assert is_print(dim.astype(np.uint8))
    assert [name for name in PHOTOGRAPHS if is_print(photograph(name))] == []
    assert not is_print(np.full((200, 300, 3), 250, np.uint8))
    assert not is_print(255 - pairs[0][0])


def test_a_picture_too_narrow_to_be_made_smaller():
    assert not is_print(np.full((2, 20000, 3), 250, np.uint8))


def test_ink_that_went_is_not_added_for_a_speck_that_came():
    paper = np.full((60, 60, 3), 245, np.float32)
    before, after, own = paper.copy(), paper.copy(), np.zeros((60, 60), np.uint8)
    before[20:24, 10:50] = 20  # a line that is gone
    after[26, 30:33] = 20  # and a speck
    own[19:28, 9:51] = 1
    assert what_in_print(Cut(before, after, own, np.zeros_like(own), 1.0)) == "removed"
    assert what_in_print(Cut(after, before, own, np.zeros_like(own), 1.0)) == "added"


def told(edited: np.ndarray) -> set[str]:
    """What is told of a scan of a page of one line, and of a scan of the same page with something done to it."""
    before, after = (take(one, Nuisance(noise=3, jpeg=85), seed) for seed, one in enumerate((one_line(), edited)))
    return {one.what for one in detect(before, after, kind="camera").regions}


def one_line() -> np.ndarray:
    words = [Printed(text, x, y) for y in range(50, 700, 60) for x, text in ((60, "total 1340"), (400, "paid 25 May"))]
    return drawn(words, 26, False).copy()


def test_a_line_through_words_was_added():
    page = one_line()
    end = 60 + int(font(26).getlength("total 1340"))
    assert told(cv2.line(page, (58, 303), (end, 303), (25, 25, 30), 2)) == {"added"}


def test_words_in_another_color_are_not_another_word():
    page = one_line()
    page[290:325, 395:600] = np.where(page[290:325, 395:600] < 128, np.uint8([190, 30, 30]), page[290:325, 395:600])
    assert told(page) == {"recolored"}
