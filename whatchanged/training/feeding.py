"""The batches of a training: the same ones on one process or several, in the same sums each time."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from whatchanged.training.sending import chosen_workers, sent


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


@contextlib.contextmanager
def lone_samples(model: nn.Module) -> Iterator[None]:
    """Within it a layer of BatchNorm that gets one value a channel goes by its running mean and variance, which stay.

    One value has no variance: PyTorch refuses it. It comes of a batch of one where nothing is left of the picture's
    height and width.
    """
    lone: set[nn.Module] = set()

    def before(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        if layer.training and given[0].numel() == given[0].shape[1]:
            lone.add(layer.eval())

    def after(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        if layer in lone:
            lone.remove(layer.train())

    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    layers = [one for one in model.modules() if isinstance(one, kinds)]
    hooks = [one.register_forward_pre_hook(before) for one in layers]
    hooks += [one.register_forward_hook(after, always_call=True) for one in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


class Share(NamedTuple):
    """What a process computes of a batch.

    Attributes
    ----------
    samples : their numbers, one or more.
    own : how many of them count: all, or none where the batch is too small to go round. All processes compute each
        batch, so such a one computes a sample of another's along.
    total : samples of the batch over all processes.
    """

    samples: list[int]
    own: int
    total: int


class Feed:
    """The training data in optimizer steps, of one batch or several; of each batch this process's share.

    Every sample comes once an epoch. The batches are as equal as can be, so none is a lonely remainder.

    Attributes
    ----------
    workers : processes that read.
    steps : in an epoch.
    least : samples that a process computes of the smallest batch.
    """

    def __init__(
        self, dataset: Any, batch_size: int, accumulate: int, seed: int, workers: int | None, accelerator: Accelerator
    ) -> None:
        self.dataset, self.accumulate, self.seed = dataset, accumulate, seed
        self.workers = chosen_workers(dataset, batch_size) if workers is None else workers
        self.rank, self.ranks, self.on = accelerator.process_index, accelerator.num_processes, accelerator.device
        self.batches = math.ceil(len(dataset) / batch_size)
        self.steps = math.ceil(self.batches / accumulate)
        self.least = max(1, len(dataset) // self.batches // self.ranks)

    def epoch(self, number: int, after: int) -> Iterator[tuple[list[Share], Iterator[Any]]]:
        """The steps of an epoch but the first `after`: for each batch the share of this process; and what gives the
        batches of the epoch, one after the other, on the device.
        """
        order = np.random.default_rng([self.seed, number]).permutation(len(self.dataset))
        whole = np.array_split(order, self.batches)
        shares = [self._share(batch.tolist()) for batch in whole]
        groups = [shares[i : i + self.accumulate] for i in range(0, len(shares), self.accumulate)][after:]
        mine = [share.samples for group in groups for share in group]
        batches = sent(self.dataset, mine, self.on, workers=self.workers, seed=self.seed + number)
        for group in groups:
            yield group, batches

    def _share(self, batch: list[int]) -> Share:
        own = batch[self.rank :: self.ranks]
        return Share(own or batch[:1], len(own), len(batch))
