"""What the page does with many pairs: lay uploads out, find the pairs, compare them, write results."""

from __future__ import annotations

import csv
import io
import re
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from whatchanged.archives import ArchiveError, unpack
from whatchanged.embedded import thumbnail
from whatchanged.files import write_json, write_whole
from whatchanged.listing import Item, is_packed, listed, lone
from whatchanged.models.likeness import MAY_MEAN_NOTHING
from whatchanged.naming import by_rules
from whatchanged.page.comparing import Models, Seen, Settings, Words, describe, see
from whatchanged.page.showing import whole_report
from whatchanged.pairs import Pattern, each, searched
from whatchanged.regions import rounded_down
from whatchanged.report import Entry, report_index

MAX_ARCHIVE = 500_000_000  # bytes that an archive may unpack to
MAX_PAIRS = 500
COLUMNS = (
    "number",
    "name",
    "before",
    "after",
    "state",
    "similarity",
    "kind",
    "regions",
    "note",
    "words",
    "unlike",
    "error",
)
IN_ORDER = ("", "")
"""In place of a pattern: the first picture goes with the second, the third with the fourth, sorted by name; a name that
says that it is before or after is believed.
"""
_WAYS_OUT = {
    "give such pairs in a CSV file": "compare them under “Two pictures”, or choose “In their order”",
    "give the pairs in a CSV file": "choose “By a pattern” or “In their order”",
}


@dataclass(frozen=True, eq=False)
class Row:
    """What became of a pair, or of a file without a partner.

    Attributes
    ----------
    record : all that is known of it, as it stands in the JSON file.
    entry : the same for the list of the page and of the report.
    files : both pictures where they were compared; else none.
    """

    record: dict[str, Any]
    entry: Entry
    files: tuple[Path, ...] = ()


def lay_out(files: Sequence[str | Path], folder: Path) -> Path:
    """Put uploaded pictures, and what uploaded archives hold, into one folder, under their own names.

    Raises
    ------
    ValueError
        Two have the same name; an archive is damaged, unpacks to too much or leaves its folder.
    """
    folder.mkdir(parents=True)
    for number, path in enumerate(dict.fromkeys(map(Path, files))):
        if not is_packed(path):
            _lay(path, folder / path.name, path.name, shutil.copyfile)
            continue
        apart = folder.with_name(f"{folder.name} {number}")
        apart.mkdir()
        try:
            unpack(path, apart, limit=MAX_ARCHIVE)
        except ArchiveError as error:
            raise ValueError(str(error).replace(str(path), path.name)) from error
        for one in sorted(apart.rglob("*")):
            name = one.relative_to(apart)
            _lay(one, folder / name, name.as_posix(), shutil.move)
        shutil.rmtree(apart)
    inside = [path for path in folder.iterdir() if not path.name.startswith((".", "__"))]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _lay(path: Path, place: Path, name: str, by: Callable[[Path, Path], Any]) -> None:
    """Bring a file or a folder to its place; no file is written over."""
    try:
        if path.is_dir():
            place.mkdir(exist_ok=True)
        elif place.exists():
            raise FileExistsError
        else:
            by(path, place)
    except (FileExistsError, NotADirectoryError) as error:
        raise ValueError(f"two files are called {name}: give each a name or a folder of its own") from error


def found_in(folder: Path, pattern: Pattern | None) -> list[Item]:
    """The pairs in a folder by their names, by a pattern or `IN_ORDER`; and what is in none, with its reason.

    Raises
    ------
    ValueError
        There are none, there are too many, or the pattern is none; no path of the server stands in it.
    """
    try:
        if pattern == IN_ORDER:
            items = _in_order(folder)
        else:
            with searched(folder, pattern) as found:
                items = found
    except ValueError as error:
        raise ValueError(_own(str(error), folder).replace("--pair-pattern", "the pattern")) from error
    if (count := sum(item.state == "compared" for item in items)) > MAX_PAIRS:
        raise ValueError(f"these are {count} pairs: at most {MAX_PAIRS}; `whatchanged diff --pairs` takes more")
    return items


