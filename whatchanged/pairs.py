"""Pairs of pictures in folders and CSV files; and going through many, where a bad one gets its reason."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from whatchanged.images import SUFFIXES

Item = TypeVar("Item")
Result = TypeVar("Result")


def find_pairs(source: str | Path) -> list[tuple[Path, Path]]:
    """The image pairs that a CSV file or a folder names.

    Parameters
    ----------
    source : a CSV file with the columns `before` and `after` (relative paths count from the CSV's folder), or a folder
        with pairs by name: `x_before.png` with `x_after.png`, `x.png` with `x_2.png`, or `before/x.png` with
        `after/x.png`.

    Returns
    -------
    list of (before, after) paths, sorted by name (folder) or in the order of the rows (CSV).

    Raises
    ------
    ValueError
        There is no such file or folder, a column is missing, or no pair is found.
    """
    source = Path(source)
    if source.is_dir():
        pairs = sorted(_pairs_by_name(source))
    elif source.is_file():
        pairs = _pairs_in_csv(source)
    else:
        raise ValueError(f"{source} does not exist: give a CSV file or a folder of pairs")
    if not pairs:
        raise ValueError(
            f"{source} holds no pairs: name them x_before.png and x_after.png, or x.png and x_2.png, or put them into"
            " before/ and after/ under the same name"
        )
    return pairs


def _pairs_by_name(folder: Path) -> Iterator[tuple[Path, Path]]:
    files = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    by_stem = {path.stem: path for path in files}
    for path in files:
        partner = re.sub(r"_before$", "_after", path.stem) if path.stem.endswith("_before") else path.stem + "_2"
        if partner in by_stem:
            yield path, by_stem[partner]
    if (folder / "before").is_dir() and (folder / "after").is_dir():
        for path in (folder / "before").iterdir():
            if path.suffix.lower() in SUFFIXES:
                yield path, folder / "after" / path.name


def _pairs_in_csv(path: Path) -> list[tuple[Path, Path]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = {"before", "after"} - set(reader.fieldnames or [])
        if missing:
            raise ValueError(f"{path} has no column {' and no column '.join(sorted(missing))}: it needs before,after")
        pairs = []
        for row in reader:
            if not (row["before"] and row["after"]):
                raise ValueError(f"{path}, line {reader.line_num}: give both a before and an after image")
            pairs.append((path.parent / row["before"], path.parent / row["after"]))
    return pairs


def each(items: Iterable[Item], do: Callable[[Item], Result]) -> Iterator[tuple[Item, Result | None, str]]:
    """Go through many things; one that fails gets its reason, and the others are done all the same.

    Yields
    ------
    item, result, reason : of the next one. Where it failed there is no result, and the reason is the sentence of a
        ValueError or OSError, or of any other error its name and sentence; else the reason is empty.

    Raises
    ------
    ImportError
        A library is not installed: that is no fault of one of them.
    """
    for item in items:
        result, reason = None, ""
        try:
            result = do(item)
        except (ValueError, OSError) as error:
            reason = str(error)
        except ImportError:  # what is not installed is missing for all of them
            raise
        except Exception as error:  # one must not take the others with it
            reason = f"{type(error).__name__}: {error}"
        yield item, result, reason
