"""Pairs by the million: Dask compares them on any number of machines, and results stream into Parquet files."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from helpers.differences import detect
from helpers.loading import read_image
from helpers.runtime import read_json, write_json, write_whole

BATCH = 16  # pairs a task: long enough that Dask's own work does not count, short enough to lose little
AHEAD = 3  # tasks a thread that wait: no worker runs dry, and no list of a million tasks lies in memory
PART = 2000  # records a Parquet file
PATIENCE = 10.0  # seconds after which records are written, however few
RESULTS, QUARANTINE, ABOUT = "results", "quarantine.jsonl", "about.json"

Pair = tuple[str, str]


@dataclass
class Outcome:
    """What a run did.

    Attributes
    ----------
    differ, same : pairs compared by this run, with and without differences.
    bad : (before, after, reason) of those that could not be.
    earlier : pairs that an earlier run had compared.
    """

    differ: int = 0
    same: int = 0
    bad: list[tuple[str, str, str]] = field(default_factory=list)
    earlier: int = 0


def compare_pairs(
    pairs: Iterable[Pair],
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
    options : of `differences.detect`.
    scheduler : address of a Dask scheduler, as "tcp://10.0.0.1:8786"; None starts a cluster on this machine.
    workers : processes of that cluster; None takes one a core.
    announce : told where the dashboard is.
    progress : told after each task how many pairs it had.
    compare : before, after, options -> a record; None takes `compare_files`.

    Returns
    -------
    Outcome

    Raises
    ------
    ValueError
        Another run has the folder, it was begun with other options, or the scheduler cannot be reached.
    """
    options = dict(options or {})
    with _held(Path(folder), options) as store, _client(scheduler, workers) as client:
        announce(f"dashboard: {client.dashboard_link}")
        outcome = Outcome()
        work = store.missing(pairs, outcome)
        for chunk, records in _answers(client, work, compare or compare_files, options):
            store.keep(records, outcome)
            progress(len(chunk))
        store.finish(outcome)
    return outcome


def compare_files(before: str, after: str, options: dict[str, Any]) -> dict[str, Any]:
    """The record of two image files: "before", "after", "similarity" and "regions", or "reason", why there is none."""
    try:
        found = detect(read_image(before), read_image(after), **options).summary()
        return {"before": before, "after": after, "similarity": found["similarity"], "regions": found["regions"]}
    except (ValueError, OSError) as error:
        return {"before": before, "after": after, "reason": str(error)}


def schema() -> Any:
    """The columns of the result: before, after, similarity, regions (x, y, width, height, area in pixels; strength)."""
    import pyarrow

    whole = [(name, pyarrow.int32()) for name in ("x", "y", "width", "height", "area")]
    region = pyarrow.struct([*whole, ("strength", pyarrow.float32())])
    text, number = pyarrow.string(), pyarrow.float64()
    return pyarrow.schema(
        [("before", text), ("after", text), ("similarity", number), ("regions", pyarrow.list_(region))]
    )


# ---------------------------------------------------------------------------------------------------------------------
# Where results are kept


class _Store:
    """Parquet files that appear whole, a part at a time, and the pairs that are in them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.results = folder, folder / RESULTS
        self.results.mkdir(exist_ok=True)
        self.done: set[Pair] = set()
        self.next = 0
        for path in sorted(self.results.glob("part-*.parquet")):
            self.done.update(self._pairs_in(path))
            self.next = int(path.stem.split("-")[1]) + 1
        self._waiting: list[dict[str, Any]] = []
        self._written = time.monotonic()

    @staticmethod
    def _pairs_in(path: Path) -> Iterator[Pair]:
        from pyarrow import parquet

        table = parquet.read_table(path, columns=["before", "after"])
        return zip(table["before"].to_pylist(), table["after"].to_pylist(), strict=True)

    def missing(self, pairs: Iterable[Pair], outcome: Outcome) -> Iterator[Pair]:
        """The pairs of which there is no result, each once; those of which there is are counted."""
        asked: set[Pair] = set()
        for pair in pairs:
            if pair in self.done:
                outcome.earlier += pair not in asked
            elif pair not in asked:
                yield pair
            asked.add(pair)

    def keep(self, records: Sequence[dict[str, Any]], outcome: Outcome) -> None:
        """Count records and write them, sooner or later."""
        for record in records:
            if "reason" in record:
                outcome.bad.append((record["before"], record["after"], record["reason"]))
            else:
                outcome.differ += bool(record["regions"])
                outcome.same += not record["regions"]
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

    def finish(self, outcome: Outcome) -> None:
        """Write what is left, and the pairs that are bad, anew."""
        self.write()
        lines = (json.dumps(dict(zip(("before", "after", "reason"), one, strict=True))) for one in outcome.bad)
        write_whole(self.folder / QUARANTINE, "".join(f"{line}\n" for line in lines).encode())


@contextmanager
def _held(folder: Path, options: dict[str, Any]) -> Iterator[_Store]:
    """The folder's store, for one run at a time and with the same options as before; it keeps what an error leaves."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            about = folder / ABOUT
            if about.is_file() and read_json(about) != options:
                raise ValueError(f"{folder} was begun with {read_json(about)}, not {options}: choose another folder")
            write_json(about, options)
            store = _Store(folder)
            try:
                yield store
            finally:
                store.write()
    except Timeout as error:
        raise ValueError(f"{folder} is being written by another run: wait for it, or choose another folder") from error


# ---------------------------------------------------------------------------------------------------------------------
# Who compares


@contextmanager
def _client(scheduler: str | None, workers: int | None) -> Iterator[Any]:
    """A client of the cluster at an address, or of a new one on this machine."""
    from dask.distributed import Client, LocalCluster

    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=10)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"there is no Dask scheduler at {scheduler!r}: start one with `dask scheduler`, and give its address,"
                " as tcp://127.0.0.1:8786"
            ) from error
        with client:
            yield client
        return
    options = {"threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(n_workers=workers, **options) as cluster, Client(cluster) as client:
        yield client


def _answers(
    client: Any, pairs: Iterator[Pair], compare: Callable, options: dict[str, Any]
) -> Iterator[tuple[list[Pair], list[dict[str, Any]]]]:
    """Chunks of pairs and their records, as workers finish them; a few tasks a thread are under way at a time."""
    from dask.distributed import as_completed

    chunks = iter(lambda: list(itertools.islice(pairs, BATCH)), [])
    running: dict[Any, list[Pair]] = {}
    queue = as_completed()

    def send(chunk: list[Pair]) -> None:
        task = client.submit(_compare_all, compare, chunk, options, pure=False)
        running[task] = chunk
        queue.add(task)

    def fill() -> None:
        while len(running) < AHEAD * max(1, sum(client.nthreads().values())):
            chunk = next(chunks, None)
            if chunk is None:
                return
            send(chunk)

    fill()
    for task in queue:
        chunk = running.pop(task)
        if task.status == "finished":
            yield chunk, task.result()
        elif len(chunk) > 1:  # one of them did it: which, they show one at a time
            for pair in chunk:
                send([pair])
        else:
            yield chunk, [{"before": chunk[0][0], "after": chunk[0][1], "reason": _reason(task.exception())}]
        task.release()
        fill()


def _reason(error: BaseException) -> str:
    from dask.distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return "every worker that tried this pair died"
    return f"{type(error).__name__}: {error}"


def _compare_all(compare: Callable, chunk: Sequence[Pair], options: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of some pairs, on a worker; OpenCV leaves the other cores to the other workers."""
    import cv2

    cv2.setNumThreads(1)
    return [compare(before, after, options) for before, after in chunk]
