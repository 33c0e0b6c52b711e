"""The executed notebooks and the pages of `docs/` as a website: one folder that needs no network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import whatchanged.__main__
from course import chapters
from course.address import BRANCH, on_github, repository
from course.notebooks import title
from course.results import beside
from helpers.runtime import ROOT

SOURCE = ROOT / "website"
DOCS = ROOT / "docs"
APART = {"licences.md"}  # of `docs/`: a table for whoever passes packages on
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#:\s]+)(?:#[^)\s]*)?\)")
_FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_HERE = "<!-- here -->"  # where a page of `website/` gets what is made of code or notebooks
QUESTIONS = "notebooks/questions"


def pages_of(
    folder: Path, executed: dict[str, Path] | None = None, failed: dict[str, Path] | None = None
) -> dict[str, Path]:
    """The notebooks of a folder and of its `solutions/`, by where they lie in it; those that were executed, as such.

    Parameters
    ----------
    folder : the notebooks.
    executed : file name -> the executed notebook that takes its place.
    failed : file name -> the executed notebook that lies beside it.
    """
    paths = [*sorted(folder.glob("*.ipynb")), *sorted((folder / "solutions").glob("*.ipynb"))]
    pages = {path.relative_to(folder): (executed or {}).get(path.name, path) for path in paths}
    pages |= {beside(place, "failed"): path for place in pages if (path := (failed or {}).get(place.name))}
    return {place.as_posix(): path for place, path in pages.items()}


def build(pages: dict[str, Path], target: Path, report: str = "") -> list[str]:
    """Render notebooks with their outputs by Sphinx and MyST-NB, as they are: nothing is executed.

    Parameters
    ----------
    pages : as `pages_of` gives them, in the order of the chapters. Pictures of their text are looked for as if they lay
        in `notebooks/`.
    target : the folder of the site, made anew; its front page is `index.html`.
    report : Markdown of a further page, `report.html`.

    Returns
    -------
    list of str
        What Sphinx warned of.

    Raises
    ------
    RuntimeError
        Sphinx could not build it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="site-", dir=target.parent) as folder:
        source, doctrees, site = (Path(folder) / name for name in ("source", "doctrees", "site"))
        address = on_github(os.environ.get("COURSE_REPOSITORY", repository()))
        _lay_out(pages, source, report, address)
        options = ["-q", "-E", "-b", "html", "-c", str(SOURCE), "-d", str(doctrees)]
        command = [sys.executable, "-m", "sphinx", *options, str(source), str(site)]
        known = os.environ | {"COURSE_REPOSITORY": address, "COURSE_BRANCH": BRANCH}
        done = subprocess.run(command, env=known, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(f"the site could not be built: {done.stderr.strip()}")
        for place, path in pages.items():  # to download: the notebook itself, not what the site made of it
            shutil.copyfile(path, site / "_sources" / "notebooks" / place)
        if target.exists():
            shutil.rmtree(target)
        site.rename(target)
    return done.stderr.strip().splitlines()


def _lay_out(pages: dict[str, Path], source: Path, report: str, address: str) -> None:
    """What Sphinx reads: notebooks, `docs/` and pictures where they lie in the project, and the site's own pages."""
    for place, path in pages.items():
        (source / "notebooks" / place).parent.mkdir(parents=True, exist_ok=True)
        text = chapters.chapter(path.read_text(encoding="utf-8"), place, address)
        (source / "notebooks" / place).write_text(text, encoding="utf-8")
    shutil.copytree(ROOT / "images", source / "images")
    failed = [place for place in pages if place.endswith(".failed.ipynb")]
    first = {place: path for place, path in pages.items() if "/" not in place and place not in failed}
    entries = [f"{place[:2]} {title(path)} <{_document(place)}>" for place, path in first.items()]
    if first:
        (source / f"{QUESTIONS}.md").write_text(chapters.questions(first), encoding="utf-8")
        entries.append(f"All questions <{QUESTIONS}>")
    if report:
        (source / "report.md").write_text(report, encoding="utf-8")
        entries.append("report")
    cards = [chapters.card(place, source / "notebooks" / place) for place in first]
    solutions = [_document(place) for place in pages if place not in [*first, *failed]]
    trees = [_toctree("Solutions", solutions), _toctree("Failed", list(map(_document, failed)))]
    made = {
        "index": "\n\n".join([*cards, _toctree("The notebooks", entries)]),
        "command_line": chapters.options_of(whatchanged.__main__.parser()),
        "api": "",
    }
    for name, text in made.items():
        page = (SOURCE / f"{name}.md").read_text(encoding="utf-8").replace(_HERE, text)
        (source / f"{name}.md").write_text("\n".join([page, *trees]) if name == "index" else page, encoding="utf-8")
    _lay_out_docs(source)


def _lay_out_docs(source: Path) -> None:
    """The pages of `docs/`. A link of theirs to what is no part of this site, as a module, becomes its words alone."""
    (source / "docs").mkdir()
    taken = [path for path in DOCS.glob("*.md") if path.name not in APART]
    for path in taken:
        shutil.copyfile(path, source / "docs" / path.name)
    for path in taken:
        parts = _FENCED.split(path.read_text(encoding="utf-8"))
        parts[::2] = [_LINK.sub(partial(_within, source / "docs"), part) for part in parts[::2]]
        (source / "docs" / path.name).write_text("".join(parts), encoding="utf-8")


def _within(folder: Path, link: re.Match[str]) -> str:
    return link[0] if (folder / link[2]).exists() else link[1]


def _document(place: str) -> str:
    """A notebook's page, as Sphinx names it."""
    return f"notebooks/{place.removesuffix('.ipynb')}"


def _toctree(caption: str, entries: Sequence[str]) -> str:
    return "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *entries, "```"]) if entries else ""
