"""What a generator knows of its pair, and how well a region answers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Truth:
    """One thing that happened.

    Attributes
    ----------
    what : added, removed, moved, replaced or recolored.
    before, after : its box (x, y, width, height) in either picture; of an added one `before` is the place it takes.
    room : where the box may lie as well, as blank rows in a blank gap may: any place in this box of the before
        picture is right.
    must : whether it has to be told. What a page lost at its end because more stands above may be told or not.
    """

    what: str
    before: Box
    after: Box
    room: Box | None = None
    must: bool = True


@dataclass(frozen=True)
class Edited:
    """A pair, uint8 arrays (H, W, 3), and what happened to it."""

    name: str
    before: np.ndarray
    after: np.ndarray
    truth: tuple[Truth, ...]

    @property
    def told(self) -> tuple[Truth, ...]:
        """What has to be told."""
        return tuple(one for one in self.truth if one.must)


def iou(a: Sequence[int], b: Sequence[int]) -> float:
    shared = common(a, b)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared) if shared else 0.0


def common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many pixels two boxes share."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(0, width) * max(0, height)


def touches(a: Sequence[int], b: Sequence[int], slack: int = 0) -> bool:
    return common(a, (b[0] - slack, b[1] - slack, b[2] + 2 * slack, b[3] + 2 * slack)) > 0


def answered(region: Any, truth: Truth, shape: Sequence[int]) -> float:
    """How well a region covers a truth: IoU, at the best place of the room.

    Parameters
    ----------
    shape : of the before picture. Of what lies beyond it, as the end of a scrolled page, the box in the after picture
        counts, too.
    """
    true = truth.before
    if truth.room is not None:
        x, y, width, height = truth.room
        left = min(max(region.x, x), x + width - true[2])
        true = (left, min(max(region.y, y), y + height - true[3]), true[2], true[3])
    best = iou(region.box, true)
    beyond = truth.before[0] + truth.before[2] > shape[1] or truth.before[1] + truth.before[3] > shape[0]
    if beyond and region.after is not None:
        best = max(best, iou(region.after, truth.after))
    return best


def judged(regions: Sequence[Any], edited: Edited, least: float = 0.3) -> tuple[int, int]:
    """How many truths are boxed by at least so much, and how many regions answer to none, not even by touching it.

    A region that lies on a truth without covering it well is no region elsewhere; only the truth stays unanswered.
    """
    shape = edited.before.shape
    boxed = sum(any(answered(one, truth, shape) >= least for one in regions) for truth in edited.told)
    elsewhere = sum(not any(lies_on(one, truth) for truth in edited.truth) for one in regions)
    return boxed, elsewhere


def lies_on(region: Any, truth: Truth, slack: int = 4) -> bool:
    return (
        touches(region.box, truth.before, slack)
        or (truth.room is not None and touches(region.box, truth.room, slack))
        or (region.after is not None and touches(region.after, truth.after, slack))
    )


def changed_box(a: np.ndarray, b: np.ndarray) -> Box:
    """The box around all pixels that differ at all between two pictures of one size."""
    ys, xs = np.nonzero((a != b).any(axis=2))
    return int(xs.min()), int(ys.min()), int(np.ptp(xs)) + 1, int(np.ptp(ys)) + 1
