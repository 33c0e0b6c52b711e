"""Notebook 03's ladder: from the original recipe to the course's form, one change a rung, each with three seeds."""

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
from torchvision.models.resnet import Bottleneck

from course.kept_results import KEPT_RESULTS, chosen, digest_of, expected, keep_all, on_torch
from helpers import augmentation, nuisances, scenes, sentences, things
from helpers.datasets import Pictures
from helpers.things import SHAPES, TEXTURES
from whatchanged import alignment, geometry, structure, training
from whatchanged.devices import device
from whatchanged.images import gray, resized, shrink
from whatchanged.models import dbt_resnet50
from whatchanged.training import feeding, losses, recipe
from whatchanged.training.fit import Trainer
from whatchanged.weights import normalized

LADDER_FILE = KEPT_RESULTS / "03_ladder.json"
SEEDS = (0, 1, 2)
LIVE = "compare, then average"  # the rung whose short form the notebook trains, beside those that are kept
SIDE = 96  # pixels: of the pictures as they are made, and as alignment gets them
# As in the notebook: twelve of the thirty combinations are kept back.
_SEEN = {
    (shape, texture)
    for row, shape in enumerate(SHAPES)
    for column, texture in enumerate(TEXTURES)
    if (row + column) % len(TEXTURES) >= 2
}


@dataclass(frozen=True)
class Rung:
    """All that one training is; as it stands here, the original recipe as notebook 03 trains it.

    Attributes
    ----------
    pairs : to train on.
    seen : pairs shown in all, a multiple of `pairs`.
    batch : pairs a step.
    aligned : whether the second picture is laid on the first.
    side : of the pictures, pixels.
    window, strides, compare, dropout : as in `DBTResNet50`.
    optimizer : "published" (Adam at 0.0001, a tenth of it from half of the steps on, which in ten epochs is every
        five) or "course" (AdamW at 0.0015, one cycle).
    varied : whether training pairs are turned, lit and grained anew each time.
    zero_init : whether each residual block begins as the identity.
    block : whether scale and shift of the DBT block depend on the sample; without it that is a plain BatchNorm.
    validation : pairs to judge by.
    """

    pairs: int = 160
    seen: int = 1600
    batch: int = 32
    aligned: bool = False
    side: int = SIDE // 2
    window: float | None = None
    strides: tuple[int, ...] = (32,)
    compare: str = "concatenate"
    dropout: float = 0.5
    optimizer: str = "published"
    varied: bool = False
    zero_init: bool = True
    block: bool = True
    validation: int = 300


# Each differs from the one before by what stands beside it.
LADDER: dict[str, dict[str, Any]] = {
    "original recipe": {},
    "800 pairs, not 160": {"pairs": 800},
    "second picture laid on first": {"aligned": True},
    "AdamW, one cycle": {"optimizer": "course"},
    "a window": {"window": 1 / 3},
    "twice as long": {"seen": 3200},
    "whole side, not half": {"side": SIDE},
    "early features": {"strides": (4, 8)},
    "sum and difference": {"compare": "pooled"},
    "compare, then average": {"compare": "maps"},
    "dropout 0.2, not 0.5": {"dropout": 0.2},
    "batches of 16, not 32": {"batch": 16},
    "varied pairs": {"varied": True},
    "1,600 pairs, not 800": {"pairs": 1600},
    "again twice as long": {"seen": 6400},
}
# And these from the rung that is named first.
BESIDE: dict[str, tuple[str, dict[str, Any]]] = {
    "without zero-init": ("1,600 pairs, not 800", {"zero_init": False}),
    "without the DBT block": ("1,600 pairs, not 800", {"block": False}),
    "with the published optimizer": ("1,600 pairs, not 800", {"optimizer": "published"}),
}


def rungs() -> dict[str, Rung]:
    """The settings of each rung, from the original recipe up; then those that stand beside the ladder."""
    found, last = {}, Rung()
    for name, change in LADDER.items():
        found[name] = last = replace(last, **change)
    return found | {name: replace(found[base], **change) for name, (base, change) in BESIDE.items()}


def shortened(settings: Rung) -> Rung:
    """The same on 160 pairs and in a few seconds, so that rungs that differ in their number alone are the same."""
    return replace(settings, pairs=160, seen=160 if settings.window is None else 960, validation=150)


def network(settings: Rung) -> dbt_resnet50.DBTResNet50:
    """The network of a rung, untrained."""
    names = ("strides", "compare", "window", "dropout")
    model = dbt_resnet50.DBTResNet50(**{name: getattr(settings, name) for name in names})
    if not settings.zero_init:
        for one in model.backbone.modules():
            if isinstance(one, Bottleneck):
                nn.init.ones_(one.bn3.weight)
    if not settings.block:
        linear = model.block.linear
        norm = nn.BatchNorm1d(linear.out_features)
        model.block = nn.Sequential(linear, norm, nn.ReLU(), nn.Dropout(settings.dropout))  # type: ignore[assignment]
    return model


def recipe_of(settings: Rung) -> recipe.Recipe:
    """How a rung learns."""
    varied = augmentation.PairAugmentation(gain=1.06, noise=2) if settings.varied else None
    kind = recipe.Recipe(training.multi_label, {"accuracy": training.label_accuracy}, augment=varied)
    if settings.optimizer == "course":
        adamw = partial(torch.optim.AdamW, lr=0.0015, weight_decay=0.01, fused=True)
        return replace(kind, optimizer=adamw, scheduler=training.one_cycle)
    adam = partial(torch.optim.Adam, lr=1e-4, weight_decay=1e-5)
    return replace(kind, optimizer=adam, scheduler=_falling)


