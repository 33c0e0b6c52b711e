"""What the parameters of a notebook name outside of it, opened before anything is computed; and its MODE."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from helpers.runtime import ROOT
from whatchanged.files import user_path

LEFT_OUT = '# Left out where MODE is "test".'
_Read = TypeVar("_Read")


def given(name: str, value: Any, read: Callable[[Any], _Read], words: Sequence[str] = ()) -> _Read | None:
    """What a parameter names, read at once; None where it names nothing.

    Parameters
    ----------
    name : of the parameter, as "DATA_DIR".
    value : of it: a path, absolute, or relative to the caller's folder or to `notebooks/`; or one of `words`.
    read : function of the path that exists, or of the word, that returns what is there or refuses it.

    Raises
    ------
    ValueError
        There is no such file or folder, or `read` refused it; the message begins with the parameter and its value.
    """
    if value is None:
        return None
    tried = list(dict.fromkeys([user_path(value).absolute(), ROOT / "notebooks" / value]))
    found = value if value in words else next((path.resolve() for path in tried if path.exists()), None)
    try:
        if found is None:
            sets = "; python download_and_unzip.py --list names what can be fetched" if name == "DATA_DIR" else ""
            raise ValueError(f"there is no {' nor '.join(map(str, tried))}{sets}")
        return read(found)
    except (OSError, ValueError) as error:
        raise ValueError(f"{name} is {str(value)!r}: {error}") from error


def testing(mode: str) -> bool:
    """Whether MODE is "test". From then on a cell that begins with the line `LEFT_OUT` does nothing but say so."""
    if mode not in ("train", "test"):
        raise ValueError(f"MODE is {mode!r}: choose 'train' or 'test'")
    if (shell := sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None) is not None:
        others = [one for one in shell.input_transformers_cleanup if one is not _left_out]
        shell.input_transformers_cleanup[:] = [*others, *[_left_out] * (mode == "test")]
    return mode == "test"


def _left_out(lines: list[str]) -> list[str]:
    return ["print('left out: MODE is \"test\"')\n"] if lines and lines[0].strip() == LEFT_OUT else lines
