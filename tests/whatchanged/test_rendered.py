"""Pages and screens through `detect`: boxes in both pictures, what only one has, sizes that differ."""

from __future__ import annotations

import numpy as np
import pytest

from tests.outside import pages
from tests.outside.pages import Look
from whatchanged.detection import detect
from whatchanged.rendered import FAINT, SHIFTED, SMALL

PAGE = pages.stack(pages.document(np.random.default_rng(5), Look(500, 14), 400), 400)


def told(before, after, **how):
    found = detect(before, after, **how)
    return found, [(one.what, one.box, one.after) for one in found.regions]


def test_below_an_inserted_band_boxes_follow_the_rows():
    band = np.full((30, 500, 3), (40, 90, 160), np.uint8)
    after = np.concatenate([PAGE[:100], band, PAGE[100:]])
    after[330:340, 200:230] = (250, 120, 20)
    found, regions = told(PAGE, after)
    assert found.kind == "layout"
    assert ("added", (0, 100, 500, 30), (0, 100, 500, 30)) in regions
    (other,) = [one for one in regions if one[1][1] > 150]
    assert (other[1], other[2]) == ((200, 300, 30, 10), (200, 330, 30, 10))
    assert found.mask.shape == found.map.shape == PAGE.shape[:2]


@pytest.mark.parametrize("wider", [False, True])
def test_what_only_the_larger_picture_has(wider):
    more = np.full((400, 60, 3), 255, np.uint8) if wider else np.full((60, 500, 3), 255, np.uint8)
    larger = np.concatenate([PAGE, more], axis=int(wider))
    strip = (500, 0, 60, 400) if wider else (0, 400, 500, 60)
    assert told(PAGE, larger)[1] == [("added", strip, strip)]
    assert told(larger, PAGE)[1] == [("removed", strip, strip)]
    assert told(PAGE, larger, size="crop")[1] == []


def test_sensitivity_leaves_out_what_is_faint():
    after = PAGE.copy()
    after[10:40, 10:60] = np.maximum(after[10:40, 10:60], 5) - 5
    after[200:210, 10:60] = 90
    assert len(told(PAGE, after)[1]) == 2
    assert [box[1] for _, box, _ in told(PAGE, after, sensitivity=0.5)[1]] == [200]


def test_what_stays_silent_is_said():
    look = Look(500, 16)
    first, second = (pages.line(look, "Not a word of it has changed", shift=by) for by in (0.0, 1 / 3))
    found = detect(first, second)
    assert found.regions == []
    assert found.similarity < 1
    assert found.note == SHIFTED


@pytest.mark.parametrize(("options", "note"), [({"sensitivity": 0.5}, FAINT), ({"min_area": 500}, SMALL)])
def test_what_was_asked_to_stay_silent_is_said(options, note):
    after = PAGE.copy()
    after[390:396, 480:490] -= 3
    assert detect(PAGE, after).regions
    found = detect(PAGE, after, **options)
    assert found.regions == []
    assert found.similarity == pytest.approx(1 - 60 / (400 * 500))
    assert found.note == note


def test_the_whole_of_a_tiny_picture():
    white, black = np.full((2, 2, 3), 255, np.uint8), np.zeros((2, 2, 3), np.uint8)
    found, regions = told(white, black)
    assert found.similarity == 0
    assert [box for _, box, _ in regions] == [(0, 0, 2, 2)]
