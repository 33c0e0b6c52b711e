"""Batches on their way: taken out of a dataset at once, sent to the device beside what it computes, made ready there.

A dataset needs `len()` and `[index]`. It may have more, and then its batches cost less:

`batch_of(indices)` gives all samples of a batch at once, arrays or tensors in a tuple or dict, as they are to be sent:
pictures as uint8. It draws no chance, for it may be asked ahead. `on_device(batch)` makes of that what the loss gets,
on the device: pictures normalized. `resident` is true where nothing has to be read or decoded.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from whatchanged import devices

SHARED = Path("/dev/shm")  # through it worker processes hand over their batches
READY = 2  # batches that a worker has ready
MOST_WORKERS = 16  # workers: more decode faster than one GPU trains


def sent(
    dataset: Any, batches: Sequence[Sequence[int]], on: torch.device, *, workers: int = 0, seed: int = 0
) -> Iterator[Any]:
    """The batches of these samples in order, on the device and ready for a loss.

    Parameters
    ----------
    batches : the samples' numbers, batch by batch.
    workers : processes that read; their chance begins at `seed`, and the state of the global generator stays.
    """
    at_once = _at_once(dataset)
    ready = dataset.on_device if at_once and hasattr(dataset, "on_device") else lambda batch: batch
    read = _read(dataset, at_once, batches, workers, seed)
    # what draws from the global generator sample by sample, as it may without workers, must not be asked ahead
    ahead = on.type == "cuda" and (at_once is not None or workers > 0)
    for batch in _ahead(read, on) if ahead else (to_device(batch, on) for batch in read):
        yield ready(batch)


def chosen_workers(dataset: Any, batch_size: int) -> int:
    """How many processes should read: none where nothing has to be decoded; otherwise one for each core but this one's,
    at most `MOST_WORKERS`, and as far as `/dev/shm` has room for the batches that they have ready.

    Processes that train together on one machine share both.
    """
    if getattr(dataset, "resident", isinstance(dataset, TensorDataset)):
        return 0
    together = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    found = max(0, min(MOST_WORKERS, devices.cores() // together - 1))
    if found and SHARED.is_dir():
        with torch.random.fork_rng(devices=[]):
            size = batch_size * _bytes(next(_read(dataset, _at_once(dataset), [[0]], 0, 0)))
        room = shutil.disk_usage(SHARED).free / 2 / together  # half of it is left to others
        found = min(found, int(room / max(1, size * (READY + 1))))  # one more than is ready is on its way
    return found


def to_device(batch: Any, on: torch.device) -> Any:
    return _each(batch, lambda one: one.to(on, non_blocking=True))


def _read(
    dataset: Any, at_once: Callable | None, batches: Sequence[Sequence[int]], workers: int, seed: int
) -> Iterator[Any]:
    """The batches as they are sent."""
    if at_once is not None and not workers:
        return (_tensors(at_once(batch)) for batch in batches)
    options: dict[str, Any] = {"num_workers": workers, "generator": torch.Generator().manual_seed(seed)}
    options |= {"prefetch_factor": READY} if workers else {}
    if at_once is None:
        lists: Any = batches
        return iter(DataLoader(dataset, batch_sampler=lists, **options))
    whole: Any = _Batches(at_once)
    return iter(DataLoader(whole, sampler=batches, batch_size=None, collate_fn=_tensors, **options))


class _Batches:
    """A dataset whose items are batches, for worker processes."""

    def __init__(self, at_once: Callable) -> None:
        self.at_once = at_once

    def __getitem__(self, batch: Sequence[int]) -> Any:
        return self.at_once(batch)


def _at_once(dataset: Any) -> Callable | None:
    """What takes a batch out of the dataset with one call; None where there is no such thing, or where a subclass has
    an `[index]` of its own, of which `batch_of` knows nothing.
    """
    if type(dataset) is TensorDataset:
        return dataset.__getitem__
    for kind in type(dataset).__mro__:
        if "batch_of" in vars(kind):
            return dataset.batch_of
        if "__getitem__" in vars(kind):
            return None
    return None


def _ahead(read: Iterator[Any], on: torch.device) -> Iterator[Any]:
    """Each batch sent while the one before it is computed with: by a thread, from pinned memory, on another stream."""
    beside = torch.cuda.Stream(on)

    def send() -> tuple[Any, Any]:
        batch = next(read, None)
        with torch.cuda.stream(beside):
            there = to_device(_each(batch, Tensor.pin_memory), on)
            return there, beside.record_event()

    with ThreadPoolExecutor(1, "feed") as pool:
        coming = pool.submit(send)
        while True:
            batch, arrived = coming.result()
            if batch is None:
                return
            coming = pool.submit(send)
            computing = torch.cuda.current_stream(on)
            computing.wait_event(arrived)
            _each(batch, lambda one: one.record_stream(computing))  # noqa: B023, it is called at once
            yield batch


def _tensors(batch: Any) -> Any:
    return _each(batch, lambda one: one, array=torch.from_numpy)


def _bytes(batch: Any) -> int:
    sizes: list[int] = []
    _each(batch, lambda one: sizes.append(one.nbytes))
    return sum(sizes)


def _each(batch: Any, tensor: Callable, array: Callable | None = None) -> Any:
    """A batch with something done to each of its tensors, and to its arrays; whatever else it holds stays."""
    if isinstance(batch, Tensor):
        return tensor(batch)
    if array is not None and isinstance(batch, np.ndarray):
        return array(batch)
    if isinstance(batch, dict):
        return {name: _each(value, tensor, array) for name, value in batch.items()}
    return type(batch)(_each(value, tensor, array) for value in batch) if isinstance(batch, (list, tuple)) else batch
