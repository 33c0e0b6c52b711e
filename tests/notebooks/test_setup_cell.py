"""The cell that sets a notebook up: in the project, on a drive, alone in an empty folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import notebook_checks as checks
import pytest
from support import NOTEBOOKS, ROOT, SOLUTIONS, read_notebook

HOUSES = ("course", "helpers", "whatchanged")


def set_up(folder, **environment):
    """Run the setup cell in a folder; returns the process and, on success, where it found the helpers."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"COURSE_REPOSITORY": ""}
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
    for house in HOUSES:
        shutil.copytree(ROOT / house, drive / "my course" / house)
    done = set_up(empty, COURSE_DRIVE=str(drive))
    assert done.stdout.strip() == str(drive / "my course"), done.stderr


@pytest.fixture
def repository(tmp_path):
    """The three houses in a git repository."""
    source = tmp_path / "source"
    for house in HOUSES:
        shutil.copytree(ROOT / house, source / house)
    git = ["git", "-C", str(source), "-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True)
    return source


def test_setup_clones_the_address_it_is_given_once(tmp_path, repository):
    """A kernel that was restarted finds the clone of the one before, with what lies in it."""
    empty, none = tmp_path / "empty", {"COURSE_DRIVE": str(tmp_path / "none")}
    empty.mkdir()
    done = set_up(empty, COURSE_REPOSITORY=str(repository), **none)
    assert done.stdout.strip() == str(empty / "course"), done.stderr
    (empty / "course" / "mine.txt").write_text("what a reader made")
    again = set_up(empty, COURSE_REPOSITORY=str(repository), **none)
    assert (again.stdout.strip(), again.stderr) == (str(empty / "course"), "")
    assert (empty / "course" / "mine.txt").read_text() == "what a reader made"
    assert set_up(empty, **none).stdout.strip() == str(empty / "course"), "also where nobody says the address again"


def test_setup_says_where_git_could_not_clone(tmp_path, repository):
    (tmp_path / "course").mkdir()
    (tmp_path / "course" / "homework.txt").write_text("of another course")
    for address in (str(repository), str(tmp_path / "nowhere")):
        done = set_up(tmp_path, COURSE_REPOSITORY=address, COURSE_DRIVE=str(tmp_path / "none"))
        assert done.returncode == 1
        told = (
            f"git could not clone {address!r} into {tmp_path / 'course'}: is the address right, and that folder free?"
        )
        assert done.stderr.splitlines()[-1] == told
    assert [one.name for one in (tmp_path / "course").iterdir()] == ["homework.txt"]


def test_the_address_of_the_notebook_itself_is_cloned(tmp_path, repository):
    """As `make address` writes it: nothing else is needed, and nobody is asked for Drive."""
    empty = tmp_path / "empty"
    empty.mkdir()
    source = re.sub(
        r'(COURSE_REPOSITORY", )"[^"]*"', rf'\1"{repository}"', checks.bootstrap(read_notebook(NOTEBOOKS[0]))
    )
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "COURSE_REPOSITORY")}
    command = [sys.executable, "-c", source + "\nprint(runtime.ROOT)"]
    done = subprocess.run(command, cwd=empty, env=clean, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(empty / "course"), done.stderr


@pytest.mark.parametrize("path", NOTEBOOKS + SOLUTIONS, ids=lambda path: path.stem)
def test_a_notebook_sets_up_what_it_needs_itself(path):
    assert re.findall(r'install_for\("(\d\d)"\)', checks.bootstrap(read_notebook(path))) == [path.stem[:2]]


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
