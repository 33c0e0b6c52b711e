"""What lies along the edge of a photograph's frame may have come from beyond it."""

from __future__ import annotations

import numpy as np

from whatchanged.camera import _without_edge
from whatchanged.detection import detect


def test_pieces_along_the_edge_do_not_count_and_deeper_ones_stay_whole():
    mask = np.zeros((200, 300), bool)
    mask[198:, 40:90] = mask[10:60, :2] = True  # along the edge
    kept = np.zeros_like(mask)
    kept[:4, 100:140] = kept[90:96, 295:] = kept[50:60, 60:70] = True  # deeper, at the edge or not
    np.testing.assert_array_equal(_without_edge(mask | kept), kept)
    np.testing.assert_array_equal(_without_edge(kept), kept)
    assert not _without_edge(mask).any()


def test_a_tiny_picture_is_all_edge():
    mask = np.ones((40, 300), bool)
    mask[3:-3, 3:-3] = False
    np.testing.assert_array_equal(_without_edge(mask), mask)


def test_a_trace_that_comes_into_view_is_no_change():
    """Of a board taken again a trace beyond the frame may show one row: there is nothing to find it by."""
    rng = np.random.default_rng(0)
    pictures = [np.full((300, 400, 3), 235, np.uint8) for _ in range(2)]
    for picture in pictures:
        for y in range(20, 280, 40):
            picture[y : y + 12, 30:370] = 20
    pictures[0][298:, 120:170] = 20
    before, after = (np.clip(one + rng.normal(0, 3, one.shape), 0, 255).astype(np.uint8) for one in pictures)
    assert detect(before, after, kind="camera").regions == []
    assert [one.box for one in detect(pictures[0], pictures[1], kind="exact").regions] == [(120, 298, 50, 2)]
