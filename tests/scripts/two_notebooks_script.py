"""Executes the notebooks of a folder, two at a time, for the test that stops it on the way.

usage: two_notebooks_script.py FOLDER nothing|elsewhere|handing
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from course import executing, running

folder, within = Path(sys.argv[1]), sys.argv[2]


def stop() -> None:
    """Another thread of the process takes the signal, and the main one, which has to act on it, sleeps on: it waits for
    the notebooks by then, as both have a kernel.
    """
    while len([*folder.glob("build/*.kernel")]) < 2:
        time.sleep(0.1)
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)


hand_over = executing.ThreadPoolExecutor.submit


def submit(*args, **kwargs):
    """The first notebook is handed over, and nothing has come back of it yet."""
    hand_over(*args, **kwargs)
    raise KeyboardInterrupt


executing.cores, executing.ROOM = lambda: 2, 0
if within == "elsewhere":
    threading.Thread(target=stop, daemon=True).start()
if within == "handing":
    executing.ThreadPoolExecutor.submit = submit
running.run("", {}, folder / "build", folder, jobs=2)
