"""Notebooks as files: parameters, outputs, pictures."""

from __future__ import annotations

import resource

import nbformat
import pytest
from support import PARAMETERS, ROOT, read_notebook, write_notebook

from course import running
from course.notebooks import publish_images, write_clean


def test_a_notebook_that_does_not_fit_on_the_disk_leaves_the_old_one(tmp_path):
    path = write_notebook(tmp_path, "01_x", PARAMETERS, "print(X)")
    executed = write_notebook(tmp_path, "executed", PARAMETERS, "print(X)  # " + "long " * 1000)
    before, (soft, hard) = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            write_clean(executed, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before


@pytest.mark.process
def test_saved_notebook_is_clean(tmp_path):
    path = write_notebook(tmp_path, "01_x", PARAMETERS, "X", "print(X)")
    assert running.run("", {}, tmp_path / "build", tmp_path, save=True) in (0,)
    saved = read_notebook(path)
    assert [cell.execution_count for cell in saved.cells] == [1, 2, 3]
    assert saved.cells[1].outputs[0].execution_count == 2  # papermill had a cell with OUTPUT_DIR before it
    assert saved.cells[-1].outputs[0].text == "1\n"
    assert str(ROOT) not in nbformat.writes(saved).replace("../build", "")
    assert "papermill" not in nbformat.writes(saved)


def test_saving_publishes_the_figures(tmp_path):
    (tmp_path / "out" / "images").mkdir(parents=True)
    (tmp_path / "target").mkdir()
    (tmp_path / "out" / "images" / "a.png").write_bytes(b"x")
    publish_images(tmp_path / "out", tmp_path / "target")
    assert (tmp_path / "target" / "a.png").read_bytes() == b"x"
