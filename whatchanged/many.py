"""Pairs by the million: Dask compares them on any number of machines, and results stream into Parquet files."""

from __future__ import annotations

import itertools
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from whatchanged.documents import as_record, detect_pages
from whatchanged.files import alone, read_json, write_json, write_whole
from whatchanged.options import Options
from whatchanged.pairs import each

BATCH = 16  # pairs a task: long enough that Dask's own work does not count, short enough to lose little
AHEAD = 3  # tasks a thread that wait: no worker runs dry, and no list of a million tasks lies in memory
PART = 2000  # records a Parquet file
PATIENCE = 10.0  # seconds after which records are written, however few
RESULTS, QUARANTINE, ABOUT = "results", "quarantine.jsonl", "about.json"
PairOfPaths = tuple[str, str]


@dataclass
class Outcome:
    """What came of the pairs.

    Attributes
    ----------
    differ, same : pairs with and without differences.
    bad : (before, after, reason) of those that could not be compared.
    earlier : of those that differ or are the same, how many an earlier run had compared.
    """

    differ: int = 0
    same: int = 0
    bad: list[tuple[str, str, str]] = field(default_factory=list)
    earlier: int = 0


def compare_pairs(
    pairs: Iterable[PairOfPaths],
    folder: str | Path,
    options: dict[str, Any] | None = None,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    announce: Callable[[str], None] = print,
    progress: Callable[[int], None] = lambda count: None,
    compare: Callable[..., dict[str, Any]] | None = None,
) -> Outcome:
    """Compare pairs of image files on a Dask cluster.

    Each pair is in the result exactly once, whatever is killed on the way: a worker's pairs are done again by another,
    and a run over the same folder goes on where an earlier one was stopped. A pair that cannot be read, or that kills
    the workers that try it, is kept apart with its reason, and tried again by the next run.

    Parameters
    ----------
    pairs : files before and after; workers must see them under the same names. A pair that comes twice is compared
        once.
    folder : gets `results/`, Parquet files with the columns of `schema()`, `quarantine.jsonl`, a line a bad pair
        ("before", "after", "reason"), and `about.json`.
    options : those of `Options` that are not the usual ones, by name.
    scheduler : address of a Dask scheduler, as "tcp://10.0.0.1:8786"; None starts a cluster on this machine.
    workers : processes of that cluster, 1 or more; None takes one a core.
    announce : told where the dashboard is, and where a cluster has no worker yet, for which the pairs then wait.
    progress : told after each task how many pairs it had.
    compare : before, after, options -> a record; None takes `compare_files`.

    Returns
    -------
    Outcome

    Raises
    ------
    ValueError
        Another run has the folder, it was begun with other options or by another version, the scheduler cannot be
        reached, or the cluster does not know this package.
    ConnectionError
        The scheduler was lost on the way. What had come is kept, and another run goes on from there.
    """
    options = dict(options or {})
    with _open(Path(folder), options) as store:
        missing = store.missing(pairs)
        if missing:
            with connected(scheduler, workers, announce) as client:
                for records in _answers(client, missing, compare or compare_files, options):
                    store.keep(records)
                    progress(len(records))
        store.finish()
    return store.outcome


def compare_files(before: str, after: str, options: dict[str, Any]) -> dict[str, Any]:
    """The record of two image files: "before", "after", and what `documents.as_record` tells of their pages."""
    found = as_record(found for _, found in detect_pages(before, after, Options(**options)))
    return {"before": before, "after": after} | {
        name: found[name] for name in ("similarity", "kind", "note", "regions")
    }


def schema() -> Any:
    """The columns of the result, a `pyarrow.Schema`.

    before, after : files.
    similarity : 0 to 1.
    kind, note : what kind of pair it is, and what else is to be said.
    regions : a list of x, y, width, height, area (pixels of the picture before), strength, what, after (x, y, width,
        height in the picture after, or nothing) and page.
    """
    import pyarrow

    text, number = pyarrow.string(), pyarrow.float64()
    box = [(name, pyarrow.int32()) for name in ("x", "y", "width", "height")]
    rest = [("strength", pyarrow.float32()), ("what", text), ("after", pyarrow.struct(box)), ("page", pyarrow.int32())]
    region = pyarrow.struct([*box, ("area", pyarrow.int32()), *rest])
    columns = [("before", text), ("after", text), ("similarity", number), ("kind", text), ("note", text)]
    return pyarrow.schema([*columns, ("regions", pyarrow.list_(region))])


