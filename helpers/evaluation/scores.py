"""Classes and labels against the truth, with intervals; thresholds; calibration; the pointing game."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A measured value with its bootstrap confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class BinaryScore:
    """How well probabilities of the positive class fit the labels.

    Attributes
    ----------
    accuracy, precision, recall, f1 : at a probability of `threshold`, with 95 % intervals.
    roc_auc : area under the ROC curve, with its interval.
    ece : expected calibration error, see `calibration_error`.
    confusion : int array (2, 2): rows are the truth, columns the prediction.
    """

    accuracy: Interval
    precision: Interval
    recall: Interval
    f1: Interval
    roc_auc: Interval
    ece: float
    confusion: np.ndarray


def binary_score(
    labels: np.ndarray, probabilities: np.ndarray, *, threshold: float = 0.5, rounds: int = 200, seed: int = 0
) -> BinaryScore:
    """Score probabilities of the positive class by scikit-learn's metrics, each with its bootstrap interval.

    Parameters
    ----------
    labels : int array (n,) of 0 and 1; both must occur.
    probabilities : float array (n,), 0 to 1, of label 1.
    threshold : from which on a sample counts as positive.
    rounds, seed : of the bootstrap.

    Raises
    ------
    ValueError
        The arrays differ in length, a value is out of range, or there is only one class.
    """
    from sklearn import metrics

    labels, probabilities = _hold_binary(labels, probabilities)
    predicted = (probabilities >= threshold).astype(int)

    def interval(metric: Callable, given: np.ndarray) -> Interval:
        return bootstrap_interval(metric, labels, given, rounds=rounds, seed=seed)

    quiet = {"zero_division": 0.0}
    return BinaryScore(
        interval(metrics.accuracy_score, predicted),
        interval(partial(metrics.precision_score, **quiet), predicted),
        interval(partial(metrics.recall_score, **quiet), predicted),
        interval(partial(metrics.f1_score, **quiet), predicted),
        interval(metrics.roc_auc_score, probabilities),
        calibration_error(labels, probabilities),
        metrics.confusion_matrix(labels, predicted, labels=[0, 1]),
    )


@dataclass(frozen=True)
class MultiLabelScore:
    """How well probabilities of several yes/no labels fit the truth.

    Attributes
    ----------
    labels : name -> the `BinaryScore` of that label, at its own threshold.
    accuracy : mean over the labels, with its 95 % interval.
    macro_f1 : mean of the labels' F1, with its interval.
    all_right : share of the samples whose labels are all right, with its interval.
    """

    labels: dict[str, BinaryScore]
    accuracy: Interval
    macro_f1: Interval
    all_right: Interval


def multi_label_score(
    labels: np.ndarray,
    probabilities: np.ndarray,
    names: Sequence[str],
    *,
    thresholds: Sequence[float] | None = None,
    rounds: int = 200,
    seed: int = 0,
) -> MultiLabelScore:
    """Score each label by itself and all together; the bootstrap draws whole samples.

    Parameters
    ----------
    labels : array (n, labels) of 0 and 1; both must occur in each column.
    probabilities : float array (n, labels), 0 to 1.
    names : of the labels.
    thresholds : one a label, from `best_thresholds` on *other* data; None is 0.5 for all.
    rounds, seed : of the bootstrap.
    """
    from sklearn.metrics import f1_score

    labels, predicted = np.asarray(labels), decide(probabilities, thresholds)
    each = {
        name: binary_score(labels[:, i], probabilities[:, i], threshold=at, rounds=rounds, seed=seed)
        for i, (name, at) in enumerate(zip(names, _thresholds(probabilities, thresholds), strict=True))
    }
    together: dict[str, Callable] = {
        "accuracy": lambda true, given: (true == given).mean(),
        "macro_f1": partial(f1_score, average="macro", zero_division=0.0),
        "all_right": lambda true, given: (true == given).all(axis=1).mean(),
    }
    drawn = {n: bootstrap_interval(m, labels, predicted, rounds=rounds, seed=seed) for n, m in together.items()}
    return MultiLabelScore(each, **drawn)


def decide(probabilities: np.ndarray, thresholds: Sequence[float] | None = None) -> np.ndarray:
    """Which labels apply: int array (n, labels) of 0 and 1, 1 from each label's threshold on (None: 0.5)."""
    return (np.asarray(probabilities) >= _thresholds(probabilities, thresholds)).astype(int)


