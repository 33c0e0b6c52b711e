"""The pairs of DeepPCB on disk: boards with their faults."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from whatchanged.images import read_image


@dataclass(frozen=True)
class BoardPair:
    """One pair of DeepPCB: a board without faults, the tested board, and its faults.

    Attributes
    ----------
    name : the pair's number.
    before, after : uint8 arrays (640, 640, 3): template and tested board.
    boxes : int array (n, 4): x, y, width, height, in pixels.
    kinds : the kind of each fault, some of `DEEP_PCB_KINDS`.
    """

    name: str
    before: np.ndarray
    after: np.ndarray
    boxes: np.ndarray
    kinds: tuple[str, ...]


DEEP_PCB_KINDS = {1: "open", 2: "short", 3: "mousebite", 4: "spur", 5: "copper", 6: "pin-hole"}


def deep_pcb(folder: str | Path) -> Iterator[BoardPair]:
    """The pairs of the DeepPCB dataset [1]_ in a folder, sorted by number.

    Parameters
    ----------
    folder : holds `<id>_temp.jpg`, `<id>_test.jpg` and `<id>.txt`, a line a fault: `x1 y1 x2 y2 type`.

    Raises
    ------
    ValueError
        The folder holds no such pair, or a line of annotations is broken (named with file and line).

    References
    ----------
    .. [1] Tang, He, Huang and Yang, Online PCB Defect Detector On A New PCB Defect Dataset, 2019.
    """
    folder = Path(folder)
    templates = sorted(folder.glob("*_temp.jpg"))
    if not templates:
        raise ValueError(f"{folder} holds no DeepPCB pairs (<id>_temp.jpg, <id>_test.jpg, <id>.txt)")
    for template in templates:
        name = template.stem.removesuffix("_temp")
        boxes, kinds = _board_faults(folder / f"{name}.txt")
        tested = read_image(folder / f"{name}_test.jpg")
        yield BoardPair(name, read_image(template), tested, boxes, kinds)


def _board_faults(path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    boxes, kinds = [], []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        fields = re.split(r"[ ,]+", line.strip())
        if fields == [""]:
            continue
        if len(fields) != 5 or not all(value.isdigit() for value in fields) or int(fields[4]) not in DEEP_PCB_KINDS:
            raise ValueError(f"{path}, line {number}: {line!r} is not `x1 y1 x2 y2 type` with a type from 1 to 6")
        x1, y1, x2, y2, kind = map(int, fields)
        boxes.append((x1, y1, x2 - x1, y2 - y1))
        kinds.append(DEEP_PCB_KINDS[kind])
    return np.array(boxes, dtype=int).reshape(-1, 4), tuple(kinds)