def _falling(optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.StepLR:
    return torch.optim.lr_scheduler.StepLR(optimizer, step_size=max(1, steps // 2), gamma=0.1)


def pictures(settings: Rung, seed: int, count: int) -> Pictures:
    """So many pairs of a seed as a rung gets them, uint8 (n, 2, side, side, 3), and their labels."""
    made = [_pair(seed, index, settings.aligned) for index in range(count)]
    images = np.stack([[resized(one, settings.side) for one in pair] for pair, _ in made])
    return Pictures(images, [labels for _, labels in made], tuple(things.ATTRIBUTES))


@lru_cache(6000)
def _pair(seed: int, index: int, aligned: bool) -> tuple[Any, list[int]]:
    made = scenes.subtle_pair(seed, index, size=SIDE, combinations=_SEEN)
    pair = made.before, made.after
    return alignment.aligned(*pair) if aligned else pair, [int(made.labels[name]) for name in things.ATTRIBUTES]


def trained(settings: Rung, seed: int) -> dict[str, float]:
    """Train one rung with one seed, which draws its pairs, its weights and their order.

    Returns
    -------
    dict
        "train_accuracy" and "val_accuracy": the share of right answers of the weights after the last step, on
        training pairs (at most as many as there are to validate) and on those that all seeds share; "seconds" of the
        training.
    """
    train = pictures(settings, seed, settings.pairs)
    held = {"train_accuracy": pictures(settings, seed, min(settings.pairs, settings.validation))}
    held["val_accuracy"] = pictures(settings, 1000, settings.validation)
    torch.manual_seed(seed)
    model, began = network(settings).to(device()), time.perf_counter()
    epochs = settings.seen // settings.pairs
    how = recipe_of(settings)
    training.fit(model, train, None, how, epochs=epochs, batch_size=settings.batch, seed=seed, progress=False)
    found = {"seconds": round(time.perf_counter() - began, 1)}
    for name, data in held.items():
        logits, labels = training.predict(model, data)
        found[name] = round(float(((logits > 0) == labels).mean()), 4)
    return found


def deciding() -> list[Any]:
    """The code that decides what a rung reaches: whatever runs between a seed and an accuracy and could change it.

    Of this module the functions that make pairs, network and recipe, and train. Of the others what draws the scenes
    (`things`, `nuisances`, `scenes`, and `sentences`, which draws from the same chance), lays them on each other
    (`alignment`, `structure`, `geometry`, `gray`, `shrink`), brings them to the network (`resized`, `normalized`,
    `feeding`), varies them (`augmentation`), the model, and how it is trained and asked (`losses`, `recipe`, `fit`,
    `Trainer`, `predict`). Whole modules where nearly all of one decides. Left out is what hands on, unchanged, what it
    gets, keeps checkpoints and histories, or shows progress.
    """
    own = [network, recipe_of, _falling, pictures, _pair.__wrapped__, trained]
    drawn = [things, nuisances, sentences, scenes, alignment, structure, geometry, gray, shrink, resized, normalized]
    return [*own, *drawn, augmentation, dbt_resnet50, feeding, losses, recipe, training.fit, Trainer, training.predict]


def current_digest(settings: Rung) -> str:
    """The hash of that code and of these settings."""
    return digest_of(deciding(), [SIDE, sorted(_SEEN), asdict(settings)])


def climb(
    path: Path = LADDER_FILE,
    *,
    names: Collection[str] = (),
    seeds: Sequence[int] = SEEDS,
    short: bool = False,
    announce: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Train rungs, each in its short form and whole, and keep each training at once; those that are kept are not
    repeated as long as they are current.

    Parameters
    ----------
    path : the JSON file, a record a training. Records of rungs and seeds that are not asked for stay in it.
    names : of rungs; empty is all.
    seeds : one training each.
    short : the short forms alone.
    announce : told of each training.

    Raises
    ------
    ValueError
        A rung is unknown, the file is no such file, or another run writes it.
    """
    known = rungs()
    names = chosen(known, names, "rung")
    forms = ("short",) if short else ("short", "whole")
    wanted = (
        ({"rung": name, "form": form, "seed": seed}, shortened(known[name]) if form == "short" else known[name])
        for seed in seeds
        for name in names
        for form in forms
    )

    def make(about: dict[str, Any], settings: Rung) -> dict[str, float]:
        return trained(settings, about["seed"])

    return keep_all(
        path,
        wanted,
        make,
        digest=current_digest,
        machine=on_torch(),
        order=list(known),
        announce=announce,
        told=_told,
    )


def expectation(kept: Sequence[dict[str, Any]], name: str = LIVE) -> tuple[float, float]:
    """Where the validation accuracy of a rung's short form is expected, given the kept ones: `kept_results.expected`.

    The answers to one pair hang together, so the samples are the pairs, of which each has three.
    """
    short = [one for one in kept if (one["rung"], one["form"]) == (name, "short")]
    return expected([one["val_accuracy"] for one in short], shortened(rungs()[name]).validation)


def _told(record: dict[str, Any]) -> str:
    """One training in a line."""
    return (
        f"{record['rung']:<32}{record['form']:<7}seed {record['seed']}  training {record['train_accuracy']:.3f}"
        f"  validation {record['val_accuracy']:.3f}  {record['seconds']:.0f} s"
    )
