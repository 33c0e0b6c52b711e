"""A CSV file, of pairs or whatever, as spreadsheets and people write it."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from pathlib import Path

from whatchanged.texts import read_text

_DELIMITERS = ",;\t|"
_PAIR = ("before", "after")


def read_rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """The rows of a CSV file with the columns `before` and `after`: line, before, after; a name that is missing is "".

    Raises
    ------
    ValueError
        As of `read_table`, or one of the two columns is missing.
    """
    for line, row in read_table(path, _PAIR, needed=_PAIR):
        if row["before"] or row["after"]:
            yield line, row["before"], row["after"]


def read_table(
    path: Path, known: Collection[str], needed: Collection[str] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV file: line, and the cells by the names of their columns, without blanks around them.

    It may begin with a byte order mark, be UTF-8, UTF-16 or cp1252, be divided by commas, semicolons, tabs or bars, and
    have blanks and other capitals in its head. A cell that is missing is "". Empty rows are none.

    Parameters
    ----------
    known : names that columns may have; other columns have what stands in the file.
    needed : those that must be there.

    Raises
    ------
    ValueError
        It is no text, a needed column is missing, a known one comes twice, a row has more cells than the head, or
        breaks off within quotes.
    """
    text = read_text(path)
    first, _, rest = text.partition("\n")
    skipped = 0
    if first.strip().lower().startswith("sep="):  # a line that Excel asks for and no other program reads
        text, skipped = rest, 1
    names, delimiter = _head(path, text, known, needed)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    try:
        begun = False
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if not begun:
                begun = True
                continue
            line = reader.line_num + skipped
            if any(cells[len(names) :]):
                raise ValueError(
                    f"{path}, line {line}: it has {len(cells)} cells and the head {len(names)}: put a cell that holds"
                    f" {delimiter!r} in quotes"
                )
            yield line, dict(zip(names, [*cells, *[""] * len(names)], strict=False))
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num + skipped}: {error}") from error


def _head(path: Path, text: str, known: Collection[str], needed: Collection[str]) -> tuple[list[str], str]:
    """The names of the columns, as they are known, and what divides them."""
    line = next((one for one in text.splitlines() if one.strip(" \t,;|")), "")
    spelled = {name.casefold(): name for name in known}
    found = {}
    for delimiter in _DELIMITERS:
        cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
        plain = [cell.strip().strip('"').strip() for cell in cells]
        found[delimiter] = [spelled.get(cell.casefold(), cell) for cell in plain]
    delimiter = max(_DELIMITERS, key=lambda one: sum(name in found[one] for name in known))  # the first of equals
    names = found[delimiter]
    missing = sorted(set(needed) - set(names))
    if missing:
        raise ValueError(f"{path} has no column {' and no column '.join(missing)}: it needs {','.join(needed)}")
    twice = [name for name in known if names.count(name) > 1]
    if twice:
        raise ValueError(f"{path} has two columns {twice[0]}: give one")
    return names, delimiter
