"""Where the real images are, and how a notebook is executed without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
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


@pytest.fixture
def mortal(tmp_path):
    """A Dask scheduler with one worker, for a test to kill: its address, and its process."""
    where = tmp_path / "scheduler.json"
    known = os.pathsep.join([str(ROOT), str(ROOT / "tests")])  # a test's own functions run on the worker
    start = {"cwd": ROOT, "env": os.environ | {"PYTHONPATH": known}, "stderr": subprocess.DEVNULL}
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    scheduler = subprocess.Popen([*command, "--no-dashboard", "--scheduler-file", where], **start)
    while not where.is_file():
        assert scheduler.poll() is None
        time.sleep(0.05)
    command = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", where, "--nthreads", "1"]
    worker = subprocess.Popen([*command, "--no-dashboard"], **start)
    yield json.loads(where.read_text())["address"], scheduler
    for process in (worker, scheduler):
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
