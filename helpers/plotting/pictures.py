"""Every figure of the course: one look, one palette, alt text on all of them."""

from __future__ import annotations

import io
import itertools
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from helpers.drawing import FOUND
from helpers.drawing import draw_regions as draw_regions  # drawn without matplotlib, and yet a figure of the course
from helpers.runtime import write_whole

# Okabe and Ito's palette, which color-blind readers can tell apart; the same color means the same thing everywhere.
TRUE = "#009E73"  # what is known to be true
SERIES = ("#0072B2", "#E69F00", "#CC79A7", "#56B4E9", "#009E73", "#D55E00", "#F0E442", "#000000")
HEAT = "magma"
DPI = 80


def show(figure: Figure, alt: str, path: str | Path | None = None, *, exact: bool = False) -> None:
    """Display a figure in the notebook, with words for those who do not see it, and close it.

    Parameters
    ----------
    figure : what to show.
    alt : what one sees in it, in a sentence.
    path : a PNG file to write it to as well; its folder is made.
    exact : keep every color; a small colored thing on a large gray ground may otherwise lose its own.
    """
    from IPython.display import display

    if not alt.strip():
        raise ValueError("a figure needs alt text: say in a sentence what one sees in it")
    png = _png(figure, exact)
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, png)
    display({"image/png": png, "text/plain": alt}, raw=True, metadata={"image/png": {"alt": alt}})
    plt.close(figure)


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as a PNG file, and close it."""
    write_whole(path, _png(figure, exact=False))
    plt.close(figure)


def _png(figure: Figure, exact: bool) -> bytes:
    """The figure as a PNG of 256 colors: a third of the size, so that a notebook full of photographs stays small."""
    rendered = io.BytesIO()
    figure.savefig(rendered, format="png", dpi=DPI)
    small = io.BytesIO()
    picture = Image.open(rendered).convert("RGB")
    (picture if exact else picture.quantize(256)).save(small, format="png", optimize=True)
    return small.getvalue()


def images(
    pictures: Sequence[np.ndarray], titles: Sequence[str], *, columns: int = 4, width: float = 10.0, heat: Any = None
) -> Figure:
    """Pictures in a grid, each under its title.

    Parameters
    ----------
    pictures : uint8 arrays (H, W, 3), or float arrays (H, W) drawn as heat maps.
    titles : one for each.
    columns : pictures in a row.
    width : of the figure, inches.
    heat : (low, high) of the heat maps' color scale; None: each its own.
    """
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    ratio = pictures[0].shape[0] / pictures[0].shape[1]
    figure, axes = plt.subplots(
        rows, columns, figsize=(width, rows * (width / columns * ratio + 0.32)), squeeze=False, layout="constrained"
    )
    for axis in axes.flat:
        axis.axis("off")
    for axis, picture, title in zip(axes.flat, pictures, titles, strict=False):
        _picture(axis, picture, heat)
        axis.set_title(title, fontsize=10)
    return figure


def pair_with_boxes(
    before: np.ndarray,
    after: np.ndarray,
    found: np.ndarray,
    true: np.ndarray | None = None,
    *,
    title: str = "",
    width: float = 10.0,
) -> Figure:
    """Both pictures side by side with the boxes on each: found ones orange and numbered, true ones green and dashed.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3).
    found, true : arrays (n, 4): x, y, width, height, in pixels of the before image.
    """
    figure = images([before, after], ["before", "after"], columns=2, width=width)
    for axis in figure.axes:
        for box in [] if true is None else true:
            _box(axis, box, TRUE, "--")
        for number, box in enumerate(found, start=1):
            _box(axis, box, FOUND, "-")
            axis.annotate(
                str(number), (box[0], box[1]), color="white", fontsize=8, va="bottom", backgroundcolor=FOUND
            ).get_bbox_patch().set_boxstyle("square", pad=0.15)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def heat_map(before: np.ndarray, values: np.ndarray, *, title: str, label: str, width: float = 6.0) -> Figure:
    """A difference map with its scale, over the gray picture so that one sees where one is.

    Parameters
    ----------
    before : uint8 array (H, W, 3).
    values : float array (H, W).
    label : what the color scale measures.
    """
    ratio = before.shape[0] / before.shape[1]
    figure, axis = plt.subplots(figsize=(width, width * 0.86 * ratio + 0.35), layout="constrained")
    gray = cv2.cvtColor(before, cv2.COLOR_RGB2GRAY)
    axis.imshow(gray, cmap="gray", vmin=0, vmax=255)
    top = max(float(values.max()), 1e-6)
    shown = axis.imshow(values, cmap=HEAT, vmin=0, vmax=top, alpha=np.clip(0.35 + values / top, 0, 1))
    axis.set_title(title, fontsize=10)
    axis.axis("off")
    figure.colorbar(shown, ax=axis, label=label, shrink=0.9)
    return figure


def overlay_slider(before: np.ndarray, after: np.ndarray, *, at: float = 0.5, width: float = 6.0) -> Figure:
    """One picture, before on the left of the line and after on the right, as a comparison slider shows it.

    Parameters
    ----------
    at : where the line stands, 0 (all after) to 1 (all before).
    """
    if not 0 <= at <= 1:
        raise ValueError(f"at is {at}: give a place from 0 to 1")
    edge = round(before.shape[1] * at)
    mixed = np.concatenate([before[:, :edge], after[:, edge:]], axis=1)
    figure = images([mixed], ["before | after"], columns=1, width=width)
    figure.axes[0].axvline(edge - 0.5, color="white", linewidth=2)
    return figure


def precision_recall_curves(
    curves: dict[str, tuple[np.ndarray, np.ndarray]], *, title: str, columns: int = 5
) -> Figure:
    """Precision over recall, one small plot a nuisance.

    Parameters
    ----------
    curves : "nuisance" -> {"method" -> (precision, recall)}.
    """
    rows = -(-len(curves) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(10, 2.2 * rows + 0.5), sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    for axis, (name, methods) in zip(axes.flat, curves.items(), strict=False):
        for order, (method, (precision, recall)) in enumerate(methods.items()):
            width = max(1.5, 4.5 - order)  # the later lines are thinner, so that one sees those below them
            axis.plot(recall, precision, color=SERIES[order % len(SERIES)], label=method, linewidth=width)
        axis.set(title=name, xlim=(-0.02, 1.02), ylim=(-0.02, 1.05))
        axis.title.set_fontsize(10)
        axis.grid(alpha=0.3)
    for axis in axes[-1]:
        axis.set_xlabel("recall")
    for axis in axes[:, 0]:
        axis.set_ylabel("precision")
    figure.suptitle(title, fontsize=11)
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=9)
    return figure


def table_heat(values: Any, *, title: str, label: str) -> Figure:
    """A table of numbers from 0 to 1 whose cells are colored by their value.

    Parameters
    ----------
    values : pandas DataFrame.
    """
    import seaborn

    figure, axis = plt.subplots(figsize=(7.5, 0.36 * len(values) + 1.0), layout="constrained")
    seaborn.heatmap(values, annot=True, fmt=".2f", vmin=0, vmax=1, cmap="cividis", ax=axis, cbar_kws={"label": label})
    axis.set_title(title, fontsize=11)
    axis.set(xlabel="method", ylabel="")
    axis.tick_params(axis="y", rotation=0)
    return figure


def _picture(axis: Any, picture: np.ndarray, heat: Any) -> None:
    if picture.dtype == np.uint8:
        axis.imshow(picture)
    else:
        low, high = heat or (None, None)
        axis.imshow(picture, cmap=HEAT, vmin=low, vmax=high)


def _box(axis: Any, box: Sequence[float], color: str, style: str) -> None:
    x, y, width, height = box
    axis.add_patch(
        Rectangle((x - 0.5, y - 0.5), width, height, fill=False, edgecolor="white", linewidth=3.4, linestyle=style)
    )
    axis.add_patch(
        Rectangle((x - 0.5, y - 0.5), width, height, fill=False, edgecolor=color, linewidth=1.8, linestyle=style)
    )


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


def runs(names: Sequence[str], values: Any, *, title: str) -> Figure:
    """What each of several runs measured, a panel a measure.

    Parameters
    ----------
    names : of the runs.
    values : pandas DataFrame, a row a run, a column a measure; what was not measured is NaN.
    title : of the figure.
    """
    height = 1.2 + 0.3 * len(names)
    figure, axes = plt.subplots(
        1,
        values.shape[1],
        figsize=(3 + 2.6 * values.shape[1], height),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, color, (measure, column) in zip(axes[0], itertools.cycle(SERIES), values.items(), strict=False):
        axis.plot(column.astype(float), range(len(names)), "o", color=color)
        axis.set_xlabel(textwrap.fill(str(measure), 28))
        axis.grid(alpha=0.3)
    axes[0, 0].set_yticks(range(len(names)), names)
    axes[0, 0].invert_yaxis()
    figure.suptitle(title)
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
    losses = np.asarray(losses, float)
    window = max(1, min(smooth, len(losses)))
    mean = np.convolve(losses, np.ones(window) / window, mode="valid")
    axis.plot(np.arange(1, len(losses) + 1), losses, color=SERIES[0], alpha=0.3, linewidth=1, label="each step")
    axis.plot(np.arange(window, len(losses) + 1), mean, color=SERIES[0], linewidth=2, label=f"mean of {window} steps")
    if len(validation):
        ends = np.linspace(0, len(losses), len(validation) + 1)[1:]
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


def classification_report(
    labels: np.ndarray, probabilities: np.ndarray, score: Any, names: Sequence[str], reliable: np.ndarray
) -> Figure:
    """Confusion matrix, ROC curve and reliability plot, side by side.

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
    RocCurveDisplay.from_predictions(labels, probabilities, ax=axes[1], name="model", curve_kwargs={"color": SERIES[0]})
    axes[1].set(title="ROC curve", xlabel="false positive rate", ylabel="true positive rate")
    confidence, accuracy, share = reliable.T
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
    axis.hist(parts, bins=np.linspace(0, 1, 21), label=[f"truly {name}" for name in names], color=SERIES[:2])
    axis.axvline(0.5, color="gray", linestyle="--")
    axis.set(yscale="log", xlabel=f"probability of {names[1]!r}", ylabel="samples", title="Confidence of the model")
    axis.legend()
    return figure


