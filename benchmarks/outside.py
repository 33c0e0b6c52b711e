"""Every figure that is asked of `detect`, measured beside what is asked; pictures from elsewhere, and generated ones.

python benchmarks/outside.py                          all of it
python benchmarks/outside.py layout text --layouts 30 --misses
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import fields
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import outside_made as made
import outside_real as real
import outside_speed
from outside_figures import Sizes

SECTIONS = {
    "cases": made.cases,
    "screens": real.screens,
    "screenshots": real.screenshots,
    "boards": real.boards,
    "tunnel": real.tunnel,
    "photographs": made.photographs,
    "unchanged": made.unchanged,
    "camera": made.camera,
    "nuisances": made.nuisances,
    "layout": made.layout,
    "text": made.text,
    "speed": outside_speed.speed,
}


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    whole.add_argument("sections", nargs="*", metavar="SECTION", help=f"some of {', '.join(SECTIONS)} (all)")
    for one in fields(Sizes):
        kind = Path if one.name == "base" else int
        whole.add_argument(f"--{one.name}", type=kind, default=one.default, help=f"({one.default})")
    whole.add_argument("--misses", action="store_true", help="tell what kept each figure from being better")
    return whole


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; the exit status is how many figures are not as asked."""
    given = parser().parse_args(arguments)
    unknown = set(given.sections) - set(SECTIONS)
    if unknown:
        parser().error(f"there is no section {', '.join(sorted(unknown))}: choose some of {', '.join(SECTIONS)}")
    sizes, bad = Sizes(**{one.name: getattr(given, one.name) for one in fields(Sizes)}), 0
    for name in given.sections or SECTIONS:
        began = time.perf_counter()
        print(f"{name}: {SECTIONS[name].__doc__.splitlines()[0]}", flush=True)
        for figure in SECTIONS[name](sizes):
            bad += not figure.good
            mark = "   " if not figure.asked else "ok " if figure.good else "BAD"
            print(f"  {mark} {figure.name:<64} {figure.value:8.3f}  {figure.asked}", flush=True)
            for line in figure.misses if given.misses else ():
                print(f"          {line}")
        print(f"  {time.perf_counter() - began:.0f} s", flush=True)
    return bad


if __name__ == "__main__":
    sys.exit(main())
