"""Two pictures compared in a notebook: `compare(before, after)` shows itself in its cell."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from whatchanged import images
from whatchanged.detection import detect
from whatchanged.drawing import draw_regions
from whatchanged.files import write_whole
from whatchanged.options import Options
from whatchanged.pages import Page
from whatchanged.regions import Difference
from whatchanged.report import pair_fragment, report_page
from whatchanged.sheets import verdict

CELL_BYTES = 100_000
"""Bytes that the HTML of a cell has at most, by default; and those of the picture that stands where none is shown."""
_RUNGS = (
    *((None, 12), (400_000, 12), (280_000, 10), (200_000, 8), (140_000, 6), (100_000, 4), (70_000, 3), (50_000, 2)),
    *((35_000, 1), (25_000, 0), (10_000, 0)),
)
# pixels of a picture and regions with thumbnails: the first that fit are shown
_STILLS = (640, 480, 320, 160)  # pixels a side of the picture for where no HTML is shown: the first that fits


@dataclass(frozen=True, eq=False, repr=False)
class Shown:
    """Two pictures, and what differs between them; in a notebook, a view of both with slider, blink and heat map.

    Attributes
    ----------
    before, after : uint8 arrays (H, W, 3), RGB, each of its own size.
    found : what `detect` found.
    options : how it was found.
    most : bytes that the HTML has at most; larger pictures are shown smaller.
    """

    before: np.ndarray
    after: np.ndarray
    found: Difference
    options: Options = field(default_factory=Options)
    most: int = CELL_BYTES

    def __repr__(self) -> str:
        return verdict(self.found.summary())

    def save(self, path: str | Path) -> Path:
        """Write it: as a whole page with the pictures at their full size (.html), or both pictures with boxes (.png and
        whatever else `images.write_image` writes).
        """
        if Path(path).suffix.lower() in (".html", ".htm"):
            whole = report_page("What changed", [self._page], self.found.summary(), size=self.options.size)
            return write_whole(path, whole.encode())
        return images.write_image(path, draw_regions(self.before, self.after, self.found))

    @property
    def _page(self) -> tuple[Page, Difference]:
        return Page(1, self.before, self.after), self.found

    @cached_property
    def html(self) -> str:
        """The view without a document around it, at most `most` bytes, or as small as it gets."""
        shown = ""
        for pixels, pictured in _RUNGS:
            record, size = self.found.summary(), self.options.size
            shown = pair_fragment([self._page], record, size=size, pixels=pixels, pictured=pictured)
            if len(shown.encode()) <= self.most:
                break
        return shown

    def _still(self) -> bytes:
        """Both pictures with boxes as PNG of few colors, a third of the bytes."""
        drawn = draw_regions(self.before, self.after, self.found)
        still = b""
        for side in _STILLS:
            file = io.BytesIO()
            Image.fromarray(images.shrink(drawn, side)).quantize(256).save(file, format="png", optimize=True)
            still = file.getvalue()
            if len(still) <= CELL_BYTES:
                break
        return still

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """For Jupyter: the view; where none is shown, as on paper, both pictures with boxes; and in words."""
        told = {"text/html": self.html, "image/png": self._still(), "text/plain": repr(self)}
        return told, {"image/png": {"alt": f"Before and after, with a box where they differ: {self!r}"}}


def compare(
    before: images.Picture,
    after: images.Picture,
    options: Options | None = None,
    *,
    most: int = CELL_BYTES,
    **shortcuts: Any,
) -> Shown:
    """Find what differs between two pictures, and show it where this is the last line of a cell.

    Parameters
    ----------
    before, after, options, **shortcuts : as of `detection.detect`.
    most : bytes that the cell's HTML has at most.

    Raises
    ------
    ValueError
        As of `detect`.
    """
    first, second, note = images.as_arrays(before, after)
    how = replace(options or Options(), **shortcuts)
    found = detect(first, second, how)
    if note:
        found = found.noted(note)
    return Shown(first, second, found, how, most)
