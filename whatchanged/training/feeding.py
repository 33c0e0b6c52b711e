"""Batches from a dataset: the same ones on one process or several, moved to the device."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils.data import DataLoader


@contextlib.contextmanager
def same_sums(on_cpu: bool) -> Iterator[None]:
    """On a CPU, the same bits in every run: gradients of indexed rows are otherwise added in the order in which the
    threads come to them.
    """
    was, warned = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic  # a module whose class, which the stubs do not know, has the setting
    filled = memory.fill_uninitialized_memory
    if on_cpu:
        torch.use_deterministic_algorithms(True, warn_only=True)
        memory.fill_uninitialized_memory = False  # it costs time, and nothing here reads such memory
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(was, warn_only=warned)
        memory.fill_uninitialized_memory = filled


Share = tuple[list[int], int]


class Feed:
    """The training data in optimizer steps, of one batch or several; of each batch this process's share.

    Every sample comes once an epoch. The batches are as equal as can be, so none is a lonely remainder.

    Attributes
    ----------
    steps : in an epoch.
    """

    def __init__(
        self, dataset: Any, batch_size: int, accumulate: int, seed: int, workers: int, accelerator: Accelerator
    ) -> None:
        self.dataset, self.accumulate, self.seed, self.workers = dataset, accumulate, seed, workers
        self.rank, self.ranks = accelerator.process_index, accelerator.num_processes
        self.batches = math.ceil(len(dataset) / batch_size)
        self.steps = math.ceil(self.batches / accumulate)

    def epoch(self, number: int, after: int) -> Iterator[tuple[list[Share], Iterator[Any]]]:
        """The steps of an epoch but the first `after`: for each batch the samples of this process and how many that
        batch has over all processes; and what gives the batches of the epoch, one after the other.
        """
        order = np.random.default_rng([self.seed, number]).permutation(len(self.dataset))
        whole = np.array_split(order, self.batches)
        shares = [(batch[self.rank :: self.ranks].tolist(), len(batch)) for batch in whole]
        groups = [shares[i : i + self.accumulate] for i in range(0, len(shares), self.accumulate)][after:]
        mine = [samples for group in groups for samples, _ in group]
        batches = iter(data_loader(self.dataset, mine, self.workers, self.seed + number))
        for group in groups:
            yield group, batches


def data_loader(dataset: Any, batches: Sequence[list[int]], workers: int, seed: int) -> DataLoader:
    """Reads the batches in order; its own generator leaves the state of the global one alone."""
    generator = torch.Generator().manual_seed(seed)
    return DataLoader(dataset, batch_sampler=batches, num_workers=workers, generator=generator)


def to_device(batch: Any, on: torch.device) -> Any:
    if isinstance(batch, Tensor):
        return batch.to(on, non_blocking=True)
    if isinstance(batch, dict):
        return {name: to_device(value, on) for name, value in batch.items()}
    return type(batch)(to_device(value, on) for value in batch) if isinstance(batch, (list, tuple)) else batch
