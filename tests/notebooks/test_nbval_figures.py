"""A figure that changed is noticed."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import nbformat
import notebook_checks as checks
import numpy as np
import pytest
from PIL import Image
from support import NOTEBOOKS, PARAMETERS, ROOT, read_notebook, write_notebook

from course import running


@pytest.mark.process
@pytest.mark.parametrize("changed", [False, True])
def test_nbval_compares_figures(tmp_path, changed):
    draw = "import matplotlib.pyplot as plt\nfrom helpers import plotting\nfigure, axis = plt.subplots()\n"
    draw += "axis.plot([1, 2, 3])\nplotting.show(figure, 'A line that rises.')"
    path = write_notebook(tmp_path, "01_x", PARAMETERS, draw)
    assert running.run("", {}, tmp_path / "build", tmp_path, save=True) == 0
    if changed:
        notebook = read_notebook(path)
        noise = np.random.default_rng(0).integers(0, 256, checks.figures(notebook)[1][0].shape).astype(np.uint8)
        replace_figure(notebook.cells[1], noise)
        nbformat.write(notebook, path)
    plugins = os.pathsep.join(str(folder) for folder in (ROOT / "tests", ROOT / "tests" / "notebooks", ROOT))
    command = [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-current-env", "-p", "nbval_figures"]
    command += ["-m", "slow", str(path)]  # as `make test` does; cells that were not slow would be left out
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": plugins}, capture_output=True, text=True, check=False
    )
    seen = changed and checks.LEAST_SSIM > 0
    assert done.returncode == int(seen), done.stdout + done.stderr
    assert ("a figure changed" in done.stdout) is seen


def test_a_changed_figure_is_noticed_and_named():
    committed, fresh = read_notebook(NOTEBOOKS[0]), read_notebook(NOTEBOOKS[0])
    assert checks.figures_differ(committed, fresh) == []
    index, pictures = next(iter(checks.figures(fresh).items()))
    noisy = np.random.default_rng(0).integers(0, 256, pictures[0].shape).astype(np.uint8)
    replace_figure(fresh.cells[index], noisy)
    assert [fault for fault in checks.figures_differ(committed, fresh) if f"cell {index} " in fault]
    replace_figure(fresh.cells[index], noisy[:-5])
    assert "another number or size" in checks.figures_differ(committed, fresh)[0]


def replace_figure(cell, picture):
    import base64

    data = io.BytesIO()
    Image.fromarray(picture).save(data, "png")
    output = next(o for o in cell.outputs if "image/png" in o.get("data", {}))
    output.data["image/png"] = base64.b64encode(data.getvalue()).decode()
