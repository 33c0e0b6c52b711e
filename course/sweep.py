"""One notebook with many sets of parameters: each run is kept, a second sweep does what is missing, one table."""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas
from matplotlib.figure import Figure

from course import executing
from course.parameters import declared, read_typed, refuse_unknown
from helpers import plotting
from whatchanged import many
from whatchanged.files import alone, read_json, write_json, write_whole
from whatchanged.tables import read_table

RESULT = "result.json"


def parameter_rows(table: str | Path, notebook: Path) -> list[dict[str, Any]]:
    """The sets of parameters in a CSV file: a column a parameter of the notebook, a row a run; an empty cell is the
    notebook's own default. It is written as `tables.read_table` reads it. ValueError for an unknown parameter, and
    where there are no rows."""
    rows = []
    try:
        for line, row in read_table(Path(table), declared(notebook)):
            refuse_unknown(notebook, row)
            try:
                rows.append(read_typed(notebook, {name: value for name, value in row.items() if value}))
            except ValueError as error:
                raise ValueError(f"{table}, line {line}: {error}") from error
    except OSError as error:
        raise ValueError(f"{table} cannot be read: {error.strerror}: give a CSV file, as SEED,EPOCHS") from error
    if not rows:
        raise ValueError(f"{table} has no rows: write one for each run under its heading")
    return list({_name(row): row for row in rows}.values())


def sweep(
    notebook: Path,
    rows: Sequence[dict[str, Any]],
    folder: str | Path,
    *,
    scheduler: str | None = None,
    workers: int = 1,
    announce: Callable[[str], None] = print,
    progress: Callable[[int], None] = lambda count: None,
) -> pandas.DataFrame:
    """Execute a notebook once for each set of parameters, on a Dask cluster.

    Parameters
    ----------
    notebook : the file.
    rows : the sets of parameters.
    folder : gets a folder a run with the executed notebook, what it wrote, and `result.json`; `results.csv`; and
        `results.png`. Runs that it has are not repeated; those that failed are.
    scheduler : address of a Dask scheduler whose workers see the course and the folder under the same names; None
        starts a cluster on this machine.
    workers : runs at a time on that cluster, 1 or more; each computes on its share of the cores.
    announce : told where the dashboard is, and where a cluster has no worker yet, for which the runs then wait.
    progress : told of each run that ends.

    Returns
    -------
    pandas DataFrame
        A row a run, in the order of `rows`: its parameters, the value of each check of the notebook, "seconds",
        "error" (empty, or which cell failed and how).

    Raises
    ------
    ValueError
        There is no scheduler at the address, or the cluster does not know the course.
    ConnectionError
        The scheduler was lost on the way. The runs that ended are kept, and another sweep goes on from there.
    """
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder, folder / ".lock"):
        missing = [row for row in rows if _earlier(folder, row) is None]
        if missing:
            # Dask would have each of its processes compute in one thread.
            threads = nullcontext() if scheduler else executing.shared(workers)
            with threads, many.connected(scheduler, workers, announce, __name__) as client:
                for _ in _executed(client, notebook, missing, folder):
                    progress(1)
        table = pandas.DataFrame([row | _read(folder, row) for row in rows])
        write_whole(folder / "results.csv", table.to_csv(index=False).encode())
        given = {"seconds", "error"}.union(*rows)
        measured = [name for name in table.columns if name not in given]
        if measured:
            figure = _figure(_labels(rows), table[measured], notebook.stem)
            plotting.save(figure, folder / "results.png")
    return table


def _figure(names: Sequence[str], values: pandas.DataFrame, title: str) -> Figure:
    """What each of several runs measured, a panel a measure: a row of `values` a run, NaN where it was not measured."""
    width, height = 3 + 2.6 * values.shape[1], 1.2 + 0.3 * len(names)
    figure, axes = plt.subplots(
        1, values.shape[1], figsize=(width, height), sharey=True, squeeze=False, layout="constrained"
    )
    for axis, color, (measure, column) in zip(axes[0], cycle(plotting.SERIES), values.items(), strict=False):
        axis.plot(column.astype(float), range(len(names)), "o", color=color)
        axis.set_xlabel(textwrap.fill(str(measure), 28))
        axis.grid(alpha=0.3)
    axes[0, 0].set_yticks(range(len(names)), names)
    axes[0, 0].invert_yaxis()
    figure.suptitle(title)
    return figure


def _labels(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Of each run, the parameters in which it differs from another one."""
    names = dict.fromkeys(name for row in rows for name in row)
    differing = [name for name in names if any(row.get(name) != rows[0].get(name) for row in rows)]
    return [", ".join(f"{name} {row[name]}" for name in differing if name in row) or "defaults" for row in rows]


def _name(row: dict[str, Any]) -> str:
    """Of the folder of a run: the same for the same parameters, in whatever order."""
    return hashlib.sha256(json.dumps(row, sort_keys=True, default=repr).encode()).hexdigest()[:12]


def _read(folder: Path, row: dict[str, Any]) -> dict[str, Any]:
    path = folder / _name(row) / RESULT
    return (
        read_json(path)["result"]
        if path.is_file()
        else {"error": "it left no result: its worker died, or could not write"}
    )


def _earlier(folder: Path, row: dict[str, Any]) -> dict[str, Any] | None:
    """The result of a run that went well, or None."""
    found = _read(folder, row)
    return None if found["error"] else found


def _executed(client: Any, notebook: Path, rows: Sequence[dict[str, Any]], folder: Path) -> Iterator[None]:
    """Ends of runs, as they come."""
    from dask.distributed import as_completed

    tasks = [client.submit(_execute, notebook, row, folder / _name(row), pure=False) for row in rows]
    for task in as_completed(tasks):
        if task.cancelled():
            task.result()  # raises: the scheduler was lost, and with it the news of all runs
        yield


def _execute(notebook: Path, row: dict[str, Any], place: Path) -> None:
    """One run, on a worker, and its result on disk."""
    place.mkdir(exist_ok=True)
    (place / RESULT).unlink(missing_ok=True)
    done = executing.execute(notebook, row, place)
    result = {name: entry["value"] for name, entry in done.metrics.items()}
    result |= {"seconds": round(done.seconds, 1), "error": done.error or ""}
    write_json(place / RESULT, {"parameters": row, "result": result})
