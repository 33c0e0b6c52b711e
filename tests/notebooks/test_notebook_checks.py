"""Each rule is shown to fail on a notebook that breaks it."""

from __future__ import annotations

import copy

import nbformat
import notebook_checks as checks
import pytest
from support import NOTEBOOKS, SOLUTIONS, read_notebook


def test_bootstrap_is_the_same_in_all():
    notebooks = [read_notebook(path) for path in NOTEBOOKS + SOLUTIONS]
    assert checks.same_bootstrap(notebooks) == []
    notebooks.append(broken(lambda notebook, cells: cells[0].update(source=cells[0].source + "\nprint(1)")))
    assert checks.same_bootstrap(notebooks) == [f"notebook {len(notebooks)} sets up in its own way"]


def broken(change):
    notebook = copy.deepcopy(read_notebook(NOTEBOOKS[0]))
    change(notebook, checks.code_cells(notebook))
    return notebook


def _with_output(**output):
    def change(notebook, cells):
        cells[0].outputs = [nbformat.v4.new_output(**output)]

    return change


def _parameter(line):
    def change(notebook, cells):
        cell = next(cell for cell in cells if "parameters" in checks.tags(cell))
        cell.source += "\n" + line

    return change


def _untag(notebook, cells):
    for cell in cells:
        cell.metadata = {}


def _no_alt(notebook, cells):
    for cell in cells:
        for output in cell.outputs:
            output.pop("metadata", None)
            if "data" in output:
                output["metadata"] = {}


def _other_source(notebook, cells):
    (output,) = next(cell for cell in cells if cell.source.startswith("show_source(")).outputs
    output.data["text/plain"] = output.data["text/plain"].replace("return", "yield")


def _two(first, last):
    def change(notebook, cells):
        cells[0].source, cells[-1].source = first, last

    return change


def _other_number(notebook, cells):
    output = next(output for cell in cells for output in cell.outputs if output.output_type == "execute_result")
    output.execution_count += 1


def _set(**values):
    def change(notebook, cells):
        for name, value in values.items():
            setattr(cells[3], name, value)

    return change


BREAKS = [
    (checks.valid_format, lambda notebook, cells: notebook.cells[0].pop("source")),
    (checks.valid_format, lambda notebook, cells: notebook.metadata.kernelspec.update(name="python3.11")),
    (checks.ruff_clean, _set(source="import json")),
    (checks.one_parameters_cell, _untag),
    (checks.one_parameters_cell, _parameter("NEVER_READ = 1  # none")),
    (checks.one_parameters_cell, _parameter("SEED = int(3)  # seed")),
    (checks.one_parameters_cell, _parameter("SEED: int = 3  # seed")),
    (checks.one_parameters_cell, _parameter("SEED = 3")),
    (checks.opened_is_kept, lambda n, cells: cells[-1].update(source="for weights in ():\n    print(weights)")),
    (checks.switches_are_kept, _two("names, made = 1, x is None", "made = [1]")),
    (checks.outputs_present, _set(execution_count=None)),
    (checks.outputs_present, lambda notebook, cells: [cell.update(outputs=[]) for cell in cells]),
    (checks.outputs_present, _other_number),
    (checks.no_noise, _with_output(output_type="error", ename="ValueError", evalue="no", traceback=[])),
    (checks.no_noise, _with_output(output_type="stream", name="stderr", text="oops")),
    (checks.no_noise, _with_output(output_type="stream", name="stdout", text="UserWarning: mind this")),
    (checks.no_noise, _with_output(output_type="stream", name="stdout", text="WARNING:tensorflow: mind this")),
    (checks.no_noise, _with_output(output_type="stream", name="stdout", text="saved to /home/me/x.png")),
    (checks.no_noise, lambda notebook, cells: notebook.metadata.update(widgets={})),
    (checks.figures_described, _no_alt),
    (checks.figures_described, lambda n, cells: n.cells.append(nbformat.v4.new_markdown_cell("![](a.png)"))),
    (checks.small_enough, _set(source="x = 1\n" * 26)),
    (checks.small_enough, _set(source="x = [\n" + "    1,\n" * 44 + "]")),
    (checks.ruff_clean, _set(source=f"x = {'1' * 85}")),
    (checks.small_enough, lambda n, cells: n.cells.extend(nbformat.v4.new_code_cell("1") for _ in range(45))),
    (checks.small_enough, _with_output(output_type="stream", name="stdout", text="x" * 2_000_000)),
    (checks.short_cells, lambda n, cells: [cell.update(source="x = 1\n" * 9) for cell in cells]),
    (checks.sources_current, _other_source),
    (checks.says_where_it_fails, lambda n, cells: n.update(cells=[c for c in n.cells if c.cell_type == "code"])),
]


@pytest.mark.parametrize(("rule", "change"), BREAKS, ids=[f"{rule.__name__}-{i}" for i, (rule, _) in enumerate(BREAKS)])
def test_static_rule_notices(rule, change):
    assert rule(broken(change)) != []
