"""Two files compared page by page, and what was found as one record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from whatchanged.detection import detect
from whatchanged.formats import MAX_PIXELS
from whatchanged.options import Options
from whatchanged.pages import Page, read_pages
from whatchanged.regions import Difference, Region, strongest_first


def detect_pages(
    before: str | Path,
    after: str | Path,
    options: Options | None = None,
    *,
    max_pixels: int = MAX_PIXELS,
    compare: Callable[[np.ndarray, np.ndarray, Options], Difference] = detect,
) -> Iterator[tuple[Page, Difference]]:
    """Compare two files page by page, as `detect` compares pictures.

    Parameters
    ----------
    max_pixels : a larger page is refused.
    compare : what compares the two pictures of a page.

    Yields
    ------
    page, found : the pictures of the page, and what differs. The regions know the page. One that only one file has is
        a region as a whole, added or removed.

    Raises
    ------
    ImageError
        A file cannot be read; of a damaged page when it is its turn.
    """
    options = options or Options()
    for page in read_pages(before, after, max_pixels=max_pixels):
        if page.before is None or page.after is None:
            found = _alone(page, options)
        else:
            found = compare(page.before, page.after, options)
            if page.note:
                found = found.noted(page.note)
        yield page, replace(found, regions=[replace(one, page=page.number) for one in found.regions])


def as_record(found: Iterable[Difference]) -> dict[str, Any]:
    """What was found on all pages, as it stands in a JSON file: see `Difference.summary`.

    The similarity is that of the page that differs most; kind, method and transform are its. The regions of all pages
    are in one list, strongest first; shares are of the pixels of all pages.
    """
    count, worst, compared, pixels = 0, None, 0, 0
    regions: list[Region] = []
    notes: dict[int, str] = {}
    for count, page in enumerate(found, start=1):  # of a long animation no more than two maps lie in memory
        regions += page.regions
        compared, pixels = compared + page.compared, pixels + page.pixels
        notes |= {count: page.note} if page.note else {}
        worst = page if worst is None or page.similarity < worst.similarity else worst
    assert worst is not None  # a file has a page
    note = "; ".join(note if count == 1 else f"page {number}: {note}" for number, note in notes.items())
    whole = replace(worst, regions=strongest_first(regions), note=note, compared=compared, pixels=pixels).summary()
    return whole if count == 1 else whole | {"pages": count}


def _alone(page: Page, options: Options) -> Difference:
    picture = page.after if page.before is None else page.before
    assert picture is not None  # a page is in one of the files at least
    height, width = picture.shape[:2]
    what = "added" if page.before is None else "removed"
    region = Region(0, 0, width, height, width * height, 1.0, what, (0, 0, width, height))
    mask = np.ones((height, width), bool)
    which = "before" if page.before is None else "after"
    note, strength, pixels = f"{which} has no such page", mask.astype(np.float32), height * width
    return Difference(options.method, 0.0, [region], strength, mask, None, "exact", note, pixels, pixels)
