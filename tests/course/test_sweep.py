"""Many sets of parameters: each run is done once, what failed is tried again, one table comes out."""

import os
import signal
import subprocess
import sys
import time

import pandas
import pytest
from support import ROOT, dask_cluster, write_notebook

from course import executing, notebooks, sweep
from course.__main__ import main
from course.executing import THREADS

PARAMETERS = 'OUTPUT_DIR = "nowhere"\nX = 1\nLOG = "log"\nBELOW = 10'
MEASURES = """
from pathlib import Path
from helpers import runtime

runtime.start(OUTPUT_DIR, 0)
with Path(LOG).open("a") as log:
    print(X, file=log)
runtime.check("square", X * X, at_least=0)
if X >= BELOW:
    raise ValueError(f"{X} is too much")
"""


@pytest.fixture
def notebook(tmp_path):
    return write_notebook(tmp_path, "01_square", PARAMETERS, MEASURES)


def runs(tmp_path, *numbers, below=10):
    return [{"X": number, "LOG": str(tmp_path / "log"), "BELOW": below} for number in numbers]


@pytest.mark.process
def test_each_set_of_parameters_is_run_once_and_a_failed_one_again(notebook, tmp_path):
    rows, out = runs(tmp_path, 2, 30), tmp_path / "out"
    table = sweep.sweep(notebook, rows, out)
    assert table["square"].tolist() == [4, 900], "what was checked before the failure counts"
    assert table["X"].tolist() == [2, 30]
    assert table["error"][0] == ""
    assert table["error"][1] == "cell [3] raised ValueError: 30 is too much"
    assert (table["seconds"] > 0).all()
    pandas.testing.assert_frame_equal(pandas.read_csv(out / "results.csv", keep_default_na=False), table)
    assert (out / "results.png").read_bytes()[:4] == b"\x89PNG"
    sweep.sweep(notebook, [*rows, *runs(tmp_path, 3)], out)
    assert (tmp_path / "log").read_text().split() == ["2", "30", "30", "3"]


@pytest.mark.process
def test_runs_at_a_time_share_the_cores(tmp_path, monkeypatch):
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(executing, "cores", lambda: 6)
    checked = "import os\nfrom helpers import runtime\nruntime.start(OUTPUT_DIR, 0)\n"
    checked += "\n".join(f"runtime.check('{name}', int(os.environ['{name}']), at_least=1)" for name in THREADS)
    path = write_notebook(tmp_path, "01_threads", PARAMETERS, checked)
    table = sweep.sweep(path, [{"X": 1}, {"X": 2}], tmp_path / "out", workers=2)
    assert table[list(THREADS)].to_numpy().tolist() == [[3] * 4] * 2


@pytest.mark.process
def test_a_killed_sweep_goes_on(notebook, tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        "from pathlib import Path; from course import sweep; here = Path(__file__).parent\n"
        "rows = [{'X': x, 'LOG': str(here / 'log'), 'BELOW': 10} for x in (1, 2, 3)]\n"
        "if __name__ == '__main__': print(sweep.sweep(here / '01_square.ipynb', rows, here / 'out')['square'].tolist())"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.Popen([sys.executable, str(script)], env=environment, stdout=subprocess.DEVNULL)
    while not list(tmp_path.glob(f"out/*/{sweep.RESULT}")) and run.poll() is None:
        time.sleep(0.05)
    run.send_signal(signal.SIGKILL)
    run.wait()
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[1.0, 4.0, 9.0]"
    tried = (tmp_path / "log").read_text().split()
    assert tried.count("1") == 1, "what was done is not done again"
    assert set(tried) == {"1", "2", "3"}


@pytest.mark.process
def test_a_lost_scheduler_is_told_of_and_no_failure_of_the_runs(notebook, tmp_path):
    rows, out = runs(tmp_path, 1, 2, 3, 4), tmp_path / "out"
    with (
        dask_cluster(tmp_path) as (address, process),
        pytest.raises(ConnectionError, match="Dask scheduler at .* was lost"),
    ):
        sweep.sweep(notebook, rows, out, scheduler=address, progress=lambda count: process.kill())
    assert not (out / "results.csv").exists()
    assert sweep.sweep(notebook, rows, out)["square"].tolist() == [1, 4, 9, 16]


@pytest.mark.process
def test_a_worker_that_does_not_know_the_course_is_told_of(notebook, tmp_path):
    with dask_cluster(tmp_path, "worker") as (address, _), pytest.raises(ValueError, match="does not know course"):
        sweep.sweep(notebook, runs(tmp_path, 1, 2), tmp_path / "out", scheduler=address)


def test_the_table_of_parameters(notebook, tmp_path):
    table = tmp_path / "rows.csv"
    table.write_text("X,LOG\n1,\n2,20\n1,\n")
    assert sweep.parameter_rows(table, notebook) == [{"X": 1}, {"X": 2, "LOG": "20"}]
    for content, message in (
        ("Y\n1\n", "01_square has no parameter 'Y'"),
        ("X\n", "has no rows"),
        ("X,Y\n1,\n", "01_square has no parameter 'Y'"),
        ("X,LOG\n1,a\n1.5,a\n", "line 3: X is '1.5': give a whole number"),
        ("", "has no rows"),
        ("X,LOG\n1,2,3\n", r"line 2: it has 3 cells and the head 2: put a cell that holds ',' in quotes"),
        ("X,X\n1,2\n", "has two columns X: give one"),
        ('X,LOG\n1,"a\n', "unexpected end of data"),
    ):
        table.write_text(content)
        with pytest.raises(ValueError, match=message):
            sweep.parameter_rows(table, notebook)
    with pytest.raises(ValueError, match=r"missing\.csv cannot be read: No such file"):
        sweep.parameter_rows(tmp_path / "missing.csv", notebook)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("X;LOG\n1;été\n", "utf-8"),
        ("X, LOG\n1, été\n,\n\n", "utf-8"),
        ("sep=;\r\nx;log\r\n1;été\r\n", "cp1252"),
        ("X\tLOG\n1\tété\n", "utf-16"),
        ("X,LOG\n1,été\n", "utf-8-sig"),
    ],
)
def test_a_table_of_parameters_as_spreadsheets_write_it(notebook, tmp_path, text, encoding):
    (tmp_path / "rows.csv").write_bytes(text.encode(encoding))
    assert sweep.parameter_rows(tmp_path / "rows.csv", notebook) == [{"X": 1, "LOG": "été"}]


@pytest.mark.process
def test_the_command(notebook, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(notebooks, "select_one", lambda selection: notebook)
    table = tmp_path / "rows.csv"
    table.write_text(f"X,LOG\n2,{tmp_path / 'log'}\n")
    assert main(["sweep", "01", str(table), "--build", str(tmp_path / "build")]) == 0
    out = capsys.readouterr().out
    assert f"1 run, 0 failed: {tmp_path / 'build' / '01_square' / 'results.csv'}" in out
    assert main(["sweep", "01", str(table), "--workers", "0"]) == 2
    assert "--workers is 0: give 1 or more" in capsys.readouterr().err
