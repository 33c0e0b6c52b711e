"""Comparisons of pairs that a Dask worker makes instead of the real one: odd, deadly, or slow.

A worker imports them by name, so they lie on its path.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def odd(before, after, options):
    """A comparison with a defect of its own."""
    if before == "3":
        raise KeyError("three")
    return {"before": before, "after": after, "similarity": 1.0, "regions": []}


def dying_once(before, after, options):
    """Kills the worker's process at one pair, the first time."""
    flag = Path(options["flag"])
    if before == "17" and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"before": before, "after": after, "similarity": 1.0, "regions": []}


def poisonous(before, after, options):
    """Kills whatever process looks at one pair."""
    if before == "17":
        os.kill(os.getpid(), signal.SIGKILL)
    return {"before": before, "after": after, "similarity": 1.0, "regions": []}


def beginning(before, after, options):
    """Takes a while, and answers when it began."""
    began = time.time()
    time.sleep(0.3)
    return {"before": before, "after": after, "similarity": began, "regions": []}
