"""Pictures from a pipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from support import ROOT, save_picture

from whatchanged.__main__ import main


@pytest.fixture
def pair(tmp_path):
    before = np.full((40, 50, 3), 240, np.uint8)
    after = before.copy()
    after[10:20, 5:15] = 0
    return [save_picture(tmp_path / f"{name}.png", one) for name, one in (("a", before), ("b", after))]


def run(*arguments, given=b""):
    command = [sys.executable, "-m", "whatchanged", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, input=given, capture_output=True, check=False)


@pytest.mark.process
@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_standard_input(pair, name):
    done = run(name, pair[1], "--json", "-", given=pair[0].read_bytes())
    assert done.returncode == 1, done.stderr
    record = json.loads(done.stdout)
    assert (record["before"], record["after"]) == (name, str(pair[1]))
    assert [one["area"] for one in record["regions"]] == [100]
    assert run(pair[1], name, given=pair[1].read_bytes()).returncode == 0


def test_a_pipe_with_a_name(pair, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(pair[1].read_bytes()))
    writer.start()
    assert main([str(pair[0]), str(tmp_path / "pipe")]) == 1
    writer.join()


@pytest.mark.process
def test_what_is_no_picture_is_named_as_the_user_knows_it(pair):
    done = run("-", pair[1], given=b"no picture")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"whatchanged: standard input is not an image that can be read\n"
    assert b"standard input is empty (0 bytes)" in run(pair[0], "-").stderr


def test_both_from_standard_input(capsys):
    assert main(["-", "-"]) == 2
    assert "before and after are both standard input: give a file for one of them" in capsys.readouterr().err
