"""The cell that sets a notebook up: in the project, on a drive, alone in an empty folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import notebook_checks as checks
import pytest
from support import NOTEBOOKS, ROOT, read_notebook


def set_up(folder, **environment):
    """Run the setup cell in a folder; returns the process and, on success, where it found the helpers."""
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "COURSE_REPOSITORY")}
    source = checks.bootstrap(read_notebook(NOTEBOOKS[0])) + "\nprint(runtime.ROOT)"
    command = [sys.executable, "-c", source]
    return subprocess.run(command, cwd=folder, env=clean | environment, capture_output=True, text=True, check=False)


def test_setup_inside_the_project_does_nothing():
    for folder in (ROOT, ROOT / "notebooks"):
        there = sorted(folder.iterdir())
        done = set_up(folder)
        assert done.stdout.strip() == str(ROOT), done.stderr
        assert sorted(folder.iterdir()) == there


def test_setup_finds_the_project_on_a_mounted_drive(tmp_path):
    drive, empty = tmp_path / "drive", tmp_path / "empty"
    empty.mkdir()
    for house in ("helpers", "whatchanged"):
        shutil.copytree(ROOT / house, drive / "my course" / house)
    done = set_up(empty, COURSE_DRIVE=str(drive))
    assert done.stdout.strip() == str(drive / "my course"), done.stderr


def test_setup_clones_the_address_it_is_given(tmp_path):
    source = tmp_path / "source"
    for house in ("helpers", "whatchanged"):
        shutil.copytree(ROOT / house, source / house)
    git = ["git", "-C", str(source), "-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True)
    empty = tmp_path / "empty"
    empty.mkdir()
    done = set_up(empty, COURSE_REPOSITORY=str(source), COURSE_DRIVE=str(tmp_path / "none"))
    assert done.stdout.strip() == str(empty / "course"), done.stderr


def test_setup_without_an_address_says_what_to_do(tmp_path):
    done = set_up(tmp_path, COURSE_DRIVE=str(tmp_path / "none"))
    assert done.returncode == 1
    assert done.stderr.strip() == "The course is not here: set COURSE_REPOSITORY to the git address of your copy."


@pytest.mark.slow
def test_a_notebook_alone_in_an_empty_folder_clones_the_course_and_runs(tmp_path):
    """As in Colab: the setup cell clones the address it is given, and everything below works from the clone."""
    shutil.copyfile(NOTEBOOKS[0], tmp_path / "mine.ipynb")
    offline = {"PYTHONPATH": str(ROOT / "tests" / "offline")}
    environment = os.environ | offline | {"COURSE_REPOSITORY": str(ROOT), "COURSE_DRIVE": str(tmp_path / "none")}
    command = [sys.executable, "-m", "papermill", "mine.ipynb", "done.ipynb", "--no-progress-bar"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    metrics = json.loads((tmp_path / "course" / "build" / "01_classic_diff" / "metrics.json").read_text())
    assert "worst F1 on scenes" in metrics, metrics
    assert [name for name, one in metrics.items() if not one["passed"]] == []
