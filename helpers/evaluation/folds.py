"""How well a few pictures can be judged: each by a network that was trained without it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def cross_validated(train: Callable[[Any], Any], images: Any, parts: Sequence[tuple[Any, Any]]) -> np.ndarray:
    """Whether each image was judged right by the network that did not train on it: bool array (n,).

    Parameters
    ----------
    train : makes a network, and its history, of the images to train on.
    images : with `subset`, as `datasets.Pictures`.
    parts : places to train on and places to judge, of each fold, as `splits.folds` gives them.
    """
    from whatchanged.training import predict

    right = np.zeros(len(images), bool)
    for learned, judged in parts:
        network, _ = train(images.subset(learned))
        logits, labels = predict(network, images.subset(judged))
        right[judged] = logits.argmax(1) == labels
    return right


def frozen_accuracies(seen: np.ndarray, labels: np.ndarray, groups: np.ndarray, *, seeds: int = 3) -> list[float]:
    """Accuracy of a logistic regression on what a frozen network sees, in five folds, for each of some shuffles.

    Parameters
    ----------
    seen : float array (n, features); standardized by what is trained on.
    labels : int array (n,).
    groups : int array (n,); images of one group are in one fold.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    layer = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    folds = [StratifiedGroupKFold(5, shuffle=True, random_state=seed) for seed in range(seeds)]
    return [float(cross_val_score(layer, seen, labels, groups=groups, cv=one).mean()) for one in folds]
