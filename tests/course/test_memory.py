"""What memory a notebook took."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support import PARAMETERS, write_notebook

from course import memory
from course.executing import execute
from course.reports import runs_table

pytestmark = pytest.mark.process


def test_the_memory_of_a_notebook_is_measured(tmp_path):
    write_notebook(tmp_path, "01_x", PARAMETERS, "import time\nheld = b'x' * 400_000_000\ntime.sleep(2)")
    (tmp_path / "build").mkdir()
    one = execute(tmp_path / "01_x.ipynb", {}, tmp_path / "build")
    assert one.error is None
    assert 400e6 < one.memory < 700e6
    assert f"{one.memory / 1e6:.0f}" in runs_table([one])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell what processes share")
def test_memory_that_processes_share_counts_once():
    forked = "import os, time; held = b'x' * 300_000_000; os.fork(); os.fork(); time.sleep(4)"
    with memory.peak_memory() as peak:
        subprocess.run([sys.executable, "-c", forked], check=True)
    assert 300e6 < peak.bytes < 400e6
