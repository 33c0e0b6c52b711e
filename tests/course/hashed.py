"""Which functions run in a training, and which of them its hash does not cover."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Collection, Sequence
from types import ModuleType
from typing import Any

HOUSES = ("course", "helpers", "whatchanged")


def not_hashed(code: Sequence[Any], run: Callable[[], Any], plumbing: Collection[str]) -> set[tuple[str, str]]:
    """Functions (module, name) of the houses that run and stand neither in hashed code nor in modules of plumbing.

    Parameters
    ----------
    code : modules, classes and functions, as `kept_results.digest_of` gets them.
    run : what is watched, in all threads that it starts.
    plumbing : modules that hand on, keep or show.
    """
    whole, parts, ran = set(plumbing), set(), set()
    for one in code:
        if isinstance(one, ModuleType):
            whole.add(one.__name__)
        else:
            parts |= {(one.__module__, name) for name in (vars(one) if isinstance(one, type) else [one.__name__])}

    def note(frame: Any, event: str, _: Any) -> None:
        place, name = frame.f_globals.get("__name__", ""), frame.f_code.co_name
        if event == "call" and place.split(".")[0] in HOUSES and name[0] != "<":
            ran.add((place, name))

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    assert ran & parts, "nothing that is hashed ran"
    return {one for one in ran - parts if one[0] not in whole}
