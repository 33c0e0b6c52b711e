"""Labels of pictures in CSV files beside their folders, `0.csv` of `0/` and `1.csv` of `1/`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path


class CsvError(ValueError):
    """A CSV file of labels that cannot be used; the message names file and row."""


def read_labels(folder: Path, strict: bool) -> tuple[list[Path], list[int], list[str]]:
    """The pictures of `0.csv`, then those of `1.csv`, their labels, and what is wrong with rows that were left out.

    Parameters
    ----------
    strict : refuse a row that cannot be used; otherwise leave it out.

    Raises
    ------
    CsvError
        A file cannot be used, no row can be, or, where `strict`, one cannot.
    """
    paths: list[Path] = []
    labels: list[int] = []
    skipped: list[str] = []
    first: dict[str, str] = {}
    for part in ("0", "1"):
        for where, name, target in _csv_rows(folder / f"{part}.csv"):
            fault = ""
            if name in first:
                fault = f"{name!r} comes a second time, first in {first[name]}"
            elif target not in ("0", "1"):
                fault = f"target is {target!r}, it must be 0 or 1"
            elif not _is_inside(folder / part, name):
                fault = f"{folder / part / name} does not exist"
            if fault and strict:
                raise CsvError(f"{where}: {fault}")
            if fault:
                skipped.append(f"{where}: {fault}")
                continue
            first[name] = where
            paths.append(folder / part / name)
            labels.append(int(target))
    if not paths:
        raise CsvError(f"{folder}: no row can be used, as {skipped[0]}")
    return paths, labels, skipped


def _csv_rows(path: Path) -> Iterator[tuple[str, str, str]]:
    """Where each row stands, its image name and its target."""
    if not path.is_file():
        raise CsvError(f"{path} does not exist: the images need 0.csv and 1.csv beside their folders 0/ and 1/")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CsvError(f"{path} is no text in UTF-8: save it as CSV in UTF-8") from error
    with io.StringIO(text, newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in ("image_name", "target") if name not in (reader.fieldnames or [])]
        if missing:
            raise CsvError(f"{path} has no column {' and no column '.join(missing)}: it needs image_name,target")
        number = 0
        for number, row in enumerate(reader, start=1):
            yield f"{path.name}, row {number}", (row["image_name"] or "").strip(), (row["target"] or "").strip()
        if not number:
            raise CsvError(f"{path} holds no row")


def _is_inside(folder: Path, file: str) -> bool:
    """Whether there is such a file in the folder, not beyond it."""
    path = (folder / file).resolve()
    return bool(file) and path.is_file() and path.is_relative_to(folder.resolve())
