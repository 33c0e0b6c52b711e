"""How fast the helpers are, as ratios measured in one run on one core: `make bench`."""

from __future__ import annotations

import sys
import tracemalloc
from functools import lru_cache, partial
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import parts
import tables
from skimage.metrics import structural_similarity

from helpers import scenes
from helpers.nuisances import CONDITIONS, Nuisance, take
from helpers.photographs import photograph
from whatchanged import clusters, detection
from whatchanged.ssim import structural_difference

SIZES = {"1080p": (1080, 1920), "4K": (2160, 3840)}


@pytest.fixture(autouse=True)
def one_core():
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)


@lru_cache
def photographs(size: str, kind: str, color: bool) -> tuple[np.ndarray, np.ndarray]:
    """A photograph with sensor noise in both pictures, or the same twice but for one pasted patch."""
    height, width = SIZES[size]
    before = cv2.resize(photograph("astronaut"), (width, height), interpolation=cv2.INTER_CUBIC)
    after = before.copy()
    after[height // 3 : height // 2, width // 3 : width // 2] = before[:1, :1]
    if kind == "noise":
        before, after = (take(image, Nuisance(noise=3), seed) for seed, image in enumerate((before, after)))
    return (before, after) if color else tuple(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (before, after))


def seconds(work, rounds: int = 1) -> float:
    return tables.seconds(work, rounds)[0]


def peak(work) -> float:
    """Most memory that NumPy held at once on top of the inputs, in MB."""
    tracemalloc.start()
    work()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most / 1e6


@pytest.mark.parametrize("color", [False, True], ids=["gray", "color"])
@pytest.mark.parametrize("kind", ["noise", "mostly unchanged"])
@pytest.mark.parametrize("size", SIZES)
def test_ssim_against_scikit_image(benchmark, size, kind, color):
    before, after = photographs(size, kind, color)
    reference = partial(structural_similarity, before, after, full=True, channel_axis=2 if color else None)
    ours = partial(structural_difference, before, after)
    ratio = seconds(reference) / seconds(ours, 3)
    memory = peak(ours) / peak(reference)
    benchmark.group = f"SSIM {size}"
    benchmark.extra_info.update(ratio=ratio, memory=memory)
    print(f"\nSSIM {size} {kind} {'color' if color else 'gray'}: {ratio:.1f} times as fast as scikit-image,", end=" ")
    print(f"{memory:.2f} of its peak memory")
    benchmark.pedantic(ours, rounds=3)
    if size == "4K":
        assert ratio >= (8 if kind == "noise" else 20)
        assert memory < 1


@pytest.mark.parametrize("size", SIZES)
def test_detect_against_scikit_image(benchmark, size):
    """The whole of `detect` (align, relight, compare, regions) against scikit-image's SSIM alone."""
    before, after = photographs(size, "noise", True)
    detect = partial(detection.detect, before, after)
    ratio = seconds(partial(structural_similarity, before, after, full=True, channel_axis=2)) / seconds(detect, 2)
    benchmark.group = f"detect {size}"
    benchmark.extra_info.update(ratio=ratio)
    print(f"\ndetect {size}: {ratio:.1f} times as fast as scikit-image's color SSIM alone")
    benchmark.pedantic(detect, rounds=2)


@pytest.mark.parametrize("nuisance", [None, CONDITIONS["all"]], ids=["clean", "all nuisances"])
def test_scene_generator(benchmark, nuisance):
    """At least 300 pairs a second at 96 px on one core."""
    nuisance = nuisance and Nuisance(**{**nuisance.__dict__, "size": 1.0})

    def hundred():
        for index in range(100):
            scenes.scene_pair(0, index, nuisance=nuisance)

    rate = 100 / seconds(hundred, 3)
    benchmark.group = "scenes"
    benchmark.extra_info.update(pairs_per_second=rate)
    print(f"\nscenes: {rate:.0f} pairs/s")
    benchmark.pedantic(hundred, rounds=3)
    assert rate >= 300


def test_dbscan_against_scikit_learn(benchmark):
    """A mask of 100,000 pixels on a 4K picture; `make bench-parts` has other sizes."""
    mask = parts.mask_of(100_000)
    ours, theirs = partial(clusters.dbscan, mask, parts.EPS, parts.MIN_SAMPLES), partial(parts.by_scikit_learn, mask)
    ratio = seconds(theirs, 3) / seconds(ours, 5)
    benchmark.group = "DBSCAN 4K"
    benchmark.extra_info.update(ratio=ratio)
    print(f"\nDBSCAN of {mask.sum():,} pixels: {ratio:.1f} times as fast as scikit-learn")
    assert np.array_equal(ours(), theirs())
    benchmark.pedantic(ours, rounds=5)
    assert ratio >= 10
