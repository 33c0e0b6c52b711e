"""What a notebook file says: title and cells; and an executed one, clean to commit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from helpers.runtime import ROOT
from whatchanged.files import read_json, write_whole

NOTEBOOKS = ROOT / "notebooks"


def select(selection: str, folder: Path = NOTEBOOKS) -> list[Path]:
    """The notebooks whose file name begins with `selection`, sorted."""
    everything = sorted(folder.glob("*.ipynb"))
    chosen = [path for path in everything if path.name.startswith(selection)]
    if not chosen:
        names = ", ".join(path.stem for path in everything) or "none there"
        raise ValueError(f"no notebook begins with {selection!r}: choose from {names}")
    return chosen


def select_one(selection: str, folder: Path = NOTEBOOKS) -> Path:
    """The one notebook whose file name begins with `selection`."""
    path, *others = select(selection, folder)
    if others:
        raise ValueError(f"{selection!r} is how {1 + len(others)} notebooks begin: name one, as {path.stem}")
    return path


def join_streams(path: Path) -> None:
    """Make one output of what a cell printed in several goes: where it is split depends on the moment."""
    import nbformat
    from nbconvert.preprocessors import CoalesceStreamsPreprocessor

    notebook, _ = CoalesceStreamsPreprocessor().preprocess(nbformat.read(path, as_version=4), {})
    nbformat.write(notebook, path)


def write_clean(executed: Path, target: Path) -> None:
    """The executed notebook without the paths, times and versions that papermill notes in it."""
    import nbformat

    notebook = nbformat.read(executed, as_version=4)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    notebook.cells = [cell for cell in notebook.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    for cell in notebook.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = {"tags": tags} if tags else {}
    for count, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), start=1):
        cell.execution_count = count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
    write_whole(target, (nbformat.writes(notebook) + "\n").encode())


def publish_images(output: Path, target: Path = ROOT / "images") -> None:
    """Put the figures that a notebook left in `images/` of its output folder where the README finds them."""
    for picture in sorted((output / "images").glob("*.png")):
        write_whole(target / picture.name, picture.read_bytes())


def cells_of(path: Path) -> list[dict[str, Any]]:
    """The cells of a notebook, as they are in the file; ValueError where it is none."""
    try:
        cells = read_json(path)["cells"]
        whole = all(
            isinstance(cell["cell_type"], str)
            and isinstance("".join(cell["source"]), str)
            and isinstance(cell["metadata"].get("tags", []), list)
            for cell in cells
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is not a notebook that can be read: get it again") from error
    if not whole:
        raise ValueError(f"{path} is not a notebook that can be read: get it again")
    return cells


def title(path: Path) -> str:
    """The first heading of a notebook, or its name."""
    heading = re.search(r"^# (.+)$", lead(path), re.MULTILINE)
    return heading[1].strip() if heading else path.stem


def lead(path: Path) -> str:
    """The first cell of text of a notebook; empty if it has none."""
    cells = (cell for cell in cells_of(path) if cell["cell_type"] == "markdown")
    return "".join(next(cells, {"source": ""})["source"])
