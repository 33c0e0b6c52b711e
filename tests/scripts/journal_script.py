"""Writes five records into out.json, and kills itself in the middle of the fourth unless the environment has ALL."""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from whatchanged.journal import Journal

with Journal("out.json", "pairs", {"model": "a"}, key=lambda record: record["id"]) as one:
    for number in one.missing(range(5)):
        if number == 3 and not os.environ.get("ALL"):
            print('{"id": 3, "sa', end="", file=one._file, flush=True)  # killed while it writes
            os.kill(os.getpid(), signal.SIGKILL)
        one.add({"id": number, "by": os.getpid()})
    one.finish(range(5))
