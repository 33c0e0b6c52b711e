"""Several notebooks at a time: they share the cores and the memory, and leave no kernel."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest
from support import PARAMETERS, ROOT, SCRIPTS, read_notebook, write_notebook

from course import executing, running
from course.executing import ROOM, THREADS, shared

MEET = """import os, time
from pathlib import Path
{held}
Path(OUTPUT_DIR).with_suffix(".here").touch()
last = time.monotonic() + 120
while len(list(Path(OUTPUT_DIR).parent.glob("*.here"))) < 2:
    assert time.monotonic() < last, "the other notebook does not come"
    time.sleep(0.1)
time.sleep(2)
print(os.environ["OMP_NUM_THREADS"], Path.cwd())
"""


@pytest.mark.process
def test_two_notebooks_at_a_time_meet_and_share_the_cores(tmp_path, capsys, monkeypatch):
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(executing, "cores", lambda: 6)
    monkeypatch.setattr(executing, "ROOM", 0)
    build = tmp_path / "build"
    write_notebook(tmp_path, "01_large", PARAMETERS, MEET.format(held="held = b'x' * 400_000_000"))
    write_notebook(tmp_path, "02_small", PARAMETERS, MEET.format(held=""))
    assert running.run("", {}, build, tmp_path, jobs=2) == 0
    for name in ("01_large", "02_small"):
        assert read_notebook(build / f"{name}.ipynb").cells[-1].outputs[0].text == f"3 {ROOT}\n"
    rows = [line.rsplit(maxsplit=3) for line in capsys.readouterr().out.splitlines()[1:4]]
    assert [row[0] for row in rows] == ["01_large", "02_small", "together, 2 at a time"]
    large, small, together = (int(row[2]) for row in rows)
    assert large > small + 350
    assert together > large + 0.9 * small
    assert "OMP_NUM_THREADS" not in os.environ


@pytest.mark.process
def test_a_notebook_that_asks_the_models_of_others_comes_after_them(tmp_path, capsys, monkeypatch):
    """Two at a time, the last one first; their rows stand in the order of their names all the same."""
    monkeypatch.setattr(executing, "cores", lambda: 2)
    monkeypatch.setattr(executing, "ROOM", 0)
    left = "Path(OUTPUT_DIR).resolve().parent / 'model'"
    asks = f"from pathlib import Path\nassert ({left}).read_text() == 'trained'"
    trains = f"import time; from pathlib import Path\ntime.sleep(2)\n({left}).write_text('trained')"
    write_notebook(tmp_path, "01_trains", PARAMETERS, trains)
    write_notebook(tmp_path, "02_asks", f"{PARAMETERS}\nMODELS = None", asks)
    assert running.run("", {}, tmp_path / "build", tmp_path, jobs=2) == 0
    rows = capsys.readouterr().out.splitlines()[1:3]
    assert [row.split()[0] for row in rows] == ["01_trains", "02_asks"]


def test_threads_that_the_caller_has_set_stay(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with shared(2):
        found = [os.environ[name] for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "MKL_NUM_THREADS")]
        assert found == ["7", "3", "7"]
    assert "MKL_NUM_THREADS" not in os.environ


@pytest.mark.parametrize(
    ("jobs", "notebooks", "free", "cores", "found"),
    [(2, 5, 2.0, 8, 2), (2, 1, 2.0, 8, 1), (3, 5, 2.5, 8, 2), (2, 5, 0.5, 8, 1), (4, 5, 9.0, 1, 1)],
)
def test_no_more_notebooks_at_a_time_than_fit(monkeypatch, capsys, jobs, notebooks, free, cores, found):
    monkeypatch.setattr(executing, "cores", lambda: cores)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=free * ROOM))
    assert executing._at_a_time(jobs, notebooks) == found
    told = f"{found} at a time: {free * ROOM / 1e9:.1f} GB of memory are free" in capsys.readouterr().err
    assert told == (found < min(jobs, notebooks, cores))


def is_running(pid):
    """Whether that process is there and not merely unburied, which is its parent's task."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.process
@pytest.mark.parametrize(
    ("begun", "signals", "within"),
    [(0, 1, "nothing"), (2, 1, "nothing"), (0, 2, "nothing"), (2, 0, "elsewhere"), (0, 0, "handing")],
    ids=["starting", "running", "impatient", "taken elsewhere", "handing over"],
)
def test_stopping_two_notebooks_at_a_time_leaves_no_kernel(tmp_path, begun, signals, within):
    noted = "import os, time\nfrom pathlib import Path\n(Path(OUTPUT_DIR).parent / f'{os.getpid()}.kernel').touch()"
    for number in (1, 2, 3):
        write_notebook(tmp_path, f"0{number}_x", PARAMETERS, noted, "time.sleep(600)")

    def kernels():
        return [int(path.stem) for path in (tmp_path / "build").glob("*.kernel")]

    command = [sys.executable, str(SCRIPTS / "two_notebooks_script.py"), str(tmp_path), within]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as started:
        try:
            started.stderr.readline()  # the name of the notebook that begins; no kernel is there yet
            last = time.monotonic() + 120
            while len(kernels()) < begun and started.poll() is None and time.monotonic() < last:
                time.sleep(0.1)
            for _ in range(signals):
                started.send_signal(signal.SIGINT)
                time.sleep(0.03)
            assert "KeyboardInterrupt" in started.communicate(timeout=60)[1]
        finally:
            started.kill()
    assert begun <= len(kernels()) <= 2, "the third began after all, or the second did not"
    assert not any(map(is_running, kernels()))