def overlay(picture: np.ndarray, heat: np.ndarray, *, highest: float | None = None) -> np.ndarray:
    """A heat map, laid over the gray picture: uint8 array (H, W, 3).

    Parameters
    ----------
    picture : uint8 array (H, W, 3).
    heat : float array of any size; it is enlarged to the picture's.
    highest : scale the map from 0 to this; None from its lowest to its highest value.
    """
    heat = cv2.resize(np.asarray(heat, np.float32), picture.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    lowest, span = (heat.min(), float(np.ptp(heat))) if highest is None else (0, highest)
    heat = np.clip((heat - lowest) / max(span, 1e-6), 0, 1)
    colored = plt.get_cmap(HEAT)(heat)[..., :3] * 255
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None]
    return np.rint(0.55 * gray + 0.45 * colored).astype(np.uint8)


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
        axis.plot(steps, [one[name] for one in history.parts], color=SERIES[0], linewidth=1, label="training")
        if f"val_{name}" in history.epochs[-1]:
            values = history.column(f"val_{name}")
            axis.plot(ends, values, "o--", color=FOUND, markersize=4, label="held out")
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("step", fontsize=9)
        axis.grid(alpha=0.3)
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    return figure


def captioned_pairs(rows: Sequence[dict[str, Any]], *, columns: int = 2, width: float = 11.0) -> Figure:
    """Pairs with boxes on both pictures and a caption above: clusters orange, true boxes green and dashed.

    Parameters
    ----------
    rows : of each pair "before", "after" (uint8 (H, W, 3)), "found" and, if known, "true" (boxes (n, 4)), "text".
    columns : pairs in a row.
    """
    lines = -(-len(rows) // columns)
    texts = ["\n".join(textwrap.fill(line, 60) for line in row["text"].split("\n")) for row in rows]
    above = 0.3 + 0.17 * max(text.count("\n") + 1 for text in texts)
    figure = plt.figure(figsize=(width, lines * (width / columns / 2 + above)), layout="constrained")
    for part, row, text in zip(figure.subfigures(lines, columns, squeeze=False).flat, rows, texts, strict=False):
        for axis, side in zip(part.subplots(1, 2), ("before", "after"), strict=True):
            _picture(axis, row[side], None)
            axis.axis("off")
            for box in row.get("true", ()):
                _box(axis, box, TRUE, "--")
            for box in row["found"]:
                _box(axis, box, FOUND, "-")
        part.suptitle(text, fontsize=9)
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
        for color, (name, given) in zip(SERIES, models.items(), strict=False):
            RocCurveDisplay.from_predictions(
                labels[:, place], given[:, place], ax=axis, name=name, curve_kwargs={"color": color}
            )
        axis.plot([0, 1], [0, 1], ":", color="gray")
        axis.set(title=label, xlabel="false positive rate", ylabel="true positive rate" if place == 0 else "")
        axis.legend(loc="lower right", fontsize=8)
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
