"""A run that fails or is stopped does not take what the last good one left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from support import PARAMETERS, ROOT, write_notebook

from course import running
from course.reports import Run
from course.results import last_good_kept
from whatchanged.files import read_json, write_json

CHECKED = "from helpers import runtime\nruntime.start(OUTPUT_DIR, 0)\nruntime.check('X', X, at_most=3)"

COURSE = """
import sys
from pathlib import Path
from course import __main__, executing, running

run, executing.cores, executing.ROOM = running.run, lambda: 2, 0
running.run = lambda *given, **how: run(*given, folder=Path.cwd(), **how)
sys.exit(__main__.main(sys.argv[1:]))
"""  # `python -m course` for the notebooks of the folder where it is started
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


@pytest.mark.process
def test_a_failed_run_lies_beside_the_last_good_one(tmp_path, capsys):
    """Notebook, page and metrics; a second failure takes the place of the first one, a good run that of all."""
    write_notebook(tmp_path, "01_x", PARAMETERS, "print('it was', X)", CHECKED)
    build = tmp_path / "build"
    pages = build / "site" / "notebooks"
    assert running.run("", {}, build, tmp_path) == 0
    for value in ("4", "5"):
        assert running.run("", {"X": value}, build, tmp_path) == 1
    assert f"see {build / '01_x.failed.ipynb'}" in capsys.readouterr().out
    assert names(build) == ["01_x", "01_x.failed.ipynb", "01_x.ipynb", "site"]
    assert names(build / "01_x") == ["metrics.failed.json", "metrics.json"]
    metrics = [read_json(build / "01_x" / name)["X"] for name in ("metrics.json", "metrics.failed.json")]
    assert [(one["value"], one["passed"]) for one in metrics] == [(1, True), (5, False)]
    assert "it was 1" in (pages / "01_x.html").read_text()
    assert "it was 5" in (pages / "01_x.failed.html").read_text()
    report = (build / "site" / "report.html").read_text()
    assert 'href="notebooks/01_x.failed.html"' in report
    assert running.run("", {"X": "2"}, build, tmp_path) == 0
    assert names(build) == ["01_x", "01_x.ipynb", "site"]
    assert names(build / "01_x") == ["metrics.json"]
    assert read_json(build / "01_x" / "metrics.json")["X"]["value"] == 2
    assert not (pages / "01_x.failed.html").exists()


@pytest.mark.process
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_that_is_stopped_leaves_what_was_there(tmp_path, jobs):
    """Ctrl-C: one word, no kernel, and of the stopped notebooks nothing."""
    began = "from pathlib import Path\n(Path(OUTPUT_DIR) / 'began').touch()\nimport time\ntime.sleep(100 * (X - 1))"
    for name in ("01_x", "02_x"):
        write_notebook(tmp_path, name, PARAMETERS, CHECKED, began)
    build = tmp_path / "build"
    assert running.run("", {}, build, tmp_path) == 0
    written = {path: path.read_bytes() for path in [*build.glob("*.ipynb"), *build.glob("*/metrics.json")]}
    for path in build.glob("*/began"):
        path.unlink()
    command = [sys.executable, "-c", COURSE, "run", "-p", "X", "2", "--build", str(build), "--jobs", str(jobs)]
    with subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as started:
        try:
            last = time.monotonic() + 120
            while len([*build.glob("*/began")]) < jobs and started.poll() is None and time.monotonic() < last:
                time.sleep(0.1)
            started.send_signal(signal.SIGINT)
            told = started.communicate(timeout=60)[1]
        finally:
            started.kill()
    assert started.returncode == 2
    assert told.endswith("python -m course: stopped\n")
    assert "Traceback" not in told
    assert {path: path.read_bytes() for path in [*build.glob("*.ipynb"), *build.glob("*/metrics*.json")]} == written


def test_what_a_killed_run_left_is_no_good_run(tmp_path):
    """The notebook writes its metrics itself: those of a kill are half of them."""
    notebook, metrics = tmp_path / "x.ipynb", tmp_path / "metrics.json"
    write_json(tmp_path / "metrics.good.json", {"X": 1})
    write_json(metrics, {"X": 2})
    run = Run("x", "X", error="cell [1] raised")
    with last_good_kept(run, notebook, metrics) as part:
        assert not metrics.exists()
        part.write_text("executed")
    assert run.notebook == tmp_path / "x.failed.ipynb"
    assert names(tmp_path) == ["metrics.json", "x.failed.ipynb"]
    assert read_json(metrics) == {"X": 1}


@pytest.mark.process
@pytest.mark.parametrize("arguments", [["--help"], ["train", "02", "--help"], ["run", "--build", "build"]])
def test_a_reader_that_has_enough_is_no_trouble(tmp_path, arguments):
    """`python -m course ... | head -0`; what was executed stays."""
    write_notebook(tmp_path, "01_x", PARAMETERS, CHECKED)
    end, pipe = os.pipe()
    os.close(end)
    command = [sys.executable, "-c", COURSE, *arguments]
    done = subprocess.run(
        command, cwd=tmp_path, env=ENVIRONMENT, stdout=pipe, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(pipe)
    assert done.returncode == 141 or "--help" in arguments  # which argparse prints, and does not mind
    assert "Error" not in done.stderr
    assert (tmp_path / "build" / "01_x.ipynb").is_file() == ("run" in arguments)
