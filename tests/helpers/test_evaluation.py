"""Box scores against worked examples and scikit-learn, and every figure of the course drawn once."""

from __future__ import annotations

import math

import matplotlib
import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve

from helpers import evaluation, plotting, scenes
from helpers.nuisances import CONDITIONS
from helpers.photographs import photo_pair
from whatchanged import detection
from whatchanged.clusters import Cluster
from whatchanged.regions import Difference


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


def test_precision_recall_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    true = np.array([[20 * i, 0, 10, 10] for i in range(30)])
    right = rng.random(30) < 0.6
    found = np.where(right[:, None], true, true + [0, 500, 0, 0])
    strength = rng.random(30)
    order = np.argsort(-strength)
    precision, recall = evaluation.precision_recall([(found[order], strength[order], true)])
    theirs, _, _ = precision_recall_curve(right, strength)
    assert precision == pytest.approx(theirs[:-1][::-1])
    assert recall[-1] == pytest.approx(right.mean())


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


def test_drawn_regions_lie_on_both_pictures():
    before, after = np.full((100, 120, 3), 128, np.uint8), np.full((50, 60, 3), 128, np.uint8)
    after[20:30, 30:40] = 0
    found = detection.detect(before, after, resize=True, align=False)
    drawn = plotting.draw_regions(before, after, found)
    gap = drawn.shape[1] - 240
    assert drawn.shape[0] == 100
    color = np.array([0xD5, 0x5E, 0x00])
    painted = (drawn == color).all(axis=2)
    x, y, width, height = found.boxes[0]
    assert painted[y, x : x + width].mean() > 0.8
    assert painted[y, x + 120 + gap : x + width + 120 + gap].mean() > 0.8
    assert painted[y - 10 : y, x : x + 10].mean() > 0.5, "its number stands on its upper left corner"
    painted[:, x : x + 20] = painted[:, x + 120 + gap : x + 140 + gap] = False
    assert not painted[: y - 4].any()


def test_a_heat_map_over_a_picture():
    picture = np.full((20, 40, 3), 100, np.uint8)
    heat = np.zeros((20, 40))
    heat[:, 20:] = 0.2
    own, common = plotting.overlay(picture, heat), plotting.overlay(picture, heat, highest=1.0)
    assert own.shape == picture.shape
    colors = matplotlib.colormaps[plotting.HEAT]([0.0, 0.2, 1.0])[:, :3]
    expected = np.rint(0.55 * 100 + 0.45 * 255 * colors)
    assert np.abs(own[5, [2, 37]] - expected[[0, 2]]).max() <= 1
    assert np.abs(common[5, [2, 37]] - expected[[0, 1]]).max() <= 1


def test_lines_are_named_and_may_be_logarithmic():
    figure = plotting.lines([1, 10], {"a": [1, 2], "b": [3, 4]}, title="t", x="count", y="value", log="x")
    axis = figure.axes[0]
    assert [line.get_ydata().tolist() for line in axis.get_lines()] == [[1, 2], [3, 4]]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["a", "b"]
    assert (axis.get_xscale(), axis.get_yscale()) == ("log", "linear")
    assert (axis.get_title(), axis.get_xlabel(), axis.get_ylabel()) == ("t", "count", "value")


def test_figures_carry_their_words(monkeypatch):
    import io

    import IPython.display
    from PIL import Image

    shown = []
    monkeypatch.setattr(IPython.display, "display", lambda data, **options: shown.append((data, options)))
    pair = scenes.scene_pair(0)
    heat = np.random.default_rng(0).random(pair.before.shape[:2])
    curves = {"clean": {"pixel": (np.array([1, 0.5]), np.array([0.5, 1]))}}
    figures = [
        plotting.images([pair.before, heat], ["before", "heat"]),
        plotting.pair_with_boxes(pair.before, pair.after, pair.boxes, pair.boxes, title="pair"),
        plotting.heat_map(pair.before, heat, title="heat", label="0 to 1"),
        plotting.overlay_slider(pair.before, pair.after, at=0.3),
        plotting.precision_recall_curves(curves, title="curves"),
    ]
    for figure in figures:
        plotting.show(figure, "what one sees")
    assert len(shown) == 5
    for data, options in shown:
        assert options["metadata"]["image/png"]["alt"] == data["text/plain"] == "what one sees"
        assert Image.open(io.BytesIO(data["image/png"])).format == "PNG"
    with pytest.raises(ValueError, match="needs alt text"):
        plotting.show(figures[0], " ")
    with pytest.raises(ValueError, match="at is 2"):
        plotting.overlay_slider(pair.before, pair.after, at=2)


