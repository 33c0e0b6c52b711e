"""Batches from a dataset: the same ones on one process or several, moved to the device."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader


@contextlib.contextmanager
def same_sums(on_cpu: bool) -> Iterator[None]:
    """On a CPU, the same bits in every run: gradients of indexed rows are otherwise added in the order in which the
    threads come to them.
    """
    was, warned = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory
    if on_cpu:
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # it costs time, and nothing here reads such memory
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(was, warn_only=warned)
        torch.utils.deterministic.fill_uninitialized_memory = filled


def shares_of(samples, batch_size, seed, epoch, accelerator) -> list[tuple[list[int], int]]:
    """This process's share of each batch of an epoch, and how many samples that batch has over all processes.

    Every sample comes once an epoch. The batches are as equal as can be, so none is a lonely remainder.
    """
    order = np.random.default_rng([seed, epoch]).permutation(samples)
    batches = np.array_split(order, math.ceil(samples / batch_size))
    rank, ranks = accelerator.process_index, accelerator.num_processes
    return [(batch[rank::ranks].tolist(), len(batch)) for batch in batches]


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
