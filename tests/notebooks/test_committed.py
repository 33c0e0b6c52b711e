"""The committed notebooks, by rules that take seconds; a new notebook inherits them all."""

from __future__ import annotations

import re

import notebook_checks as checks
import pytest
from support import NOTEBOOKS, SOLUTIONS, read_notebook

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@every_notebook
@pytest.mark.parametrize("rule", checks.STATIC, ids=lambda rule: rule.__name__)
def test_static(path, rule):
    assert rule(read_notebook(path)) == []


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
@pytest.mark.parametrize("rule", checks.ALWAYS, ids=lambda rule: rule.__name__)
def test_static_of_solutions(path, rule):
    assert rule(read_notebook(path)) == []


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_every_exercise_has_its_solution(path):
    def text(notebook):
        return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")

    (asked,) = [one for one in NOTEBOOKS if one.stem[:2] == path.stem[:2]]
    exercises = text(read_notebook(asked)).split("## Exercises")[1].split("## Where to go next")[0]
    numbers = set(re.findall(r"^(\d+)\. ", exercises, re.MULTILINE))
    headings = re.findall(r"^## ([\d and,]+):", text(read_notebook(path)), re.MULTILINE)
    assert set(re.findall(r"\d+", " ".join(headings))) == numbers
    assert f"solutions/{path.name}" in exercises