# Classification, against scikit-learn, SciPy and formulas.


@pytest.fixture
def predictions():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    return labels, np.clip(0.35 + 0.3 * labels + rng.normal(0, 0.25, 400), 0, 1)


def test_binary_score_is_that_of_scikit_learn(predictions):
    from sklearn import metrics

    labels, probabilities = predictions
    score = evaluation.binary_score(labels, probabilities, threshold=0.4, rounds=100)
    predicted = probabilities >= 0.4
    assert score.accuracy.value == pytest.approx((predicted == labels).mean())
    assert score.f1.value == pytest.approx(metrics.f1_score(labels, predicted))
    assert score.roc_auc.value == pytest.approx(metrics.roc_auc_score(labels, probabilities))
    assert score.confusion[0, 1] == (predicted & (labels == 0)).sum()
    assert score.precision.value == pytest.approx(score.confusion[1, 1] / score.confusion[:, 1].sum())
    assert score.recall.value == pytest.approx(score.confusion[1, 1] / score.confusion[1].sum())
    for one in (score.accuracy, score.precision, score.recall, score.f1, score.roc_auc):
        assert one.low < one.value < one.high


def test_bootstrap_interval_is_that_of_scipy_and_of_the_formula(predictions):
    from scipy import stats
    from sklearn.metrics import accuracy_score

    labels, probabilities = predictions
    predicted = (probabilities >= 0.5).astype(int)
    found = evaluation.bootstrap_interval(accuracy_score, labels, predicted, rounds=4000)
    scipy = stats.bootstrap(
        (labels, predicted),
        accuracy_score,
        paired=True,
        vectorized=False,
        method="percentile",
        n_resamples=4000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((scipy.low, scipy.high), abs=0.006)
    half = 1.96 * np.sqrt(found.value * (1 - found.value) / len(labels))
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), abs=0.006)
    narrow = evaluation.bootstrap_interval(accuracy_score, labels, predicted, level=0.5, rounds=4000)
    assert found.low < narrow.low < narrow.high < found.high


def test_resampled_interval_is_the_bootstrap_of_whatever_is_counted():
    from scipy import stats

    values = np.random.default_rng(3).normal(size=80)
    found = evaluation.resampled_interval(lambda drawn: values[drawn].mean(), 80, rounds=4000)
    scipy = stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(1))
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(tuple(scipy.confidence_interval), abs=0.02)


def test_bootstrap_copes_with_a_rare_class():
    from sklearn.metrics import roc_auc_score

    labels = np.array([0] * 9 + [1])
    found = evaluation.bootstrap_interval(roc_auc_score, labels, np.linspace(0, 1, 10), rounds=200)
    assert (found.value, found.low, found.high) == (1, 1, 1)


def test_calibration_error_by_hand():
    """Ten predictions at 0.95, nine of them right, and ten at 0.65, four right: 0.5 * 0.05 + 0.5 * 0.25."""
    probabilities = np.array([0.95] * 10 + [0.35] * 10)
    labels = np.array([1] * 9 + [0] + [0] * 4 + [1] * 6)
    assert evaluation.calibration_error(labels, probabilities) == pytest.approx(0.5 * 0.05 + 0.5 * 0.25)
    assert evaluation.reliability(labels, probabilities) == pytest.approx(
        np.array([[0.65, 0.4, 0.5], [0.95, 0.9, 0.5]])
    )


def test_calibration_error_of_calibrated_predictions_is_small():
    rng = np.random.default_rng(0)
    probabilities = rng.uniform(0, 1, 20_000)
    labels = (rng.uniform(0, 1, 20_000) < probabilities).astype(int)
    assert evaluation.calibration_error(labels, probabilities) < 0.02
    assert evaluation.calibration_error(labels, np.where(probabilities > 0.5, 1.0, 0.0)) > 0.2


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 1], [0.1], r"shape \(2,\), probabilities \(1,\)"),
        ([1, 1], [0.1, 0.2], r"labels are \[1\]: both 0 and 1 must occur"),
        ([0, 2], [0.1, 0.2], r"labels are \[0, 2\]"),
        ([0, 1], [0.1, 1.2], "give the softmax of the logits"),
        ([0, 1], [0.1, float("nan")], "give the softmax of the logits"),
    ],
)
def test_bad_predictions_are_named(labels, probabilities, message):
    with pytest.raises(ValueError, match=message):
        evaluation.binary_score(np.array(labels), np.array(probabilities))


