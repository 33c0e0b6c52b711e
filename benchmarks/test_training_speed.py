"""What caching features, bfloat16 and channels_last save in training, as ratios measured in one run: `make bench`."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from helpers import datasets, scenes, surfaces
from helpers.changes import SubtleDiffDataset, write_dataset
from whatchanged import alignment, training
from whatchanged.devices import precision
from whatchanged.models import dbt_resnet50, resnet18

SIZE = 64


@pytest.fixture(autouse=True)
def all_cores():
    """`make bench` measures the image code on one core; training is measured on all of them."""
    import os

    threads = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count())
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data():
    made = surfaces.surfaces(0, 800, size=SIZE)
    return datasets.Pictures(made.images, made.labels, made.names)


def frozen():
    torch.manual_seed(0)
    return resnet18.build(2, freeze=True)


def test_cached_features_against_the_plain_loop(benchmark, data):
    """Five epochs of the last layer, against the reference's loop and against `fit` in the same precision.

    Against the same precision five epochs can save no more than five passes to one. The reference's loop computes in
    fp32 and in the default memory layout, as plain PyTorch does.
    """
    options = {"epochs": 5, "batch_size": 100, "progress": False}
    plain, cached = frozen(), frozen()

    start = {name: value.clone() for name, value in cached.fc.state_dict().items()}

    def with_cache():
        cached.fc.load_state_dict(start)
        training.fit(cached.fc, resnet18.cache_features(cached, data), **options)

    resnet18.cache_features(cached, data.subset(range(200)))  # warm up
    ours = min(_seconds(with_cache) for _ in range(3))
    same_precision = _seconds(lambda: training.fit(plain, data, **options)) / ours
    ratio = _seconds(lambda: reference_loop(frozen(), data, epochs=5, batch_size=100)) / ours
    same = [training.predict(model, data)[0].argmax(1) for model in (plain, cached)]
    agree = np.mean(same[0] == same[1])
    print(f"\ncached features over 5 epochs: {ratio:.1f} times as fast as the reference's loop,", end=" ")
    print(f"{same_precision:.1f} times as fast as fit() on the frozen network; {agree:.1%} same answers")
    benchmark.extra_info.update(ratio=ratio, same_precision=same_precision)
    benchmark.group = "cached features"
    benchmark.pedantic(with_cache, rounds=1)
    if precision(torch.device("cpu")) == "bf16":
        assert ratio >= 5
    assert agree >= 0.98


def reference_loop(model, data, *, epochs, batch_size):
    """The training loop of the IBM course: plain PyTorch, Adam on the last layer."""
    optimizer = torch.optim.Adam(model.fc.parameters(), lr=0.001)
    for _ in range(epochs):
        model.train()
        for images, labels in torch.utils.data.DataLoader(data, batch_size, shuffle=True):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()


def steps_per_second(to: str, channels_last: bool, size: int, steps: int = 4) -> float:
    """Plain training steps of a ResNet18 on random pictures, batch 64."""
    torch.manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = resnet18.build(2).to(memory_format=layout).train()
    images = torch.randn(64, 3, size, size).contiguous(memory_format=layout)
    labels = torch.arange(64) % 2
    optimizer = torch.optim.Adam(model.parameters())

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=to == "bf16"):
            loss = torch.nn.functional.cross_entropy(model(images).float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    step()
    best = min(_seconds(step) for _ in range(steps))
    return 1 / best


def _seconds(work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@pytest.mark.skipif(precision(torch.device("cpu")) != "bf16", reason="this processor does not compute in bfloat16")
@pytest.mark.parametrize("size", [64, 96])
def test_bf16_and_channels_last_against_fp32(benchmark, size):
    fast, slow = steps_per_second("bf16", True, size), steps_per_second("fp32", False, size)
    print(f"\ntraining at {size} px: bf16 with channels_last is {fast / slow:.2f} times as fast as fp32", end=" ")
    print(f"({64 * fast:.0f} and {64 * slow:.0f} images/s)")
    benchmark.extra_info.update(ratio=fast / slow)
    benchmark.group = "bf16"
    benchmark.pedantic(lambda: steps_per_second("bf16", True, size, 1), rounds=1)
    assert fast > slow


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """A folder of 640 pairs of 96 pixels."""
    made = (scenes.subtle_pair(0, index) for index in range(640))
    return write_dataset(tmp_path_factory.mktemp("pairs"), made)


EPOCHS = 4  # as notebook 03 trains


def test_pairs_against_the_plain_loop(benchmark, pairs):
    """DBTResNet50 over four epochs: pairs read once and `fit`, against fp32, no channels_last, read in every epoch.

    To read a pair is, in notebook 03, to decode two pictures and to align them. The first ratio leaves the alignment
    away on both sides, and the reading out of ours: it is what precision, memory format and decoding make. The second
    is that of the notebook's data, the one reading counted.
    """
    decoded = SubtleDiffDataset(pairs)
    aligned = SubtleDiffDataset(pairs, transform=alignment.aligned)
    kept = decoded.in_memory()

    def ours():
        adam = partial(torch.optim.Adam, fused=True)
        recipe = training.Recipe(loss=training.multi_label, metrics={}, optimizer=adam)
        training.fit(dbt(), kept, recipe=recipe, epochs=1, batch_size=16, progress=False)

    def plain(data):
        model = dbt().train()
        optimizer = torch.optim.Adam(model.parameters())
        for images, labels in torch.utils.data.DataLoader(data, 16, shuffle=True):
            optimizer.zero_grad()
            torch.nn.functional.binary_cross_entropy_with_logits(model(images), labels).backward()
            optimizer.step()

    works = (ours, lambda: plain(decoded), lambda: plain(aligned), aligned.in_memory)
    rounds = [[_seconds(work) for work in works] for _ in range(3)]  # in turn, so that noise meets all alike
    fast, decoding, aligning, reading = (min(column) for column in zip(*rounds, strict=True))
    ratios = decoding / fast, EPOCHS * aligning / (reading + EPOCHS * fast)
    print(
        f"\ntraining DBTResNet50: {len(kept) / fast:.0f} pairs/s, the plain loop {len(kept) / decoding:.0f}:", end=" "
    )
    print(f"ratio {ratios[0]:.2f}; {ratios[1]:.2f} where pairs are aligned, too")
    benchmark.extra_info.update(ratio=ratios[0], with_alignment=ratios[1])
    benchmark.group = "pairs"
    benchmark.pedantic(ours, rounds=1)
    if precision(torch.device("cpu")) == "bf16":
        assert min(ratios) >= 1.7


def dbt():
    torch.manual_seed(0)
    return dbt_resnet50.build("course").to(memory_format=torch.contiguous_format)


def test_surface_generator(benchmark):
    """At least 200 surfaces a second at 96 px on one core."""
    import cv2

    cv2.setNumThreads(1)

    def hundred():
        for index in range(100):
            surfaces.surface(0, index)

    rate = 100 / min(_seconds(hundred) for _ in range(3))
    print(f"\nsurfaces: {rate:.0f} images/s at 96 px on one core")
    benchmark.extra_info.update(images_per_second=rate)
    benchmark.group = "surfaces"
    benchmark.pedantic(hundred, rounds=1)
    assert rate >= 200
