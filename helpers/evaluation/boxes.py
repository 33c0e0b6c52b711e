"""Boxes and clusters against the truth: overlap, precision, recall, F1; methods against conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from helpers.nuisances import Nuisance
from helpers.things import Pair
from whatchanged.images import one_a_core
from whatchanged.regions import Difference


@dataclass(frozen=True)
class BoxScore:
    """Counts over many pairs, and what follows from them."""

    true_positives: int
    false_positives: int
    false_negatives: int

    @property
    def precision(self) -> float:
        """Share of the reported boxes that are right; 1 where none was reported."""
        reported = self.true_positives + self.false_positives
        return self.true_positives / reported if reported else 1.0

    @property
    def recall(self) -> float:
        """Share of the true boxes that were found; 1 where there is none."""
        true = self.true_positives + self.false_negatives
        return self.true_positives / true if true else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 1 where there was nothing to find and nothing was reported."""
        total = 2 * self.true_positives + self.false_positives + self.false_negatives
        return 2 * self.true_positives / total if total else 1.0


def box_iou(a: Any, b: Any) -> np.ndarray:
    """Intersection over union of every box with every other.

    Parameters
    ----------
    a, b : arrays (n, 4) and (m, 4): x, y, width, height.

    Returns
    -------
    float array (n, m), 0 to 1.
    """
    a, b = np.asarray(a, float).reshape(-1, 4), np.asarray(b, float).reshape(-1, 4)
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum((a[:, :2] + a[:, 2:])[:, None], (b[:, :2] + b[:, 2:])[None])
    inter = np.clip(high - low, 0, None).prod(axis=2)
    union = a[:, 2:].prod(axis=1)[:, None] + b[:, 2:].prod(axis=1)[None] - inter
    return inter / np.maximum(union, 1e-9)


def match_boxes(found: np.ndarray, true: np.ndarray, iou: float = 0.3) -> np.ndarray:
    """Which found boxes are right: each true box counts once, the found boxes choose in their order.

    Parameters
    ----------
    found : array (n, 4): x, y, width, height, the most confident first.
    true : array (m, 4).
    iou : least overlap that counts, 0 to 1.

    Returns
    -------
    bool array (n,).
    """
    overlap = box_iou(found, true)
    right = np.zeros(len(overlap), bool)
    for i, row in enumerate(overlap):
        if row.size and row.max() >= iou:
            right[i] = True
            overlap[:, row.argmax()] = -1
    return right


def score_boxes(pairs: Iterable[tuple[np.ndarray, np.ndarray]], iou: float = 0.3) -> BoxScore:
    """Count right, wrong and missed boxes over (found, true) pairs of box arrays."""
    right = wrong = missed = 0
    for found, true in pairs:
        hits = int(match_boxes(found, true, iou).sum())
        right, wrong, missed = right + hits, wrong + len(found) - hits, missed + len(true) - hits
    return BoxScore(right, wrong, missed)


def score_sets(pairs: Iterable[tuple[set, set]]) -> BoxScore:
    """Count right, wrong and missed members over (found, true) pairs of sets, as of `change_tuples`."""
    right = wrong = missed = 0
    for found, true in pairs:
        right, wrong, missed = right + len(found & true), wrong + len(found - true), missed + len(true - found)
    return BoxScore(right, wrong, missed)


@dataclass(frozen=True)
class ClusterScore:
    """How well clusters of differing pixels fit what changed, over many pairs.

    Attributes
    ----------
    size : mean area of a cluster, pixels.
    density : mean share of its box that a cluster fills, 0 to 1.
    coverage : share of the true boxes' area that lies in the box of a cluster, 0 to 1.
    iou : mean over the true boxes of the best overlap (intersection over union) with the box of a cluster.
    false : clusters a pair that touch no true box.
    """

    size: float
    density: float
    coverage: float
    iou: float
    false: float


