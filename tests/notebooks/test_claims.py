"""`docs/claims.md`: each claim has its cell, which prints what stands there and is held as it says."""

from __future__ import annotations

import re

import notebook_checks as checks
import pytest
from support import NOTEBOOKS, ROOT, read_notebook

PAGE = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
NUMBERS = re.findall(r"^## Notebook (\d\d)$", PAGE, re.MULTILINE)


def rows(number: str) -> list[list[str]]:
    """Claim, cell, what it shows and what holds it, of one notebook."""
    table = PAGE.split(f"## Notebook {number}\n")[1].split("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    return [[field.strip() for field in line.strip("|").split(" | ")] for line in lines[2:]]


def headed(number: str) -> list[tuple[str, object]]:
    """Each code cell with the last heading above it."""
    (path,) = [path for path in NOTEBOOKS if path.name.startswith(number)]
    heading, found = "", []
    for cell in read_notebook(path).cells:
        if cell.cell_type == "code":
            found.append((heading, cell))
        elif headings := re.findall(r"^#+ (.+)$", cell.source, re.MULTILINE):
            heading = headings[-1]
    return found


def printed(cell) -> str:
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)


def faults_of(row: list[str], cells: list[tuple[str, object]]) -> list[str]:
    """What is wrong with a row that names a cell; rows that name a page or a test have none here."""
    claim, place, shows, held = row
    if not (named := re.fullmatch(r"([^`\[]+), `([^`]+)`", place)):
        return []
    found = [cell for heading, cell in cells if heading == named[1] and named[2] in cell.source + printed(cell)]
    if len(found) != 1:
        return [f"{claim}: {len(found)} cells are {place}"]
    ignored = "nbval-ignore-output" in checks.tags(found[0])
    told = re.findall(r"`([^`]+)`", shows.split("**not shown:**")[0])
    faults = [f"{claim}: no longer printed: {one}" for one in told if one not in printed(found[0])]
    faults += [f"{claim}: its cell is not compared"] * (held.startswith("compared") and ignored)
    faults += [f"{claim}: its cell is compared"] * (held.startswith("open") and not ignored)
    return faults + [f"{claim}: its cell checks nothing"] * (held == "check" and "check(" not in found[0].source)


@pytest.mark.parametrize("number", NUMBERS)
def test_every_claim_has_its_cell(number):
    cells, claims = headed(number), rows(number)
    assert len(claims) > 20
    assert all(len(row) == 4 for row in claims)
    assert [fault for row in claims for fault in faults_of(row, cells)] == []


def test_a_claim_that_went_stale_is_told():
    (row,) = [row for row in rows("01") if row[0] == "the hard pair: three edits, nothing else"]
    claim, place, shows, _ = row
    cells = headed("01")
    assert faults_of([claim, place.replace("Third", "Fourth"), shows, "compared"], cells)[0].startswith(
        f"{claim}: 0 cells"
    )
    assert faults_of([claim, place, "`4 of 3`", "compared"], cells) == [f"{claim}: no longer printed: 4 of 3"]
    assert faults_of([claim, place, shows, "open"], cells) == [f"{claim}: its cell is compared"]
    assert faults_of([claim, place, shows, "check"], cells) == [f"{claim}: its cell checks nothing"]
