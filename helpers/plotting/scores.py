"""Figures of scores: tables, reports, confidence, confusion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from helpers.evaluation import share_interval
from helpers.plotting.base import SERIES
from whatchanged.drawing import FOUND


def table_heat(values: Any, *, title: str, label: str, x: str = "method") -> Figure:
    """A table of numbers from 0 to 1 whose cells are colored by their value.

    Parameters
    ----------
    values : pandas DataFrame.
    label, x : what the colors say, and the columns.
    """
    import seaborn

    figure, axis = plt.subplots(figsize=(7.5, 0.36 * len(values) + 1.0), layout="constrained")
    seaborn.heatmap(values, annot=True, fmt=".2f", vmin=0, vmax=1, cmap="cividis", ax=axis, cbar_kws={"label": label})
    axis.set_title(title, fontsize=11)
    axis.set(xlabel=x, ylabel="")
    axis.tick_params(axis="y", rotation=0)
    return figure


def classification_report(
    labels: np.ndarray, probabilities: np.ndarray, score: Any, names: Sequence[str], reliable: np.ndarray
) -> Figure:
    """Confusion matrix, ROC curve with its corner enlarged, and reliability plot with a 95 % interval a bin.

    Parameters
    ----------
    labels, probabilities : arrays (n,), the probabilities those of label 1.
    score : the `evaluation.BinaryScore` of them.
    names : of the two classes.
    reliable : from `evaluation.reliability`.
    """
    from sklearn.metrics import ConfusionMatrixDisplay, RocCurveDisplay

    figure, axes = plt.subplots(1, 3, figsize=(11, 3.5), layout="constrained")
    ConfusionMatrixDisplay(score.confusion, display_labels=names).plot(ax=axes[0], cmap="cividis", colorbar=False)
    axes[0].set(title="confusion matrix", xlabel="predicted", ylabel="true")
    axes[1].set_prop_cycle(color=SERIES[:1])  # every scikit-learn takes it; `curve_kwargs` is of 1.7
    RocCurveDisplay.from_predictions(labels, probabilities, ax=axes[1], name="model")
    axes[1].set(title="ROC curve", xlabel="false positive rate", ylabel="true positive rate")
    corner = axes[1].inset_axes((0.42, 0.3, 0.5, 0.5), xlim=(-0.003, 0.1), ylim=(0.9, 1.003))
    corner.plot(*axes[1].lines[0].get_data(), color=SERIES[0])
    corner.tick_params(labelsize=8)
    axes[1].indicate_inset_zoom(corner)
    confidence, accuracy, share = reliable.T
    counts = np.round(share * len(labels)).astype(int)
    right = np.rint(accuracy * counts).astype(int)
    each = [share_interval(np.arange(count) < hits) for count, hits in zip(counts, right, strict=True)]
    axes[2].vlines(confidence, [one.low for one in each], [one.high for one in each], color="gray", linewidth=1)
    axes[2].plot([0.5, 1], [0.5, 1], "--", color="gray", label="calibrated")
    axes[2].plot(confidence, accuracy, color=SERIES[0])
    axes[2].scatter(confidence, accuracy, 30 + 400 * share, color=FOUND, label="bin, larger holds more", zorder=3)
    axes[2].set(title=f"reliability, ECE {score.ece:.3f}", xlabel="confidence", ylabel="accuracy", ylim=(0, 1.05))
    axes[2].legend(loc="lower right")
    return figure


def confidence_histogram(labels: np.ndarray, probabilities: np.ndarray, names: Sequence[str]) -> Figure:
    """How the probability of label 1 is spread over the samples of each class; counts on a logarithmic scale."""
    figure, axis = plt.subplots(figsize=(8, 3), layout="constrained")
    parts = [probabilities[labels == label] for label in (0, 1)]
    axis.hist(parts, bins=np.linspace(0, 1, 21).tolist(), label=[f"truly {name}" for name in names], color=SERIES[:2])
    axis.axvline(0.5, color="gray", linestyle="--")
    axis.set(yscale="log", xlabel=f"probability of {names[1]!r}", ylabel="samples", title="Confidence of the model")
    axis.legend()
    return figure


def confusion_matrices(matrices: dict[str, np.ndarray]) -> Figure:
    """A confusion matrix for each yes/no label, side by side.

    Parameters
    ----------
    matrices : label -> int array (2, 2): rows are the truth, columns the prediction.
    """
    from sklearn.metrics import ConfusionMatrixDisplay

    figure, axes = plt.subplots(1, len(matrices), figsize=(10, 3.2), layout="constrained", squeeze=False)
    for axis, (label, matrix) in zip(axes.flat, matrices.items(), strict=True):
        shown = ConfusionMatrixDisplay(matrix, display_labels=["same", "changed"])
        shown.plot(ax=axis, cmap="cividis", colorbar=False)
        axis.set(title=label, xlabel="predicted", ylabel="true" if axis is axes.flat[0] else "")
    return figure
