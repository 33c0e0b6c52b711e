"""A line of text that tells how far something is, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def progress_bar(steps: int, shown: bool = True) -> Iterator[Any]:
    """A text bar of tqdm; in a notebook the cell's output is cleared after it, so that nothing of it stays on the page.

    Yields
    ------
    tqdm.tqdm
        With `update` and `set_postfix_str`.
    """
    from tqdm import tqdm

    with tqdm(total=steps, disable=not shown, leave=False, mininterval=1.0, ncols=90, file=sys.stdout) as bar:
        yield bar
    if shown and "ipykernel" in sys.modules:
        from IPython.display import clear_output

        clear_output()


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Within it a line on stderr tells what takes long, and for how many seconds; only where that is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    began, done = time.monotonic(), threading.Event()

    def tell() -> None:
        while not done.is_set():
            print(f"\r{what} … {time.monotonic() - began:.0f} s", end="", file=sys.stderr, flush=True)
            done.wait(1)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()
        print("\r\033[K", end="", file=sys.stderr, flush=True)
