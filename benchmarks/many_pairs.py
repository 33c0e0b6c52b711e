"""Very many pairs on a Dask cluster, with a worker killed on the way, and what a pair costs at 1080p and 4K.

python benchmarks/many_pairs.py [--count 10000] [--workers 2]
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import psutil
from dask.distributed import Client, LocalCluster
from pyarrow import parquet

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from helpers import photographs, scenes
from helpers.nuisances import Nuisance, take
from whatchanged import many
from whatchanged.detection import detect
from whatchanged.images import read_image, write_image

NUISANCE = Nuisance(rotation=1, shift_x=2, shift_y=2, gain=1.1, noise=3)
SIZES = {"1080p": (1080, 1920), "4K": (2160, 3840)}


def write_pair(folder: Path, number: int) -> tuple[str, str]:
    """A generated pair of 96 pixels as two PNG files; every fifth shows no change."""
    changes = int(number % 5 > 0)
    pair = scenes.scene_pair(0, number, changes=(changes, changes), nuisance=NUISANCE)
    names = folder / f"{number:06}.png", folder / f"{number:06}_2.png"
    return tuple(str(write_image(name, image)) for name, image in zip(names, (pair.before, pair.after), strict=True))


def megabytes(process: psutil.Process) -> float:
    """Resident memory of a process."""
    return process.memory_info().rss / 1e6


class Watch:
    """Told of progress, it kills a worker after a third of the pairs, and writes down the memory of every process."""

    def __init__(self, client: Client, count: int) -> None:
        self.client, self.count, self.done, self.killed, self.memory = client, count, 0, None, []
        self.began = self.noted = time.perf_counter()

    def __call__(self, pairs: int) -> None:
        self.done += pairs
        if self.killed is None and self.done > self.count / 3:
            self.killed = min(self.client.run(os.getpid).values())
            os.kill(self.killed, signal.SIGKILL)
        if time.perf_counter() - self.noted > 5:
            self.noted = time.perf_counter()
            workers = map(psutil.Process, self.client.run(os.getpid, on_error="ignore").values())
            self.memory.append((self.done, megabytes(psutil.Process()), max(map(megabytes, workers))))

    def report(self) -> Iterator[str]:
        """Pairs a second, and memory along the way."""
        took = time.perf_counter() - self.began
        yield f"{self.done} pairs in {took:.0f} s: {self.done / took:.1f} pairs/s; process {self.killed} was killed"
        for place in (0, len(self.memory) // 2, -1):
            done, own, worker = self.memory[place]
            yield f"after {done:>6} pairs: client and scheduler {own:.0f} MB, largest worker {worker:.0f} MB"


def very_many(folder: Path, count: int, workers: int) -> None:
    """Compare generated pairs while a worker is killed; every pair must be in the result once."""
    with ProcessPoolExecutor(workers) as pool:
        pairs = list(pool.map(partial(write_pair, folder), range(count), chunksize=100))
    options = {"n_workers": workers, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        watch = Watch(client, count)
        outcome = many.compare_pairs(pairs, folder / "out", scheduler=cluster.scheduler_address, progress=watch)
    print(*watch.report(), sep="\n")
    parts = list((folder / "out" / many.RESULTS).glob("*.parquet"))
    rows = [row for path in parts for row in parquet.read_table(path, columns=["before", "after"]).to_pylist()]
    assert Counter((row["before"], row["after"]) for row in rows) == Counter(pairs), "a pair is missing or there twice"
    size = sum(path.stat().st_size for path in parts) / count
    print(
        f"every pair once: {outcome.differ} differ, {outcome.same} do not; {len(parts)} files, {size:.0f} bytes a pair"
    )


def nothing(before: str, after: str, options: dict) -> dict:
    """What comparing costs without the comparison."""
    return {"before": before, "after": after, "similarity": 1.0, "regions": []}


def overhead(folder: Path, count: int, workers: int) -> None:
    """What Dask, the client and the files take by themselves: pairs a second, and the client's memory."""
    pairs = [
        (f"/data/pictures/before/{number:09}.png", f"/data/pictures/after/{number:09}.png") for number in range(count)
    ]
    before, began = megabytes(psutil.Process()), time.perf_counter()
    many.compare_pairs(pairs, folder / "nothing", workers=workers, announce=lambda text: None, compare=nothing)
    took, grown = time.perf_counter() - began, megabytes(psutil.Process()) - before
    print(f"without comparing: {count / took:.0f} pairs/s, the client grows by {1e6 * grown / count:.0f} bytes a pair")


def costs(folder: Path) -> None:
    """What one core does in a second: read and compare pairs of photographs taken by hand."""
    cv2.setNumThreads(1)
    for name, (height, width) in SIZES.items():
        photograph = cv2.resize(photographs.photograph("astronaut"), (width, height), interpolation=cv2.INTER_CUBIC)
        after = photograph.copy()
        after[height // 3 : height // 2, width // 3 : width // 2] = photograph[:1, :1]
        pair = take(photograph, Nuisance(noise=2), 0), take(after, NUISANCE, 1)
        files = [write_image(folder / f"{name}_{side}.png", image) for side, image in enumerate(pair)]
        began = time.perf_counter()
        for _ in range(3):
            images = [read_image(path) for path in files]
        reading = (time.perf_counter() - began) / 3
        size = sum(path.stat().st_size for path in files) / 1e6
        print(f"{name}: {size:.1f} MB of PNG a pair, read in {reading:.2f} s")
        for how, align in (("aligned", None), ("without alignment", False)):
            began = time.perf_counter()
            detect(*images, align=align)
            took = reading + time.perf_counter() - began
            print(f"{name}, {how}: {took:.2f} s a pair, {1 / took:.2f} pairs/s a core")


def main() -> None:
    """Measure both, in a folder that is removed afterwards."""
    parser = argparse.ArgumentParser(description="Very many pairs on a Dask cluster.")
    parser.add_argument("--count", type=int, default=10_000, help="generated pairs (10000)")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        costs(Path(folder))
        overhead(Path(folder), 100_000, options.workers)
        very_many(Path(folder), options.count, options.workers)


if __name__ == "__main__":
    main()
