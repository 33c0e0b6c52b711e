"""A measured figure beside the one that is asked, and the sizes of the samples it is measured on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from helpers.runtime import ROOT
from whatchanged.detection import detect

SHARED = ROOT.parent / "shared"
OPERATORS: dict[str, Callable[[float, float], bool]] = {">=": lambda a, b: a >= b, "<=": lambda a, b: a <= b}


@dataclass
class Figure:
    """One measured number.

    Attributes
    ----------
    name, value : what was measured.
    asked : as ">= 0.95"; empty where it only informs.
    misses : what kept it from being better, a line each.
    """

    name: str
    value: float
    asked: str = ""
    misses: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        if not self.asked:
            return True
        operator, bound = self.asked.split()
        return OPERATORS[operator](self.value, float(bound))


@dataclass(frozen=True)
class Sizes:
    """How much is measured, and on how many threads."""

    seeds: int = 3
    photographs: int = 200
    pairs: int = 300
    layouts: int = 200
    rounds: int = 7
    threads: int = 2
    base: Path | None = None


def regions(before: np.ndarray, after: np.ndarray, **how: Any) -> list:
    """What `detect` reports; nothing where it refuses the pair."""
    try:
        return detect(before, after, **how).regions
    except ValueError:
        return []


def spread(work: Callable, jobs: Iterable, threads: int) -> list:
    """The work done for each job, a job a thread; OpenCV itself uses one."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(work, jobs))
    finally:
        cv2.setNumThreads(before)


def boxed(boxes: Iterable[Sequence[int]], shape: Sequence[int]) -> np.ndarray:
    """Which pixels lie in any of the boxes: bool array (H, W)."""
    mask = np.zeros(shape[:2], bool)
    for x, y, width, height in boxes:
        mask[max(0, y) : y + height, max(0, x) : x + width] = True
    return mask


def share(part: float, whole: float) -> float:
    return part / whole if whole else 1.0
