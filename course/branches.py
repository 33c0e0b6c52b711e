"""Notebook 04's ablation: both branches, each alone, and attention or none, with five seeds each."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from course.kept_results import KEPT_RESULTS, chosen, digest_of, keep_all
from helpers import datasets, evaluation, keras_training, rendering, splits, surfaces
from whatchanged import dealing
from whatchanged.models import dual_attention as dual
from whatchanged.models import keras_callbacks
from whatchanged.models.dual_attention import keras

DESIGNS_FILE = KEPT_RESULTS / "04_ablation.json"
DESIGN_SEEDS = (0, 1, 2, 3, 4)
_NEAR = 3  # pixels between the peak of a map and the crack


@dataclass(frozen=True)
class Design:
    """All that one training is; as it stands here, "both, attention" as notebook 04 trains it.

    Attributes
    ----------
    resnet, cnn, attention, size, stride : as in `dual_attention.build`.
    surfaces : generated, 4/7 of them to train on, 1/14 to choose by, 5/14 to test.
    epochs, batch, rate, decay : the rate of Adam is multiplied by `decay` before each epoch but the first.
    """

    resnet: bool = True
    cnn: bool = True
    attention: bool = True
    size: int = 64
    stride: int = 8
    surfaces: int = 2800
    epochs: int = 4
    batch: int = 16
    rate: float = 0.001
    decay: float = 0.4


DESIGNS: dict[str, dict[str, Any]] = {
    "ResNet50 alone": {"cnn": False, "attention": False},
    "CNN alone": {"resnet": False, "attention": False},
    "both, no attention": {"attention": False},
    "both, attention": {},
}


def designs() -> dict[str, Design]:
    """The settings of each row."""
    return {name: replace(Design(), **change) for name, change in DESIGNS.items()}


@lru_cache(1)
def _parts(count: int, size: int) -> tuple[dict[str, Any], np.ndarray]:
    """The notebook's pictures, the same for all rows and seeds: its three parts, and the masks of the third."""
    made = surfaces.surfaces(0, count, size=size)
    with tempfile.TemporaryDirectory() as folder:
        images = datasets.labeled_csv_images(
            surfaces.write_labeled_csv(Path(folder) / "surfaces", made), size, datasets.DEFECT_CLASSES
        )
        drawn = splits.stratified(images.labels, 0, (4 / 7, 1 / 14, 5 / 14))
        parts = dict(
            zip(("train", "validation", "test"), (images.subset(own).in_memory() for own in drawn), strict=True)
        )
        masks = np.asarray(made.masks)[[int(Path(images.name(index)).stem) for index in drawn[2]]]
    return parts, masks


def _built(design: Design) -> Any:
    options: dict[str, Any] = {"resnet": design.resnet, "cnn": design.cnn, "attention": design.attention}
    return dual.build(design.size, stride=design.stride, **options)


def _maps(model: Any, images: np.ndarray) -> np.ndarray:
    """Where attention looks; of a network without any, where its features are strongest, mean plus largest."""
    if "attention" in [layer.name for layer in model.layers]:
        return dual.attention_maps(model, images)
    features = dual.features(model, "mean", images)
    return dual.enlarged(features.mean(axis=-1) + features.max(axis=-1), images.shape[1])


def trained_design(design: Design, seed: int) -> dict[str, float]:
    """Train one row with one seed, which draws its weights and the order and variation of the pictures.

    Returns
    -------
    dict
        "accuracy" and "ROC AUC" on the test pictures, of the weights of the best epoch on those to choose by; "near"
        and "near, untrained": of all cracks among them, the share where the peak of the map lies within 3 pixels,
        after training and before; "seconds" of the training.
    """
    parts, masks = _parts(design.surfaces, design.size)
    learning = keras_training.batches(parts["train"], design.batch, shuffle=True, augment=True, seed=seed)
    choosing = keras_training.batches(parts["validation"], 100)
    images, labels = parts["test"].images.astype(np.float32), parts["test"].labels
    cracked = labels == 1

    def near(model: Any) -> float:
        return float((evaluation.peak_distances(_maps(model, images[cracked]), masks[cracked]) <= _NEAR).mean())

    keras.utils.set_random_seed(seed)
    model = _built(design)
    found = {"near, untrained": near(model)}
    adam = keras.optimizers.Adam(design.rate)
    model.compile(adam, "binary_crossentropy", metrics=["accuracy"], jit_compile=bool(dual.GPUS))
    adam.build(model.trainable_variables)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        watching = keras_training.callbacks(folder, decay=design.decay)
        options: dict[str, Any] = {"epochs": design.epochs, "callbacks": watching, "shuffle": False, "verbose": 0}
        model.fit(learning, validation_data=choosing, **options)
        seconds = round(time.perf_counter() - began, 1)
        model = dual.load(Path(folder) / "best.keras")
    score = evaluation.binary_score(labels, dual.predict(model, images))
    found |= {"accuracy": score.accuracy.value, "ROC AUC": score.roc_auc.value, "near": near(model)}
    return {name: round(value, 4) for name, value in found.items()} | {"seconds": seconds}


def deciding_code() -> list[Any]:
    """The code that decides what a row reaches: whatever runs between a seed and a score and could change it.

    Of this module the functions that make pictures, network and map, and train. Of the others what draws the surfaces
    and divides them, the network, its callbacks and batches, and the scores. Left out is what reads, keeps and writes.
    """
    own = [_parts.__wrapped__, _built, _maps, trained_design]
    drawn = [surfaces, rendering, splits.stratified, dealing]
    scored = [evaluation.peak_distances, evaluation.binary_score]
    return [*own, *drawn, dual, keras_callbacks, keras_training, *scored]


def design_digest(design: Design) -> str:
    """The hash of that code and of these settings."""
    return digest_of([], [_code(), _NEAR, asdict(design)])


@lru_cache(1)
def _code() -> str:
    return digest_of(deciding_code())


def compare_designs(
    path: Path = DESIGNS_FILE,
    *,
    names: Collection[str] = (),
    seeds: Sequence[int] = DESIGN_SEEDS,
    announce: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Train rows and keep each training at once; see `kept_results.keep_all`.

    Parameters
    ----------
    path : the JSON file.
    names : of rows; empty is all.
    seeds : one training each.
    announce : told of each training.

    Raises
    ------
    ValueError
        A row is unknown, the file is no such file, or another run writes it.
    """
    known = designs()
    names = chosen(known, names, "row")
    wanted = [({"row": name, "seed": seed}, known[name]) for seed in seeds for name in names]

    device = "gpu" if dual.GPUS else "cpu"
    machine = {
        "device": device,
        "precision": "fp32",
        "threads": int(os.environ.get("OMP_NUM_THREADS", 0)) or dual.CORES,
    }

    def make(about: dict[str, Any], design: Design) -> dict[str, float]:
        return trained_design(design, about["seed"])

    return keep_all(
        path, wanted, make, digest=design_digest, machine=machine, order=list(known), announce=announce, told=_told
    )


def _told(record: dict[str, Any]) -> str:
    """One training in a line."""
    return (
        f"{record['row']:<20}seed {record['seed']}  accuracy {record['accuracy']:.3f}  near {record['near']:.3f}"
        f" (untrained {record['near, untrained']:.3f})  {record['seconds']:.0f} s"
    )
