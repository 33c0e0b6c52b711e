"""What every notebook of the course must keep to; each function returns the faults it found, as sentences."""

from __future__ import annotations

import ast
import base64
import io
import json
import re
import statistics
import subprocess
import sys
import tempfile
import tokenize
from pathlib import Path

import matplotlib
import nbformat
import numpy as np
from PIL import Image

from whatchanged.ssim import structural_difference

ROOT = Path(__file__).resolve().parents[2]
HOUSES = ("whatchanged", "helpers", "course")
MEGABYTE = 1_000_000
SIMILAR = 0.98  # SSIM from which two figures look the same
# Figures are committed as Matplotlib 3.11 draws them; before it, text was laid out otherwise (SSIM 0.75 to 0.96).
LEAST_SSIM = SIMILAR if matplotlib.__version_info__[:2] >= (3, 11) else -1.0


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def valid_format(notebook) -> list[str]:
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        return [f"not a valid notebook: {error}"]
    kernel = notebook.metadata.get("kernelspec", {}).get("name")
    return [] if kernel == "python3" else [f"the kernel is {kernel!r}, not 'python3'"]


def ruff_clean(notebook) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "notebook.ipynb"
        nbformat.write(notebook, path)
        config = ROOT / "notebooks" / "ruff.toml"
        command = [sys.executable, "-m", "ruff", "check", "--config", str(config), "--ignore", "E402", "-q", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [] if done.returncode == 0 else [f"ruff: {done.stdout}"]


def one_parameters_cell(notebook) -> list[str]:
    """One cell tagged `parameters`, plain assignments of literals with a comment each, each name read later.

    None alone may be annotated, for it does not say what else the parameter may be.
    """
    tagged = [cell for cell in code_cells(notebook) if "parameters" in tags(cell)]
    if len(tagged) != 1:
        return [f"{len(tagged)} cells are tagged parameters, not one"]
    faults, names = [], []
    for statement in ast.parse(tagged[0].source).body:
        line = ast.get_source_segment(tagged[0].source, statement)
        annotated = isinstance(statement, ast.AnnAssign) and ast.unparse(statement.value or statement) == "None"
        target = statement.target if annotated else getattr(statement, "targets", [None])[0]
        if not isinstance(target, ast.Name):
            faults.append(f"parameters: {line!r} is not a plain assignment")
            continue
        names.append(target.id)
        try:
            ast.literal_eval(statement.value)
        except ValueError:
            faults.append(f"parameters: {line!r} is not a literal")
        if "#" not in tagged[0].source.splitlines()[statement.end_lineno - 1]:
            faults.append(f"parameters: {line!r} has no comment that gives its unit and range")
    later = code_cells(notebook)[code_cells(notebook).index(tagged[0]) + 1 :]
    used = {node.id for cell in later for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Name)}
    faults += [f"parameters: {name} is never read" for name in names if name not in used]
    required = {"PROFILE", "OUTPUT_DIR", "SEED"}
    return faults + [f"parameters: {name} is missing" for name in sorted(required - set(names))]


def bootstrap(notebook) -> str:
    """The first code cell, which sets the notebook up."""
    return code_cells(notebook)[0].source


def same_bootstrap(notebooks: list) -> list[str]:
    """Alike but for the number of the notebook, by which it knows what it needs."""
    first, *others = (re.sub(r'(install_for\()"\d\d"', r"\1", bootstrap(notebook)) for notebook in notebooks)
    return [f"notebook {i} sets up in its own way" for i, source in enumerate(others, start=2) if source != first]


def outputs_present(notebook) -> list[str]:
    """Executed from top to bottom: nbval does not compare a cell without execution count and outputs."""
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        return [f"the cells were not executed once from top to bottom: {counts}"]
    for cell in code_cells(notebook):
        if {output.get("execution_count", cell.execution_count) for output in cell.outputs} - {cell.execution_count}:
            return [f"cell [{cell.execution_count}] has a result with another number"]
    return [] if any(cell.outputs for cell in code_cells(notebook)) else ["no cell has an output"]


