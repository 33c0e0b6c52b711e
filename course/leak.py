"""What a random split of crops is worth to a network whose every weight learns, on photographs of brick walls."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from course.kept_results import KEPT_RESULTS, chosen, digest_of, keep_all, on_torch
from helpers import datasets, evaluation, splits
from whatchanged import copies, lite0, training
from whatchanged.devices import device
from whatchanged.images import resized
from whatchanged.training import feeding, losses, recipe
from whatchanged.training.fit import Trainer
from whatchanged.weights import normalized

LEAK_FILE = KEPT_RESULTS / "02_leak.json"
LEAK_SEEDS = (0, 1, 2)
CROP_SIDE = 64  # pixels of a crop: a photograph of twice the side has four


@dataclass(frozen=True)
class Division:
    """How crops are divided, and how a network learns.

    Attributes
    ----------
    by_walls : whether all crops of a wall, and of near-duplicates of it, are in one fold; otherwise each is drawn.
    start : "ImageNet" or "random", EfficientNet-Lite0's weights before training.
    folds : of the cross-validation.
    epochs, batch, rate : the highest rate of AdamW, in one cycle.
    """

    by_walls: bool = True
    start: str = "ImageNet"
    folds: int = 5
    epochs: int = 4
    batch: int = 64
    rate: float = 0.002


DIVISIONS: dict[str, dict[str, Any]] = {
    "ImageNet, by walls": {},
    "ImageNet, at random": {"by_walls": False},
    "random, by walls": {"start": "random"},
    "random, at random": {"start": "random", "by_walls": False},
}


def divisions() -> dict[str, Division]:
    """The settings of each row."""
    return {name: replace(Division(), **change) for name, change in DIVISIONS.items()}


@lru_cache(1)
def crops_of(walls: Path) -> tuple[datasets.Pictures, np.ndarray]:
    """Four crops of each photograph, (4 n, 64, 64, 3), and of which group of near-duplicates each is, int (4 n,)."""
    photographs = datasets.defect_images(walls, 2 * CROP_SIDE, strict=False).in_memory()
    corners = [np.s_[:, y : y + CROP_SIDE, x : x + CROP_SIDE] for y in (0, CROP_SIDE) for x in (0, CROP_SIDE)]
    crops = np.concatenate([photographs.images[corner] for corner in corners])
    groups = np.tile(splits.near_duplicates(photographs.images).of, len(corners))
    return datasets.Pictures(crops, np.tile(photographs.labels, len(corners)), photographs.names), groups


def _turned(batch: Any) -> Any:
    """As notebook 02 varies its pictures: flipped and turned at random."""
    images, labels = batch
    for flip in (lambda x: x.flip(2), lambda x: x.flip(3), lambda x: x.transpose(2, 3)):
        images = flip(images) if torch.rand(()) < 0.5 else images
    return images.contiguous(memory_format=torch.channels_last), labels


def divided_accuracy(division: Division, seed: int, walls: Path) -> dict[str, float]:
    """Train a network a fold; a seed draws the folds, the last layer and the order of the crops.

    Returns
    -------
    dict
        "accuracy": the share of all crops that were judged right by the network that did not learn from them;
        "seconds" of all of that.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    crops, groups = crops_of(walls)
    sides = groups if division.by_walls else np.arange(len(crops))
    folds = StratifiedGroupKFold(division.folds, shuffle=True, random_state=seed)
    optimizer = partial(torch.optim.AdamW, lr=division.rate, weight_decay=0.01, fused=True)
    how = training.Recipe(optimizer=optimizer, scheduler=training.one_cycle, augment=_turned, precision="fp32")
    options: dict[str, Any] = {"epochs": division.epochs, "batch_size": division.batch, "progress": False}

    def train(images: Any) -> Any:
        torch.manual_seed(seed)
        eyes = lite0.pretrained() if division.start == "ImageNet" else lite0.Lite0()
        model = nn.Sequential(eyes, nn.Linear(1280, 2)).to(device())
        return model, training.fit(model, images, None, how, seed=seed, **options)

    began = time.perf_counter()
    right = evaluation.cross_validated(train, crops, list(folds.split(crops.labels, crops.labels, sides)))
    return {"accuracy": round(float(right.mean()), 4), "seconds": round(time.perf_counter() - began, 1)}


def dividing_code() -> list[Any]:
    """The code that decides what a row reaches: whatever runs between a seed and a score and could change it.

    Of this module what makes crops, varies and judges them. Of others what resizes and normalizes, the split of
    near-duplicates, the network, how it is trained and asked. Left out is what reads, hands on, keeps and shows
    progress.
    """
    own = [crops_of.__wrapped__, _turned, divided_accuracy]
    taught = [feeding, losses, recipe, training.fit, Trainer, training.predict]
    return [*own, resized, normalized, copies, lite0, evaluation.cross_validated, *taught]


def division_digest(division: Division) -> str:
    """The hash of that code and of these settings."""
    return digest_of([], [_code(), CROP_SIDE, asdict(division)])


@lru_cache(1)
def _code() -> str:
    return digest_of(dividing_code())


def measure(
    walls: Path,
    path: Path = LEAK_FILE,
    *,
    names: Collection[str] = (),
    seeds: Sequence[int] = LEAK_SEEDS,
    announce: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Train rows and keep each at once; see `kept_results.keep_all`.

    Parameters
    ----------
    walls : holds the photographs in `Positive/` and `Negative/`.
    path : the JSON file.
    names : of rows; empty is all.
    seeds : five folds each.
    announce : told of each row.

    Raises
    ------
    ValueError
        A row is unknown, there are no photographs, the file is no such file, or another run writes it.
    """
    known = divisions()
    names = chosen(known, names, "row")
    crops_of(walls)  # which refuses a folder that holds none, also where nothing is left to train
    wanted = [({"row": name, "seed": seed}, known[name]) for seed in seeds for name in names]

    def make(about: dict[str, Any], division: Division) -> dict[str, float]:
        return divided_accuracy(division, about["seed"], walls)

    return keep_all(
        path,
        wanted,
        make,
        digest=division_digest,
        machine=on_torch("fp32"),
        order=list(known),
        announce=announce,
        told=_told,
    )


def _told(record: dict[str, Any]) -> str:
    """One row of one seed in a line."""
    return f"{record['row']:<22}seed {record['seed']}  accuracy {record['accuracy']:.3f}  {record['seconds']:.0f} s"
