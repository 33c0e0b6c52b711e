"""Tables of README.md that the benchmarks write themselves, each between two marks."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import re
from collections.abc import Iterable
from pathlib import Path

README = Path(__file__).resolve().parent / "README.md"


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
