"""Where the real images are, and how a notebook is executed without a network."""

from __future__ import annotations

import os
import subprocess
import sys
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
