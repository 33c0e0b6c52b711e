"""The whole course in the quick profile: seconds, memory, and whether it says again what the committed notebooks say.

`make bench-course` writes a table of benchmarks/README.md; `taskset -c 0 make bench-course` that of a single core.
It executes them as `make course` does, several at a time. With the first digits of notebooks (`NOTEBOOK="01 03"`) it
measures these, one after the other, and keeps the rows of the others.
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

from course.executing import execute_all, usual_jobs
from course.notebooks import cells_of, select
from course.reports import Run, runs_table, value_of
from helpers.runtime import ROOT
from whatchanged.devices import cores
from whatchanged.files import read_json, write_json

BUILD = ROOT / "build" / f"cores_{cores()}"
IGNORED = {"nbval-ignore-output", "injected-parameters"}
RULES = configparser.ConfigParser(interpolation=None)
RULES.read_string((ROOT / "tests" / "nbval_sanitize.cfg").read_text())


def costs(run: Run) -> dict:
    """Half the row of a table: what these executions took."""
    row = {"notebook": run.name, "measured on": str(datetime.date.today()), "seconds": round(run.seconds)}
    return row | {"memory, GB": f"{run.memory / 1e9:.1f}"}


def outputs(run: Run, path: Path) -> dict:
    """The other half: what came out of a notebook, beside what the one at `path` says."""
    again, committed = compared(BUILD / path.name), compared(path)
    different = sum(one != other for one, other in zip(again, committed, strict=True))
    measured = "; ".join(f"{name} {value_of(entry)}" for name, entry in run.metrics.items())
    return {"compared cells": len(committed), "of them different": different, "values of the checks": measured}


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


def main(selections: list[str]) -> int:
    """1 where a notebook failed; the others have their rows all the same."""
    BUILD.mkdir(parents=True, exist_ok=True)
    paths = [path for one in selections or [""] for path in select(one)]
    runs, together = execute_all([(path, {}) for path in paths], BUILD, 1 if selections else usual_jobs())
    new = [costs(run) | outputs(run, path) for run, path in zip(runs, paths, strict=True) if not run.error]
    if not selections and not together.error:
        counts = {name: sum(row[name] for row in new) for name in ("compared cells", "of them different")}
        new.append(costs(together) | counts | {"values of the checks": ""})
    kept = BUILD / "rows.json"
    rows = {row["notebook"]: row for row in (*(read_json(kept) if kept.is_file() else ()), *new)}
    rows = [rows[name] for name in sorted(rows)]
    write_json(kept, rows)
    if rows:
        tables.write(f"course, cores: {cores()}", [tables.about("torch", "tensorflow"), "", *table(rows)])
    print(runs_table(runs))
    return int(bool(together.error))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
