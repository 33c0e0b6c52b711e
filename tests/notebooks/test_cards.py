"""The cards and `docs/real.md`: cells print what stands there, files are there, and none is missing."""

from __future__ import annotations

import re
import tomllib

import notebook_checks as checks
import pytest
from support import NOTEBOOKS, ROOT, read_notebook
from test_claims import faults_of, headed

from course.registry import REGISTRY, read_registry
from helpers.photographs import GROUNDS, PHOTOGRAPHS

PAGES = {name: (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("real", "datasets", "models")}
CELL = re.compile(r"(\d\d) ([^;|`]+, `[^`]+`)")
EXAMPLES = ROOT / "whatchanged" / "page" / "examples"


def told(page: str) -> list[tuple[str, str, str]]:
    """Each cell that a table names: its notebook, its place, and what it shows where the table is one of figures."""
    found = []
    for line in page.splitlines():
        _, *fields = [field.strip() for field in line.strip("|").split(" | ")]
        for field in fields if line.startswith("| ") else []:
            shows = fields[-1] if field is not fields[-1] else ""
            found += [(number, place, shows) for number, place in CELL.findall(field)]
    return found


@pytest.mark.parametrize("name", PAGES)
def test_each_cell_is_there_and_prints_what_the_page_says(name):
    rows = told(PAGES[name])
    assert len(rows) >= 4
    faults = [faults_of([place, place, shows, ""], headed(number)) for number, place, shows in rows]
    assert [fault for each in faults for fault in each] == []


def test_a_figure_that_went_stale_is_told():
    number, place, _ = told(PAGES["models"])[0]
    assert faults_of(["the network", place, "`frozen, random`", ""], headed(number)) == [
        "the network: no longer printed: frozen, random"
    ]


@pytest.mark.parametrize("name", PAGES)
def test_each_file_is_there(name):
    named = re.findall(r"`((?:images|whatchanged|notebooks|benchmarks)/[^`]+\.\w+)`", PAGES[name])
    assert [one for one in named if not (ROOT / one).is_file()] == []


def test_every_real_picture_has_its_licence():
    """The photographs that the course may edit, the examples of the page, and the cells that draw what was read."""
    pictures = PAGES["real"].split("## Figures")[0]
    assert [name for name in {*PHOTOGRAPHS, *GROUNDS} if f"`{name}`" not in pictures] == []
    own = {path.name.rsplit(" ", 1)[0] for path in EXAMPLES.glob("*.png")}
    generated = {name for name in own if name.startswith(("scene", "surface"))}
    assert [name for name in own - generated if f"examples/{name} before.png" not in pictures] == []
    cells = {(number, place.rsplit(", `", 1)[1][:-1]) for number, place, _ in told(PAGES["real"])}
    missing = []
    for path in NOTEBOOKS:
        for cell in checks.code_cells(read_notebook(path)):
            drawn = any("image/png" in output.get("data", {}) for output in cell.outputs)
            if drawn and re.search(r"\breal /|\breal\.glob|cracked_grounds\(", cell.source):
                text = cell.source + "".join(output.get("text", "") for output in cell.outputs)
                if not any(path.name.startswith(number) and code in text for number, code in cells):
                    missing.append((path.name, cell.source[:60]))
    assert missing == []


def test_licences_are_those_of_the_registry():
    known = read_registry(REGISTRY)
    real = PAGES["real"] + PAGES["datasets"]
    assert [name for name in known if f"`{name}`" not in PAGES["datasets"]] == []
    for name, licence in {"deep-pcb": "MIT", "design-system-screens": "Apache 2.0", "screenshots": "ISC"}.items():
        assert known[name].licence.startswith(licence)
        (row,) = [line for line in real.splitlines() if line.startswith("| ") and known[name].page in line]
        assert licence in row


def test_each_model_that_a_notebook_leaves_has_its_card():
    saving = [
        path
        for path in NOTEBOOKS
        if re.search(
            r"\.save\(|save_pretrained\(", "".join(cell.source for cell in checks.code_cells(read_notebook(path)))
        )
    ]
    assert len(saving) >= 4
    for path in saving:
        (number,) = re.findall(rf"^## .+ \(({path.name[:2]})\)$", PAGES["models"], re.MULTILINE)
        card = PAGES["models"].split(f"({number})\n")[1].split("\n## ")[0]
        (place,) = re.findall(rf"`build/{path.stem}/(\S+)`,", card)
        source = "".join(cell.source for cell in checks.code_cells(read_notebook(path)))
        assert re.search(rf'output / "{re.escape(place)}"', source), place
        assert "**Unfit for**" in card
        assert [one for one, _, shows in told(card) if one == number and "`" in shows] != []


def test_the_machine_of_the_outputs_is_the_one_told():
    (row,) = [line for line in PAGES["real"].splitlines() if line.startswith("| every notebook")]
    for path in NOTEBOOKS:
        text = "".join(
            output.get("text", "") for cell in checks.code_cells(read_notebook(path)) for output in cell.outputs
        )
        assert re.search(r"^cores +2$", text, re.MULTILINE)
        assert re.search(r"^device +cpu, bf16$|^GPUs +0$", text, re.MULTILINE)
        for module, version in re.findall(r"^(torch|tensorflow) +(\d+\.\d+)", text, re.MULTILINE):
            assert f"{ {'torch': 'PyTorch', 'tensorflow': 'TensorFlow'}[module] } {version}" in row


def test_the_citation_is_of_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    cited = dict(
        re.findall(r"^[ -]*([a-z-]+): (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert cited["version"] == project["version"]
    assert cited["license"] == project["license"]
    assert cited["name"] in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert {"cff-version", "message", "title"} <= set(cited)
