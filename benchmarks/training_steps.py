"""Training steps of notebooks 02, 03 and 05: `fit` beside the plain loop, and what the time goes into.

`make bench-steps` writes the table of benchmarks/README.md.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import tables

from helpers import datasets, scenes, surfaces
from helpers.changes import SubtleDiffDataset, write_dataset
from whatchanged import training
from whatchanged.devices import autocast, precision
from whatchanged.models import caption_loss, dbt_resnet50, ddla, resnet18, tblip2
from whatchanged.models.blip2 import small_blip2
from whatchanged.models.prepared import PreparedPairs
from whatchanged.models.tblip2_options import TBLIP2Options

ROUNDS = 3
STEPS = 6  # an epoch
MORE = 3  # epochs of the longer training
KINDS = {  # operators of PyTorch, as a reader calls them
    "convolutions": ("convolution",),
    "matrix products": ("aten::mm", "addmm", "bmm", "linear"),
    "attention": ("scaled_dot_product",),
    "optimizer": ("adam",),
    "normalization": ("norm",),
    "recurrence": ("lstm", "rnn", "gru"),
    "copies": ("copy_", "aten::cat", "fill_", "index"),
}


@dataclass
class Case:
    """What is trained: a new model, its data in memory, and the loss, a function of model and batch."""

    build: Callable[[], torch.nn.Module]
    data: Any
    batch_size: int
    loss: Callable
    optimizer: Callable = torch.optim.Adam
    precision: str | None = None


def cases() -> Iterator[tuple[str, Case]]:
    """Name -> case, made one at a time."""
    made = surfaces.surfaces(0, 64 * STEPS, size=64)
    pictures = datasets.Pictures(made.images, made.labels, made.names)
    yield "02, ResNet18, 64 surfaces of 64 px", Case(lambda: resnet18.build(2), pictures, 64, training.classification)
    yield (
        "03, DBTResNet50, 16 pairs of 96 px",
        Case(lambda: dbt_resnet50.build("course"), subtle_pairs(16 * STEPS), 16, training.multi_label),
    )
    model, prepared = captioned_pairs(32 * STEPS)
    adamw = {"optimizer": torch.optim.AdamW, "precision": "fp32"}
    yield "05, T-BLIP2, 32 pairs of 96 px", Case(model, prepared, 32, caption_loss.CaptionLoss(words=2.0), **adamw)
    tokenizer = model().processor.tokenizer
    yield (
        "05, DDLA, 32 pairs of 96 px",
        Case(lambda: ddla.DDLA(tokenizer, join=" and "), prepared, 32, ddla.alignment_loss, **adamw),
    )


def subtle_pairs(count: int) -> datasets.Pictures:
    """Pairs of textured objects and their labels, decoded."""
    with tempfile.TemporaryDirectory() as folder:
        made = write_dataset(Path(folder), (scenes.subtle_pair(0, index) for index in range(count)))
        return SubtleDiffDataset(made).in_memory()


def captioned_pairs(count: int) -> tuple[Callable, PreparedPairs]:
    """A function that builds notebook 05's T-BLIP2, and pairs that are prepared for it."""
    made = [scenes.scene_pair(0, index, changes=(1, 2)) for index in range(count)]
    blip2 = partial(small_blip2, [one.captions[0] for one in made], seed=0)

    def build() -> torch.nn.Module:
        return tblip2.EnhancedDiffBLIP2(*blip2(), TBLIP2Options(min_samples=8, align_dim=64))

    read = lambda index: (made[index].before, made[index].after, made[index].captions)  # noqa: E731
    return build, PreparedPairs.in_memory(count, read, build().eval().prepare)


def plain(case: Case, epochs: int) -> None:
    """The loop as one writes it first."""
    torch.manual_seed(0)
    model = case.build().to(memory_format=torch.contiguous_format).train()
    optimizer = case.optimizer(model.parameters())
    for _ in range(epochs):
        for batch in DataLoader(case.data, case.batch_size, shuffle=True):
            optimizer.zero_grad()
            case.loss(model, batch)[0].backward()
            optimizer.step()


def by_fit(case: Case, epochs: int) -> None:
    """As the notebooks train."""
    torch.manual_seed(0)
    optimizer = partial(case.optimizer, fused=True)
    recipe = training.Recipe(loss=case.loss, metrics={}, optimizer=optimizer, precision=case.precision)
    options = {"epochs": epochs, "batch_size": case.batch_size, "progress": False}
    training.fit(case.build(), case.data, recipe=recipe, **options)


def shares(case: Case) -> dict[str, float]:
    """Kind of operator -> share of a step's time, the largest first."""
    model = case.build().to(memory_format=torch.channels_last).train()
    optimizer = case.optimizer(model.parameters(), fused=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for number, batch in enumerate(DataLoader(case.data, case.batch_size)):
        watched = profile(activities=[ProfilerActivity.CPU]) if number == 1 else nullcontext()  # the first one warms up
        with watched as found:
            with autocast(torch.device("cpu"), case.precision):
                loss = case.loss(model, batch)[0]
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        if number == 1:
            break
    torch.set_num_threads(threads)
    spent = dict.fromkeys((*KINDS, "other"), 0.0)
    for one in found.key_averages():
        kind = next((name for name, words in KINDS.items() if any(word in one.key.lower() for word in words)), "other")
        spent[kind] += one.self_cpu_time_total
    return {name: took / sum(spent.values()) for name, took in sorted(spent.items(), key=lambda one: -one[1])}


def seconds(work: Callable[[Case, int], None], case: Case) -> float:
    """Of a step: what a longer training takes beyond one of a single epoch, so that beginning and end do not count."""
    took = []
    for epochs in (1, MORE):
        began = time.perf_counter()
        work(case, epochs)
        took.append(time.perf_counter() - began)
    return (took[1] - took[0]) / ((MORE - 1) * STEPS)


def table() -> Iterator[str]:
    """The lines of the table."""
    yield "| a step of | seconds by `fit` | the plain loop | ratio | where the time goes |"
    yield "| --- | --- | --- | --- | --- |"
    for name, case in cases():
        rounds = [[seconds(work, case) for work in (by_fit, plain)] for _ in range(ROUNDS)]  # in turn, against noise
        fast, slow = (statistics.median(column) for column in zip(*rounds, strict=True))
        costs = ", ".join(f"{kind} {share:.0%}" for kind, share in list(shares(case).items())[:3])
        yield f"| {name} | {fast:.2f} | {slow:.2f} | {slow / fast:.2f} | {costs} |"
        print(name, f"{fast:.3f} {slow:.3f}", costs, file=sys.stderr)


if __name__ == "__main__":
    torch.set_num_threads(os.cpu_count())
    computed = f" `fit` computes 02 and 03 in {precision(torch.device('cpu'))}."
    tables.write("steps", [tables.about("torch", "transformers") + computed, "", *table()])
