"""Files that are whole or not there, and one run at a time."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import ROOT

from whatchanged.files import alone, read_json, write_json, write_whole


def test_what_is_written_is_what_is_read(tmp_path):
    value = {"name": "Größe", "numbers": [1, 2.5, None]}
    assert read_json(write_json(tmp_path / "a.json", value)) == value
    assert write_whole(tmp_path / "a.bin", b"x").read_bytes() == b"x"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "a.json"]
    with pytest.raises(ValueError, match="nowhere is no folder: make it first, then write a.bin there"):
        write_whole(tmp_path / "nowhere" / "a.bin", b"x")


def test_what_is_no_file_is_written_to_as_it_stands(tmp_path):
    script = "from whatchanged.files import write_json; write_json('/dev/fd/1', [1])"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[\n  1\n]\n"
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as reader:
        read = reader.submit((tmp_path / "pipe").read_bytes)
        write_whole(tmp_path / "pipe", b"whole")
        assert read.result(timeout=10) == b"whole"


def test_a_file_that_does_not_fit_leaves_the_old_one(tmp_path):
    path = write_whole(tmp_path / "a.bin", b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            write_whole(path, b"new" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"


def test_a_second_run_is_refused_until_the_first_has_ended(tmp_path):
    lock = tmp_path / ".lock"
    with (
        alone(tmp_path, lock),
        pytest.raises(ValueError, match="is being written by another run: wait for it"),
        alone(tmp_path, lock),
    ):
        pass
    with alone(tmp_path, lock):
        pass
