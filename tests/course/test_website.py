"""The site of the committed notebooks: whole, linked, light, and without a call to anywhere else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from support import ROOT

import whatchanged
from course import address, chapters, notebooks, reports, website
from course.notebooks import select
from course.reports import Run

pytestmark = pytest.mark.process

NOTEBOOKS = select("")
PAGES = website.pages_of(notebooks.NOTEBOOKS)
FIRST = {place: path for place, path in PAGES.items() if path.name.startswith("01")}
DOCS = sorted(path for path in (ROOT / "docs").glob("*.md") if path.name != "licences.md")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    target = tmp_path_factory.mktemp("site") / "site"
    with_no_address = pytest.MonkeyPatch()
    with_no_address.setenv("COURSE_REPOSITORY", "")
    target.mkdir()
    (target / "stale.html").write_text("an older site")
    report = reports.report([Run("01_classic_diff", "Classic", 3.0, error="cell [2] | raised")])
    assert website.build(PAGES, target, report) == []
    with_no_address.undo()
    assert not (target / "stale.html").exists()
    return target


class Page(HTMLParser):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.ids, self.links, self.images = path, set(), [], []
        self.loaded: list[str] = []
        self.within, self.lone = None, []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids.add(given.get("id"))
        if tag == "a" and given.get("href"):
            assert not self.within, "a link in a link"
            self.links.append(given["href"])
            self.within = given["href"]
        if tag == "img":
            self.images.append(given)
            if "_images/" in given["src"] and not self.within:
                self.lone.append(given["src"])
        if tag in ("img", "script", "iframe", "source") and given.get("src"):
            self.loaded.append(given["src"])
        if tag == "link" and given.get("rel") in ("stylesheet", "preload", "icon"):
            self.loaded.append(given["href"])

    def handle_endtag(self, tag):
        if tag == "a":
            self.within = None


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}


def test_no_internal_link_is_broken(pages):
    assert len(pages) >= len(NOTEBOOKS) + len(DOCS) + 3
    broken = []
    for path, page in pages.items():
        for link in page.links + page.loaded:
            parts = urlsplit(link)
            if parts.scheme or link.startswith("data:"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            place = not parts.fragment or target not in pages or parts.fragment in pages[target].ids
            if not target.exists() or not place:
                broken.append((path.name, link))
    assert broken == []


def test_nothing_is_loaded_from_elsewhere(site, pages):
    assert [link for page in pages.values() for link in page.loaded if urlsplit(link).scheme not in ("", "data")] == []
    styles = "".join(path.read_text(errors="replace") for path in site.rglob("*.css"))
    assert re.findall(r"(?:@import|url\()\s*[\"']?https?:", styles) == []


@pytest.mark.parametrize("place", PAGES)
def test_a_notebook_is_there_with_all_it_shows(site, pages, place):
    notebook, path = PAGES[place], (site / "notebooks" / place).with_suffix(".html")
    page, text = pages[path], path.read_text(encoding="utf-8")
    outputs = [o for cell in nbformat.read(notebook, 4).cells for o in cell.get("outputs", [])]
    drawn = [o for o in outputs if "image/png" in o.get("data", {})]
    figures = [o for o in drawn if "text/html" not in o.data]
    assert all(o.data["text/html"].strip() in text for o in drawn if o not in figures)
    shown = [image for image in page.images if "_images" in image["src"]]
    assert len(shown) >= len(figures) + ("/" not in place)
    alts = {image.get("alt", "") for image in shown}
    assert {o.metadata["image/png"]["alt"] for o in figures} <= alts
    assert all(len(alt.split()) >= 4 for alt in alts)
    size = path.stat().st_size + sum((path.parent / image["src"]).stat().st_size for image in shown)
    assert size < 3_000_000, f"{size:,} bytes with its pictures"
    assert "<math" in text or "$" not in "".join(c.source for c in nbformat.read(notebook, 4).cells)
    assert "math-error" not in text
    assert "colab.research" not in text, "there is no address to open in Colab"
    assert any(link.endswith(f"_sources/notebooks/{place}") for link in page.links)
    assert {"copybutton.js"} <= {Path(urlsplit(link).path).name for link in page.loaded}


@pytest.mark.parametrize("place", PAGES)
def test_the_set_up_is_folded_on_the_page_and_as_it_was_in_the_file(site, place):
    text = (site / "notebooks" / place).with_suffix(".html").read_text(encoding="utf-8")
    folded = re.findall(r'<details class="admonition hide above-input">(.*?)</details>', text, re.DOTALL)
    plain = [re.sub(r"<[^>]+>", "", one) for one in folded]
    assert "COURSE_REPOSITORY" in plain[0]
    assert "OUTPUT_DIR" in plain[1]
    cells = nbformat.read(PAGES[place], 4).cells
    told = [number for number, cell in enumerate(cells) if cell.cell_type == "code"]
    assert 3 <= len(folded) < len(told) / 2
    assert (site / "_sources" / "notebooks" / place).read_bytes() == PAGES[place].read_bytes()


def test_every_picture_leads_to_itself_or_elsewhere(pages):
    assert {path.name: page.lone for path, page in pages.items() if page.lone} == {}


def test_every_notebook_has_a_card_with_time_level_and_needs(site, pages):
    text = (site / "index.html").read_text(encoding="utf-8")
    for notebook in NOTEBOOKS:
        facts = chapters.facts_of(notebook.stem)
        assert list(facts) == ["Time", "Level", "You need"], notebook.stem
        assert all(f"<strong>{name}:</strong> {fact}" in text for name, fact in facts.items())
    assert chapters.facts_of("99_not_yet") == {}


def test_all_questions_stand_on_one_page(site):
    text = (site / "notebooks" / "questions.html").read_text(encoding="utf-8")
    cells = [cell.source for path in NOTEBOOKS for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown"]
    asked = [one for source in cells for one in re.findall(r"<summary>(.*?)</summary>", source)]
    assert len(asked) >= 20
    assert re.findall(r"<summary>(.*?)</summary>", text) == asked


@pytest.mark.parametrize("command", ["diff", "describe", "app"])
def test_the_command_line_has_a_page_with_every_option(site, command):
    """As the program itself prints them."""
    done = subprocess.run([sys.executable, "-m", "whatchanged", command, "--help"], capture_output=True, text=True)
    options = set(re.findall(r"^  (--[a-z][\w-]*)", done.stdout, re.MULTILINE))
    text = (site / "command_line.html").read_text(encoding="utf-8")
    section = re.split(r"<h2>", text.partition(f"<h2>{command}<")[2])[0]
    assert len(options) >= 3
    assert {one for one in options if f'<span class="pre">{one}</span>' not in section} == set()
    assert "\N{EN DASH}" not in section


def test_the_public_names_have_a_page(site, pages):
    page = pages[site / "api.html"]
    assert {f"whatchanged.{name}" for name in whatchanged.__all__} <= page.ids
    text = re.sub(r"<[^>]+>", "", page.path.read_text(encoding="utf-8"))
    assert (
        "uint8 arrays (H, W, 3), RGB, or (H, W); pictures of Pillow; or image files, of which the first pages" in text
    )
    assert "Warning" not in text


def test_the_front_page_leads_to_all(site, pages):
    front = pages[site / "index.html"]
    for notebook in NOTEBOOKS:
        assert front.links.count(f"notebooks/{notebook.stem}.html") >= 3, "heading, picture and side bar"
    assert len([image for image in front.images if "_images" in image["src"]]) == len(NOTEBOOKS)
    report = (site / "report.html").read_text()
    assert "failed</strong>: cell [2] | raised" in report


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.stem)
def test_a_page_of_the_docs_is_there(site, pages, path):
    front, page = pages[site / "index.html"], pages[site / "docs" / f"{path.stem}.html"]
    assert front.links.count(f"docs/{path.stem}.html") >= 2, "in the text and in the side bar"
    text, written = page.path.read_text(encoding="utf-8"), path.read_text(encoding="utf-8")
    assert f"<h1>{written.splitlines()[0].removeprefix('# ')}<a" in text
    pictures = re.findall(r"!\[([^\]]+)\]", written)
    assert [image["alt"] for image in page.images if "_images" in image["src"]] == pictures
    assert "](" not in re.sub(r"<pre>.*?</pre>", "", text, flags=re.DOTALL), "a link that is none"


def test_a_link_of_the_docs_leads_to_a_page_or_is_words(site, pages):
    page = pages[site / "docs" / "running.html"]
    assert "scale.html#training-in-several-processes" in page.links
    assert "CONTRIBUTING.md tells of the other tests" in page.path.read_text(encoding="utf-8")
    own = {link for one in pages.values() for link in one.links if "_sources/" not in link and "://" not in link}
    assert [link for link in own if "_downloads/" in link or ".md" in link] == []


@pytest.mark.parametrize("place", ["someone/course", "https://github.com/someone/course.git"])
def test_colab_where_the_repository_is_known(tmp_path, monkeypatch, place):
    monkeypatch.setenv("COURSE_REPOSITORY", place)
    assert website.build(FIRST, tmp_path / "site") == []
    text = (tmp_path / "site" / "notebooks" / f"{NOTEBOOKS[0].stem}.html").read_text()
    link = f"https://colab.research.google.com/github/someone/course/blob/main/notebooks/{NOTEBOOKS[0].name}"
    ways = text.partition('<p class="ways">')[2].partition("</p>")[0]
    assert f'"{link}">Open in Colab' in ways
    assert f'"https://github.com/someone/course/blob/main/notebooks/{NOTEBOOKS[0].name}">Source' in ways


def test_a_notebook_that_knows_its_address_opens_in_colab_and_fetches_nothing(tmp_path, monkeypatch):
    """The badge and the picture that it has for GitHub are not on the site."""
    monkeypatch.delenv("COURSE_REPOSITORY", raising=False)
    for name in ("README.md", "pyproject.toml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    address.set_repository("https://github.com/someone/course", tmp_path)
    monkeypatch.setattr(website, "repository", lambda: address.repository(tmp_path))
    one = {place: tmp_path / "notebooks" / place for place in FIRST}
    assert website.build(one, tmp_path / "site") == []
    name = NOTEBOOKS[0].stem
    page = Page(tmp_path / "site" / "notebooks" / f"{name}.html")
    assert f"https://colab.research.google.com/github/someone/course/blob/main/notebooks/{name}.ipynb" in page.links
    front = Page(tmp_path / "site" / "index.html")
    assert [link for link in page.loaded + front.loaded if urlsplit(link).scheme not in ("", "data")] == []
    assert len([image for image in front.images if "_images" in image["src"]]) == 1
    assert "Open in Colab" not in front.path.read_text()


def test_a_site_that_cannot_be_built_leaves_the_old_one(tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("old")
    broken = tmp_path / "01_broken.ipynb"
    broken.write_text('{"cells": []}')
    monkeypatch.setattr(website, "SOURCE", tmp_path / "nowhere")
    with pytest.raises((ValueError, OSError)):
        website.build({broken.name: broken}, tmp_path / "site")
    assert os.listdir(tmp_path / "site") == ["index.html"]