class _Store:
    """Parquet files that appear whole, a part at a time, and the pairs that are in them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.results, self.outcome = folder, folder / RESULTS, Outcome()
        self.results.mkdir(exist_ok=True)
        self.next = 0
        self._waiting: list[dict[str, Any]] = []
        self._written = time.monotonic()

    def missing(self, pairs: Iterable[PairOfPaths]) -> list[PairOfPaths]:
        """The pairs of which there is no result yet, each once; the others are counted."""
        asked = dict.fromkeys(pairs)
        for path in sorted(self.results.glob("part-*.parquet")):
            self.next = int(path.stem.split("-")[1]) + 1
            for pair, differs in _results_in(path):
                if pair in asked:
                    del asked[pair]
                    self.outcome.earlier += 1
                    self._count(differs)
        return list(asked)

    def _count(self, differs: bool) -> None:
        self.outcome.differ += differs
        self.outcome.same += not differs

    def keep(self, records: Sequence[dict[str, Any]]) -> None:
        """Count records, and write them sooner or later."""
        for record in records:
            if "reason" in record:
                self.outcome.bad.append((record["before"], record["after"], record["reason"]))
            else:
                self._count(bool(record["regions"]))
                self._waiting.append(record)
        if len(self._waiting) >= PART or time.monotonic() - self._written > PATIENCE:
            self.write()

    def write(self) -> None:
        """Write what waits as one more Parquet file."""
        import pyarrow
        from pyarrow import parquet

        if self._waiting:
            sink = pyarrow.BufferOutputStream()
            parquet.write_table(pyarrow.Table.from_pylist(self._waiting, schema()), sink)
            write_whole(self.results / f"part-{self.next:06}.parquet", sink.getvalue().to_pybytes())
            self.next, self._waiting = self.next + 1, []
        self._written = time.monotonic()

    def finish(self) -> None:
        """Write what is left, and the pairs that are bad, anew."""
        self.write()
        lines = (json.dumps(dict(zip(("before", "after", "reason"), one, strict=True))) for one in self.outcome.bad)
        write_whole(self.folder / QUARANTINE, "".join(f"{line}\n" for line in lines).encode())


def _results_in(path: Path) -> Iterator[tuple[PairOfPaths, bool]]:
    """The pairs of a file of results, and whether they differ."""
    from pyarrow import compute, parquet

    with _whole(path):
        table = parquet.read_table(path, columns=["before", "after", "regions"])
    pairs = zip(table["before"].to_pylist(), table["after"].to_pylist(), strict=True)
    regions = compute.list_value_length(table["regions"]).to_pylist()
    return ((pair, count > 0) for pair, count in zip(pairs, regions, strict=True))


def _hold_version(folder: Path) -> None:
    """ValueError where another version wrote results into a folder; they are all of one version."""
    from pyarrow import parquet

    for path in itertools.islice((folder / RESULTS).glob("part-*.parquet"), 1):
        with _whole(path):
            columns = parquet.read_schema(path)
        if columns != schema():
            raise ValueError(
                f"{folder} was begun by another version, whose results have other columns: choose another folder, or"
                " delete it to begin anew"
            )


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """A file of results that is damaged is told by its name."""
    from pyarrow import ArrowInvalid

    try:
        yield
    except (ArrowInvalid, OSError) as error:
        raise ValueError(f"{path} is damaged: delete it, and its pairs are compared again") from error


@contextmanager
def _open(folder: Path, options: dict[str, Any]) -> Iterator[_Store]:
    """The folder's store, for one run at a time and with the same options as before; it keeps what an error leaves."""
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder, folder / ".lock"):
        _hold_version(folder)
        about = folder / ABOUT
        if about.is_file() and read_json(about) != options:
            raise ValueError(
                f"{folder} was begun with {read_json(about)}, not {options}: choose another folder, or delete it to"
                " begin anew"
            )
        write_json(about, options)
        store = _Store(folder)
        try:
            yield store
        finally:
            store.write()