def no_noise(notebook) -> list[str]:
    """No error, nothing on stderr, no widgets (GitHub then renders nothing), no warning, no path of a machine."""
    faults = ["metadata.widgets is set"] if "widgets" in notebook.metadata else []
    for cell in code_cells(notebook):
        for output in cell.outputs:
            text = json.dumps(output)
            where = f"cell [{cell.execution_count}]"
            if output.output_type == "error":
                faults.append(f"{where} has an error: {output.ename}")
            if output.output_type == "stream" and output.name == "stderr":
                faults.append(f"{where} writes to stderr: {output.text[:80]}")
            if re.search(r"\w*Warning\b|\bWARNING\b", text):
                faults.append(f"{where} shows a warning")
            if re.search(r"/(root|home|work|tmp|Users|content)/", text):
                faults.append(f"{where} shows a path of a machine")
    return faults


def figures_described(notebook) -> list[str]:
    faults = []
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                alt = output.get("metadata", {}).get("image/png", {}).get("alt", "")
                if len(alt.split()) < 4:
                    faults.append(f"a figure of cell [{cell.execution_count}] has no alt text")
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and re.search(r"!\[\s*\]\(", cell.source):
            faults.append("a picture in the text has no alt text")
    return faults


def lines_of_code(source: str) -> int:
    """How many lines a cell has where one that is wrapped at 88 columns counts once; empty ones count, too."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    rows, begun = set(), None
    for token in tokens:
        if token.type not in (tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER):
            begun = begun or token.start[0]
        if token.type == tokenize.NEWLINE:
            rows |= set(range(begun + 1, token.end[0] + 1))
            begun = None
    return len(source.splitlines()) - len(rows)


def small_enough(notebook) -> list[str]:
    """Under 45 code cells and 2 MB; no cell over twenty-five lines of code, nor forty-five as they are wrapped. The
    parameters, of which each has a line, may have forty-five.
    """
    faults, cells = [], code_cells(notebook)
    size = len(nbformat.writes(notebook).encode())
    if len(cells) >= 45:
        faults.append(f"{len(cells)} code cells: keep under 45")
    if size >= 2 * MEGABYTE:
        faults.append(f"{size / MEGABYTE:.1f} MB: keep under 2")
    others = [cell for cell in cells if "parameters" not in tags(cell)]
    if (most := max((lines_of_code(cell.source) for cell in others), default=0)) > 25:
        faults.append(f"a cell has {most} lines of code: at most 25")
    if (most := max(len(cell.source.splitlines()) for cell in cells)) > 45:
        faults.append(f"a cell has {most} lines: at most 45")
    return faults


def short_cells(notebook) -> list[str]:
    """Cells of about five lines."""
    median = statistics.median(lines_of_code(cell.source) for cell in code_cells(notebook))
    return [] if median <= 8 else [f"the median cell has {median} lines of code: about five"]


def opened_is_kept(notebook) -> list[str]:
    """No loop takes the name of what the first cells opened: later cells would go on with the loop's last value."""
    statements = [one for cell in code_cells(notebook) for one in ast.walk(ast.parse(cell.source))]
    opened = {
        ast.unparse(one.targets[0])
        for one in statements
        if isinstance(one, ast.Assign) and "opening.given(" in ast.unparse(one.value)
    }
    loops = [one for one in statements if isinstance(one, ast.For)]
    taken = {name.id for one in loops for name in ast.walk(one.target) if isinstance(name, ast.Name)}
    return [f"{name} is opened in the first cells: a loop takes its name" for name in sorted(opened & taken)]


