"""Rows and columns matched by their content, on arrays whose right layout is known."""

from __future__ import annotations

import difflib

import numpy as np
import pytest

from whatchanged.images import packed
from whatchanged.layout import layout_of
from whatchanged.rendered import lay
from whatchanged.rows import common_rows

rng = np.random.default_rng(0)


def lines(count: int, width: int = 300, *, seed: int = 0, pitch: int = 12) -> np.ndarray:
    """A page of lines, 8 rows of dots each, all different: uint8 (count * pitch, width, 3)."""
    made = np.full((count * pitch, width, 3), 255, np.uint8)
    dots = np.random.default_rng(seed).random((count, 8, width - 40)) < 0.3
    for number, line in enumerate(dots):
        made[number * pitch + 2 : number * pitch + 10, 20 : width - 20][line] = 0
    return made


PAGE = lines(30)


def inserted(rows: np.ndarray, at: int) -> np.ndarray:
    return np.concatenate([PAGE[:at], rows, PAGE[at:]])


@pytest.mark.parametrize("at", [0, 120, 240, 360])
@pytest.mark.parametrize("rows", [1, 12, 100])
@pytest.mark.parametrize("ink", [False, True])
def test_rows_that_came_and_went(at, rows, ink):
    new = lines(9, seed=7)[2 : 2 + rows] if ink else np.full((rows, 300, 3), 255, np.uint8)
    after = inserted(new, at)
    layout = layout_of(PAGE, after)
    assert layout.removed == []
    ((_, y), (_, top, width, height)) = layout.added[0]
    assert len(layout.added) == 1
    assert (width, height) == (300, rows)
    assert max(abs(y - at), abs(top - at)) <= 12, "within the gap where it makes no difference"
    assert np.array_equal(lay(PAGE, after, layout), PAGE)
    back = layout_of(after, PAGE)
    assert back.added == []
    assert [rect[2:] for rect, _ in back.removed] == [(300, rows)]


def test_every_pixel_lies_in_one_piece():
    after = inserted(lines(3, seed=9), 96)[:360]
    after[200:206, 50:60] = (200, 30, 30)
    layout = layout_of(PAGE, after)
    for side, shape in ((0, PAGE.shape), (1, after.shape)):
        seen = np.zeros(shape[:2], int)
        rects = [piece[side] for piece in layout.pieces]
        rects += [rect for rect, _ in layout.removed] if side == 0 else [rect for _, rect in layout.added]
        for x, y, width, height in rects:
            seen[y : y + height, x : x + width] += 1
        assert (seen == 1).all()


def test_a_page_in_place_stays_in_place():
    after = PAGE.copy()
    after[100:108, 40:60] = 255 - after[100:108, 40:60]
    after[300:308, 40:60] = 128
    assert not layout_of(PAGE, after).is_shifted


def test_a_sidebar_that_stays():
    side = lines(36, 120, seed=4, pitch=10)
    before = np.concatenate([side, PAGE], axis=1)
    after = np.concatenate([side, inserted(lines(2, seed=8), 120)[:360]], axis=1)
    layout = layout_of(before, after)
    assert [rect[0] >= 120 and rect[3] == 24 for _, rect in layout.added] == [True]


def test_a_column_that_came():
    upright = PAGE.swapaxes(0, 1)
    after = np.concatenate([upright[:, :120], lines(2, seed=5).swapaxes(0, 1), upright[:, 120:]], axis=1)
    assert [rect[2:] for _, rect in layout_of(upright, after).added] == [(24, 300)]


def test_a_line_that_moved_between_others_that_stayed():
    after = PAGE.copy()
    before = PAGE.copy()
    before[108:168] = 255
    after[108:168] = 255
    before[110:118], after[140:148] = PAGE[110:118], PAGE[110:118]
    ((one, two),) = layout_of(before, after).moved
    assert two[1] - one[1] == 30
    assert layout_of(before, after).added == []


@pytest.mark.parametrize("way", [1, -1])
def test_a_button_that_moved_along_its_row(way):
    """Nothing stands beside it that is pushed away: it moved, and no ground was removed or added."""
    pages = [PAGE.copy(), PAGE.copy()]
    button = np.random.default_rng(3).integers(0, 255, (10, 40, 3), np.uint8)
    for page, x in zip(pages, (220, 120)[::way], strict=True):
        page[100:130] = 255
        page[110:120, x : x + 40] = button
    layout = layout_of(*pages)
    ((one, two),) = layout.moved
    assert two[0] - one[0] == -100 * way
    assert (one[2], two[2]) == (40, 40)
    assert (layout.removed, layout.added) == ([], [])


@pytest.mark.parametrize("seed", range(6))
def test_common_rows_are_as_many_as_difflib_finds(seed):
    draw = np.random.default_rng(seed)
    page, kept = lines(20, seed=seed), []
    for _ in range(2):  # each lacks three spans of its own
        rows = np.ones(240, bool)
        for start in draw.integers(0, 220, 3):
            rows[start : start + draw.integers(1, 20)] = False
        kept.append(page[rows])
    first, second = kept
    found = common_rows(packed(first), packed(second))
    for i, j, count in found:
        assert np.array_equal(first[i : i + count], second[j : j + count])
    own = [[row.tobytes() for row in page] for page in (first, second)]
    theirs = difflib.SequenceMatcher(None, *own, autojunk=False).get_matching_blocks()
    ours, least = sum(count for *_, count in found), sum(block.size for block in theirs)
    assert ours >= 0.8 * least


def bars(count: int) -> np.ndarray:
    """Bars of 8 equal rows each, as of a chart or of gray words in place of text, and 60 empty rows: no row of the page
    occurs once."""
    page = np.full((count * 16 + 60, 300, 3), 255, np.uint8)
    for number in range(count):
        page[number * 16 + 4 : number * 16 + 12, 20 : 40 + (number * 37) % 240] = 60
    return page


@pytest.mark.parametrize("at", [16, 80, 240])
@pytest.mark.parametrize("gap", [4, 24])
def test_rows_put_in_between_bars_on_a_page_that_keeps_its_size(at, gap):
    page = bars(20)
    new = np.full((gap + 12, 300, 3), 255, np.uint8)
    new[gap:-4, 20:290] = 10
    after = np.concatenate([page[:at], new, page[at:]])[: len(page)]
    layout = layout_of(page, after)
    ((_, (_, top, width, height)),) = layout.added
    assert (width, height) == (300, gap + 12)
    assert 0 <= top - at <= 4, "within the gap where it makes no difference"
    assert layout.removed == []


def test_one_bar_a_little_lower_stays_in_place():
    page = bars(3)
    after = page.copy()
    after[36:44], after[38:46] = 255, page[36:44]
    assert not layout_of(page, after).is_shifted
