"""What tests of several houses share: where things lie, pictures and notebooks, a Dask cluster."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "data"
FUZZ = int(os.environ.get("FUZZ", 0))  # times as many examples of property tests, at random
SCRIPTS = ROOT / "tests" / "scripts"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
PARAMETERS = 'PROFILE = "quick"\nOUTPUT_DIR = "../build/x"\nX = 1'


def save_picture(path: str | Path, image: np.ndarray, **options: object) -> Path:
    """Write a picture, in the format that the name says; its folder is made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, **options)
    return path


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """A notebook, by its path."""
    return nbformat.read(path, as_version=4)


def write_notebook(folder: Path, name: str, *cells: str) -> Path:
    """A notebook of these cells, the first of them tagged `parameters`."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    notebook.cells[0].metadata["tags"] = ["parameters"]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / f"{name}.ipynb")
    return folder / f"{name}.ipynb"


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
        "course",
        "run",
        "--notebook",
        notebook.stem,
        "--build",
        str(build),
        *arguments,
    ]
    return subprocess.run(command, cwd=build, env=environment, capture_output=True, text=True, check=False)


def assert_help(parser: argparse.ArgumentParser, command: str, capsys: pytest.CaptureFixture) -> None:
    """The command has a page of help, and words for each of its options."""
    with pytest.raises(SystemExit) as stopped:
        parser.parse_args([command, "--help"])
    assert stopped.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) > 5
    commands = next(one for one in parser._actions if isinstance(one, argparse._SubParsersAction)).choices
    assert [one.dest for one in commands[command]._actions if not one.help] == []
