"""Figures of curves: training, ROC, intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from helpers.plotting.base import SERIES
from whatchanged.drawing import FOUND


def lines(
    places: Sequence[float], series: dict[str, Sequence[float]], *, title: str, x: str, y: str, log: str = ""
) -> Figure:
    """Curves over the same places, a color each.

    Parameters
    ----------
    places : along the x axis.
    series : name -> a value for each place.
    title, x, y : of the figure and its axes.
    log : "x", "y" or "xy": axes with a logarithmic scale.
    """
    figure, axis = plt.subplots(figsize=(8, 3.2), layout="constrained")
    for color, (name, values) in zip(SERIES, series.items(), strict=False):
        axis.plot(places, values, "o-", color=color, label=name)
    axis.set(title=title, xlabel=x, ylabel=y, **{f"{one}scale": "log" for one in log})
    axis.grid(alpha=0.3)
    axis.legend()
    return figure


def loss_by_iteration(
    losses: Sequence[float], *, validation: Sequence[float] = (), title: str = "Training loss", smooth: int = 15
) -> Figure:
    """The loss of every training step, its running mean, and the validation loss after each epoch.

    Parameters
    ----------
    losses : one a step.
    validation : one an epoch; the epochs share the steps equally.
    smooth : steps in the running mean.
    """
    figure, axis = plt.subplots(figsize=(8, 3.4), layout="constrained")
    count, window = len(losses), max(1, min(smooth, len(losses)))
    mean = np.convolve(np.asarray(losses, float), np.ones(window) / window, mode="valid")
    axis.plot(np.arange(1, count + 1), losses, color=SERIES[0], alpha=0.3, linewidth=1, label="each step")
    axis.plot(np.arange(window, count + 1), mean, color=SERIES[0], linewidth=2, label=f"mean of {window} steps")
    if len(validation):
        ends = np.linspace(0, count, len(validation) + 1)[1:]
        axis.plot(ends, validation, "o--", color=FOUND, label="held out, after each epoch")
    axis.set(xlabel="step", ylabel="cross-entropy", title=title, ylim=(0, None))
    axis.grid(alpha=0.3)
    axis.legend()
    return figure


def intervals(rows: dict[str, Any], *, title: str, label: str) -> Figure:
    """Values with their intervals, one line each.

    Parameters
    ----------
    rows : name -> object with `value`, `low` and `high`.
    label : what is measured.
    """
    figure, axis = plt.subplots(figsize=(8, 0.5 * len(rows) + 1.0), layout="constrained")
    for place, one in enumerate(rows.values()):
        axis.plot([one.low, one.high], [place, place], color=SERIES[0], linewidth=3, solid_capstyle="butt")
        axis.plot(one.value, place, "o", color=FOUND, markersize=7)
        axis.annotate(f"{one.value:.3f}", (one.value, place), xytext=(0, 7), textcoords="offset points", ha="center")
    axis.set_yticks(range(len(rows)), list(rows))
    axis.set(title=title, xlabel=label, ylim=(len(rows) - 0.4, -0.7))
    axis.grid(axis="x", alpha=0.3)
    return figure


def training_curves(runs: dict[str, Any], *, metric: str = "accuracy", chance: float | None = None) -> Figure:
    """Loss and a metric after each epoch, for training (solid) and validation (dashed), a color a run.

    Parameters
    ----------
    runs : name -> `training.History` with validation.
    metric : as named for `fit`.
    chance : what guessing gives, drawn as a line.
    """
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for axis, column in zip(axes, ("loss", metric), strict=True):
        for color, (name, history) in zip(SERIES, runs.items(), strict=False):
            for part, style in (("train", "-"), ("val", "--")):
                values = history.column(f"{part}_{column}")
                label = f"{name}, {'training' if part == 'train' else 'validation'}"
                axis.plot(range(1, len(values) + 1), values, style, marker="o", markersize=4, color=color, label=label)
        axis.set(xlabel="epoch", ylabel=column, title=f"{column} by epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
    if chance is not None:
        axes[1].axhline(chance, color="gray", linestyle=":", label="guessing")
    figure.legend(*axes[1].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=9)
    return figure


def loss_parts(history: Any, names: dict[str, str]) -> Figure:
    """What the loss is made of: a small plot a part, as trained every few steps, and on held-out pairs after an epoch.

    Parameters
    ----------
    history : `training.History` whose loss told its parts.
    names : part -> title.
    """
    rows = -(-len(names) // 4)
    figure, axes = plt.subplots(rows, 4, figsize=(11, 2.3 * rows), layout="constrained", squeeze=False)
    steps = [one["step"] for one in history.parts]
    ends = np.linspace(0, len(history.step_loss), len(history.epochs) + 1)[1:]
    for axis in axes.flat[len(names) :]:
        axis.axis("off")
    for axis, (name, title) in zip(axes.flat, names.items(), strict=False):
        axis.plot(
            steps, [one.get(name, np.nan) for one in history.parts], color=SERIES[0], linewidth=1, label="training"
        )
        if any(f"val_{name}" in epoch for epoch in history.epochs):
            values = history.column(f"val_{name}")
            axis.plot(ends, values, "o--", color=FOUND, markersize=4, label="held out")
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("step", fontsize=9)
        axis.grid(alpha=0.3)
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    return figure


def roc_curves(labels: np.ndarray, models: dict[str, np.ndarray], names: Sequence[str]) -> Figure:
    """The ROC curves of several yes/no labels, one small plot a label, a line a model.

    Parameters
    ----------
    labels : array (n, labels) of 0 and 1.
    models : name -> probabilities, float array (n, labels).
    names : of the labels.
    """
    from sklearn.metrics import RocCurveDisplay

    figure, axes = plt.subplots(1, len(names), figsize=(11, 3.5), sharey=True, layout="constrained", squeeze=False)
    for place, (axis, label) in enumerate(zip(axes.flat, names, strict=True)):
        axis.set_prop_cycle(color=SERIES)  # every scikit-learn takes it; `curve_kwargs` is of 1.7
        for name, given in models.items():
            RocCurveDisplay.from_predictions(labels[:, place], given[:, place], ax=axis, name=name)
        axis.plot([0, 1], [0, 1], ":", color="gray")
        axis.set(title=label, xlabel="false positive rate", ylabel="true positive rate" if place == 0 else "")
        axis.legend(loc="lower right", fontsize=8)
    return figure
