"""Runs of notebooks: what they leave, what they refuse, alone and in several processes."""

from __future__ import annotations

import os
import subprocess

import pytest
from support import PARAMETERS, ROOT, read_notebook, write_notebook

from course import running
from course.notebooks import select
from whatchanged.files import alone, read_json


@pytest.mark.process
def test_solutions_are_executed_from_their_own_folder(tmp_path, capsys):
    write_notebook(tmp_path, "01_x", PARAMETERS, "print('notebook', X)")
    (tmp_path / "solutions").mkdir()
    path = write_notebook(tmp_path / "solutions", "01_solutions", PARAMETERS, "print('solution', X)")
    assert running.run("01", {}, tmp_path / "build", tmp_path, save=True, solutions=True) == 0
    assert read_notebook(path).cells[-1].outputs[0].text == "solution 1\n"
    assert not read_notebook(tmp_path / "01_x.ipynb").cells[-1].outputs
    assert "01_solutions" in capsys.readouterr().out
    site = tmp_path / "build" / "site" / "notebooks"
    assert (site / "solutions" / "01_solutions.html").is_file()
    assert (site / "01_x.html").is_file()


@pytest.mark.process
def test_two_runs_at_once_in_one_folder_are_refused(tmp_path):
    write_notebook(tmp_path, "01_x", PARAMETERS, "print(X)")
    build = tmp_path / "build"
    with alone(build, build / ".lock"), pytest.raises(ValueError, match="is being written by another run"):
        running.run("", {}, build, tmp_path)
    assert running.run("", {}, build, tmp_path) == 0


def test_no_notebook_at_a_time_is_refused(tmp_path):
    with pytest.raises(ValueError, match="jobs is 0: give 1 or more"):
        running.run("", {}, tmp_path, tmp_path, jobs=0)


def test_notebooks_are_not_executed_over_themselves(tmp_path):
    path = write_notebook(tmp_path, "01_x", PARAMETERS, "print(X)")
    with pytest.raises(ValueError, match="holds the notebooks themselves"):
        running.run("", {}, tmp_path, tmp_path)
    assert path.is_file()


@pytest.mark.process
def test_a_failing_notebook_is_named_and_the_others_run(tmp_path, capsys):
    checked = "from helpers import runtime\nruntime.start(OUTPUT_DIR, 0)\nruntime.check('X', X, at_least=3)"
    write_notebook(tmp_path, "01_bad", PARAMETERS, "print(1)", "1 / (X - 3)")
    write_notebook(tmp_path, "02_good", PARAMETERS, checked)
    assert running.run("", {"PROFILE": "quick", "X": "3"}, tmp_path / "build", tmp_path) == 1
    out = capsys.readouterr().out
    assert "cell [4] raised ZeroDivisionError" in out
    assert "X: 3 (>= 3)" in out
    assert "raised ZeroDivisionError" in (tmp_path / "build" / "site" / "report.html").read_text()
    assert "02_good.html" in (tmp_path / "build" / "site" / "index.html").read_text()
    assert "ZeroDivisionError" in (tmp_path / "build" / "site" / "notebooks" / "01_bad.failed.html").read_text()


@pytest.mark.process
def test_a_check_that_does_not_hold_fails_the_run(tmp_path, capsys):
    checked = "from helpers import runtime\nruntime.start(OUTPUT_DIR, 0)\nruntime.check('X', X, at_least=3)"
    write_notebook(tmp_path, "01_low", PARAMETERS, checked)
    assert running.run("01", {}, tmp_path / "build", tmp_path) == 1
    assert "X: 1 (>= 3)  FAILED" in capsys.readouterr().out


def test_unknown_parameter_and_notebook_are_refused(tmp_path):
    write_notebook(tmp_path, "01_x", PARAMETERS)
    with pytest.raises(ValueError, match="no parameter 'SEDE': it has PROFILE, OUTPUT_DIR, X"):
        running.run("", {"SEDE": "3"}, tmp_path / "build", tmp_path)
    with pytest.raises(ValueError, match="no notebook begins with '07': choose from 01_x"):
        running.run("07", {}, tmp_path / "build", tmp_path)
    with pytest.raises(ValueError, match="default parameters"):
        running.run("", {"X": "2"}, tmp_path / "build", tmp_path, save=True)


TRAINS = """
import os
from pathlib import Path
import torch
from helpers import runtime
from whatchanged import training

output = runtime.start(OUTPUT_DIR, 0)

class Numbers(torch.utils.data.Dataset):
    def __len__(self):
        return 50

    def __getitem__(self, index):
        with Path(SEEN, os.environ.get("RANK", "0")).open("a") as seen:
            print(index, file=seen)
        return torch.tensor([index / 25 - 1]), int(index >= 25)

model = torch.nn.Linear(1, 2)
recipe, keep = training.Recipe(learning_rate=0.1), training.Keeping(output / "line", resume=RESUME)
options = {"epochs": EPOCHS, "batch_size": 10, "keep": keep, "progress": False}
history = training.fit(model, Numbers(), Numbers(), recipe, **options)
runtime.check("accuracy", history.epochs[-1]["val_accuracy"], at_least=0.9)
"""


@pytest.mark.process
def test_a_notebook_trains_in_two_processes_and_goes_on_in_one(tmp_path):
    """Each reads its share of every epoch; only the first leaves files; one process goes on from their checkpoint."""
    seen = tmp_path / "seen"
    seen.mkdir()
    parameters = f"SEEN = {str(seen)!r}\nOUTPUT_DIR = 'nowhere'\nEPOCHS = 4\nRESUME = False"
    write_notebook(tmp_path, "02_line", parameters, TRAINS)
    script = tmp_path / "run.py"
    script.write_text(
        "import sys; from pathlib import Path; from course import running; here = Path(__file__).parent\n"
        "sys.exit(running.run('02', {}, here / 'build', here))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [*running.launcher(2), str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    read = [(seen / rank).read_text().split() for rank in "01"]
    assert min(map(len, read)) > 0.4 * sum(map(len, read)), "the work was not shared"
    assert sorted(map(int, read[0] + read[1])) == sorted(2 * 4 * list(range(50))), "to train and to validate, 4 epochs"
    folder = tmp_path / "build" / "02_line"
    assert read_json(folder / "metrics.json")["accuracy"]["passed"]
    kept = folder / "line"
    assert sorted(path.name for path in kept.iterdir() if path.name != ".lock") == [
        "best.safetensors",
        "checkpoint-00000015",
        "checkpoint-00000020",
        "history.json",
    ]
    assert running.run("02", {"EPOCHS": "6", "RESUME": "True"}, tmp_path / "build", tmp_path) == 0
    assert [epoch["epoch"] for epoch in read_json(kept / "history.json")["epochs"]] == [1, 2, 3, 4, 5, 6]


def test_processes_are_for_notebooks_that_share_the_work():
    (classic,) = select("01")
    with pytest.raises(ValueError, match="01_classic_diff does not train by whatchanged.training"):
        running.launch_processes(classic, 2, [])
