"""What a test claims of a pair: this is found there and nothing else, or nothing is."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.outside.truths import Box, Edited, answered, common, judged, touches
from whatchanged.__main__ import main
from whatchanged.detection import detect


def near(box: Sequence[int], wanted: Sequence[int], slack: int = 12) -> bool:
    """Whether a box answers a wanted one: it touches it, and is not far larger."""
    x, y, width, height = wanted
    grown = (x - slack, y - slack, width + 2 * slack, height + 2 * slack)
    return touches(box, wanted) and common(box, grown) >= 0.5 * box[2] * box[3]


def placed(boxes: Sequence[Sequence[int]], wanted: Sequence[Box], extra: int = 0, slack: int = 12) -> None:
    """Every wanted box is answered, and at most `extra` boxes lie elsewhere."""
    missed = [true for true in wanted if not any(near(box, true, slack) for box in boxes)]
    assert not missed, f"no region answers {missed}: there are {list(map(tuple, boxes))[:6]}"
    wrong = [tuple(box) for box in boxes if not any(touches(box, true, slack) for true in wanted)]
    assert len(wrong) <= extra, f"{len(wrong)} regions elsewhere: {wrong[:6]}"


def found(before: np.ndarray, after: np.ndarray, *wanted: Box, extra: int = 0, slack: int = 12, **how: Any):
    """`detect` answers every wanted box, and little else: its result."""
    result = detect(before, after, **how)
    placed([one.box for one in result.regions], wanted, extra, slack)
    return result


def quiet(before: np.ndarray, after: np.ndarray, **how: Any):
    """`detect` reports nothing: its result."""
    result = detect(before, after, **how)
    assert not result.regions, f"{len(result.regions)} regions where nothing changed: {result.regions[:4]}"
    return result


def tells(edited: Edited, least: float = 0.3, **how: Any):
    """`detect` boxes all that happened, by the right word, and nothing else: its result."""
    result = detect(edited.before, edited.after, **how)
    boxes = [(one.what, one.box) for one in result.regions]
    boxed, elsewhere = judged(result.regions, edited, least)
    assert boxed == len(edited.told), f"{boxed} of {edited.told} are boxed: there are {boxes[:6]}"
    assert not elsewhere, f"{elsewhere} regions answer to nothing: there are {boxes[:6]}, true are {edited.truth}"
    for truth in edited.told:
        best = max(result.regions, key=lambda one, truth=truth: answered(one, truth, edited.before.shape))
        assert best.what == truth.what, f"{truth} is told as {best.what}"
    return result


def by_command(before: Path, after: Path, *arguments: str) -> tuple[int, list[dict], str]:
    """Exit status, regions and all that is printed by `whatchanged diff` of two files."""
    result, said = before.with_name("result.json"), io.StringIO()
    result.unlink(missing_ok=True)
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = main(["diff", str(before), str(after), "--json", str(result), *arguments])
    record = json.loads(result.read_text()) if result.is_file() else {"regions": []}
    return status, record["regions"], said.getvalue()


def box_of(record: dict) -> Box:
    return record["x"], record["y"], record["width"], record["height"]
