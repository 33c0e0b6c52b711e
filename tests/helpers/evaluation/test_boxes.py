"""Box scores against worked examples and scikit-learn."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from helpers import evaluation
from helpers.nuisances import CONDITIONS
from helpers.photographs import photo_pair
from whatchanged import detection
from whatchanged.clusters import Cluster
from whatchanged.regions import Difference, Region


def test_iou_by_hand():
    a = [[0, 0, 10, 10], [100, 100, 5, 5]]
    b = [[5, 0, 10, 10], [0, 0, 10, 10], [2, 2, 2, 2]]
    assert evaluation.box_iou(a, b) == pytest.approx(np.array([[50 / 150, 1, 4 / 100], [0, 0, 0]]))
    assert evaluation.box_iou(np.zeros((0, 4)), b).shape == (0, 3)


def test_a_true_box_counts_once():
    true = [[0, 0, 10, 10]]
    assert evaluation.match_boxes([[0, 0, 9, 10], [0, 0, 10, 10], [50, 50, 5, 5]], true).tolist() == [
        True,
        False,
        False,
    ]
    score = evaluation.score_boxes(
        [(np.array([[0, 0, 9, 10], [0, 0, 10, 10]]), np.array(true)), (np.zeros((0, 4)), true)]
    )
    assert (score.true_positives, score.false_positives, score.false_negatives) == (1, 1, 1)
    assert (score.precision, score.recall, score.f1) == (0.5, 0.5, 0.5)
    nothing = evaluation.score_boxes([(np.zeros((0, 4)), np.zeros((0, 4)))])
    assert (nothing.precision, nothing.recall, nothing.f1) == (1, 1, 1)


def test_methods_are_compared_on_the_same_pairs():
    def make(seed, index, *, nuisance, changed):
        return photo_pair(seed, index, nuisance=nuisance, edits=(1, 1) if changed else (0, 0))

    def blind(before, after):
        return Difference("blind", 1.0, [], np.zeros(before.shape[:2], np.float32), None)

    methods = {"tolerant": detection.detect, "blind": blind}
    conditions = {name: CONDITIONS[name] for name in ("noise", "clean")}
    scores = evaluation.compare_methods(methods, conditions, make, pairs=4, seed=0)
    table = evaluation.score_table(scores, lambda score: score.score.recall)
    assert list(table.index) == ["noise", "clean"]
    assert list(table.columns) == ["tolerant", "blind"]
    assert (table["tolerant"] == 1).all()
    assert (table["blind"] == 0).all()
    assert all(score.false_boxes == 0 for score in scores)
    with pytest.raises(ValueError, match="pairs is 0"):
        evaluation.compare_methods(methods, conditions, make, pairs=0, seed=0)


def test_score_sets_counts_members():
    found = evaluation.score_sets([({1, 2}, {2, 3, 4}), (set(), set()), ({5}, set())])
    assert (found.true_positives, found.false_positives, found.false_negatives) == (1, 2, 2)
    assert found.f1 == pytest.approx(2 / 6)


def cluster(x, y, width, height, area):
    mask = np.zeros((50, 60), bool)
    mask[y : y + height, x : x + width] = np.arange(width * height).reshape(height, width) < area
    return Cluster(mask, (x, y, width, height), float(area))


def test_clusters_against_true_boxes_by_hand():
    pairs = [
        ([cluster(0, 0, 10, 10, 50), cluster(40, 30, 10, 10, 100)], np.array([[5, 0, 10, 10]])),
        ([], np.array([[20, 20, 10, 5]])),
        ([cluster(5, 5, 4, 5, 20)], np.zeros((0, 4))),
    ]
    found = evaluation.score_clusters(pairs, (50, 60))
    assert found.size == pytest.approx((50 + 100 + 20) / 3)
    assert found.density == pytest.approx((0.5 + 1 + 1) / 3)
    assert found.coverage == pytest.approx(50 / 150)
    assert found.iou == pytest.approx((50 / 150 + 0) / 2)
    assert found.false == pytest.approx(2 / 3)
    nothing = evaluation.score_clusters([([], np.zeros((0, 4)))], (50, 60))
    assert math.isnan(nothing.size)
    assert math.isnan(nothing.coverage)
    assert nothing.false == 0


def test_a_thing_that_moved_counts_at_both_places():
    pair = photo_pair(3, size=(96, 128), edits=(1, 1), name="coffee")
    empty = np.zeros((96, 128), np.float32)
    moved = Region(10, 20, 8, 6, 48, 0.5, "moved", (60, 20, 8, 6), place=(60, 20, 8, 6))
    found = Difference("tolerant", 0.9, [moved], empty, empty > 0)
    (score,) = evaluation.compare_methods(
        {"one": lambda before, after: found},
        {"clean": CONDITIONS["clean"]},
        lambda seed, index, **_: replace(pair, changes=()),
        pairs=1,
        seed=0,
    )
    assert score.score.false_positives == 2
