"""What changed between two pictures: `whatchanged.detect(before, after)`.

Importing it loads nothing: a name of `__all__` is fetched from its module when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whatchanged.comparison import compare
    from whatchanged.detection import detect
    from whatchanged.drawing import draw_regions
    from whatchanged.images import read_image, write_image
    from whatchanged.options import Options
    from whatchanged.pairs import find_pairs
    from whatchanged.regions import Difference, Region

__all__ = [
    "Difference",
    "Options",
    "Region",
    "compare",
    "detect",
    "draw_regions",
    "find_pairs",
    "read_image",
    "write_image",
]

_HOMES = {
    "Difference": "regions",
    "Options": "options",
    "Region": "regions",
    "compare": "comparison",
    "detect": "detection",
    "draw_regions": "drawing",
    "find_pairs": "pairs",
    "read_image": "images",
    "write_image": "images",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'whatchanged' has no attribute {name!r}")
    return getattr(import_module(f"whatchanged.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
