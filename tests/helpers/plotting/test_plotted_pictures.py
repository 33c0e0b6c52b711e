"""Figures of pictures: captions in full, small tables with their values."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from helpers import plotting

GRAY = np.full((96, 96, 3), 128, np.uint8)


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def test_captions_are_whole_inside_their_figure_and_pictures_as_high():
    long = "the man in the white shirt beside the blue car is gone and three people walk by the entrance " * 3
    rows = [{"before": GRAY, "after": GRAY, "found": (), "text": text} for text in ("short", f"{long}\ntruth: none")]
    figure = plotting.captioned_pairs(rows)
    figure.canvas.draw()
    titles = [part._suptitle for part in figure.subfigs]
    assert " ".join(titles[1].get_text().split()) == " ".join(f"{long} truth: none".split())
    for part, title in zip(figure.subfigs, titles, strict=True):
        written, own = title.get_window_extent(), part.bbox
        assert own.x0 <= written.x0
        assert written.x1 <= own.x1
        assert written.y1 <= figure.bbox.y1
        assert written.y0 >= max(axis.get_window_extent().y1 for axis in part.axes) - 1, "above the pictures"
    lower = [axis.get_window_extent().y0 for part in figure.subfigs for axis in part.axes]
    assert max(lower) - min(lower) < 6, "one below the other by less than half a line"


def test_a_small_table_shows_its_values_and_a_picture_none():
    table = np.arange(16).reshape(4, 4) / 16
    figure = plotting.images([table, np.zeros((5, 5)), GRAY], ["a", "b", "c"], heat=(0, 1))
    written = [[text.get_text() for text in axis.texts] for axis in figure.axes]
    assert written == [[f"{value:.2f}" for value in table.ravel()], [], []]
    places = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    assert places["0.06"] == (1, 0), "column, row"


def test_a_heat_table_says_what_its_columns_are():
    pandas = pytest.importorskip("pandas")
    values = pandas.DataFrame([[0.25, 1.0, 0.25]], ["now"], ["the", "ring", "the"])
    axis = plotting.table_heat(values, title="Chances", label="probability", x="token").axes[0]
    assert axis.get_xlabel() == "token"
    assert [text.get_text() for text in axis.texts] == ["0.25", "1.00", "0.25"], "columns may share a name"
