"""The most memory that started processes have together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any


@dataclass
class _Peak:
    bytes: int = 0


@contextmanager
def peak_memory(mark: str | None = None) -> Iterator[_Peak]:
    """The most memory that the processes which this one starts have together, looking twice a second; those alone in
    whose command the argument `mark` stands, and what they start, if it is given.
    """
    over, peak = threading.Event(), _Peak()

    def watch() -> None:
        highest = 0
        while not over.wait(0.5):
            processes = list(_started(mark))
            resident = sum(map(_resident, processes))
            if resident > 1.01 * highest:  # then it is worth the tens of milliseconds that the exact count takes
                highest, exact = resident, sum(map(_share, processes))
                peak.bytes = max(peak.bytes, exact or resident)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


def _started(mark: str | None) -> Iterator[Any]:
    """The processes that this one starts, if `mark` is given those with it in their command, and what they start."""
    import psutil

    for child in psutil.Process().children():
        with suppress(psutil.Error):  # it has just ended
            if mark is None or mark in child.cmdline():
                yield from (child, *child.children(recursive=True))


def _resident(process: Any) -> int:
    """Bytes of a process in memory, 0 where it has ended."""
    import psutil

    with suppress(psutil.Error):
        return process.memory_info().rss
    return 0


def _share(process: Any) -> int:
    """The same, but of what several share, as the code of a library, its part; 0 where the system does not tell."""
    import psutil

    with suppress(psutil.Error, AttributeError):
        return process.memory_full_info().pss
    return 0