def switches_are_kept(notebook) -> list[str]:
    """What says whether data are made, or only judged, is said in one cell: another one would turn it for all below."""
    cells_of: dict[str, set[int]] = {}
    switches = set()
    for number, cell in enumerate(code_cells(notebook)):
        for one in ast.parse(cell.source).body:
            if isinstance(one, ast.Assign):
                named = list(zip(_parts(one.targets[0]), _parts(one.value), strict=False))
                switches |= {ast.unparse(name) for name, value in named if _is_switch(value)}
        stored = [one for one in ast.walk(ast.parse(cell.source)) if isinstance(one, ast.Name)]
        for one in stored:
            if isinstance(one.ctx, ast.Store):
                cells_of.setdefault(one.id, set()).add(number)
    turned = sorted(name for name in switches if len(cells_of[name]) > 1)
    return [f"{name} is a switch for all cells: another cell takes its name" for name in turned]


def _parts(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


def _is_switch(value: ast.expr) -> bool:
    said = ast.unparse(value)
    return said.endswith((" is None", " is not None")) or said.startswith("opening.testing(")


def says_where_it_fails(notebook) -> list[str]:
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown").lower()
    return [] if "## where it fails" in text else ["there is no section 'Where it fails'"]


def sources_current(notebook) -> list[str]:
    """What `show_source` shows is what the houses hold now. Read, not imported: torch and TensorFlow stay apart."""
    faults, homes = [], {}
    for cell in code_cells(notebook):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in HOUSES:
                homes |= {name.asname or name.name: (node.module, name.name) for name in node.names}
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "show_source":
                source = "\n\n".join(_source(homes, ast.unparse(thing)) for thing in node.args)
                if [output.data.get("text/plain") for output in cell.outputs if "data" in output] != [source]:
                    faults.append(f"cell [{cell.execution_count}] shows a source that has changed: execute it again")
    return faults


def _source(homes: dict[str, tuple[str, str]], name: str) -> str:
    """The source of `module.function`, `module.Class.method` or, imported by name, `function`; with decorators."""
    first, *names = name.split(".")
    module, imported = homes[first]
    path = _file(f"{module}.{imported}")
    if path is None:  # a name of the module, not a module
        path, names = _file(module), [imported, *names]
    text = path.read_text()
    node = ast.parse(text)
    for one in names:
        *_, node = (part for part in node.body if getattr(part, "name", None) == one)  # its overloads come before
    begin = min(part.lineno for part in (node, *node.decorator_list))
    return "\n".join(text.splitlines()[begin - 1 : node.end_lineno])


def _file(module: str) -> Path | None:
    """The file of a module of the houses; None where there is none."""
    path = ROOT.joinpath(*module.split("."))
    files = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in files if file.is_file()), None)


# Solutions keep to these, too.
ALWAYS = (valid_format, ruff_clean, outputs_present, no_noise, figures_described, small_enough, sources_current)
STATIC = (*ALWAYS, short_cells, one_parameters_cell, opened_is_kept, switches_are_kept, says_where_it_fails)


def figures(notebook) -> dict[int, list[np.ndarray]]:
    """The figures of deterministic cells (those whose outputs nbval compares), by cell index: uint8 (H, W, 3)."""
    found = {}
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and "nbval-ignore-output" not in tags(cell):
            pngs = [o.data["image/png"] for o in cell.outputs if "image/png" in o.get("data", {})]
            if pngs:
                found[index] = [np.array(Image.open(io.BytesIO(base64.b64decode(p))).convert("RGB")) for p in pngs]
    return found


def figures_differ(committed, fresh, least: float = SIMILAR) -> list[str]:
    """Compare the figures of two executions of a notebook by number, size and SSIM; a fault names the cell."""
    faults = []
    old, new = figures(committed), figures(fresh)
    for index in sorted(old.keys() | new.keys()):
        name = f"cell {index} [{committed.cells[index].get('execution_count')}]"
        a, b = old.get(index, []), new.get(index, [])
        if [picture.shape for picture in a] != [picture.shape for picture in b]:
            faults.append(f"{name}: the figures have another number or size")
            continue
        for first, second in zip(a, b, strict=True):
            score, _ = structural_difference(first, second)
            if score < least:
                faults.append(f"{name}: a figure changed, SSIM {score:.3f} < {least}")
    return faults
