"""What the benchmark of the course compares, on a small notebook."""

from __future__ import annotations

import sys

import nbformat
from nbformat import v4
from support import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import parts
import tables
import whole_course


def test_the_texts_that_nbval_compares_and_no_others_as_it_sanitizes_them(tmp_path):
    printed = [v4.new_output("stream", name="stdout", text=text) for text in ("one at 0x7f00aa112233\n", "two\n")]
    warned = v4.new_output("stream", name="stderr", text="careful\n")
    shown = v4.new_output("display_data", {"text/plain": "<Figure>", "image/png": "aGVsbG8="})
    cells = [
        v4.new_markdown_cell("text"),
        v4.new_code_cell("1", outputs=[*printed, warned]),
        v4.new_code_cell("2", outputs=printed, metadata={"tags": ["nbval-ignore-output"]}),
        v4.new_code_cell("3", outputs=printed, metadata={"tags": ["injected-parameters"]}),
        v4.new_code_cell("4", outputs=[shown]),
        v4.new_code_cell("5"),
    ]
    nbformat.write(v4.new_notebook(cells=cells), tmp_path / "small.ipynb")
    found = whole_course.compared(tmp_path / "small.ipynb")
    assert found == [{"stdout": "one at ADDRESS\ntwo\n", "stderr": "careful\n"}, {"text/plain": "<Figure>"}, {}]


def test_the_imports_of_a_notebook_without_its_setup_cell(tmp_path):
    sources = ["import os\nprint(1)", "import sys\nfrom json import dumps as write\nprint(2)", "value = 3"]
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell(one) for one in sources]), tmp_path / "small.ipynb")
    assert parts.imports_of(tmp_path / "small.ipynb") == "import sys\nfrom json import dumps as write"


def test_a_mask_has_as_many_pixels_as_asked():
    assert 1_000 <= parts.mask_of(1_000).sum() < 5_000


def test_seconds_are_the_best_of_some_rounds_unless_one_took_too_long(monkeypatch):
    clock = iter([0, 5, 10, 12, 20, 23])  # rounds of 5, 2 and 3 seconds
    monkeypatch.setattr(tables.time, "perf_counter", lambda: next(clock))
    assert tables.seconds(lambda: None, 3) == (2, 0.5)
    clock = iter([0, 5])
    assert tables.seconds(lambda: None, 3, patience=4) == (5, 0)
