"""The HTML report: what differs between two pictures, in a document or in a cell; and the page over many pairs."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from whatchanged import images
from whatchanged.embedded import data_uri
from whatchanged.markup import Html, escaped, tag, together
from whatchanged.pages import Page
from whatchanged.regions import Difference
from whatchanged.sheets import PICTURED, pair_html, regions_in_words, similarity_in_words

STATES = ("changed", "same", "added", "removed", "renamed", "unreadable", "left out")
"""What may have become of a pair, or of a file that has no partner."""


@dataclass(frozen=True, eq=False)
class Entry:
    """A pair, or a file without a partner, in the page over many.

    Parameters
    ----------
    name : as it is shown and searched.
    state : one of `STATES`.
    link : address of its own report, as `urllib.parse.quote` writes the name of a file; "" where it has none.
    before, after : small pictures, uint8 (h, w, 3), as `embedded.thumbnail` makes them; None where there is none.
    record : what was found, as `documents.as_record` gives it; None where nothing was compared.
    reason : a sentence, of what could not be read or was left out.

    Raises
    ------
    ValueError
        An unknown state.
    """

    name: str
    state: str
    link: str = ""
    before: np.ndarray | None = None
    after: np.ndarray | None = None
    record: dict[str, Any] | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise ValueError(f"state of {self.name} is {self.state!r}: choose one of {', '.join(STATES)}")


def report_page(
    title: str,
    seen: Iterable[tuple[Page, Difference]],
    record: dict[str, Any],
    *,
    index: str = "",
    size: str = "pad",
    pixels: int | None = None,
) -> str:
    """A whole HTML document of one pair, which asks for nothing outside of itself.

    Parameters
    ----------
    title : its headline.
    seen : the pages, as `documents.detect_pages` yields them; one at a time lies in memory.
    record : what was found, as `documents.as_record` gives it, with the paths "before" and "after". Whatever else
        stands there is shown, too. It is read after `seen` was gone through, so it may be filled meanwhile.
    index : address of the page over all pairs; "" where there is none.
    size : the `Options.size` that the pair was compared with.
    pixels : larger pictures are scaled down for show; None: `embedded.RENDERED_PIXELS`, and of photographs
        `embedded.CAMERA_PIXELS`.

    Notes
    -----
    Rendered pairs are PNG; photographs WebP of quality 85, unless PNG is less than twice as large.
    """
    return in_document(title, pair_html(seen, record, size, pixels), index)


def pair_fragment(
    seen: Iterable[tuple[Page, Difference]],
    record: dict[str, Any],
    *,
    size: str = "pad",
    pixels: int | None = None,
    pictured: int = PICTURED,
    script: bool = True,
) -> str:
    """The same without a document around it, to be put into one; several may stand there. See `report_page`; so many of
    the regions have thumbnails. Where no script runs that stands in what is put in, run `fragment_script` afterwards.
    """
    return in_fragment(pair_html(seen, record, size, pixels, pictured), script)


def report_index(title: str, entries: Sequence[Entry]) -> str:
    """A whole HTML document over many pairs: thumbnails, filters, search, order; a link to the report of each."""
    return in_document(title, _index(entries))


def index_fragment(entries: Sequence[Entry], script: bool = True) -> str:
    """The same without a document around it, as `pair_fragment`."""
    return in_fragment(_index(entries), script)


def fragment_script() -> str:
    """What makes all fragments work that stand in the document and do not yet."""
    return _part("report.js")


def in_document(title: str, body: Html, index: str = "") -> str:
    """HTML as a whole document under its title, in the style of the reports; `index` as of `report_page`."""
    back = tag("a", "All pairs", href=index) if index else None
    theme = tag("button", "Light or dark", type="button", class_="theme")
    script = _part("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}';"
        " base-uri 'none'; form-action 'none'"
    )
    return Template(_part("report.html")).substitute(
        title=escaped(title),
        policy=policy,
        style=_part("report.css"),
        script=script,
        body=together([tag("header", back, tag("h1", title), theme), tag("main", body)]),
    )


def in_fragment(body: Html, script: bool = True) -> str:
    """HTML with the style of the reports, to be put into a document."""
    return f"<style>{_part('report.css')}</style>{body}" + (f"<script>{_part('report.js')}</script>" if script else "")


def _index(entries: Sequence[Entry]) -> Html:
    counts = Counter(entry.state for entry in entries)
    shown = [("", "all", len(entries)), *((state, state, counts[state]) for state in STATES if counts[state])]
    buttons = [
        tag("button", f"{name.capitalize()} ", tag("b", str(count)), type="button", data_state=state, aria_pressed=now)
        for (state, name, count), now in zip(shown, ["true", *["false"] * len(shown)], strict=False)
    ]
    orders = {"given": "As found", "name": "Name", "regions": "Most regions", "similarity": "Least similar"}
    tools = tag(
        "div",
        tag("div", *buttons, class_="group", role="group", aria_label="Show"),
        tag("label", "Search ", tag("input", type="search", class_="search", autocomplete="off")),
        tag("label", "Order ", tag("select", *(tag("option", told, value=name) for name, told in orders.items()))),
        class_="tools",
    )
    count = len(entries)
    told = tag("p", f"{count} of {count} shown", class_="status", role="status")
    listed = tag("ul", *(_listed(entry, number) for number, entry in enumerate(entries)), class_="entries")
    return tag("div", tools, told, listed, class_="whatchanged whatchanged-index")


@cache
def _part(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _listed(entry: Entry, number: int) -> Html:
    record = entry.record or {}
    regions, similarity = len(record.get("regions") or []), similarity_in_words(record)
    facts = [
        regions_in_words(regions) if record and not record.get("error") else None,
        similarity and f"similarity {similarity}",
    ]
    reason = entry.reason or record.get("error")
    pictures = [
        tag("img", src=data_uri(images.color(one), lossless=False), alt=side)
        if one is not None
        else tag("span", class_="none")
        for side, one in (("before", entry.before), ("after", entry.after))
    ]
    name = tag("a", entry.name, href=entry.link) if entry.link else tag("span", entry.name)
    return tag(
        "li",
        tag("div", *pictures, class_="thumbs") if entry.before is not None or entry.after is not None else None,
        tag("p", name, class_="name"),
        tag("p", tag("b", entry.state, class_="state"), " ", ", ".join(filter(None, facts))),
        tag("p", str(reason), class_="reason") if reason else None,
        data_state=entry.state,
        data_name=entry.name,
        data_regions=regions,
        data_similarity=str(record.get("similarity", 2)),
        data_given=number,
    )