def _thresholds(probabilities: np.ndarray, thresholds: Sequence[float] | None) -> np.ndarray:
    count = np.shape(probabilities)[1]
    given = np.full(count, 0.5) if thresholds is None else np.asarray(thresholds, float)
    if given.shape != (count,):
        raise ValueError(f"{given.size} thresholds for {count} labels: give one for each")
    return given


def best_thresholds(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """For each label the threshold of the highest accuracy: float array (labels,).

    Where several are as good, the middle of the widest such stretch. Choose them on validation data: on test data
    the accuracy they give would flatter.

    Parameters
    ----------
    labels : array (n, labels) of 0 and 1.
    probabilities : float array (n, labels), 0 to 1.
    """
    found = []
    for true, given in zip(np.asarray(labels).T, np.asarray(probabilities, float).T, strict=True):
        true, given = _hold_binary(true, given)
        edges = np.concatenate([[0.0], np.unique(given), [1.0]])
        middles = (edges[1:] + edges[:-1]) / 2
        no, yes = np.sort(given[true == 0]), np.sort(given[true == 1])
        right = np.searchsorted(no, middles) + len(yes) - np.searchsorted(yes, middles)
        widths = np.where(right == right.max(), np.diff(edges), -1.0)
        found.append(middles[widths.argmax()])
    return np.array(found)


def pointing_hits(maps: np.ndarray, boxes: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """The pointing game [1]_: whether the highest point of each map lies in a true box.

    Parameters
    ----------
    maps : float array (n, h, w).
    boxes : n arrays (m, 4): x, y, width, height, in pixels of an image of `size`. Samples without a box are left out.
    size : (height, width).

    Returns
    -------
    bool array (samples with a box,).

    References
    ----------
    .. [1] Zhang et al., Top-down Neural Attention by Excitation Backprop, ECCV 2016.
    """
    hits = []
    for one, truth in zip(maps, boxes, strict=True):
        if len(truth):
            row, column = np.unravel_index(one.argmax(), one.shape)
            x, y = (column + 0.5) * size[1] / one.shape[1], (row + 0.5) * size[0] / one.shape[0]
            low, high = truth[:, :2], truth[:, :2] + truth[:, 2:]
            hits.append(bool(((low <= (x, y)) & ((x, y) <= high)).all(axis=1).any()))
    return np.array(hits, bool)


def best_pointing(shape: tuple[int, int], boxes: Sequence[np.ndarray], size: tuple[int, int]) -> float:
    """What a perfect map of `shape` reaches in `pointing_hits`, 0 to 1: a coarse one has no place in a small box."""
    middles = [(np.arange(count) + 0.5) * side / count for count, side in zip(shape[::-1], size[::-1], strict=True)]

    def holds(box: np.ndarray) -> bool:
        ends = zip(middles, box[:2], box[:2] + box[2:], strict=True)
        return all(((low <= places) & (places <= high)).any() for places, low, high in ends)

    return float(np.mean([any(map(holds, truth)) for truth in boxes if len(truth)]))


def peak_distances(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """How far the highest point of each map is from the nearest pixel of its mask: float array (n,), pixels.

    Parameters
    ----------
    maps : float array (n, H, W).
    masks : bool array (n, H, W), each with at least one pixel, or there is a ValueError.
    """
    found: list[float] = []
    for one, mask in zip(maps, masks, strict=True):
        if not mask.any():
            raise ValueError(f"mask {len(found)} is empty: leave out the samples without a mask")
        peak, there = np.unravel_index(one.argmax(), one.shape), np.argwhere(mask)
        found.append(np.sqrt(((there - peak) ** 2).sum(axis=1).min()))
    return np.array(found)


def bootstrap_interval(
    metric: Callable[[np.ndarray, np.ndarray], float],
    labels: np.ndarray,
    predicted: np.ndarray,
    *,
    level: float = 0.95,
    rounds: int = 500,
    seed: int = 0,
) -> Interval:
    """A metric and the percentile bootstrap interval [1]_ of it: samples are drawn again, with replacement.

    It says how much the metric would move with other test samples of the same kind; it knows nothing of another
    training. Rounds in which only one class was drawn, which a ROC curve cannot judge, are drawn anew.

    Parameters
    ----------
    metric : function of (labels, predicted).
    labels, predicted : arrays (n,).
    level : of confidence, above 0 and below 1.
    rounds : how often samples are drawn.

    References
    ----------
    .. [1] Efron, Bootstrap Methods: Another Look at the Jackknife, 1979.
    """
    labels, predicted = np.asarray(labels), np.asarray(predicted)
    classes = len(np.unique(labels))
    return resampled_interval(
        lambda drawn: metric(labels[drawn], predicted[drawn]),
        len(labels),
        level=level,
        rounds=rounds,
        seed=seed,
        usable=lambda drawn: len(np.unique(labels[drawn])) == classes,
    )


def resampled_interval(
    metric: Callable[[np.ndarray], float],
    count: int,
    *,
    level: float = 0.95,
    rounds: int = 500,
    seed: int = 0,
    usable: Callable[[np.ndarray], bool] = lambda drawn: True,
) -> Interval:
    """`bootstrap_interval` of whatever is computed from samples by their numbers.

    Parameters
    ----------
    metric : function of the numbers of the drawn samples, int array (count,).
    count : how many samples there are, 1 or more.
    usable : whether a draw can be judged; the others are drawn anew.
    """
    rng = np.random.default_rng(seed)
    values: list[float] = []
    while len(values) < rounds:
        drawn = rng.integers(count, size=count)
        if usable(drawn):
            values.append(metric(drawn))
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(metric(np.arange(count))), float(low), float(high))


def share_interval(right: np.ndarray, *, level: float = 0.95) -> Interval:
    """The share of True with Wilson's interval [1]_, which is honest where all or none are: 60 of 60 is no certainty.

    Parameters
    ----------
    right : bool array (n,), whether each sample was judged right, say.
    level : of confidence, above 0 and below 1.

    References
    ----------
    .. [1] Wilson, Probable Inference, the Law of Succession, and Statistical Inference, JASA 1927.
    """
    from scipy.stats import binomtest

    hits = int(np.count_nonzero(right))
    low, high = binomtest(hits, len(right)).proportion_ci(level, method="wilson")
    return Interval(hits / len(right), float(low), float(high))


def reliability(labels: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> np.ndarray:
    """How often predictions of each confidence were right: what a reliability plot shows.

    The prediction is the likelier class, its confidence that class's probability, 0.5 to 1; the bins have equal width.

    Returns
    -------
    float array (filled bins, 3): mean confidence, accuracy, share of the samples.
    """
    labels, probabilities = _hold_binary(labels, probabilities)
    confidence = np.maximum(probabilities, 1 - probabilities)
    right = (probabilities >= 0.5) == labels
    place = np.minimum(((confidence - 0.5) * 2 * bins).astype(int), bins - 1)
    rows = [(confidence[place == b].mean(), right[place == b].mean(), (place == b).mean()) for b in np.unique(place)]
    return np.array(rows)


def calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error (ECE) [1]_: mean distance of confidence and accuracy over the bins of `reliability`.

    References
    ----------
    .. [1] Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, 2017.
    """
    confidence, accuracy, share = reliability(labels, probabilities, bins).T
    return float((share * np.abs(confidence - accuracy)).sum())


def _hold_binary(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, float)
    if labels.shape != probabilities.shape or labels.ndim != 1:
        raise ValueError(f"labels have shape {labels.shape}, probabilities {probabilities.shape}: both must be (n,)")
    if set(np.unique(labels).tolist()) != {0, 1}:
        raise ValueError(f"the labels are {np.unique(labels).tolist()}: both 0 and 1 must occur, and nothing else")
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError("a probability is not between 0 and 1: give the softmax of the logits")
    return labels.astype(int), probabilities
