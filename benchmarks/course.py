"""The whole course in the quick profile: seconds, memory, and whether it says again what the committed notebooks say.

`make bench-course` writes a table of benchmarks/README.md; `taskset -c 0 make bench-course` that of a single core.
With the first digits of notebooks (`NOTEBOOK="01 03"`) it measures these, and keeps the rows of the others.
"""

from __future__ import annotations

import configparser
import datetime
import re
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import tables

from helpers import course
from helpers.runtime import ROOT, cores, read_json, write_json
from helpers.website import cells_of

BUILD = ROOT / "build" / f"cores_{cores()}"
IGNORED = {"nbval-ignore-output", "injected-parameters"}
RULES = configparser.ConfigParser(interpolation=None)
RULES.read_string((ROOT / "tests" / "nbval_sanitize.cfg").read_text())


def measure(path: Path) -> dict:
    """Execute a notebook; the row of its table, or a RuntimeError where it fails."""
    run = course.execute(path, {}, BUILD)
    if run.error:
        raise RuntimeError(f"{path.stem}: {run.error}")
    again, committed = compared(BUILD / path.name), compared(path)
    measured = "; ".join(f"{name} {course.value_of(entry)}" for name, entry in run.metrics.items())
    row = {"notebook": path.stem, "measured on": str(datetime.date.today()), "seconds": round(run.seconds)}
    row |= {"memory, GB": f"{run.memory / 1e9:.1f}", "compared cells": len(committed)}
    row["of them different"] = sum(one != other for one, other in zip(again, committed, strict=True))
    return row | {"values of the checks": measured}


def compared(path: Path) -> list[dict[str, str]]:
    """The texts that nbval compares: those of each code cell without the tag that says otherwise; no figures."""
    cells = (cell for cell in cells_of(path) if cell["cell_type"] == "code")
    return [_texts(cell) for cell in cells if not IGNORED & set(cell["metadata"].get("tags", []))]


def _texts(cell: dict) -> dict[str, str]:
    """Kind of output -> text, as nbval sanitizes it."""
    texts: dict[str, str] = {}
    for output in cell["outputs"]:
        parts = {output["name"]: output["text"]} if output["output_type"] == "stream" else output["data"]
        for kind in parts:
            if not kind.startswith("image/"):
                texts[kind] = texts.get(kind, "") + "".join(parts[kind])
    return {kind: _sanitized(text) for kind, text in texts.items()}


def _sanitized(text: str) -> str:
    for name in RULES.sections():
        text = re.sub(RULES[name]["regex"], RULES[name]["replace"], text)
    return text


def table(rows: list[dict]) -> Iterator[str]:
    """The lines of the table."""
    yield f"| {' | '.join(rows[0])} |"
    yield f"|{' --- |' * len(rows[0])}"
    for row in rows:
        yield f"| {' | '.join(map(str, row.values()))} |"
    if len(rows) == len(course.select("")):
        yield f"\nTogether {sum(row['seconds'] for row in rows) / 60:.0f} minutes."


def main(selections: list[str]) -> None:
    BUILD.mkdir(parents=True, exist_ok=True)
    for path in [path for one in selections or [""] for path in course.select(one)]:
        row = measure(path)
        kept = BUILD / "rows.json"
        rows = {one["notebook"]: one for one in (read_json(kept) if kept.is_file() else [])} | {path.stem: row}
        rows = [rows[name] for name in sorted(rows)]
        write_json(kept, rows)
        tables.write(f"course, cores: {cores()}", [tables.about("torch", "tensorflow"), "", *table(rows)])
        print(row, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
