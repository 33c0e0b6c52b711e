"""What the benchmark of the course compares, on a small notebook."""

from __future__ import annotations

import sys

import nbformat
from conftest import ROOT
from nbformat import v4

sys.path.insert(0, str(ROOT / "benchmarks"))
import course


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
    found = course.compared(tmp_path / "small.ipynb")
    assert found == [{"stdout": "one at ADDRESS\ntwo\n", "stderr": "careful\n"}, {"text/plain": "<Figure>"}, {}]