def many_labels(count=300, seed=0):
    """Truth and probabilities of three labels that are right about 85 % of the time."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, (count, 3))
    return labels, np.clip(labels * 0.5 + 0.25 + rng.normal(0, 0.25, labels.shape), 0, 1)


def test_multi_label_score_agrees_with_scikit_learn():
    from sklearn import metrics

    labels, probabilities = many_labels()
    at = [0.4, 0.5, 0.7]
    predicted = (probabilities >= at).astype(int)
    score = evaluation.multi_label_score(labels, probabilities, ("a", "b", "c"), thresholds=at)
    assert score.accuracy.value == pytest.approx(1 - metrics.hamming_loss(labels, predicted))
    assert score.macro_f1.value == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))
    assert score.all_right.value == pytest.approx(metrics.accuracy_score(labels, predicted))
    expected = metrics.multilabel_confusion_matrix(labels, predicted)
    for place, name in enumerate(("a", "b", "c")):
        assert np.array_equal(score.labels[name].confusion, expected[place])
        assert score.labels[name].roc_auc.value == pytest.approx(
            metrics.roc_auc_score(labels[:, place], probabilities[:, place])
        )
    for interval in (score.accuracy, score.macro_f1, score.all_right):
        assert interval.low < interval.value < interval.high
    plain = evaluation.multi_label_score(labels, probabilities, ("a", "b", "c"))
    assert plain.accuracy.value == pytest.approx(((probabilities >= 0.5) == labels).mean())


def test_best_thresholds_are_those_that_brute_force_finds():
    labels, probabilities = many_labels(120)
    grid = np.linspace(0, 1, 10_001)
    for column, found in enumerate(evaluation.best_thresholds(labels, probabilities)):
        true, given = labels[:, column], probabilities[:, column]
        best = max(((given >= at) == true).mean() for at in grid)
        assert ((given >= found) == true).mean() == best


def test_best_threshold_lies_in_the_middle_of_the_gap():
    labels = np.array([[0], [0], [1], [1]])
    found = evaluation.best_thresholds(labels, np.array([[0.1], [0.2], [0.8], [0.9]]))
    assert found == pytest.approx([0.5])


def test_thresholds_must_fit_the_labels():
    labels, probabilities = many_labels(20)
    with pytest.raises(ValueError, match="2 thresholds for 3 labels: give one for each"):
        evaluation.multi_label_score(labels, probabilities, ("a", "b", "c"), thresholds=[0.5, 0.5])


def test_pointing_game_by_hand():
    maps = np.zeros((4, 4, 8))
    maps[0, 1, 5] = maps[1, 0, 0] = maps[2, 3, 7] = 1.0
    boxes = [
        np.array([[42, 10, 8, 8]]),  # the peak of (1, 5) is at x 44, y 12
        np.array([[42, 10, 8, 8]]),  # at x 4, y 4: missed
        np.array([[0, 0, 4, 4], [56, 24, 8, 8]]),  # in the second of two
        np.zeros((0, 4)),  # nothing to point at
    ]
    assert evaluation.pointing_hits(maps, boxes, (32, 64)).tolist() == [True, False, True]


def test_peak_distances_are_those_of_the_distance_transform():
    from scipy.ndimage import distance_transform_edt

    rng = np.random.default_rng(0)
    maps, masks = rng.random((20, 9, 11)), rng.random((20, 9, 11)) < 0.05
    masks[:, 4, 4] = True
    found = evaluation.peak_distances(maps, masks)
    for one, mask, distance in zip(maps, masks, found, strict=True):
        assert distance == pytest.approx(distance_transform_edt(~mask)[one == one.max()][0])
    masks[3] = False
    with pytest.raises(ValueError, match="mask 3 is empty"):
        evaluation.peak_distances(maps, masks)


@pytest.mark.parametrize(("hits", "count"), [(0, 10), (61, 61), (97, 100), (500, 1000)])
def test_share_interval_is_wilsons(hits, count):
    z, share = 1.959963984540054, hits / count
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    found = evaluation.share_interval(np.arange(count) < hits)
    assert found.value == share
    assert (found.low, found.high) == pytest.approx((max(0, middle - half), min(1, middle + half)), abs=1e-9)


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
