"""Rows or columns that came, went or moved: each told as what happened, and all that only moved on is silent."""

from __future__ import annotations

import numpy as np
import pytest

from tests.outside import layouts
from tests.outside.claims import tells

SHEET = "small"


@pytest.mark.parametrize("where", layouts.PLACES)
@pytest.mark.parametrize("content", layouts.CONTENTS)
@pytest.mark.parametrize("make", [layouts.inserted, layouts.removed])
def test_rows_put_in_and_taken_out(make, content, where):
    result = tells(make(np.random.default_rng(11), SHEET, content, 60, where))
    assert result.kind == "layout"


@pytest.mark.parametrize("rows", [1, 2, 5, 17, 150, 400])
@pytest.mark.parametrize("make", [layouts.inserted, layouts.removed])
@pytest.mark.parametrize("content", ["blank", "band"])
def test_one_to_four_hundred_rows(make, rows, content):
    tells(make(np.random.default_rng(rows), "phone", content, rows, "middle"))


@pytest.mark.parametrize("where", layouts.PLACES)
@pytest.mark.parametrize("make", [layouts.inserted, layouts.removed])
def test_a_line_of_a_dense_page(make, where):
    tells(make(np.random.default_rng(12), SHEET, "line", 1, where, dense=True))


@pytest.mark.parametrize("where", layouts.PLACES)
@pytest.mark.parametrize("make", [layouts.inserted, layouts.removed])
@pytest.mark.parametrize("content", ["paragraph", "blank"])
def test_a_page_that_grows_or_shrinks(make, where, content):
    tells(make(np.random.default_rng(13), SHEET, content, 60, where, grows=True))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_number_below_a_line_put_in(seed):
    tells(layouts.edited_below(np.random.default_rng(seed), SHEET))


@pytest.mark.parametrize("rows", [60, 133, 300])
@pytest.mark.parametrize("head", [False, True])
def test_a_page_scrolled(rows, head):
    tells(layouts.scrolled(np.random.default_rng(rows), SHEET, rows, head=head))


@pytest.mark.parametrize("seed", range(4))
def test_a_block_moved(seed):
    edited = layouts.moved(np.random.default_rng(seed), "phone")
    result = tells(edited)
    (truth,) = edited.truth
    (moved,) = (one for one in result.regions if one.what == "moved")
    assert np.abs(np.subtract(moved.after, truth.after)).max() <= 12


@pytest.mark.parametrize("content", ["line", "paragraph", "band", "picture"])
def test_rows_beside_a_sidebar_that_stays(content):
    tells(layouts.beside_sidebar(np.random.default_rng(14), SHEET, content, 50))


@pytest.mark.parametrize("grows", [False, True])
def test_a_column_put_in(grows):
    tells(layouts.column_inserted(np.random.default_rng(15), SHEET, grows=grows))


@pytest.mark.process
@pytest.mark.parametrize("index", range(36))
def test_any_layout(index):
    tells(layouts.random_layout(17, index))
