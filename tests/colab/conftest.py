"""The environments of `make test-colab`, made once and kept in build/colab, and its table of what they got."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import environments
import pytest
from environments import ROOT

ROWS = pytest.StashKey[list[str]]()
BUILD = ROOT / "build" / "colab"
PYTHONS = {"colab": os.environ.get("COLAB_PYTHON", "python3.13"), "lowest": os.environ.get("LOWEST_PYTHON", "python3")}


def pytest_configure(config):
    config.stash[ROWS] = []


@pytest.fixture(scope="session", params=PYTHONS)
def environment(request) -> Path:
    """One environment, which no test changes."""
    make = {"colab": environments.colab, "lowest": environments.lowest}[request.param]
    return make(PYTHONS[request.param], BUILD / request.param)


@pytest.fixture
def runtime(environment):
    """A copy of the environment for one test."""
    copy = environments.copy(environment, BUILD / f"copy-{environment.name}-{os.getpid()}")
    yield copy
    shutil.rmtree(copy)


@pytest.fixture(scope="session")
def address(tmp_path_factory) -> str:
    """The project as it stands here, in a git repository of its own."""
    source = tmp_path_factory.mktemp("repository")
    listed = ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    git = ["git", "-C", source, "-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True)
    return source.as_uri()


@pytest.fixture
def table(request, environment):
    """Adds a line to the table that is printed in the end."""
    return lambda *cells: request.config.stash[ROWS].append(f"| {' | '.join([environment.name, *cells])} |")


def pytest_terminal_summary(terminalreporter, config):
    if rows := config.stash[ROWS]:
        head = ["| environment | notebook | installed | upgraded | kept |", "| --- | --- | --- | --- | --- |"]
        terminalreporter.write_line("\n".join(["", *head, *rows]))
        (BUILD / "table.md").write_text("\n".join([*head, *rows]) + "\n")
