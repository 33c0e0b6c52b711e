"""The notebooks as Colab opens them, each alone in an empty folder: `make test-colab`."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
from environments import ROOT, versions
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from course.installing import requirements_of

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
WHOLE, BEGUN = NOTEBOOKS[:3], NOTEBOOKS[3:5]  # 06 asks the models that whole runs of these leave
SHORT = {"04": {"EPOCHS": 1}, "05": {"EPOCHS": 1, "ABLATION_EPOCHS": 0}}


def stem(path: Path) -> str:
    return path.stem[:2]


def execute(notebook, folder: Path, runtime: Path, parameters: dict | None = None, **environment: str):
    """Run a notebook's cells in a fresh kernel of the runtime, in a folder; returns it with its outputs."""
    mine, done = folder / "mine.ipynb", folder / "done.ipynb"
    nbformat.write(notebook, mine)
    known = os.environ | {"JUPYTER_PATH": str(runtime / "jupyter"), "COLAB_LOG": str(folder / "log.txt")}
    known.pop("PYTHONPATH", None)
    command = [sys.executable, "-m", "papermill", mine, done, "--kernel", "colab", "--no-progress-bar"]
    for name, value in (parameters or {}).items():
        command += ["-p", name, str(value)]
    run = subprocess.run(command, cwd=folder, env=known | environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-6000:]
    return nbformat.read(done, as_version=4)


def first_cells(path: Path, last: int):
    """A notebook that ends with the cell of that index."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = notebook.cells[: last + 1]
    return notebook


def set_up(path: Path):
    cells = nbformat.read(path, as_version=4).cells
    return first_cells(path, next(place for place, cell in enumerate(cells) if cell.cell_type == "code"))


def said(notebook) -> str:
    return "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=stem)
def test_the_setup_cell_twice(path, runtime, address, table, tmp_path):
    """It installs what is lacking and nothing else, says so, and after a restart of the kernel does nothing."""
    where = {"COURSE_REPOSITORY": address, "COURSE_DRIVE": str(tmp_path / "drive")}
    before = versions(runtime)
    told = said(execute(set_up(path), tmp_path, runtime, **where))
    after = versions(runtime)
    cloned = (tmp_path / "course" / "pyproject.toml").stat()
    again = said(execute(set_up(path), tmp_path, runtime, **where))
    assert (again, versions(runtime), cloned.st_ino) == (
        "",
        after,
        (tmp_path / "course" / "pyproject.toml").stat().st_ino,
    )
    assert not (tmp_path / "log.txt").exists(), "whoever knows the address is not asked for Drive"

    asked = [Requirement(one) for one in requirements_of(stem(path))]
    assert all(one.specifier.contains(after[canonicalize_name(one.name)]) for one in asked)
    new = [f"{name} {after[name]}" for name in sorted(after.keys() - before.keys())]
    changed = [f"{name} {before[name]} to {after[name]}" for name in sorted(before) if after.get(name) != before[name]]
    kept = [
        f"{one.name} {after[canonicalize_name(one.name)]}" for one in asked if canonicalize_name(one.name) in before
    ]
    table(stem(path), ", ".join(new) or "-", ", ".join(changed) or "-", ", ".join(kept))
    assert all(one in told for one in new + changed)
    assert changed == [], "in these environments nothing is too old"
    lacking = {canonicalize_name(one.name) for one in asked} - before.keys()
    assert lacking <= {one.split()[0] for one in new}
    assert lacking or not new, "what is there and suffices stays, and brings nothing with it"


def test_without_an_address_the_course_is_looked_for_on_drive(runtime, tmp_path):
    drive = tmp_path / "of somebody"
    drive.mkdir()
    (drive / "my course").symlink_to(ROOT)
    where = {"COURSE_REPOSITORY": "", "COURSE_DRIVE": str(tmp_path / "drive"), "COLAB_DRIVE_OF": str(drive)}
    notebook = set_up(NOTEBOOKS[0])
    notebook.cells.append(nbformat.v4.new_code_cell("print(root)"))
    told = said(execute(notebook, tmp_path, runtime, **where)).splitlines()
    assert told[-1] == str(tmp_path / "drive" / "my course")
    assert (tmp_path / "log.txt").read_text() == "mounted /content/drive\n"


def test_pairs_on_dask_can_be_had_beside_the_dask_that_is_there(runtime):
    """Colab's CPU runtime has Dask without distributed, and each distributed asks for one Dask."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = [*table["many"], f"dask=={versions(runtime)['dask']}", f"numpy=={versions(runtime)['numpy']}"]
    pip = [runtime / "bin" / "python", "-m", "pip", "install", "--dry-run", "--quiet", "--report", "-", *wanted]
    report = json.loads(subprocess.run(pip, capture_output=True, text=True, check=True).stdout)
    coming = {one["metadata"]["name"]: one["metadata"]["version"] for one in report["install"]}
    assert coming.keys() & versions(runtime).keys() == set(), "nothing that is there moves"


def test_roc_curves_are_drawn_by_the_scikit_learn_that_is_there(environment):
    """1.7 renamed the argument for the color of a curve; notebooks 02 to 04 draw some."""
    code = """if True:
        import numpy as np
        from helpers import plotting
        labels, random = np.arange(40).reshape(20, 2) % 3 % 2, np.random.default_rng(0).random((20, 2))
        axes = plotting.roc_curves(labels, {"a": random, "b": 1 - random}, ["x", "y"]).axes
        print(*(line.get_color() for line in axes[1].lines))
    """
    python = environment / "bin" / "python"
    done = subprocess.run([python, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "#0072B2 #E69F00 gray\n", done.stderr


@pytest.mark.parametrize("path", WHOLE, ids=stem)
def test_a_notebook_to_its_checks(path, runtime, address, tmp_path):
    where = {"COURSE_REPOSITORY": address, "COURSE_DRIVE": str(tmp_path / "drive")}
    execute(nbformat.read(path, as_version=4), tmp_path, runtime, **where)
    metrics = json.loads((tmp_path / "course" / "build" / path.stem / "metrics.json").read_text())
    assert metrics
    assert [name for name, one in metrics.items() if not one["passed"]] == []


@pytest.mark.parametrize("path", BEGUN, ids=stem)
def test_the_first_steps_of_a_training(path, runtime, address, tmp_path):
    """One epoch of the first network, up to the end of the cell that calls `fit` or `train` of the notebook."""
    cells = nbformat.read(path, as_version=4).cells
    trains = next(place for place, cell in enumerate(cells) if cell.cell_type == "code" and calls_training(cell.source))
    where = {"COURSE_REPOSITORY": address, "COURSE_DRIVE": str(tmp_path / "drive")}
    done = execute(first_cells(path, trains), tmp_path, runtime, SHORT[stem(path)], **where)
    assert done.cells[-1].source == cells[trains].source
    assert done.cells[-1].execution_count


def calls_training(source: str) -> bool:
    body = ast.parse(source).body
    steps = [*body, *(step for node in body if isinstance(node, ast.If) for step in node.body)]
    values = [node.value for node in steps if isinstance(node, ast.Assign)]
    called = [value.func.id for value in values if isinstance(value, ast.Call) and isinstance(value.func, ast.Name)]
    return bool({"fit", "train"} & set(called))
