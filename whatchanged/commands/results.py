"""What a run over many pairs tells: a record an item, lines to read, a page over all, and a summary."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload
from urllib.parse import quote

from whatchanged.commands.limits import Limit, status
from whatchanged.commands.status import DIFFERENT, SAME, TROUBLE, count

if TYPE_CHECKING:
    import numpy as np

    from whatchanged.listing import Item
    from whatchanged.pages import Page
    from whatchanged.regions import Difference
    from whatchanged.report import Entry

_ALONE = ("added", "removed", "renamed", "left out")


def named(item: Item) -> dict[str, str]:
    """The files of a pair, as records call them."""
    before, after = item.names
    return {"before": before or "", "after": after or ""}


def record_of(item: Item) -> dict[str, Any]:
    """The record of what is compared with nothing."""
    record: dict[str, Any] = {
        **dict(zip(("before", "after"), item.names, strict=True)),
        "name": item.name,
        "state": item.state,
        "note": item.note,
    }
    return record | ({"error": item.error} if item.error else {})


@dataclass
class Tally:
    """How many there are of each kind."""

    allowed: Limit | None = None
    statuses: Counter[int] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    earlier: int = 0
    status: int = SAME

    def add(self, record: dict[str, Any]) -> int:
        """Count a record; its exit status."""
        state = record["state"]
        if state == "compared":
            now = status(record, self.allowed)
            self.statuses[now] += 1
        else:
            self.states[state] += 1
            now = TROUBLE if record.get("error") else SAME if state == "left out" else DIFFERENT
        self.status = max(self.status, now)
        return now

    def pairs(self, same: int, differ: int, bad: int, earlier: int) -> None:
        """Count pairs by their numbers alone."""
        self.statuses.update({SAME: same, DIFFERENT: differ, TROUBLE: bad})
        self.earlier = earlier
        self.status = max([self.status, *(one for one, number in self.statuses.items() if number)])

    def summary(self) -> str:
        """One line."""
        before = f" ({self.earlier} by an earlier run)" if self.earlier else ""
        found = self.statuses
        pairs = f"{found[DIFFERENT]} differ, {found[SAME]} do not, {found[TROUBLE]} bad"
        alone = ", ".join(f"{self.states[one]} {one}" for one in _ALONE if self.states[one])
        return f"{count(found.total(), 'pair')}{before}: {pairs}" + (f"; {alone}" if alone else "")

    def numbers(self) -> dict[str, int]:
        """The same for a JSON file."""
        found = self.statuses
        pairs = {"pairs": found.total(), "differ": found[DIFFERENT], "same": found[SAME], "bad": found[TROUBLE]}
        return pairs | {one: self.states[one] for one in _ALONE}


def told_line(record: dict[str, Any]) -> str:
    """A record to read, in one line."""
    from whatchanged.listing import printable
    from whatchanged.regions import rounded_down

    name, said = record["name"], record.get("error") or record.get("note")
    if record["state"] == "compared":
        state, after = ("unreadable" if record.get("error") else "changed"), record["after"]
        name = record["before"] if Path(record["before"]).name == Path(after).name else f"{record['before']} {after}"
        if not record.get("error"):
            similarity = f"{rounded_down(record['similarity'], 4):.4f}"
            said = f"{count(len(record['regions']), 'region')}, similarity {similarity} ({record['kind']})"
    elif record["state"] == "renamed":
        state, name = "renamed", f"{record['before']} {record['after']}"
    else:
        state, name = record["state"], record["before"] or record["after"]
    return printable(f"{state} {name}" + (f": {said}" if said else ""))


class Small:
    """The small pictures of a pair: of its first page that differs, else of its first one."""

    def __init__(self) -> None:
        self._kept: list[str | None] = []
        self._differs = False

    def look(self, page: Page, found: Difference) -> None:
        """Look at one more page."""
        if not self._kept or (found.regions and not self._differs):
            self._kept, self._differs = [_packed(page.before), _packed(page.after)], bool(found.regions)

    def read(self, item: Item) -> None:
        """Take the files themselves; what cannot be read has none."""
        from whatchanged.images import read_image

        for file in (item.before, item.after):
            try:
                self._kept.append(_packed(read_image(file.path)) if file else None)
            except Exception:  # that it is damaged is told where it is compared
                self._kept.append(None)

    def packed(self) -> list[str | None]:
        """Both as text."""
        return self._kept


def _packed(picture: np.ndarray | None) -> str | None:
    import cv2

    from whatchanged.embedded import thumbnail

    if picture is None:
        return None
    small = thumbnail(picture)
    data = cv2.imencode(".webp", small[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 85])[1].tobytes()
    return base64.b64encode(data).decode()


def _unpacked(packed: str | None) -> np.ndarray | None:
    import cv2
    import numpy as np

    if packed is None:
        return None
    data = np.frombuffer(base64.b64decode(packed), np.uint8)
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1])


class Entries(Sequence["Entry"]):
    """The records as the page over all shows them; only the small pictures of one lie in memory unpacked.

    Parameters
    ----------
    records : with their small pictures.
    pages : name of the folder of the pages beside it.
    """

    def __init__(self, records: Sequence[dict[str, Any]], pages: str) -> None:
        self._records, self._pages = records, pages

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> Entries: ...
    def __getitem__(self, index: int | slice) -> Entry | Entries:
        if isinstance(index, slice):
            return Entries(self._records[index], self._pages)
        from whatchanged.journal import told
        from whatchanged.listing import printable
        from whatchanged.report import Entry

        record = self._records[index]
        compared, error = record["state"] == "compared", record.get("error", "")
        state = record["state"]
        if compared:
            state = "unreadable" if error else "changed" if record["regions"] else "same"
        name = printable(record["name"])
        if state == "renamed":
            name = printable(f"{record['before']} \N{RIGHTWARDS ARROW} {record['after']}")
        small = record.get("_small") or [None, None]
        link = f"{quote(self._pages)}/{quote(record['_page'])}" if record.get("_page") and not error else ""
        reason = error or ("" if compared else record["note"])
        shown = told(record) if compared and not error else None
        before, after = map(_unpacked, small)
        return Entry(name, state, link, before, after, shown, reason)

    def __iter__(self) -> Iterator[Entry]:
        return (self[number] for number in range(len(self)))
