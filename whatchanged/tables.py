"""A CSV file of pairs, as spreadsheets and people write it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from whatchanged.texts import read_text

_DELIMITERS = ",;\t|"
_NEEDED = ("before", "after")


def read_rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """The rows of a CSV file with the columns `before` and `after`: line, before, after; empty rows are none.

    It may begin with a byte order mark, be UTF-8, UTF-16 or cp1252, be divided by commas, semicolons or tabs, and have
    blanks and capitals in its head. A name that is missing is "".

    Raises
    ------
    ValueError
        It is no text, a column is missing or comes twice, or a row breaks off within quotes.
    """
    text = read_text(path)
    first, _, rest = text.partition("\n")
    skipped = 0
    if first.strip().lower().startswith("sep="):  # a line that Excel asks for and no other program reads
        text, skipped = rest, 1
    names, delimiter = _head(path, text)
    columns = [names.index(one) for one in _NEEDED]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    try:
        begun = False
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if not begun:
                begun = True
                continue
            before, after = (row[column].strip() if column < len(row) else "" for column in columns)
            if before or after:
                yield reader.line_num + skipped, before, after
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num + skipped}: {error}") from error


def _head(path: Path, text: str) -> tuple[list[str], str]:
    """The names of the columns in small letters, and what divides them."""
    line = next((one for one in text.splitlines() if one.strip(" \t,;|")), "")
    found = {}
    for delimiter in _DELIMITERS:
        cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
        found[delimiter] = [cell.strip().strip('"').strip().casefold() for cell in cells]
    delimiter = max(_DELIMITERS, key=lambda one: sum(name in found[one] for name in _NEEDED))  # the first of equals
    names = found[delimiter]
    missing = sorted(set(_NEEDED) - set(names))
    if missing:
        raise ValueError(f"{path} has no column {' and no column '.join(missing)}: it needs before,after")
    twice = [name for name in _NEEDED if names.count(name) > 1]
    if twice:
        raise ValueError(f"{path} has two columns {twice[0]}: give one")
    return names, delimiter
