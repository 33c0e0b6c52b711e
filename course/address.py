"""Where the course's repository is: `pyproject.toml` knows it, notebooks and README repeat it for Colab."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

from helpers.runtime import ROOT
from whatchanged.files import write_whole

BRANCH = "main"
_GITHUB = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")
_COLAB = "https://colab.research.google.com"
_BADGE = re.compile(r"\s+\[!\[Open in Colab\]\([^)]*\)\]\([^)]*\)")
_IMAGES = re.compile(r"https://raw\.githubusercontent\.com/[^)\s]+?/images/")
_DEFAULT = re.compile(r'(os\.environ\.get\("COURSE_REPOSITORY", )"[^"]*"')
_ROW = re.compile(r"^\| \[[^\]]+\]\((notebooks/[^)]+\.ipynb)\)", re.MULTILINE)


def repository(root: Path = ROOT) -> str:
    """The address in `[project.urls]`; empty where none is set."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project.get("urls", {}).get("Repository", "")


def on_github(address: str) -> str:
    """As https://github.com/owner/name, also of owner/name alone; "" of what is no address on GitHub."""
    found = _GITHUB.fullmatch(address) or _GITHUB.fullmatch(f"https://github.com/{address}")
    return f"https://github.com/{found[1]}" if found else ""


def set_repository(address: str, root: Path = ROOT) -> list[Path]:
    """Write an address, a Colab badge and the set-up cell's default wherever they belong; an empty one removes them.

    Parameters
    ----------
    address : of a repository on GitHub, as https://github.com/owner/name; or "".
    root : the project.

    Returns
    -------
    list of Path
        The files that changed. Nothing is written where one of them cannot be read.
    """
    if address:
        found = _GITHUB.fullmatch(address)
        if not found:
            how = "give the address of a copy on GitHub, https://github.com/owner/name"
            raise ValueError(f"REPOSITORY is {address!r}: {how}")
        address = f"https://github.com/{found[1]}"
    files = with_address(address, root)
    changed = {path: text for path, text in files.items() if text != path.read_text(encoding="utf-8")}
    return [write_whole(path, text.encode()) for path, text in changed.items()]


def with_address(address: str, root: Path = ROOT) -> dict[Path, str]:
    """What notebooks, README and `pyproject.toml` say with an address, by path, whatever address they say now."""
    places = [*sorted((root / "notebooks").rglob("*.ipynb")), root / "README.md", root / "pyproject.toml"]
    texts = {path: path.read_text(encoding="utf-8") for path in places}
    rewritten: dict[str, Callable[[str, str, str], str]] = {".ipynb": _notebook, ".md": _readme, ".toml": _table}
    changed = {}
    for path, text in texts.items():
        try:
            changed[path] = rewritten[path.suffix](text, path.relative_to(root).as_posix(), address)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is not a notebook that can be read: get it again") from error
    return changed


def plain_lead(notebook: str) -> str:
    """A notebook's text with a first cell that fetches nothing: without badge, its picture from the project."""
    return _edit(notebook, lambda cell: _lead(cell, "", ""), lambda cell: cell)


def _notebook(text: str, place: str, address: str) -> str:
    return _edit(
        text, lambda cell: _lead(cell, place, address), lambda cell: _DEFAULT.sub(rf'\g<1>"{address}"', cell, count=1)
    )


def _edit(text: str, lead: Callable[[str], str], setup: Callable[[str], str]) -> str:
    """A notebook whose first cell of text and first cell of code are changed; all else stays as it is, to the byte."""
    notebook = json.loads(text)
    for kind, change in (("markdown", lead), ("code", setup)):
        for cell in [cell for cell in notebook["cells"] if cell["cell_type"] == kind][:1]:
            source = change("".join(cell["source"]))
            cell["source"] = source.splitlines(keepends=True)
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _lead(text: str, place: str, address: str) -> str:
    """The title, below it the badge; the pictures from where a notebook alone finds them."""
    plain = _IMAGES.sub("../images/", _BADGE.sub("", text))
    if not address:
        return plain
    title, *rest = plain.split("\n\n")
    raw = address.replace("https://github.com/", "https://raw.githubusercontent.com/")
    return "\n\n".join([title, _badge(place, address), *rest]).replace("](../images/", f"]({raw}/{BRANCH}/images/")


def _badge(place: str, address: str) -> str:
    return f"[![Open in Colab]({_COLAB}/assets/colab-badge.svg)]({colab_link(address, place)})"


def colab_link(address: str, place: str) -> str:
    """Where Colab opens a file of the repository at an address on GitHub."""
    return f"{address.replace('https://github.com/', f'{_COLAB}/github/')}/blob/{BRANCH}/{place}"


def _readme(text: str, place: str, address: str) -> str:
    plain = _BADGE.sub("", text)
    return _ROW.sub(lambda row: f"{row[0]} {_badge(row[1], address)}", plain) if address else plain


def _table(text: str, place: str, address: str) -> str:
    """`pyproject.toml`: other addresses in `[project.urls]` stay, and so does all else."""
    plain = re.sub(r'^Repository = "[^"]*"\n', "", text, flags=re.MULTILINE)
    plain = re.sub(r"^\[project\.urls\]\n\n", "", plain, flags=re.MULTILINE)
    if not address:
        return plain
    line = f'Repository = "{address}"\n'
    if "[project.urls]\n" in plain:
        return plain.replace("[project.urls]\n", f"[project.urls]\n{line}")
    return plain.replace("[project.scripts]\n", f"[project.urls]\n{line}\n[project.scripts]\n")
