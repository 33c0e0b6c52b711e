"""One table of what is needed: pyproject.toml; requirements.txt is its union, and each notebook finds what it imports.

The tested versions, their lock and their licences agree with it.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support import NOTEBOOKS, ROOT, SOLUTIONS

from whatchanged.extras import EXTRAS

TABLE = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = TABLE["dependency-groups"]
HOUSES = ("whatchanged", "helpers", "course")
BROUGHT = {"google", "IPython", "dask", "packaging", "triton", "tokenizers"}  # Colab's own; and by others of the table


def lines(entries: list) -> set[str]:
    """The requirements of a group, those of the groups in it too."""
    found = set()
    for one in entries:
        found |= {one} if isinstance(one, str) else lines(GROUPS[one["include-group"]])
    return found


def names(requirements: set[str]) -> set[str]:
    return {canonicalize_name(Requirement(one).name) for one in requirements}


def extras() -> dict[str, set[str]]:
    return {name: set(own) for name, own in TABLE["project"]["optional-dependencies"].items() if name != "all"}


def test_requirements_are_the_union_of_the_tables():
    written = [line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    everything = set(TABLE["project"]["dependencies"]).union(*extras().values(), *map(lines, GROUPS.values()))
    assert {line for line in written if line} == everything
    assert len(names(everything)) == len(everything), "one package has two lower bounds"


def module_path(module: str) -> Path | None:
    path = ROOT / module.replace(".", "/")
    return next((one for one in (path.with_suffix(".py"), path / "__init__.py") if one.is_file()), None)


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_import_of_the_houses_is_in_a_table():
    known = names({line.strip() for line in (ROOT / "requirements.txt").read_text().splitlines() if line[:1].isalpha()})
    distributions = packages_distributions()
    for path in (path for house in HOUSES for path in (ROOT / house).rglob("*.py")):
        for module in {one.split(".")[0] for one in imports(ast.parse(path.read_text()))}:
            if module not in sys.stdlib_module_names | BROUGHT | {*HOUSES, "download_and_unzip"}:
                brought = {canonicalize_name(one) for one in distributions.get(module, [module])}
                assert brought & known, f"{path}: {module}"


@pytest.mark.parametrize("notebook", NOTEBOOKS + SOLUTIONS, ids=lambda path: path.stem)
def test_a_notebook_finds_what_it_imports(notebook):
    """What its cells import, and on the way to that the modules of the houses when they are imported."""
    cells = json.loads(notebook.read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    have = names(lines(GROUPS[f"notebook-{notebook.stem[:2]}"]) | set(TABLE["project"]["dependencies"]))
    distributions, seen, waiting = packages_distributions(), set(), list(imports(ast.parse(code)))
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        if module.split(".")[0] in HOUSES:
            parts = module.split(".")
            above = [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
            for path in filter(None, map(module_path, above)):
                tree = ast.parse(path.read_text())
                waiting += [one for node in tree.body if not isinstance(node, ast.If) for one in top_level(node)]
        elif (top := module.split(".")[0]) not in sys.stdlib_module_names | BROUGHT:
            brought = {canonicalize_name(one) for one in distributions.get(top, [top])}
            assert brought & have, f"{module} is not in the table of notebook {notebook.stem[:2]}"


def top_level(node: ast.stmt) -> Iterator[str]:
    """What a statement imports when its module is imported; not what its functions import when they are called."""
    if not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
        yield from imports(node)


def test_a_missing_extra_is_named_as_the_table_names_it():
    distributions = packages_distributions()
    for module, extra in EXTRAS.items():
        brought = {canonicalize_name(one) for one in distributions[module]}
        assert brought & names(extras()[extra]) or module == "dask", module
    told = {canonicalize_name(one) for module in EXTRAS for one in distributions[module]}
    assert set().union(*map(names, extras().values())) - told == {"bokeh"}, "bokeh is asked for by Dask alone"


def test_requirements_admit_the_tested_versions_and_these():
    import importlib.metadata

    asked = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]
    pins = dict(
        line.lower().split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    )
    for line in asked:
        requirement = Requirement(line)
        for version in (importlib.metadata.version(requirement.name), pins[requirement.name.lower()]):
            assert version in requirement.specifier, requirement


def test_the_lock_holds_the_tested_versions():
    """requirements.lock: those of constraints.txt, with hashes, and the licences of docs/licences.md cover them."""

    def pins(text):
        return {name.lower().replace("_", "-"): version for name, version in re.findall(r"^(\S+)==(\S+)", text, re.M)}

    tested = pins((ROOT / "constraints.txt").read_text())
    lock = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"^(?=[^\s#])", lock, flags=re.M)[1:]
    assert all("--hash=sha256:" in entry for entry in entries)
    locked = pins(lock)
    assert {name: locked.get(name) for name in tested} == tested
    listed = {
        name.lower().replace("_", "-")
        for name in re.findall(r"^\| (\S+)", (ROOT / "docs/licences.md").read_text(), re.M)
    }
    assert set(tested) <= listed
