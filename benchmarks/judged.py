"""What a tool did with the pairs of wishes.py, read from its exit status and from what it wrote, and judged."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from wished import HEIGHT, PATCH, ROWS, STRIP, WIDTH

YES, PARTLY, NO, REFUSED, WRONG = "yes", "partly", "no", "refused", "wrong"
Verdict = tuple[str, str]
"""One of these words, and what was seen."""


@dataclass(frozen=True)
class Ran:
    """One command: its exit status beside the one that says "different", what it printed and wrote into a folder."""

    differ: int
    status: int
    text: str
    picture: np.ndarray | None  # of the differences, RGBA
    record: dict | None  # the JSON of this project
    report: list[Path]  # files of the report, its page first
    report_bytes: int

    @property
    def refuses(self) -> bool:
        """Whether it compared nothing."""
        return self.status not in (0, self.differ) or '"error"' in self.text

    @property
    def says(self) -> str:
        """The line that tells most of what it printed."""
        lines = [line.strip() for line in self.text.splitlines() if not line.strip().startswith(("at ", "[", "throw"))]
        telling = r"pixels|[Ii]dentical|do not match|differs|Buffers differ|Unsupported|EISDIR|unrecogni[sz]ed|unknown"
        lines = [line for line in lines if re.search(telling, line)] or [line for line in lines if line][-1:] or [""]
        return re.sub(r"[{}\"|]", "", re.sub(r'.*"error":', "", lines[0]))[:110].strip()

    @property
    def marks(self) -> np.ndarray | None:
        """What is told as different: bool (H, W) of the taller page; None where it is shown nowhere."""
        marked = np.zeros((HEIGHT + 60, WIDTH), bool)
        if self.record is not None:
            for region in self.record["regions"]:
                box = region["after"]
                marked[box["y"] : box["y"] + box["height"], box["x"] : box["x"] + box["width"]] = True
        elif self.picture is not None:
            shown = self.picture[..., 3] > 0
            if shown.all():
                red, green, blue = (self.picture[..., channel].astype(int) for channel in range(3))
                lone = len(np.unique(self.picture[..., :3].reshape(-1, 3), axis=0)) <= 2
                shown = red > 127 if lone and np.array_equal(red, blue) else (red > 200) & (green < 60) & (blue < 60)
            marked[: shown.shape[0]] = shown
        else:
            return None
        return marked


def read(folder: Path, differ: int, status: int, text: str) -> Ran:
    """What a command left in the folder."""
    pictures = [*folder.glob("test-results/*/*-diff.png"), folder / "diff.png"]
    picture = next((np.array(Image.open(path).convert("RGBA")) for path in pictures if path.is_file()), None)
    record = folder / "found.json"
    pages = [folder / "report.html", folder / "playwright-report" / "index.html"]
    report = [path for path in pages if path.is_file()]
    report += [path for path in (folder / "playwright-report").rglob("*") if path.is_file() and path not in report]
    return Ran(
        differ,
        status,
        text,
        picture,
        json.loads(record.read_text()) if record.is_file() else None,
        report,
        sum(path.stat().st_size for path in report),
    )


def sizes(one: Ran) -> Verdict:
    """Are the change in what both have, and what stands in the new rows told, and nothing else?"""
    if one.refuses or one.marks is None:
        return REFUSED, one.says
    told = one.marks[PATCH].mean(), one.marks[STRIP].mean()
    rest = one.marks[:HEIGHT].copy()
    rest[PATCH] = False
    seen = f"of the change {told[0]:.0%}, of what the new rows show {told[1]:.0%}, of the rest {rest.mean():.1%} marked"
    return YES if min(told) > 0.5 and rest.mean() < 0.01 else PARTLY if max(told) > 0.5 else NO, seen


def silent_then_told(silent: Ran, told: Ran) -> Verdict:
    """Is the first pair passed in silence, by the exit status, and the second one not?"""
    if silent.refuses or told.refuses:
        return REFUSED, next(run for run in (silent, told) if run.refuses).says
    if (silent.status, told.status) == (0, told.differ):
        return YES, "the one passes, the other does not"
    return NO, "both pass" if told.status == 0 else "neither passes"


def rows(one: Ran) -> Verdict:
    """Are the inserted rows told, and not all that lies below them?"""
    if one.refuses or one.marks is None:
        return REFUSED, one.says
    outside = one.marks.copy()
    outside[ROWS] = False
    new = "marked" if one.marks[ROWS].any() else "not marked"
    seen = f"the new rows {new}, and {outside[:HEIGHT].mean():.0%} of the page besides"
    return YES if one.marks[ROWS].any() and outside.mean() < 0.001 else NO, seen


def mask(one: Ran) -> Verdict:
    """Is there a picture of the changed pixels alone?"""
    if one.refuses or one.marks is None or one.picture is None:
        return NO, one.says
    truth = np.zeros_like(one.marks)
    truth[PATCH] = True
    overlap = (truth & one.marks).sum() / (truth | one.marks).sum()
    colors = len(np.unique(one.picture.reshape(-1, 4), axis=0))
    seen = f"overlap with the changed pixels {overlap:.2f}, in a picture of {colors} colors"
    return YES if overlap > 0.9 and colors == 2 else PARTLY if overlap > 0.9 else NO, seen


def report(one: Ran) -> Verdict:
    """Is there a page to look at?"""
    if not one.report:
        return NO, one.says
    files = "one file" if len(one.report) == 1 else f"{len(one.report)} files"
    return YES, f"{one.report[0].name}: {files}, {one.report_bytes / 1e3:.0f} kB"


def folders(one: Ran) -> Verdict:
    """Are the changed, the added and the removed file told?"""
    text = "\n".join(line for line in one.text.splitlines() if not line.startswith("["))
    told = [name for name in ("changed", "added", "removed") if re.search(rf"\b{name}\.png", text)]
    if not told:
        return REFUSED, one.says
    if re.search(r"\bsame\.png.*(differ|changed)", text):
        return WRONG, "tells the unchanged file as changed"
    missing = [name for name in ("changed", "added", "removed") if name not in told]
    return (PARTLY if missing else YES), f"told: {', '.join(told)}" + (
        f"; not: {', '.join(missing)}" if missing else ""
    )


def pages(*both: Ran) -> Verdict:
    """Is the change on the second page told as one of the second page, in a TIFF and in an animation?"""
    words, seen = [], []
    for name, one in zip(("TIFF", "GIF"), both, strict=True):
        found = one.record and {region["page"] for region in one.record["regions"]}
        words.append(WRONG if one.status == 0 else REFUSED if one.refuses else YES if found == {2} else PARTLY)
        seen.append(f"{name}: " + (f"told on page {found}".translate({123: "", 125: ""}) if found else one.says))
    worst = next(word for word in (WRONG, REFUSED, NO, PARTLY, YES) if word in words)
    return worst, "; ".join(seen)


Judge = Callable[..., Verdict]
