"""How busy the feed keeps what computes: `fit` beside a loop whose data lies on the device, normalized already.

`make bench-feed` writes the table of benchmarks/README.md. On a GPU the batches are 64 and 256, pictures 3,200.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import tables

from helpers.datasets import Pictures
from whatchanged import devices, training
from whatchanged.models import dbt_resnet50, resnet18

ON = devices.device()
GPU = ON.type == "cuda"
ROUNDS, MORE = 3, 3 if GPU else 1  # MORE: epochs of the longer training beyond the first
clock = time.perf_counter if GPU else time.process_time  # on a CPU, whatever else it does, its seconds for this work
ADAMW = partial(torch.optim.AdamW, lr=1e-3, fused=True)


class OneByOne:
    """The same data as it was fed before: items as float32, stacked."""

    def __init__(self, data: Pictures) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.data[index]


@dataclass
class Case:
    """What is trained, on how many pictures of which shape, and by which loss."""

    build: Callable[[], torch.nn.Module]
    shape: tuple[int, ...]
    labels: int
    loss: Callable
    batch: int
    steps: int

    def data(self) -> Pictures:
        drawn = np.random.default_rng(0).integers(0, 256, (self.batch * self.steps, *self.shape), dtype=np.uint8)
        several = np.zeros((len(drawn), self.labels), np.float32)
        return Pictures(drawn, several if self.loss is training.multi_label else np.arange(len(drawn)) % 2, ("",) * 3)


def cases() -> Iterator[tuple[str, Case]]:
    """Name -> case."""
    single, pairs = partial(resnet18.build, 2), partial(dbt_resnet50.build, "original")
    sizes = ((64, 50), (256, 12)) if GPU else ((16, 2),)
    for batch, steps in sizes:
        yield f"ResNet18, {batch} of 224 px", Case(single, (224, 224, 3), 2, training.classification, batch, steps)
    batch, steps, side = (64, 50, 224) if GPU else (8, 3, 96)
    shape = (2, side, side, 3)
    yield f"ResNet50 on pairs, {batch} of {side} px", Case(pairs, shape, 3, training.multi_label, batch, steps)


def by_fit(case: Case, data: Any, epochs: int) -> None:
    torch.manual_seed(0)
    recipe = training.Recipe(loss=case.loss, metrics={}, optimizer=ADAMW)
    training.fit(case.build(), data, recipe=recipe, epochs=epochs, batch_size=case.batch, progress=False)


def resident(case: Case, data: Pictures, epochs: int) -> None:
    """What the device can do: one batch that lies on it, again and again."""
    torch.manual_seed(0)
    model = case.build().to(ON, memory_format=torch.channels_last).train()
    batch = data.on_device(tuple(torch.from_numpy(part).to(ON) for part in data.batch_of(range(case.batch))))
    optimizer = ADAMW(model.parameters())
    for _ in range(epochs * case.steps):
        with devices.autocast(ON):
            loss = case.loss(model, batch)[0]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    torch.cuda.synchronize() if GPU else None


def rate(work: Callable[[int], None], count: int) -> float:
    """Pictures or pairs a second, on a CPU a second of its work: what a longer training takes beyond a single epoch."""
    took = []
    for epochs in (1, 1 + MORE):
        began = clock()
        work(epochs)
        took.append(clock() - began)
    return MORE * count / (took[1] - took[0])


def table() -> Iterator[str]:
    """The lines of the table."""
    yield "| training | `fit`, a second | as before, item by item | data on the device | share | gained |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, case in cases():
        data, before = case.data(), OneByOne(case.data())
        works = (partial(by_fit, case, data), partial(by_fit, case, before), partial(resident, case, data))
        rounds = [[rate(work, len(data)) for work in works] for _ in range(ROUNDS)]  # in turn, against noise
        ours, items, there = (statistics.median(column) for column in zip(*rounds, strict=True))
        share, gained = (statistics.median(one[0] / one[other] for one in rounds) for other in (2, 1))
        yield f"| {name} | {ours:.1f} | {items:.1f} | {there:.1f} | {share:.2f} | {gained:.2f} |"
        print(name, ours, items, there, file=sys.stderr)


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", devices.cores())))
    where = f" On {torch.cuda.get_device_name(ON) if GPU else 'the CPU'}, in {devices.precision()}."
    tables.write("feed", [tables.about("torch") + where, "", *table()])
