"""Where the real images are, and how a notebook is executed without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "data"
sys.path.insert(0, str(ROOT))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images; tests that need it are skipped where it is missing."""
    if not REAL.is_dir():
        pytest.skip(f"{REAL} is not on this machine")
    return REAL


@contextmanager
def dask_cluster(folder: Path, *strangers: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """A Dask scheduler with one worker: its address and its process. Of the strangers, "scheduler" or "worker", neither
    knows the course.
    """
    where = folder / "scheduler.json"
    known = os.pathsep.join([str(ROOT), str(ROOT / "tests")])  # a test's own functions run on the worker

    def start(which: str, *options: object) -> subprocess.Popen:
        environment = os.environ | {"PYTHONPATH": "" if which in strangers else known}
        command = [sys.executable, "-m", f"distributed.cli.dask_{which}", "--no-dashboard", *map(str, options)]
        return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL)

    processes = [start("scheduler", "--host", "127.0.0.1", "--port", 0, "--scheduler-file", where)]
    try:
        while not (where.is_file() and where.read_text().endswith("}")):
            assert processes[0].poll() is None
            time.sleep(0.05)
        processes.append(start("worker", "--scheduler-file", where, "--nthreads", 1))
        yield json.loads(where.read_text())["address"], processes[0]
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()


def run_offline(notebook: Path, build: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Execute a notebook by the course's own command, from a folder outside the project, with the network blocked.

    `tests/offline/sitecustomize.py` refuses every connection that leaves the machine, in the kernel too.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "tests" / "offline"), str(ROOT)])}
    environment.pop("COURSE_REPOSITORY", None)
    command = [
        sys.executable,
        "-m",
        "helpers",
        "course",
        "--notebook",
        notebook.stem,
        "--build",
        str(build),
        *arguments,
    ]
    return subprocess.run(command, cwd=build, env=environment, capture_output=True, text=True, check=False)
