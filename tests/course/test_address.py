"""One home for the repository's address: what `make address` writes, holds together, and takes out again."""

from __future__ import annotations

import json
import re
import shutil
import tomllib

import nbformat
import pytest
from support import NOTEBOOKS, ROOT, SOLUTIONS

from course import address
from course.notebooks import title

OWN = "https://github.com/someone/my-course"


@pytest.fixture
def project(tmp_path):
    """Notebooks, README and table of the course, without an address."""
    for name in ("README.md", "pyproject.toml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    address.set_repository("", tmp_path)
    return tmp_path


def texts(root):
    return {path: path.read_text() for path in root.rglob("*.*") if path.is_file()}


def cells(path, kind):
    return [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == kind]


def test_all_say_what_the_table_says():
    """Whoever changes a notebook, the README or the table by hand: `make address REPOSITORY=...` mends it."""
    expected = address.with_address(address.repository())
    assert len(expected) == len(NOTEBOOKS) + len(SOLUTIONS) + 2
    assert [path for path, text in expected.items() if text != path.read_text(encoding="utf-8")] == []


def test_an_address_is_written_everywhere_once_and_taken_out_again(project):
    before = texts(project)
    assert address.repository(project) == ""
    changed = address.set_repository(f"{OWN}.git", project)
    assert len(changed) == len(NOTEBOOKS) + len(SOLUTIONS) + 2
    assert address.repository(project) == OWN
    table, was = (tomllib.loads(one) for one in (changed[-1].read_text(), before[changed[-1]]))
    assert table["project"].pop("urls") == {"Repository": OWN}
    assert table == was
    written = texts(project)
    assert address.set_repository(OWN, project) == []
    assert texts(project) == written
    other = "https://github.com/else/where"
    address.set_repository(other, project)
    assert [path for path, text in texts(project).items() if OWN in text or "my-course" in text] == []
    assert len(address.set_repository("", project)) == len(changed)
    assert texts(project) == before


def test_a_notebook_with_an_address_has_badge_picture_and_clone(project):
    address.set_repository(OWN, project)
    for path in sorted((project / "notebooks").rglob("*.ipynb")):
        place = path.relative_to(project).as_posix()
        lead, setup = cells(path, "markdown")[0], cells(path, "code")[0]
        link = f"https://colab.research.google.com/github/someone/my-course/blob/main/{place}"
        assert re.findall(r"\[!\[[^\]]+\]\([^)]+\)\]\(([^)]+)\)", lead) == [link]
        assert lead.startswith(f"# {title(path)}\n\n[![Open in Colab]")
        pictures = re.findall(r"!\[[^\]]{20,}\]\(([^)]+)\)", lead)
        raw = "https://raw.githubusercontent.com/someone/my-course/main/images/"
        assert [one.removeprefix(raw) in {file.name for file in (ROOT / "images").iterdir()} for one in pictures] == (
            [True] if path.parent == project / "notebooks" else []
        )
        assert f'address = os.environ.get("COURSE_REPOSITORY", "{OWN}")' in setup
        outputs = [json.loads(one.read_text())["cells"][4:] for one in (path, ROOT / place)]
        assert outputs[0] == outputs[1]
    rows = re.findall(r"^\| \[\d\d_.*$", (project / "README.md").read_text(), re.MULTILINE)
    assert len(rows) == len(NOTEBOOKS)
    link = "https://colab.research.google.com/github/someone/my-course/blob/main/notebooks/"
    assert [row.count(link) for row in rows] == [1] * len(NOTEBOOKS)


def test_other_addresses_of_the_table_stay(project):
    table = project / "pyproject.toml"
    bare = table.read_text()
    table.write_text(
        bare.replace("[project.scripts]", '[project.urls]\nHomepage = "https://example.org"\n\n[project.scripts]')
    )
    other = table.read_text()
    address.set_repository(OWN, project)
    urls = tomllib.loads(table.read_text())["project"]["urls"]
    assert urls == {"Repository": OWN, "Homepage": "https://example.org"}
    address.set_repository("", project)
    assert table.read_text() == other


@pytest.mark.parametrize(
    "wrong", ["owner/name", "http://github.com/a/b", "https://gitlab.com/a/b", "https://github.com/a"]
)
def test_what_colab_could_not_open_is_refused_and_nothing_written(project, wrong):
    before = texts(project)
    with pytest.raises(ValueError, match=re.escape(f"REPOSITORY is {wrong!r}: give the address of a copy on GitHub")):
        address.set_repository(wrong, project)
    assert texts(project) == before


def test_a_notebook_that_cannot_be_read_leaves_all_as_it_was(project):
    (project / "notebooks" / "99_cut.ipynb").write_text('{"cells": [')
    before = texts(project)
    with pytest.raises(ValueError, match="99_cut"):
        address.set_repository(OWN, project)
    assert texts(project) == before


def test_on_the_site_a_notebook_fetches_nothing(project):
    plain = {path: address.plain_lead(text) for path, text in texts(project).items() if path.suffix == ".ipynb"}
    address.set_repository(OWN, project)
    for path, text in plain.items():
        shown = address.plain_lead(path.read_text())
        assert json.loads(shown)["cells"][0] == json.loads(text)["cells"][0]
        assert f'"{OWN}"' in "".join(
            nbformat.reads(shown, 4).cells[3].source + nbformat.reads(shown, 4).cells[1].source
        )
