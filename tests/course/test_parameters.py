"""What a notebook declares, and what is typed for it: read by its kind, or refused before anything runs."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from support import NOTEBOOKS, ROOT, SOLUTIONS, write_notebook

from course.parameters import changed, declared, read_typed

DECLARED = """
COUNT = 3  # how many
MAYBE: int = None  # None: as the profile
RATE = 0.5
SOME_RATE: float = None
FLAG = False
NAME = "a"
INBOX = None
SIDES = [1, 2]
SIZE = (1, 2)
WORDS = {"a": 1}
OPTIONAL: int | None = None
LONG = (
    "b"  # in brackets
)
"""


@pytest.fixture
def notebook(tmp_path):
    return write_notebook(tmp_path, "01_x", DECLARED)


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("COUNT", "7", 7),
        ("COUNT", "-7", -7),
        ("MAYBE", "7", 7),
        ("MAYBE", "none", None),
        ("OPTIONAL", "7", 7),
        ("RATE", "1e-3", 0.001),
        ("RATE", "-3", -3.0),
        ("SOME_RATE", "2", 2.0),
        ("SOME_RATE", "None", None),
        ("FLAG", "true", True),
        ("FLAG", "True", True),
        ("FLAG", "yes", True),
        ("FLAG", "0", False),
        ("FLAG", "No", False),
        ("NAME", "20240115", "20240115"),
        ("NAME", "None", "None"),
        ("NAME", "True", "True"),
        ("NAME", "1e3", "1e3"),
        ("NAME", "'quoted'", "'quoted'"),
        ("INBOX", "20240115", "20240115"),
        ("INBOX", " my pictures/of today", " my pictures/of today"),
        ("INBOX", "-3", "-3"),
        ("INBOX", "[1]", "[1]"),
        ("INBOX", "None", None),
        ("SIDES", "[3, true, null]", [3, True, None]),
        ("SIDES", "(3, True, None)", [3, True, None]),
        ("SIZE", "[3, 4]", (3, 4)),
        ("WORDS", '{"b": true}', {"b": True}),
    ],
)
def test_what_is_typed_is_read_as_it_was_declared(notebook, name, typed, value):
    found = read_typed(notebook, {name: typed})
    assert found == {name: value}
    assert type(found[name]) is type(value)


@pytest.mark.parametrize(
    ("name", "typed", "told"),
    [
        ("COUNT", "abc", "COUNT is 'abc': give a whole number, as 3"),
        ("COUNT", "1e3", "COUNT is '1e3': give a whole number, as 3"),
        ("COUNT", "3.0", "COUNT is '3.0': give a whole number, as 3"),
        ("COUNT", "None", "COUNT is 'None': give a whole number, as 3"),
        ("COUNT", "True", "COUNT is 'True': give a whole number, as 3"),
        ("COUNT", "9" * 5000, "give a whole number, as 3"),
        ("MAYBE", "abc", "MAYBE is 'abc': give a whole number, as 3, or None"),
        ("RATE", "0,5", "RATE is '0,5': give a number, as 0.5"),
        ("RATE", "nan", "RATE is 'nan': give a number, as 0.5"),
        ("RATE", "1e999", "RATE is '1e999': give a number, as 0.5"),
        ("FLAG", "maybe", "FLAG is 'maybe': give True or False"),
        ("FLAG", "2", "FLAG is '2': give True or False"),
        ("SIDES", "3", "SIDES is '3': give a list, as [1, 2]"),
        ("SIDES", "[1, 2", "SIDES is '[1, 2': give a list, as [1, 2]"),
        ("SIDES", "[" * 100_000, "give a list, as [1, 2]"),
        ("WORDS", "[1]", """WORDS is '[1]': give names with values, as {"a": 1}"""),
        ("COUNT", "", "COUNT is empty: give a value, or leave it out, which means 3"),
        ("INBOX", "", "INBOX is empty: give a value, or leave it out, which means None"),
        ("NAME", " ", "NAME is empty: give a value, or leave it out, which means 'a'"),
        ("COUNTS", "3", "01_x has no parameter 'COUNTS': it has COUNT, MAYBE"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(notebook, name, typed, told):
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        read_typed(notebook, {name: typed})
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_a_cell_declares(notebook):
    found = declared(notebook)
    assert [one.comment for one in found.values() if one.comment] == ["how many", "None: as the profile", "in brackets"]
    assert found["LONG"].default == "b"
    assert changed(notebook, {"COUNT": 3, "RATE": 0.5, "MAYBE": 1, "NAME": "b"}) == {"MAYBE": 1, "NAME": "b"}


def test_a_default_that_is_no_plain_value_is_told(tmp_path):
    path = write_notebook(tmp_path, "01_x", "X = len('abc')")
    with pytest.raises(ValueError, match=r"01_x.ipynb declares X = len\('abc'\): a parameter's default is a plain"):
        declared(path)


@pytest.mark.parametrize("path", NOTEBOOKS + SOLUTIONS, ids=lambda path: path.stem)
def test_a_parameter_of_the_course_without_a_value_says_what_it_takes(path):
    """What may be None and is not annotated is text: it names something, and its comment promises no number."""
    texts = {
        "DATA_DIR",
        "WEIGHTS",
        "INBOX",
        "CHECKPOINT",
        "MODEL_NAME",
        "PRECISION",
        "REAL",
        "SCREENS",
        "MODELS",
        "BEST_BY",
    }
    assert {name for name, one in declared(path).items() if one.default is None and one.kind is str} <= texts


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train", "02", "--epochs", "abc"], "EPOCHS is 'abc': give a whole number, as 3, or None"),
        (["train", "02", "--processes", "2", "--epochs", "abc"], "EPOCHS is 'abc': give a whole number, as 3, or None"),
        (["train", "02", "--learning-rate=-1e-3x"], "LEARNING_RATE is '-1e-3x': give a number, as 0.5"),
        (["run", "-p", "SEED", "1e3"], "SEED is '1e3': give a whole number, as 3"),
        (["run", "--notebook", "05", "-p", "RESUME", ""], "RESUME is empty: give a value, or leave it out, which"),
        (["sweep", "02", "ROWS"], "rows.csv, line 3: SEED is '1.5': give a whole number, as 3"),
    ],
)
def test_a_bad_value_is_told_before_anything_runs(tmp_path, arguments, told):
    rows = tmp_path / "rows.csv"
    rows.write_text("SEED,INBOX\n1,20240115\n1.5,\n")
    given = [str(rows) if one == "ROWS" else one for one in arguments]
    command = [sys.executable, "-m", "course", *given, "--build", str(tmp_path / "build")]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "build").exists()
    if arguments[0] != "sweep":  # which loads pandas and Matplotlib first
        assert time.perf_counter() - began < 1
