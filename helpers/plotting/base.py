"""One look for every figure: colors, size, alt text, a PNG that stays small."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from whatchanged.files import write_whole

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
