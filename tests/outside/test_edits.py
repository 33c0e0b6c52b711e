"""What happened, end to end: macro F1 on edited photographs and pages whose seeds nothing was tuned on."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from edited_pages import PAGES, edited_page
from edits import PHOTOGRAPHS, STUFF, Edit, added_up, by_camera, counted, edited_photograph, f1_of, overlap

from whatchanged.camera import compare_photographs
from whatchanged.happened import what_happened
from whatchanged.options import Options
from whatchanged.regions import HAPPENED, Region, regions


def test_an_overlap_is_intersection_over_union():
    assert overlap((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 10, 10), (20, 0, 10, 10)) == 0


def test_a_moved_region_needs_both_boxes_and_an_edit_is_told_of_once():
    truth = [Edit("moved", (0, 0, 10, 10), (50, 0, 10, 10))]
    good = Region(0, 0, 10, 10, 1, 1.0, "moved", (50, 0, 10, 10))
    bad = Region(0, 0, 10, 10, 1, 1.0, "moved", (90, 0, 10, 10))
    assert f1_of(counted([good], truth))["moved"] == 1
    assert f1_of(counted([bad], truth))["moved"] == 0
    assert f1_of(counted([good, good], truth))["moved"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("stuff", STUFF)
def test_photographs_differ_at_their_edits_only(stuff):
    before, after, truth = edited_photograph(np.random.default_rng(5), "coffee", stuff)
    left = cv2.absdiff(before, after).max(axis=2)
    assert truth
    for edit in truth:
        for x, y, width, height in (edit.before, edit.after):
            assert left[y : y + height, x : x + width].any()
    for x, y, width, height in (box for edit in truth for box in (edit.before, edit.after)):
        left[y - 2 : y + height + 2, x - 2 : x + width + 2] = 0
    assert not left.any()


@pytest.mark.parametrize("kind", PAGES)
def test_pages_differ_at_their_edits_only(kind):
    before, after, truth = edited_page(np.random.default_rng(5), kind)
    left = cv2.absdiff(before, after).max(axis=2)
    assert truth
    for x, y, width, height in (box for edit in truth for box in (edit.before, edit.after)):
        left[y - 1 : y + height + 1, x - 1 : x + width + 1] = 0
    assert not left.any()


@pytest.mark.process
def test_photographs_under_camera_motion():
    counts = []
    for seed in range(5000, 5014):
        for i, stuff in enumerate(STUFF):
            rng = np.random.default_rng((seed, i))
            before, after, truth = edited_photograph(rng, PHOTOGRAPHS[seed % len(PHOTOGRAPHS)], stuff)
            before, after = by_camera(rng, before, after)
            seen = compare_photographs(before, after, Options())
            found = regions(seen.mask, seen.strength, merge=seen.merge, min_area=seen.min_area)
            counts.append(counted(what_happened(before, seen.after, found, seen.mask), truth))
    assert all(added_up(counts)[what][2] for what in HAPPENED)
    assert f1_of(added_up(counts))["macro"] >= 0.85


@pytest.mark.process
def test_pages_screens_and_puzzles():
    counts = []
    for seed in range(5000, 5020):
        for i, kind in enumerate(PAGES):
            before, after, truth = edited_page(np.random.default_rng((seed, i)), kind)
            apart = cv2.absdiff(before, after).max(axis=2)
            found = regions(apart > 0, apart / np.float32(255), merge=12, min_area=1)
            counts.append(counted(what_happened(before, after, found, apart > 0), truth))
    assert all(added_up(counts)[what][2] for what in HAPPENED)
    assert f1_of(added_up(counts))["macro"] >= 0.95
