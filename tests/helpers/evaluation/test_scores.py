"""Scores of classifications, against scikit-learn, SciPy and formulas."""

from __future__ import annotations

import numpy as np
import pytest

from helpers import evaluation


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


@pytest.mark.process
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


@pytest.mark.process
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


def test_what_a_perfect_map_could_point_at():
    """By trying each place of each map; the middles of 2 x 2 squares of 64 x 32 pixels lie at 8, 24 and 16, 48."""
    boxes = [
        np.array([[10, 2, 10, 10]]),
        np.empty((0, 4)),
        np.array([[0, 0, 9, 9]]),
        np.array([[1, 1, 2, 2], [40, 20, 9, 9]]),
    ]
    assert evaluation.best_pointing((2, 2), boxes, (32, 64)) == pytest.approx(2 / 3)
    rng = np.random.default_rng(0)
    many = [np.hstack([rng.integers(0, 40, (2, 2)), rng.integers(1, 9, (2, 2))]) for _ in range(40)]
    for shape in ((3, 5), (8, 4), (48, 48)):
        tried = [np.eye(1, shape[0] * shape[1], place).reshape(1, *shape) for place in range(shape[0] * shape[1])]
        best = [any(evaluation.pointing_hits(one, [truth], (48, 48))[0] for one in tried) for truth in many]
        assert evaluation.best_pointing(shape, many, (48, 48)) == np.mean(best)
