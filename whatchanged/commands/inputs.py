"""Pictures that come through a pipe, as files."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True)
class Given:
    """Two files to read, and the names by which the user knows them."""

    files: tuple[str, str]
    named: dict[str, str]


@contextmanager
def as_files(before: str, after: str) -> Iterator[Given]:
    """The two as files that can be read anywhere in them: `-`, `/dev/stdin` and pipes are kept in files meanwhile.

    Raises
    ------
    ValueError
        Both are standard input; and each error of a picture, with the name that the user gave.
    """
    names = (before, after)
    if all(name in ("-", "/dev/stdin") for name in names):
        raise ValueError("before and after are both standard input: give a file for one of them")
    with tempfile.TemporaryDirectory(prefix="whatchanged-") as folder:
        files = tuple(
            _kept(name, Path(folder) / f"{which}{Path(name).suffix}")
            for which, name in zip(("before", "after"), names, strict=True)
        )
        try:
            yield Given((files[0], files[1]), dict(zip(("before", "after"), names, strict=True)))
        except ValueError as error:
            told = str(error)
            for file, name in zip(files, names, strict=True):
                told = told.replace(file, "standard input" if name == "-" else name)
            raise type(error)(told) from error


def _kept(name: str, place: Path) -> str:
    if name == "-":
        return _spooled(sys.stdin.buffer, place)
    if not os.path.exists(name) or os.path.isfile(name) or os.path.isdir(name):
        return name
    with open(name, "rb") as pipe:
        return _spooled(pipe, place)


def _spooled(pipe: BinaryIO, place: Path) -> str:
    with place.open("wb") as file:
        shutil.copyfileobj(pipe, file)
    return str(place)
