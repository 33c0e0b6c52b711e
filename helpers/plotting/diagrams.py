"""Figures of networks: boxes that say what comes out of each part, and arrows between them."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from helpers.plotting.base import SERIES

_SIDES = 0.84, 0.62  # of a box, where columns and rows are one apart


def diagram(boxes: dict[str, tuple[float, float, str, str]], chains: Sequence[str], *, width: float = 10.0) -> Figure:
    """A network as boxes and arrows, on a light ground of its own.

    Parameters
    ----------
    boxes : key -> (column from the left, row from above, name of the part, what comes out of it, in one line or two).
    chains : keys with spaces between, as "pair window features": an arrow goes from each to the next.
    width : of the figure, inches.

    Raises
    ------
    ValueError
        A chain names a box that is not there.
    """
    if unknown := {key for chain in chains for key in chain.split()} - boxes.keys():
        raise ValueError(f"there is no box {', '.join(sorted(unknown))}: the boxes are {', '.join(boxes)}")
    columns, rows = ([box[axis] for box in boxes.values()] for axis in (0, 1))
    across, down = max(columns) - min(columns) + 1, max(rows) - min(rows) + 1
    figure, axis = plt.subplots(figsize=(width, 0.95 * down), facecolor="white", layout="constrained")
    axis.set(xlim=(min(columns) - 0.5, min(columns) - 0.5 + across), ylim=(max(rows) + 0.5, min(rows) - 0.5))
    axis.axis("off")
    patches = {}
    for key, (column, row, name, told) in boxes.items():
        corner = column - _SIDES[0] / 2, row - _SIDES[1] / 2
        patches[key] = plt.Rectangle(corner, *_SIDES, facecolor="#E8F1F8", edgecolor=SERIES[0], linewidth=1.2)
        axis.add_patch(patches[key])
        axis.annotate(name, (column, row - 0.03), ha="center", va="bottom", weight="bold", fontsize=10)
        axis.annotate(told, (column, row + 0.03), ha="center", va="top", fontsize=9)
    for chain in chains:
        keys = chain.split()
        for start, end in zip(keys, keys[1:], strict=False):
            ends = {"patchA": patches[start], "patchB": patches[end], "shrinkA": 0, "shrinkB": 1}
            style = {"arrowstyle": "-|>", "color": "black", "linewidth": 1.2, **ends}
            axis.annotate("", boxes[end][:2], boxes[start][:2], arrowprops=style)
    return figure
