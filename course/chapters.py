"""What the website makes of notebooks and commands: set-up folded, cards, the questions in one place, the options."""

from __future__ import annotations

import argparse
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from course.address import BRANCH, colab_link, plain_lead
from course.notebooks import NOTEBOOKS, cells_of, lead, title
from helpers.runtime import ROOT

CARDS = ROOT / "website" / "cards.toml"
_SETUP = {"", "Setup", "Parameters"}  # headings below which a reader of the site wants no code
_PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)")
_QUESTION = re.compile(r"<details>.*?</details>", re.DOTALL)
_ROW = re.compile(r"^\| \[\w+\]\(notebooks/(\S+)\.ipynb\)[^|]*\|([^|]+)\|[^|]+\|([^|]+)\|$", re.MULTILINE)


def chapter(text: str, place: str, address: str) -> str:
    """A notebook as the site shows it: its set-up folded, and below the title the ways to get it.

    Parameters
    ----------
    text : the notebook's file.
    place : where it lies below `notebooks/`.
    address : of the course on GitHub; "" where there is none, and so nothing that Colab could open.
    """
    notebook = json.loads(plain_lead(text))
    heading, ways = "", _ways(place, address)
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            heading = (re.findall(r"^## (.+)$", source, re.MULTILINE) or [heading])[-1]
            if ways:
                first, *others = source.split("\n\n")
                cell["source"], ways = "\n\n".join([first, ways, *others]), ""
        elif heading in _SETUP:
            cell["metadata"].setdefault("tags", []).append("hide-input")
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _ways(place: str, address: str) -> str:
    """Download, source and Colab, as links of one line."""
    top = "../" * (1 + place.count("/"))
    links = {f"{top}_sources/notebooks/{place}": "Download the notebook"}
    if not (NOTEBOOKS / place).is_file():  # one that failed lies in nobody's copy
        return _line(links)
    if address:
        links[f"{address}/blob/{BRANCH}/notebooks/{place}"] = "Source on GitHub"
        links[colab_link(address, f"notebooks/{place}")] = "Open in Colab"
    else:
        links[f"{top}docs/running.html#in-colab"] = "How to open it in Colab"
    return _line(links)


def _line(links: dict[str, str]) -> str:
    return '<p class="ways">' + " ".join(f'<a href="{link}">{words}</a>' for link, words in links.items()) + "</p>"


def card(place: str, path: Path) -> str:
    """A notebook on the front page: title and picture, which lead to it, its first paragraph, and what it takes."""
    text, link = lead(path), f"notebooks/{place}"
    parts = [f"## [{place[:2]} {title(path)}]({link})"]
    picture = _PICTURE.search(text)
    if picture:
        parts.append(f"[![{picture[1]}]({picture[2].removeprefix('../')})]({link})")
    parts += [part for part in text.split("\n\n")[1:] if not part.startswith(("![", "<p "))][:1]
    facts = facts_of(path.name.split(".")[0])
    if facts:
        parts.append(
            "\n".join(["```{container} facts", *(f"- **{name}:** {fact}" for name, fact in facts.items()), "```"])
        )
    return "\n\n".join(parts)


def facts_of(name: str) -> dict[str, str]:
    """What a notebook takes, by its file's name: time, as the README has it, level, needs; as much as is known."""
    rows = {found[1]: found for found in _ROW.finditer((ROOT / "README.md").read_text(encoding="utf-8"))}
    facts = {"Time": f"{rows[name][3].strip()} on two CPU cores"} if name in rows else {}
    known = tomllib.loads(CARDS.read_text(encoding="utf-8")).get(name, {})
    return facts | {"Level": known["level"], "You need": known["needs"]} if known else facts


def questions(chapters: dict[str, Path]) -> str:
    """Markdown of a page in `notebooks/`: the questions of each notebook with their folded answers."""
    parts = ["# All questions", "Each is answered by a cell of its notebook. Answer first, then unfold."]
    for place, path in chapters.items():
        texts = ["".join(cell["source"]) for cell in cells_of(path) if cell["cell_type"] == "markdown"]
        found = [question for text in texts for question in _QUESTION.findall(text)]
        if found:
            parts += [f"## [{place[:2]} {title(path)}]({place})", *found]
    return "\n\n".join(parts) + "\n"


def options_of(whole: argparse.ArgumentParser) -> str:
    """Markdown of what a program's commands take: a heading a command, a table a group of options."""
    (commands,) = (one for one in whole._actions if isinstance(one, argparse._SubParsersAction))
    return "\n\n".join(part for name, command in commands.choices.items() for part in _told(name, command))


def _told(name: str, command: argparse.ArgumentParser) -> Iterator[str]:
    yield f"## {name}"
    yield _marked(command.description)
    for group in command._action_groups:
        rows = [one for one in group._group_actions if not isinstance(one, argparse._HelpAction)]
        if rows:
            heading = (group.title or "").replace("positional arguments", "what is compared")
            yield "\n".join([f"| {heading} | |", "| --- | --- |", *map(_row, rows)])
    yield _marked(command.epilog)


def _row(option: argparse.Action) -> str:
    choices = f"{{{', '.join(map(str, option.choices))}}}" if option.choices else option.dest.upper()
    given = option.metavar or choices
    words = " ".join(given) if isinstance(given, tuple) else given
    named = ", ".join(option.option_strings)
    told = f"{named} {words}".strip() if option.nargs != 0 else named
    return f"| `{told if named else option.dest}` | {_marked(option.help)} |"


def _marked(text: str | None) -> str:
    """A text of argparse as Markdown: options as code, whose dashes would become one."""
    plain = (text or "").replace("%%", "%").replace("|", r"\|")
    return re.sub(r"(?<![`\w-])(--[a-z][\w-]*)", r"`\1`", plain)
