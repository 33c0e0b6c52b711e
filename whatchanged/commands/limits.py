"""How much may have changed before a command says so with its exit status."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from whatchanged.commands.status import DIFFERENT, SAME, TROUBLE

_UNITS = {"%": ("changed_share", 100), "px": ("changed_pixels", 1)}


@dataclass(frozen=True)
class Limit:
    """How much may change: a value of the record, in a unit."""

    name: str
    unit: float
    most: float

    def exceeded(self, record: dict[str, Any]) -> bool:
        return bool(record[self.name] * self.unit > self.most)


def limit(text: str) -> Limit:
    """`0.1%` of the pixels that are compared, or `50px`, counted in the regions; ValueError where it is neither."""
    for suffix, (name, unit) in _UNITS.items():
        if text.endswith(suffix):
            try:
                most = float(text.removesuffix(suffix))
            except ValueError:
                break
            if 0 <= most < math.inf and not (suffix == "%" and most > 100):
                return Limit(name, unit, most)
    raise ValueError(f"--fail-above {text}: give a share as 0.1%, or pixels as 50px")


def status(record: dict[str, Any], allowed: Limit | None = None) -> int:
    """The exit status of a pair: without a limit any region is a difference."""
    if record.get("error"):
        return TROUBLE
    differs = bool(record["regions"]) if allowed is None else allowed.exceeded(record)
    return DIFFERENT if differs else SAME