def _in_order(folder: Path) -> list[Item]:
    tree = listed(folder, str(folder))
    names = sorted(
        tree.files, key=lambda name: [int(one) if one.isdigit() else one for one in re.split(r"(\d+)", name)]
    )
    if len(names) < 2:
        raise ValueError("there are not two pictures: put in at least one pair")
    pairs = map(_told_apart, zip(names[::2], names[1::2], strict=False))
    items = [Item("compared", one, tree.file(one), tree.file(two)) for one, two in pairs]
    if len(names) % 2:
        items.append(
            lone("left out", names[-1], tree.file(names[-1]), False, error="it is the last one, and has no partner")
        )
    return [*items, *tree.left_out()]


def _told_apart(pair: tuple[str, str]) -> tuple[str, str]:
    """The two in their order, unless their names say the other one, as x_after.png and x_before.jpg do."""
    names = [str(PurePosixPath(name).with_suffix("")) for name in pair]
    folders = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    return pair[::-1] if by_rules(names, folders).pairs == [(names[1], names[0])] else pair


def _own(text: str, folder: Path) -> str:
    """A sentence without the folder of the server, and with the ways out that the page has."""
    for elsewhere, here in _WAYS_OUT.items():
        text = text.replace(elsewhere, here)
    return text.replace(f"{folder}/", "").replace(str(folder), "what was put in")


def batch(items: Sequence[Item], folder: Path, settings: Settings, models: Models, pages: Path) -> Iterator[Row]:
    """Compare all pairs; of each the report goes into the folder `pages`. One that fails has its reason."""
    pages.mkdir(parents=True)

    def one(item: Item) -> tuple[Seen, Words]:
        if item.state != "compared":
            raise ValueError(item.error or item.note)
        before, after = (file.path for file in item.files)
        seen = see(before, after, settings, models)
        return seen, describe(seen, settings, models)

    for number, (item, done, reason) in enumerate(each(items, one), start=1):
        before, after = (file and _own(file.name, folder) for file in (item.before, item.after))
        names = {"number": number, "name": item.name, "before": before, "after": after}
        called = item.name if before == after or not (before and after) else f"{before} and {after}"
        if done is None:
            bad = item.state == "compared" or bool(item.error)
            state = "unreadable" if item.state == "compared" else "left out"
            why = _own(item.told(reason), folder)
            record = names | {"state": state, "error" if bad else "note": why}
            yield Row(record, Entry(called, state, reason=why))
            continue
        seen, words = done
        record = names | {"state": "compared", "words": words.said, "unlike": words.unlike} | seen.record
        path = pages / f"{number:03d}.html"
        write_whole(path, whole_report(called, seen, names, settings, "../index.html").encode())
        first, _ = seen.pages[0]
        old, new = (None if side is None else thumbnail(side) for side in (first.before, first.after))
        state = "changed" if seen.count else "same"
        hidden = words.said and words.unlike
        told = f"The pair is {MAY_MEAN_NOTHING}; JSON and CSV have its words" if hidden else words.said
        note = ". ".join(filter(None, (told, seen.record["note"])))
        entry = Entry(called, state, f"pages/{path.name}", old, new, seen.record, note)
        yield Row(record, entry, tuple(file.path for file in item.files))


def totals(rows: Sequence[Row]) -> str:
    """How many there are of each kind, in a sentence."""
    states = Counter(row.entry.state for row in rows)
    pairs = states["changed"] + states["same"] + states["unreadable"]
    alone = f"; {states['left out']} left out" if states["left out"] else ""
    return (
        f"{pairs} pair{'' if pairs == 1 else 's'}: {states['changed']} differ, {states['same']} do not,"
        f" {states['unreadable']} bad{alone}."
    )


def results(rows: Sequence[Row], folder: Path) -> tuple[Path, Path, Path]:
    """JSON, CSV, and a zip of the report over all with its pages, which lie in `folder`; all of them whole."""
    records = [row.record for row in rows]
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, extrasaction="ignore")
    writer.writeheader()
    for one in records:
        told = (
            {"regions": len(one["regions"]), "similarity": rounded_down(one["similarity"], 4)}
            if "regions" in one
            else {}
        )
        writer.writerow(one | told)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("index.html", report_index("Many pairs", [row.entry for row in rows]))
        for path in sorted((folder / "pages").iterdir()):
            archive.write(path, f"pages/{path.name}")
    return (
        write_json(folder / "differences.json", records),
        write_whole(folder / "differences.csv", table.getvalue().encode()),
        write_whole(folder / "report.zip", packed.getvalue()),
    )
