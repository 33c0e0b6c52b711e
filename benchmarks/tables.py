"""What the benchmarks share: seconds with their noise, and tables of README.md, each between two marks."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import re
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path

README = Path(__file__).resolve().parent / "README.md"


def seconds(work: Callable[[], object], rounds: int = 5, patience: float = float("inf")) -> tuple[float, float]:
    """The best of some rounds, and how much the middle one was above it: the noise of the machine, as a share.

    A round that takes longer than `patience` is the last.
    """
    took: list[float] = []
    while len(took) < rounds and max(took, default=0) <= patience:
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took), statistics.median(took) / min(took) - 1


def about(*packages: str) -> str:
    """Date, processor and versions."""
    found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    versions = [
        f"Python {platform.python_version()}",
        *(f"{one} {importlib.metadata.version(one)}" for one in packages),
    ]
    return f"Measured {datetime.date.today()}, {found[1] if found else platform.processor()}; {', '.join(versions)}."


def write(name: str, lines: Iterable[str]) -> None:
    """Put the lines between the marks `<!-- NAME -->` and `<!-- NAME end -->`."""
    begin, end = f"<!-- {name} -->", f"<!-- {name} end -->"
    head, rest = README.read_text().split(begin)
    README.write_text(f"{head}{begin}\n\n" + "\n".join(lines) + f"\n\n{end}" + rest.split(end)[1])
