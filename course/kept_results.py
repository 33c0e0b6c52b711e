"""Results that take longer than a reader waits: kept as JSON, with what made them, and told when that has changed."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import platform
import re
import textwrap
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from course.notebooks import NOTEBOOKS
from helpers import plotting
from whatchanged.files import alone, read_json, write_whole

KEPT_RESULTS = NOTEBOOKS / "results"


def digest_of(things: Sequence[Any], settings: Any = None) -> str:
    """A hash of code and settings: 12 hexadecimal digits, another one as soon as either says something else.

    Of the code only counts what it does: no comment, no docstring, no type hint, no line break. It is the same on all
    versions of Python.

    Parameters
    ----------
    things : modules, classes and functions. A module stands for all that it holds, not for what it imports.
    settings : whatever JSON can write.
    """
    said = [list(_told(ast.parse(textwrap.dedent(inspect.getsource(one))))) for one in things]
    return hashlib.sha256(json.dumps([said, settings], sort_keys=True).encode()).hexdigest()[:12]


def _told(node: Any) -> Iterator[str]:
    """What a syntax tree says, but for docstrings, type hints and empty fields, of which newer versions have more."""
    if isinstance(node, list):
        for one in node:
            yield from _told(one)
    elif not isinstance(node, ast.AST):
        yield repr(node)
    else:
        yield type(node).__name__
        for name, value in ast.iter_fields(node):
            if name == "body" and isinstance(value, list) and _is_text(value[:1]):
                value = value[1:]
            if name not in ("annotation", "returns") and value is not None and value != []:
                yield name
                yield from _told(value)
        yield "end"


def _is_text(first: list[Any]) -> bool:
    """Whether that is a docstring, or another text that does nothing."""
    return bool(first) and isinstance(first[0], ast.Expr) and isinstance(getattr(first[0].value, "value", None), str)


def read_kept(path: Path) -> list[dict[str, Any]]:
    """The records of such a file, none where it is not there; ValueError where it holds something else."""
    if not path.is_file():
        return []
    try:
        found = read_json(path)
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error}): delete it to begin anew") from error
    if not isinstance(found, list) or not all(isinstance(one, dict) and "digest" in one for one in found):
        raise ValueError(f"{path} holds no kept results: delete it to begin anew")
    return found


def write_kept(path: Path, records: Sequence[dict[str, Any]]) -> Path:
    """Write records, a line each, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(map(json.dumps, records))
    return write_whole(path, f"[\n{lines}\n]\n".encode())


def keep_all(
    path: Path,
    wanted: Iterable[tuple[dict[str, Any], Any]],
    make: Callable[[dict[str, Any], Any], dict[str, Any]],
    *,
    digest: Callable[[Any], str],
    machine: dict[str, Any],
    order: Sequence[str],
    announce: Callable[[str], None],
    told: Callable[[dict[str, Any]], str],
) -> list[dict[str, Any]]:
    """Make what is wanted, and keep each record at once; what is kept and current is not made again.

    Parameters
    ----------
    path : the JSON file, a record each. Records that are not asked for stay in it.
    wanted : of each what names it, first of all its row ("rung" or another word), and its settings, a dataclass.
    make : these two -> what was reached.
    digest : settings -> the hash of them and of the code.
    machine : where and how was trained, as `on_torch` says it.
    order : of the rows; those that are not in it are left out.
    announce : told of each record as `told` says it.

    Raises
    ------
    ValueError
        The file is no such file, or another run writes it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    kept: dict[tuple, dict[str, Any]] = {}
    names: list[str] = []

    def in_order() -> list[dict[str, Any]]:
        rows = [key for key in kept if key[0] in order]
        return [kept[key] for key in sorted(rows, key=lambda key: (order.index(key[0]), key[1:]))]

    with alone(path, path.with_name(f".{path.name}.lock")):
        for about, settings in wanted:
            if not names:
                names = list(about)
                kept = {tuple(one[name] for name in names): one for one in read_kept(path)}
            key, current = tuple(about.values()), digest(settings)
            if kept.get(key, {}).get("digest") == current:
                continue
            made = {"date": str(date.today()), "processor": processor(), **machine, "settings": asdict(settings)}
            kept[key] = about | make(about, settings) | made | {"digest": current}
            write_kept(path, in_order())
            announce(told(kept[key]))
    return in_order()


def chosen(known: Collection[str], names: Collection[str], word: str) -> list[str]:
    """The rows of these names, or all; ValueError where one is not known. `word` is what a row is called."""
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"there is no {word} {unknown[0]!r}: choose from {', '.join(map(repr, known))}")
    return list(names or known)


def on_torch(precision: str | None = None) -> dict[str, Any]:
    """Device, precision (None is what the device computes in by itself) and threads of a training with torch."""
    import torch

    from whatchanged import devices

    used = precision or devices.precision()
    return {"device": devices.device().type, "precision": used, "threads": torch.get_num_threads()}


def processor() -> str:
    """What this machine calls its processor."""
    cpus = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", cpus.read_text()) if cpus.is_file() else None
    return found[1] if found else platform.processor() or platform.machine()


def expected(values: Sequence[float], samples: int) -> tuple[float, float]:
    """Where another run of the same is expected, given the accuracies of several seeds on so many samples.

    From the least to the greatest of them, widened on both sides by two standard errors of a share of so many samples.
    """
    mean = sum(values) / len(values)
    error = (mean * (1 - mean) / samples) ** 0.5
    return min(values) - 2 * error, max(values) + 2 * error


def dots(
    records: Sequence[dict[str, Any]], by: str, measures: dict[str, str], *, label: str, chance: float | None = None
) -> Figure:
    """What each run reached as a dot, the runs of one kind in a row.

    Parameters
    ----------
    records : the rows come in their order.
    by : the entry that says the row.
    measures : entry -> what to call it; each has a color and its own height in the row.
    label : of the axis.
    chance : what guessing reaches, drawn as a line; None draws none.
    """
    rows = list(dict.fromkeys(one[by] for one in records))
    figure, axis = plt.subplots(figsize=(8, 0.3 * len(rows) + 1.2), layout="constrained")
    for number, (color, (name, words)) in enumerate(zip(plotting.SERIES, measures.items(), strict=False)):
        height = 0.3 * (number - (len(measures) - 1) / 2)
        places = [rows.index(one[by]) + height for one in records]
        axis.plot([one[name] for one in records], places, "os"[number % 2], color=color, label=words, markersize=5)
    if chance is not None:
        axis.axvline(chance, color="gray", linestyle=":", label="guessing")
    axis.set_yticks(range(len(rows)), rows)
    axis.set(xlabel=label, ylim=(len(rows) - 0.4, -0.6))
    axis.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=len(measures) + 1)
    return figure