@contextmanager
def connected(
    scheduler: str | None, workers: int | None, announce: Callable[[str], None], module: str = __name__
) -> Iterator[Any]:
    """A client of the cluster at an address, or of a new one on this machine; its dashboard is announced.

    Parameters
    ----------
    scheduler, workers, announce : as for `compare_pairs`.
    module : what the tasks come from; the cluster must be able to import it.

    Raises
    ------
    ValueError
        There is no scheduler at the address, or the cluster does not know the module.
    ConnectionError
        There was one, and it is gone.
    """
    import dask
    from dask.distributed import Client, LocalCluster

    package = module.split(".")[0]
    if scheduler is None:
        options = {"threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
        # A worker that died is started again. By default Dask gives up one that is away 15 seconds after it once died,
        # even if it is away for another death; where all are given up, nothing would ever go on.
        patient = dask.config.set({"distributed.deploy.lost-worker-timeout": "365 days"})
        with patient, LocalCluster(n_workers=workers, **options) as cluster, Client(cluster) as client:
            announce(f"dashboard: {client.dashboard_link}")
            yield client
        return
    try:
        client = Client(scheduler, timeout=10)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"there is no Dask scheduler at {scheduler!r}: start one where {package} is installed, or in its folder"
            " with `PYTHONPATH=. dask scheduler`, and give its address, as tcp://127.0.0.1:8786"
        ) from error
    with client, _lost(client, scheduler):
        announce(f"dashboard: {client.dashboard_link}")
        if not client.nthreads():
            announce(
                f"the cluster has no worker yet, and all waits for one: start it where {package} is installed, or in"
                f" its folder with `PYTHONPATH=. dask worker {scheduler}`"
            )
            client.wait_for_workers(1)
        try:  # a scheduler could not read the tasks, and a worker would just end
            for everywhere in (client.run_on_scheduler, client.run):
                everywhere(__import__, module)
        except ModuleNotFoundError as error:
            raise ValueError(
                f"the Dask cluster at {scheduler!r} does not know {package} ({error}): start its scheduler and its"
                " workers where it is installed, or in its folder with PYTHONPATH=."
            ) from error
        yield client


@contextmanager
def _lost(client: Any, scheduler: str) -> Iterator[None]:
    """An error of a client whose scheduler is gone says so."""
    from distributed.client import FutureCancelledError

    try:
        yield
    except Exception as error:
        if client.status == "running" and not isinstance(error, FutureCancelledError):
            raise
        before = logging.root.manager.disable
        logging.disable(logging.ERROR)  # of each connection that fails now there would be a traceback
        try:
            with suppress(TimeoutError):
                client.close(timeout=1)
        finally:
            logging.disable(before)
        raise ConnectionError(
            f"the Dask scheduler at {scheduler!r} was lost: see that it runs, and give the same command again; it goes"
            " on where this one stopped"
        ) from error


def _answers(
    client: Any, pairs: Sequence[PairOfPaths], compare: Callable, options: dict[str, Any]
) -> Iterator[list[dict[str, Any]]]:
    """The records of all pairs, as workers finish them.

    Where workers died, all pairs that they had are suspects, and most of them innocent. They are tried at the end, one
    at a time with nothing beside it: which of them kills a worker then, did it.
    """
    suspects: list[PairOfPaths] = []
    chunks = (list(pairs[i : i + BATCH]) for i in range(0, len(pairs), BATCH))

    def enough() -> int:  # asked again and again, for workers come and go
        return AHEAD * max(1, sum(client.nthreads().values()))

    for chunk, records in _run(client, chunks, enough, compare, options):
        if records is None:
            suspects += chunk
        else:
            yield records
    for chunk, records in _run(client, ([pair] for pair in suspects), lambda: 1, compare, options):
        before, after = chunk[0]
        yield records or [{"before": before, "after": after, "reason": "every worker that tried this pair died"}]


def _run(
    client: Any,
    chunks: Iterator[list[PairOfPaths]],
    most: Callable[[], int],
    compare: Callable,
    options: dict[str, Any],
) -> Iterator[tuple[list[PairOfPaths], list[dict[str, Any]] | None]]:
    """Chunks and their records, `most()` under way at a time; no records where the workers died of it."""
    from dask.distributed import KilledWorker, as_completed

    running: dict[Any, list[PairOfPaths]] = {}
    queue = as_completed()

    def send() -> None:
        for chunk in itertools.islice(chunks, max(0, most() - len(running))):
            task = client.submit(_compare_all, compare, chunk, options, pure=False)
            running[task] = chunk
            queue.add(task)

    send()
    for task in queue:
        chunk = running.pop(task)
        try:
            records = task.result()
        except KilledWorker:
            records = None
        task.release()
        send()
        yield chunk, records


def _compare_all(compare: Callable, chunk: Sequence[PairOfPaths], options: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of some pairs, on a worker; of a pair that cannot be compared "before", "after" and "reason"."""
    import cv2

    cv2.setNumThreads(1)  # the other cores are the other workers'
    done = each(chunk, lambda pair: compare(*pair, options))
    return [record or {"before": before, "after": after, "reason": reason} for (before, after), record, reason in done]
