"""Figures of pictures: side by side, with boxes, heat maps and captions."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import cv2
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from helpers.plotting.base import HEAT, TRUE
from whatchanged.drawing import FOUND


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
            outline(axis, box, TRUE, "--")
        for number, box in enumerate(found, start=1):
            outline(axis, box, FOUND, "-")
            ground = {"boxstyle": "square,pad=0.15", "facecolor": FOUND, "edgecolor": FOUND}
            axis.annotate(str(number), (box[0], box[1]), color="white", fontsize=8, va="bottom", bbox=ground)
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


def _picture(axis: Any, picture: np.ndarray, heat: Any) -> None:
    if picture.dtype == np.uint8:
        axis.imshow(picture)
    else:
        low, high = heat or (None, None)
        axis.imshow(picture, cmap=HEAT, vmin=low, vmax=high)


def outline(axis: Any, box: Sequence[float], color: str, style: str) -> None:
    """Draw a box (x, y, width, height) into axes that show a picture, with a white edge that sets it off."""
    x, y, width, height = box
    for edge, line in (("white", 3.4), (color, 1.8)):
        drawn = Rectangle(
            (x - 0.5, y - 0.5), width, height, fill=False, edgecolor=edge, linewidth=line, linestyle=style
        )
        axis.add_patch(drawn)


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
                outline(axis, box, TRUE, "--")
            for box in row["found"]:
                outline(axis, box, FOUND, "-")
        part.suptitle(text, fontsize=9)
    return figure
