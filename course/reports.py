"""What became of each notebook: a line, a table, a page of the site."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Run:
    """What became of one notebook.

    Attributes
    ----------
    name : file name without suffix.
    title : first heading.
    seconds : wall-clock time of the execution.
    memory : bytes, the most that its kernel and what the kernel starts had together; what several processes share, as
        the code of a library, counted once (on Linux).
    metrics : the checked values, as `check()` recorded them.
    error : None, or which cell failed and how.
    notebook : the executed notebook; None where nothing of it was executed.
    """

    name: str
    title: str
    seconds: float = 0.0
    memory: int = 0
    metrics: dict[str, dict] = field(default_factory=dict)
    error: str | None = None
    notebook: Path | None = None


def runs_table(runs: list[Run]) -> str:
    """Plain text: a line a notebook, and under it a line a checked metric, or the cell that failed."""
    lines = [f"{'notebook':<28}{'seconds':>8}{'MB':>8}  checked"]
    for one in runs:
        lines.append(line_of(one))
        for name, entry in one.metrics.items():
            mark = "" if entry["passed"] else "  FAILED"
            lines.append(f"{'':46}{name}: {value_of(entry)} ({entry['bound']}){mark}")
        if one.error:
            lines.append(f"{'':46}{one.error}")
        if one.error and one.notebook:
            lines.append(f"{'':46}see {one.notebook}")
    return "\n".join(lines)


def line_of(one: Run) -> str:
    return f"{one.name:<28}{one.seconds:>8.1f}{one.memory / 1e6:>8.0f}  {'FAILED' if one.error else 'passed'}"


def report(runs: list[Run], solutions: bool = False) -> str:
    """A page of the site, Markdown: what these executions took and measured, or how they failed."""
    folder = "notebooks/solutions" if solutions else "notebooks"
    lines = ["# What this run measured", "", "| notebook | seconds | memory, MB | checked |"]
    lines.append("| --- | --- | --- | --- |")
    for one in runs:
        checked = f"**failed**: {one.error}" if one.error else ""
        measured = "; ".join(f"{name} {value_of(entry)} ({entry['bound']})" for name, entry in one.metrics.items())
        cells = "; ".join(part for part in (checked, measured) if part).replace("|", "\\|").replace("\n", " ")
        took = f"{one.seconds:.0f} | {one.memory / 1e6:.0f}"
        page = one.notebook.name if one.notebook else f"{one.name}.ipynb"
        lines.append(f"| [{one.title}]({folder}/{page}) | {took} | {cells} |")
    return "\n".join(lines)


def value_of(entry: dict) -> str:
    """The value of a checked metric as text, four digits or "nan"."""
    return "nan" if entry["value"] is None else f"{entry['value']:.4g}"
