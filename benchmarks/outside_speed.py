"""How long `detect` takes at 1080p, beside the same by an older checkout: each in a process of its own, in turns."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from outside_figures import Figure, Sizes

from helpers.runtime import ROOT
from tests.outside import cameras, screens

SIZE = (1920, 1080)
EDITS = ((300, 200, 60, 24), (1100, 520, 14, 14), (1500, 900, 120, 40))
CLOCK = """
import sys, time
import numpy as np
from whatchanged.detection import detect
pair = np.load(sys.argv[1])
before, after = pair["before"], pair["after"]
detect(before, after)
print("ready", flush=True)
for _ in sys.stdin:
    began = time.perf_counter()
    detect(before, after)
    print(time.perf_counter() - began, flush=True)
"""


def pairs() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """A screen and a photograph with three edits, and a photograph taken twice."""
    still = {
        "a screen": screens.screen(np.random.default_rng(0), SIZE, 16).pixels,
        "a photograph": cameras.scene("china", SIZE),
    }
    for name, before in still.items():
        after = before.copy()
        for x, y, width, height in EDITS:
            after[y : y + height, x : x + width] = 255 - after[y : y + height, x : x + width]
        yield f"exact pair, {name}", before, after
    wide = cameras.scene("retina", (2100, 1200))
    edited = cameras.patched(wide, (900, 500, 120, 90), SIZE)
    shot = cameras.Shot(noise=3, degrees=0.4, shift=(3.3, -2.1), gamma=1.05)
    first = cameras.take(wide, cameras.Shot(noise=3), SIZE, seed=1)
    yield "camera pair", first, cameras.take(edited, shot, SIZE, seed=2)


@contextlib.contextmanager
def timed(checkout: Path, pair: Path) -> Iterator[subprocess.Popen]:
    """A process that compares a pair by the code of a checkout whenever it is sent a line, and tells the seconds."""
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    command = [sys.executable, "-c", CLOCK, str(pair)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=checkout, env=environment, text=True, **pipes) as child:
        try:
            child.stdout.readline()
            yield child
        finally:
            child.stdin.close()


def ask(child: subprocess.Popen) -> float:
    child.stdin.write("again\n")
    child.stdin.flush()
    return float(child.stdout.readline())


def speed(sizes: Sizes) -> Iterator[Figure]:
    """The best of some rounds at 1080p; with --base PATH beside the code of that checkout, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        for name, before, after in pairs():
            path = Path(folder) / "pair.npz"
            np.savez(path, before=before, after=after)
            with contextlib.ExitStack() as stack:
                places = [ROOT, *([sizes.base.resolve()] if sizes.base else [])]
                clocks = [stack.enter_context(timed(place, path)) for place in places]
                best = np.array([[ask(clock) for clock in clocks] for _ in range(sizes.rounds)]).min(axis=0)
            yield Figure(f"{name}: seconds", best[0])
            if sizes.base:
                yield Figure(f"{name}: times the seconds of the base ({best[1]:.3f} s)", best[0] / best[1])
