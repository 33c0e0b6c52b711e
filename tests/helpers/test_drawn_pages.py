"""Pages drawn as a program draws them."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.pages import page, row_of

LINES = ["One line of text", "and another one"]


def test_a_page_comes_out_the_same_each_time_and_three_thirds_are_a_pixel():
    assert np.array_equal(page(LINES), page(LINES))
    assert np.array_equal(page(LINES, thirds=3), np.roll(page(LINES), 1, axis=1))
    moved = page(LINES, thirds={1: 3})
    assert np.array_equal(moved[:40], page(LINES)[:40])
    assert not np.array_equal(moved[40:], page(LINES)[40:])


def test_ink_and_things_have_their_colors():
    assert (page(LINES, ink={0: (0, 0, 200)})[..., 2] > 200).all(axis=1)[:16].all()
    assert not np.array_equal(page(LINES, ink={0: (0, 0, 200)})[:40], page(LINES)[:40])
    row = row_of([(shape, 60 + 100 * i, 60, 40, (200, 0, 0)) for i, shape in enumerate(("disc", "square", "triangle"))])
    assert [tuple(row[60, x]) for x in (60, 160, 260)] == [(200, 0, 0)] * 3
    with pytest.raises(ValueError, match="shape is 'star'"):
        row_of([("star", 60, 60, 40, (200, 0, 0))])
