"""Two files compared page by page, and what was found as one record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from whatchanged.detection import detect
from whatchanged.options import Options
from whatchanged.pages import Page, read_pages
from whatchanged.regions import Difference, Region, strongest_first


def detect_pages(
    before: str | Path, after: str | Path, options: Options | None = None
) -> Iterator[tuple[Page, Difference]]:
    """Compare two files page by page, as `detect` compares pictures.

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
    for page in read_pages(before, after):
        if page.before is None or page.after is None:
            found = _alone(page, options)
        else:
            found = detect(page.before, page.after, options)
            if page.note:
                found = replace(found, note="; ".join(filter(None, (found.note, page.note))))
        yield page, replace(found, regions=[replace(one, page=page.number) for one in found.regions])


def as_record(found: Iterable[Difference]) -> dict[str, Any]:
    """What was found on all pages, as it stands in a JSON file: see `Difference.summary`.

    The similarity is that of the page that differs most; kind and method are its. The regions of all pages are in one
    list, strongest first.
    """
    pages = list(found)
    worst = min(pages, key=lambda page: page.similarity)
    notes = [page.note if len(pages) == 1 else f"page {n}: {page.note}" for n, page in enumerate(pages, 1) if page.note]
    regions = strongest_first([region for page in pages for region in page.regions])
    whole = replace(worst, regions=regions, note="; ".join(notes)).summary()
    return whole if len(pages) == 1 else whole | {"pages": len(pages)}


def _alone(page: Page, options: Options) -> Difference:
    picture = page.after if page.before is None else page.before
    assert picture is not None  # a page is in one of the files at least
    height, width = picture.shape[:2]
    what = "added" if page.before is None else "removed"
    region = Region(0, 0, width, height, width * height, 1.0, what, (0, 0, width, height))
    mask = np.ones((height, width), bool)
    which = "before" if page.before is None else "after"
    return Difference(
        options.method, 0.0, [region], mask.astype(np.float32), mask, None, "exact", f"{which} has no such page"
    )
