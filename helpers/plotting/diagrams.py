"""Figures of networks: boxes that say what comes out of each part, and arrows between them."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from helpers.plotting.base import SERIES

_SIDE = 0.84  # of a box, where columns are one apart
_LINE, _GAP = 0.17, 0.33  # inches: a line of text, and from one row of boxes to the next


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
    columns, rows = [box[0] for box in boxes.values()], [box[1] for box in boxes.values()]
    across, down = max(columns) - min(columns) + 1, max(rows) - min(rows) + 1
    tall = _LINE * (max(box[3].count("\n") for box in boxes.values()) + 3)
    figure, axis = plt.subplots(figsize=(width, (tall + _GAP) * down), facecolor="white", layout="constrained")
    axis.set(xlim=(min(columns) - 0.5, min(columns) - 0.5 + across), ylim=(max(rows) + 0.5, min(rows) - 0.5))
    axis.axis("off")
    line, tall = _LINE / (tall + _GAP), tall / (tall + _GAP)  # where rows are one apart
    patches = {}
    for key, (column, row, name, told) in boxes.items():
        top = row - tall / 2
        patches[key] = plt.Rectangle(
            (column - _SIDE / 2, top), _SIDE, tall, facecolor="#E8F1F8", edgecolor=SERIES[0], linewidth=1.2
        )
        axis.add_patch(patches[key])
        for text, place, font in ((name, top + line / 2, {"weight": "bold"}), (told, top + 1.6 * line, {"size": 9})):
            axis.annotate(text, (column, place), ha="center", va="top", color="black", **font)
    for chain in chains:
        keys = chain.split()
        for start, end in zip(keys, keys[1:], strict=False):
            ends = {"patchA": patches[start], "patchB": patches[end], "shrinkA": 0, "shrinkB": 1}
            style = {"arrowstyle": "-|>", "color": "black", "linewidth": 1.2, **ends}
            axis.annotate("", boxes[end][:2], boxes[start][:2], arrowprops=style)
    return figure
