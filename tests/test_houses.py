"""The three houses keep their shape: small files, short functions, few arguments, and one home for each name."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

import pytest
from support import ROOT

HOUSES = ("whatchanged", "helpers", "course")
LINES, BODY, ARGUMENTS = 400, 60, 12
HELPERS = 4500  # lines of helpers/ as a whole: it is to stay thin
# What every module of a kind has, and what is only called by the name of its module: models, commands, entry points.
CONVENTIONS = {"add", "build", "load", "main", "parser", "predict", "run"}

SOURCES = {
    str(path.relative_to(ROOT)): path.read_text() for house in HOUSES for path in sorted((ROOT / house).rglob("*.py"))
}


def functions(source: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def body(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Its lines without those of its docstring."""
    told = ast.get_docstring(function, clean=False)
    return function.end_lineno - function.lineno + 1 - (told.count("\n") + 1 if told else 0)


def arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = function.args
    return len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs)


def public(source: str) -> set[str]:
    """The names that a module itself gives to what it holds."""
    found = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}
    return {name for name in found if not name.startswith("_")}


@pytest.mark.parametrize("path", SOURCES)
def test_a_file_a_function_and_its_arguments_stay_small(path):
    source = SOURCES[path]
    assert source.count("\n") <= LINES
    assert {one.name: body(one) for one in functions(source) if body(one) > BODY} == {}
    assert {one.name: arguments(one) for one in functions(source) if arguments(one) > ARGUMENTS} == {}
    assert ast.get_docstring(ast.parse(source)), "a module opens with one sentence on what it is for"


def test_helpers_stay_thin():
    assert sum(source.count("\n") for path, source in SOURCES.items() if path.startswith("helpers/")) <= HELPERS


def test_a_name_has_one_home():
    homes = defaultdict(list)
    for path, source in SOURCES.items():
        for name in public(source) - CONVENTIONS:
            homes[name].append(path)
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


def test_what_a_package_hands_on_stands_in_its_modules():
    import whatchanged

    for name in whatchanged.__all__:
        home = whatchanged._HOMES[name]
        assert name in public(SOURCES[f"whatchanged/{home}.py"])
        assert getattr(whatchanged, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = whatchanged.nothing
