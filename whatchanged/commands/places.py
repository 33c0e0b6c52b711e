"""Where a run over many pairs writes: looked at before anything is compared, and never into what it reads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whatchanged.listing import Item

RECORDS = "results.jsonl"


class Places:
    """The places of one run.

    Parameters
    ----------
    folder : gets a picture a pair and `RECORDS`; None: no such.
    json, report : files; None: none.

    Attributes
    ----------
    folder, json, report : the same as paths; `json` is None for standard output.
    pages : the folder beside the report that gets a page a pair.
    written : real paths of all that is written.

    Raises
    ------
    ValueError
        A file cannot be written there.
    """

    def __init__(self, folder: str | None, json: str | None, report: str | None) -> None:
        self.folder = Path(folder) if folder else None
        self.json = Path(json) if json and json != "-" else None
        self.report = Path(report) if report else None
        self.pages = self.report.with_suffix("") if self.report else Path()
        for option, path in (("--json", self.json), ("--report", self.report)):
            if path is None:
                continue
            if path.is_dir():
                raise ValueError(f"{option} {path} is a folder: give the name of a file")
            if not path.parent.is_dir():
                raise ValueError(f"{option} {path}: there is no folder {path.parent}, make it first")
        if self.report and self.report.suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"--report {self.report}: give a name that ends with .html; the pages go into a folder so")
        for option, place in (("--output-dir", self.folder), ("--report", self.pages if self.report else None)):
            if place and os.path.lexists(place) and not place.is_dir():
                raise ValueError(f"{option}: {place} is to be a folder, and a file is called so: choose another name")
        files = [path for path in (self.json, self.report, self.folder and self.folder / RECORDS) if path]
        if len({os.path.realpath(path) for path in files}) < len(files):
            raise ValueError("--json, --report and --output-dir would write the same file: give two names")
        folders = [place for place in (self.folder, self.pages if self.report else None) if place]
        beside = [path.with_name(path.name + more) for path in files for more in ("", ".journal", ".part")]
        self.written = {os.path.realpath(path) for path in (*folders, *beside)}

    def make(self) -> None:
        """Make the folders."""
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
        if self.report:
            self.pages.mkdir(exist_ok=True)

    def journal(self, otherwise: Path) -> Path:
        """The file beside which the journal lies: it goes on where something is written, else in a folder for now."""
        if self.folder:
            return self.folder / RECORDS
        for path in (self.json, self.report):
            if path and str(path.parent) not in ("/dev", "/dev/fd") and (path.is_file() or not path.exists()):
                return path
        return otherwise / RECORDS

    def hold_outside(self, *sources: str) -> None:
        """ValueError where something would be written into one of two folders, which then would be compared."""
        for source in sources:
            if not os.path.isdir(source):
                continue
            inside = os.path.join(os.path.realpath(source), "")
            for path in sorted(self.written):
                if os.path.join(path, "").startswith(inside):
                    raise ValueError(f"{path} lies in {source}, which is compared: choose another place to write to")

    def hold_beside_pairs(self, source: str) -> None:
        """ValueError where the pictures of pairs lie where others are written to."""
        for place in (self.folder, self.pages if self.report else None):
            if place is None or not place.is_dir() or not os.path.isdir(source):
                continue
            real, inside = os.path.realpath(place), os.path.realpath(source)
            if real == inside:
                raise ValueError(f"{place} holds the pairs themselves: choose another folder to write to")
            if real.startswith(os.path.join(inside, "")) and not _is_ours(place):
                raise ValueError(f"{place} lies in {source} and holds pictures: choose another folder to write to")

    def hold_apart(self, items: Sequence[Item], others: Iterable[str | None], written: Iterable[Path] = ()) -> None:
        """ValueError where a file that is read would be overwritten, also by one of those that are `written`."""
        read = {os.path.realpath(file.path): file.name for item in items for file in item.files}
        read |= {os.path.realpath(path): path for path in others if path and os.path.isfile(path)}
        for path in (*self.written, *map(os.path.realpath, written)):
            if path in read:
                raise ValueError(f"{read[path]} would be overwritten: choose another place to write to")


def _is_ours(place: Path) -> bool:
    """Whether an earlier run wrote there, or no picture lies there."""
    from whatchanged.listing import PICTURES

    if any(RECORDS in name for name in os.listdir(place)):
        return True
    return not any(Path(name).suffix.lower() in PICTURES for _, _, names in os.walk(place) for name in names)
