"""What the benchmark of the course compares, on a small notebook."""

from __future__ import annotations

import sys

import nbformat
import pytest
from nbformat import v4
from support import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import outside
import parts
import tables
import whole_course
from outside_figures import Figure


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


def test_a_figure_is_good_where_its_bound_is_met():
    assert Figure("one", 0.95, ">= 0.95").good
    assert not Figure("one", 0.06, "<= 0.05").good
    assert Figure("one", 7).good


def test_the_figures_asked_of_detect_are_printed_beside_the_bounds(monkeypatch, capsys):
    def section(sizes):
        """Two figures."""
        yield Figure("met", sizes.pairs, ">= 3")
        yield Figure("not met", 0.5, ">= 0.9", ["pair 7"])

    monkeypatch.setitem(outside.SECTIONS, "short", section)
    assert outside.main(["short", "--pairs", "4", "--misses"]) == 1
    said = capsys.readouterr().out
    assert "short: Two figures." in said
    assert "ok  met" in said
    assert "BAD not met" in said
    assert "pair 7" in said
    with pytest.raises(SystemExit):
        outside.main(["nothing"])
