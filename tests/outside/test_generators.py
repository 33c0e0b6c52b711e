"""The generators' own truth: it says exactly which pixels are new, gone or elsewhere."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.outside import cameras, layouts, pages, screens, silent, spots
from tests.outside.cameras import Shot, scene, take
from tests.outside.truths import answered, iou, judged, touches
from whatchanged.regions import Region


def oracle(edited):
    """The regions that a detector without fault reports."""
    return [Region(*one.before, 1, 1.0, one.what, one.after) for one in edited.told]


@pytest.mark.parametrize("index", range(18))
def test_the_truth_of_a_layout_answers_itself(index):
    edited = layouts.random_layout(2, index)
    assert edited.before.shape != edited.after.shape or (edited.before != edited.after).any()
    assert judged(oracle(edited), edited) == (len(edited.told), 0)
    assert judged([], edited) == (0, 0)
    high, wide = np.maximum(edited.before.shape, edited.after.shape)[:2]
    for one in edited.told:
        inside = one.after if one.what == "added" else one.before
        assert inside[0] >= 0
        assert inside[1] >= 0
        assert inside[0] + inside[2] <= wide
        assert inside[1] + inside[3] <= high


@pytest.mark.parametrize("content", layouts.CONTENTS)
def test_without_the_new_rows_the_page_is_the_old_one(content):
    edited = layouts.inserted(np.random.default_rng(3), "small", content, 50, grows=True)
    (truth,) = edited.told
    rows = len(edited.after) - len(edited.before)
    y = truth.after[1]
    starts = [
        at
        for at in range(max(0, y - rows), y + 1)
        if (np.delete(edited.after, np.s_[at : at + rows], 0) == edited.before).all()
    ]
    assert starts
    assert starts[0] <= y < starts[0] + rows


def test_a_moved_block_is_the_same_in_both():
    edited = layouts.moved(np.random.default_rng(5), "screen")
    (truth,) = edited.truth
    (x, y, width, height), (u, v, *_) = truth.before, truth.after
    assert np.array_equal(edited.before[y : y + height, x : x + width], edited.after[v : v + height, u : u + width])


def test_blank_rows_are_right_anywhere_in_their_gap():
    edited = layouts.inserted(np.random.default_rng(4), "small", "blank", 9, "top")
    (truth,) = edited.told
    for y in range(truth.room[1], truth.room[1] + truth.room[3] - 9 + 1):
        assert answered(Region(0, y, 640, 9, 1, 1.0), truth, edited.before.shape) == 1


def test_spots_lie_in_their_boxes_and_nowhere_else():
    for index in range(6):
        before, after, boxes = spots.spotted(1, index, (480, 360))
        off = cv2.absdiff(before, after).max(axis=2)
        inside = np.zeros(off.shape, bool)
        for x, y, width, height in boxes:
            part = off[y : y + height, x : x + width]
            assert 15 <= np.count_nonzero(part) <= 150
            assert part[part > 0].min() > 100
            inside[y : y + height, x : x + width] = True
        assert not off[~inside].any()
        assert 1 <= len(boxes) <= 8


def test_a_shot_of_nothing_is_the_middle_of_the_scene():
    wide = scene("china", (300, 200))
    assert np.array_equal(take(wide, Shot(), (200, 100)), wide[50:150, 50:250])


def test_the_matrix_says_where_a_thing_went():
    wide, size, box = scene("moon", (600, 500)), (300, 240), (140, 100, 30, 30)
    shot = Shot(zoom=1.5, degrees=3, shift=(5, -4), tilt=0.02)
    gone = cv2.absdiff(take(wide, shot, size), take(cameras.patched(wide, box, size), shot, size)).max(axis=2) > 40
    ys, xs = np.nonzero(gone)
    middle = cameras.matrix(shot, size) @ [155, 115, 1]
    assert np.abs(middle[:2] / middle[2] - (xs.mean(), ys.mean())).max() < 3


def test_text_set_again_differs_a_little_everywhere():
    before, after = silent.set_again(0)
    share = (before != after).any(axis=2).mean()
    assert 0.02 < share < 0.4


def test_a_screen_knows_where_its_things_are():
    shown = screens.screen(np.random.default_rng(0))
    for kind in ("icon", "entry", "card", "button"):
        for x, y, width, height in shown.places[kind]:
            part = shown.pixels[y : y + height, x : x + width]
            assert part.shape == (height, width, 3)
            assert part.std() > 1
    assert not any(touches(one, other) for one in shown.places["card"] for other in shown.places["entry"])


def test_boxes_and_ink():
    assert iou((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(1 / 3)
    page = np.full((20, 30, 3), 255, np.uint8)
    assert pages.ink(page, (255, 255, 255)) is None
    page[4:6, 7:9, 1] = 0
    assert pages.ink(page, (255, 255, 255)) == (7, 4, 2, 2)
