"""A run that fails or is stopped leaves the last good notebook and its metrics where they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from course.reports import Run


def beside(path: Path, word: str) -> Path:
    """A neighbor: `x.failed.ipynb` of `x.ipynb`."""
    return path.with_name(f"{path.stem}.{word}{path.suffix}")


@contextmanager
def last_good_kept(run: Run, notebook: Path, metrics: Path) -> Iterator[Path]:
    """Within it a notebook is executed; afterwards what stands under the usual names comes from a good run.

    After a good run that is this one. After one that failed, by its `error`, its own files lie beside, as
    `x.failed.ipynb` and `metrics.failed.json`. One that was stopped leaves nothing.

    Parameters
    ----------
    run : what becomes of it; gets its `notebook`.
    notebook : where the executed notebook goes.
    metrics : the file that the notebook itself writes its checks to.

    Yields
    ------
    Path
        Where to execute it.
    """
    part, good = beside(notebook, "part"), beside(metrics, "good")
    if (
        metrics.is_file() and not good.is_file()
    ):  # where both are there, an earlier run was killed, which is no good one
        os.replace(metrics, good)
    metrics.unlink(missing_ok=True)
    done = False
    try:
        yield part
        done = True
    finally:
        if done and not run.error:
            good.unlink(missing_ok=True)
        if done:
            run.notebook = _file(part, notebook, bool(run.error))
            _file(metrics, metrics, bool(run.error))
        else:
            part.unlink(missing_ok=True)
            metrics.unlink(missing_ok=True)
        if good.is_file():
            os.replace(good, metrics)


def _file(written: Path, usual: Path, failed: bool) -> Path | None:
    """Put a file where it belongs, in place of what an earlier run left there; where that is, or None."""
    beside(usual, "failed").unlink(missing_ok=True)
    if not written.is_file():
        return None
    target = beside(usual, "failed") if failed else usual
    os.replace(written, target)
    return target
