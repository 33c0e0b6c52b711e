"""Networks as boxes and arrows."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import Rectangle

from helpers import plotting

BOXES = {"in": (0, 0, "picture", "3 x 8 x 8"), "net": (1, 0, "network", "4 x 2 x 2"), "out": (1, 1, "answer", "1")}


def test_arrows_end_at_the_edges_of_their_boxes():
    figure = plotting.diagram(BOXES, ["in net out"])
    (axis,) = figure.axes
    figure.draw_without_rendering()
    first, second, third = (one.get_bbox() for one in axis.patches if isinstance(one, Rectangle))
    middles = [((one.x0 + one.x1) / 2, (one.y0 + one.y1) / 2) for one in (first, second, third)]
    assert np.allclose(middles, [box[:2] for box in BOXES.values()])
    arrows = [text.arrow_patch for text in axis.texts if getattr(text, "arrow_patch", None) is not None]
    right, down = (axis.transData.inverted().transform(one.get_window_extent()) for one in arrows)
    assert [right[:, 0].min(), right[:, 0].max()] == pytest.approx([first.x1, second.x0], abs=0.02)
    assert [down[:, 1].min(), down[:, 1].max()] == pytest.approx([second.y1, third.y0], abs=0.04)
    assert np.allclose(right[:, 1], 0, atol=0.05)
    assert np.allclose(down[:, 0], 1, atol=0.02)
    plt.close(figure)


def test_each_box_says_its_name_and_what_comes_out():
    figure = plotting.diagram(BOXES, [])
    written = [text.get_text() for text in figure.axes[0].texts]
    assert written == ["picture", "3 x 8 x 8", "network", "4 x 2 x 2", "answer", "1"]
    assert figure.get_facecolor() == (1, 1, 1, 1), "readable on a dark page"
    plt.close(figure)


def test_a_chain_of_unknown_boxes_is_refused():
    with pytest.raises(ValueError, match="there is no box nowhere: the boxes are in, net, out"):
        plotting.diagram(BOXES, ["in nowhere"])
