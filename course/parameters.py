"""The parameters of a notebook: what its cell tagged `parameters` declares, and what was typed for them."""

from __future__ import annotations

import ast
import io
import json
import math
import re
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course.notebooks import cells_of

WANTED = {
    bool: "True or False",
    int: "a whole number, as 3",
    float: "a number, as 0.5",
    list: "a list, as [1, 2]",
    tuple: "a list, as [1, 2]",
    dict: 'names with values, as {"a": 1}',
}
"""What else than text may be asked for, in words."""

TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a notebook.

    Attributes
    ----------
    name : as "EPOCHS".
    default : its value where nobody gives another.
    kind : what a value must be: as annotated, else as the default is. A default of None alone says nothing and means
        text; so a number that may be None is annotated, `EPOCHS: int = None` (papermill's own reader does not know
        `int | None`).
    comment : what stands behind it in its line.
    """

    name: str
    default: Any
    kind: type
    comment: str

    def read(self, typed: str) -> Any:
        """The value that was typed; ValueError where it is none of this kind.

        Text is taken as it stands, whatever it looks like. Where the default is None, "None" says so.
        """
        if not typed.strip():
            raise ValueError(f"{self.name} is empty: give a value, or leave it out, which means {self.default!r}")
        if self.default is None and typed.strip().lower() == "none":
            return None
        if self.kind is str:
            return typed
        value = _read(typed, self.kind)
        if value is None:
            raise ValueError(
                f"{self.name} is {typed!r}: give {WANTED[self.kind]}{', or None' * (self.default is None)}"
            )
        return value


def _read(typed: str, kind: type) -> Any:
    """The value, or None where it is none of that kind. No number is rounded, and none is infinite or NaN."""
    try:
        if kind is bool:
            return TRUTH.get(typed.strip().lower())
        if kind is int:
            return int(typed)
        if kind is float:
            return float(typed) if math.isfinite(float(typed)) else None
    except ValueError:
        return None
    for read in (ast.literal_eval, json.loads):
        try:
            value = read(typed.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(value, (list, tuple) if kind in (list, tuple) else kind):
            return kind(value)
    return None


def declared(path: Path) -> dict[str, Parameter]:
    """The parameters of a notebook, by name; ValueError where its cell tagged `parameters` is not plain Python."""
    source = _parameters_cell(path)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    found = {}
    for name, value, annotation in _assigned(source):
        try:
            default = ast.literal_eval(value)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{path.name} declares {name.id} = {ast.unparse(value)}: a parameter's default is a plain value, as 3"
            ) from error
        found[name.id] = Parameter(
            name.id, default, _kind(default, annotation), comments.get(value.end_lineno or 0, "")
        )
    return found


def _kind(default: Any, annotation: ast.expr | None) -> type:
    known = {kind.__name__: kind for kind in (str, *WANTED)}
    named = [known[word] for word in re.findall(r"\w+", ast.unparse(annotation)) if word in known] if annotation else []
    kind = named[0] if named else type(default)
    return kind if kind in WANTED else str


def _parameters_cell(path: Path) -> str:
    cells = cells_of(path)
    sources = ["".join(c["source"]) for c in cells if "parameters" in c["metadata"].get("tags", [])]
    if len(sources) != 1:
        raise ValueError(f"{path.name} has {len(sources)} cells tagged `parameters`: it must have one")
    try:
        ast.parse(sources[0])
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"{path.name} has a cell tagged `parameters` that is not Python: {error}") from error
    return sources[0]


def _assigned(source: str) -> list[tuple[ast.Name, ast.expr, ast.expr | None]]:
    """Each name, its value and its annotation."""
    found: list[tuple[ast.Name, ast.expr, ast.expr | None]] = []
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign):
            found += [(target, statement.value, None) for target in statement.targets if isinstance(target, ast.Name)]
        elif isinstance(statement, ast.AnnAssign) and statement.value and isinstance(statement.target, ast.Name):
            found.append((statement.target, statement.value, statement.annotation))
    return found


def read_typed(path: Path, typed: Mapping[str, str]) -> dict[str, Any]:
    """The values that were typed for the parameters of a notebook.

    Parameters
    ----------
    path : the notebook.
    typed : by the names of its parameters.

    Raises
    ------
    ValueError
        One is none of the notebook's, or its value is not of its kind.
    """
    known = refuse_unknown(path, typed)
    return {name: known[name].read(value) for name, value in typed.items()}


def refuse_unknown(path: Path, names: Iterable[str]) -> dict[str, Parameter]:
    """What `declared` returns; ValueError where a name is none of them, of which papermill alone would only warn."""
    known = declared(path)
    for name in names:
        if name not in known:
            raise ValueError(f"{path.stem} has no parameter {name!r}: it has {', '.join(known)}")
    return known


def changed(path: Path, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters whose value is not the notebook's own default."""
    known = declared(path)
    return {name: value for name, value in parameters.items() if repr(value) != repr(known[name].default)}