def score_clusters(pairs: Sequence[tuple[Sequence[Any], np.ndarray]], shape: tuple[int, int]) -> ClusterScore:
    """Clusters against true boxes. NaN where there is nothing to take a mean of.

    Parameters
    ----------
    pairs : for each pair of pictures its clusters (`area`, `density`, `box`) and true boxes, array (n, 4): x, y, width,
        height.
    shape : of the pictures, (H, W).
    """
    every = [one for clusters, _ in pairs for one in clusters]
    best: list[float] = []
    covered = true_area = wrong = 0
    for clusters, true in pairs:
        overlap = box_iou(true, [one.box for one in clusters])
        best += overlap.max(axis=1).tolist() if len(clusters) else [0.0] * len(true)
        wrong += int((overlap.max(axis=0) == 0).sum()) if len(true) else len(clusters)
        inside, wanted = _boxes_mask([one.box for one in clusters], shape), _boxes_mask(true, shape)
        covered, true_area = covered + int((inside & wanted).sum()), true_area + int(wanted.sum())

    def mean(values: list[float]) -> float:
        return float(np.mean(values)) if values else float("nan")

    size, density = mean([one.area for one in every]), mean([one.density for one in every])
    return ClusterScore(size, density, covered / true_area if true_area else np.nan, mean(best), wrong / len(pairs))


def _boxes_mask(boxes: Iterable[Sequence[float]], shape: tuple[int, int]) -> np.ndarray:
    """Which pixels lie in any of the boxes: bool array (H, W)."""
    mask = np.zeros(shape, bool)
    for x, y, width, height in boxes:
        mask[round(y) : round(y + height), round(x) : round(x + width)] = True
    return mask


@dataclass(frozen=True)
class ConditionScore:
    """How one method does under one nuisance.

    Attributes
    ----------
    method, condition : names.
    score : over the pairs with changes.
    false_boxes : boxes reported per pair in which nothing changed.
    """

    method: str
    condition: str
    score: BoxScore
    false_boxes: float


def compare_methods(
    methods: dict[str, Callable[[np.ndarray, np.ndarray], Difference]],
    conditions: dict[str, Nuisance],
    make_pair: Callable[..., Pair],
    *,
    pairs: int,
    seed: int,
    iou: float = 0.3,
) -> list[ConditionScore]:
    """Score every method under every condition, on the same pairs.

    Parameters
    ----------
    methods : name -> function of (before, after).
    conditions : name -> how the after image was taken.
    make_pair : called as `make_pair(seed, index, nuisance=..., changed=...)`.
    pairs : how many pairs with changes, and as many without, for each condition.
    seed : the pairs without changes take the next seed.
    iou : least overlap with a true box that counts.
    """
    if pairs < 1:
        raise ValueError(f"pairs is {pairs}: give at least 1")
    scores = []
    with one_a_core() as pool:
        for condition, nuisance in conditions.items():
            made = partial(make_pair, nuisance=nuisance)
            changed = list(pool.map(partial(made, seed, changed=True), range(pairs)))
            same = list(pool.map(partial(made, seed + 1, changed=False), range(pairs)))
            before, after = zip(*((pair.before, pair.after) for pair in changed + same), strict=True)
            for method, find in methods.items():
                found = list(pool.map(find, before, after))
                scores.append(_condition_score(method, condition, found, changed, iou))
    return scores


def _condition_score(method: str, condition: str, found: list[Difference], changed: list[Pair], iou: float):
    hits, noise = found[: len(changed)], found[len(changed) :]
    boxes = [(difference.boxes, pair.boxes) for difference, pair in zip(hits, changed, strict=True)]
    false_boxes = sum(len(difference.regions) for difference in noise) / max(1, len(noise))
    return ConditionScore(method, condition, score_boxes(boxes, iou), false_boxes)


def score_table(scores: Sequence[ConditionScore], value: Callable[[ConditionScore], float]) -> Any:
    """A pandas DataFrame of one value: a row a condition, a column a method, in the order they were measured."""
    import pandas

    rows = {"condition": [s.condition for s in scores], "method": [s.method for s in scores]}
    frame = pandas.DataFrame({**rows, "value": [value(s) for s in scores]})
    order = [list(dict.fromkeys(rows[name])) for name in ("condition", "method")]
    return frame.pivot(index="condition", columns="method", values="value").loc[order[0], order[1]]
