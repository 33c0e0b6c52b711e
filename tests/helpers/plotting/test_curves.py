"""Lines, named."""

from __future__ import annotations

from helpers import plotting


def test_lines_are_named_and_may_be_logarithmic():
    figure = plotting.lines([1, 10], {"a": [1, 2], "b": [3, 4]}, title="t", x="count", y="value", log="x")
    axis = figure.axes[0]
    assert [line.get_ydata().tolist() for line in axis.get_lines()] == [[1, 2], [3, 4]]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["a", "b"]
    assert (axis.get_xscale(), axis.get_yscale()) == ("log", "linear")
    assert (axis.get_title(), axis.get_xlabel(), axis.get_ylabel()) == ("t", "count", "value")
