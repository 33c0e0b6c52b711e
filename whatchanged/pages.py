"""Two files compared page by page: every page of a document, every frame of an animation."""

from __future__ import annotations

import filecmp
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

from whatchanged.formats import MAX_PIXELS, Decoded, read_each
from whatchanged.levels import shown_alone, shown_together


@dataclass(frozen=True, eq=False)
class Page:
    """A page of two files, made comparable.

    Parameters
    ----------
    number : from 1.
    before, after : uint8 (H, W, 3), RGB; None where that file has no such page.
    note : what may differ though the arrays do not, in words, as "before: only the upper 8 bits of its 16-bit colors
        are compared"; "" where they tell all, as of files that are the same to the byte.
    """

    number: int
    before: np.ndarray | None
    after: np.ndarray | None
    note: str = ""


def read_pages(before: str | Path, after: str | Path, *, max_pixels: int = MAX_PIXELS) -> Iterator[Page]:
    """Read two files page by page; only one page of each lies in memory.

    Deep gray (16 or 32 bits, floating point) is scaled by the range of both pages together, colors become sRGB by
    their profile, and if one of the two is transparent somewhere, both lie on one background, of which their visible
    pixels differ: what is fully transparent has no color.

    Parameters
    ----------
    before, after : files that Pillow reads; both are decoded at the same time.
    max_pixels : a larger page is refused before it is decoded.

    Yields
    ------
    Page
        One a page of the longer file: pages of TIFF, frames of GIF, WebP, APNG and AVIF as they are shown. Of other
        files, as a phone's JPEG with a depth map or an icon of many sizes, there is one.

    Raises
    ------
    ImageError
        As `read_each`; of a damaged page when it is its turn.
    """
    with ExitStack() as files, ThreadPoolExecutor(2) as threads:  # decoding does not hold the interpreter's lock
        readers = [files.enter_context(closing(read_each(path, max_pixels=max_pixels))) for path in (before, after)]
        for number in count(1):
            first, second = threads.map(_next, readers)
            if first is None and second is None:
                return
            if first is None or second is None:
                page = Page(
                    number,
                    None if first is None else shown_alone(first),
                    None if second is None else shown_alone(second),
                )
            else:
                one, other, notes = shown_together(first, second)
                same = bool(notes) and filecmp.cmp(before, after, shallow=False)
                page = Page(number, one, other, "" if same else "; ".join(notes))
                del one, other
            del first, second
            yield page
            del page  # before the next is decoded


def _next(pages: Iterator[Decoded]) -> Decoded | None:
    return next(pages, None)
