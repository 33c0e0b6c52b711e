"""Notebook 05's ablation: T-BLIP2 less one part each, and its baseline, trained as long and with three seeds each."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from course import worlds
from course.kept_results import KEPT_RESULTS, chosen, digest_of, expected, keep_all, on_torch
from helpers import nuisances, scenes, sentences, things
from helpers.evaluation import boxes, captioning, java
from whatchanged import alignment, clusters, geometry, light, noise, realignment, structure, tolerance, training
from whatchanged.devices import device
from whatchanged.images import gray, resized, same_size, shrink
from whatchanged.models import (
    asking,
    blip2,
    caption_loss,
    ddla,
    detector,
    finetuning,
    language,
    matching,
    parts,
    tblip2,
    views,
    word_head,
)
from whatchanged.models.prepared import PreparedPairs
from whatchanged.models.tblip2_options import TBLIP2Options
from whatchanged.training import feeding, losses
from whatchanged.training.fit import Trainer

ABLATION_FILE = KEPT_RESULTS / "05_ablation.json"
ABLATION_SEEDS = (0, 1, 2)
BASELINE = "DDLA"
_METRICS = ("BLEU-4", "METEOR", "ROUGE-L", "CIDEr-D")
_TEST, _NEW = 500, 500  # pairs: like those of the training, and of combinations that it never shows
_BEAMS = 4


@dataclass(frozen=True)
class Ablated:
    """All that one training is; as it stands here, T-BLIP2 as notebook 05 trains it.

    Attributes
    ----------
    baseline : whether DDLA is trained, of whose settings only pairs, epochs, batch and rate count.
    pairs, epochs, batch : to train on, times, and pairs a step.
    rate : of the optimizer where it is highest; of what is new half of it.
    streams, clusters : of `TBLIP2Options`.
    itm, itc, words : weights of the losses.
    apart : whether each cluster learns to show one sentence; otherwise all of them together the caption.
    """

    baseline: bool = False
    pairs: int = 6000
    epochs: int = 6
    batch: int = 32
    rate: float = 0.004
    streams: str = "two"
    clusters: bool = True
    itm: float = 0.1
    itc: float = 0.1
    words: float = 2.0
    apart: bool = True


ABLATION: dict[str, dict[str, Any]] = {
    "T-BLIP2": {},
    "one stream": {"streams": "one"},
    "no clusters": {"clusters": False},
    "no ITM": {"itm": 0.0},
    "no ITC": {"itc": 0.0},
    "no words": {"words": 0.0},
    "words of the whole caption": {"apart": False},
    BASELINE: {"baseline": True, "epochs": 3, "rate": 0.002},
}


def ablation_rows() -> dict[str, Ablated]:
    """The settings of each row."""
    return {name: replace(Ablated(), **change) for name, change in ABLATION.items()}


def for_an_epoch(settings: Ablated) -> Ablated:
    """The same for one epoch of half of the pairs: of the baseline, what the notebook trains itself."""
    return replace(settings, epochs=1, pairs=settings.pairs // 2)


def ablation_world(pairs: int) -> worlds.GeneratedWorld:
    """The notebook's scenes, the same for all rows and seeds."""
    return worlds.GeneratedWorld(0, {"train": pairs, "test": _TEST, "new": _NEW})


def ablated_network(settings: Ablated, seed: int) -> Any:
    """T-BLIP2 or DDLA, untrained, with weights drawn by a seed."""
    torch.manual_seed(seed)
    made, processor = blip2.small_blip2(_vocabulary(), seed=seed)
    if settings.baseline:
        return ddla.DDLA(processor.tokenizer, join=worlds.GeneratedWorld.join)
    join = worlds.GeneratedWorld.join if settings.apart else None
    form: dict[str, Any] = {"streams": settings.streams, "clusters": settings.clusters, "join": join}
    options = TBLIP2Options(**form, lora=0, freeze_vision=False, align_dim=64, eps=1.5, min_samples=4)
    return tblip2.EnhancedDiffBLIP2(made, processor, options)


@lru_cache(1)
def _vocabulary() -> tuple[str, ...]:
    return tuple(ablation_world(0).vocabulary())


def ablated_recipe(settings: Ablated, model: nn.Module) -> training.Recipe:
    """How a row learns."""
    adam = partial(torch.optim.AdamW, fused=True)
    loss: Any
    if settings.baseline:
        loss, optimizer = ddla.alignment_loss, adam(model.parameters(), settings.rate)
    else:
        loss = caption_loss.CaptionLoss(itm=settings.itm, itc=((0, settings.itc),), words=settings.words)
        optimizer = adam(finetuning.parameter_groups(model, settings.rate, 0.5))
    scheduler = partial(training.one_cycle, rise=0.15)
    how: dict[str, Any] = {"metrics": {}, "scheduler": scheduler, "augment": worlds.GeneratedWorld.augment, "clip": 1.0}
    return training.Recipe(loss=loss, optimizer=optimizer, precision="fp32", **how)


@lru_cache(6)
def _prepared(part: str, pairs: int) -> PreparedPairs:
    """Pairs of a part as all T-BLIP2s get them: what is prepared does not depend on the weights."""
    return ablation_world(pairs).prepared(part, ablated_network(Ablated(), 0), Path())


def ablated(settings: Ablated, seed: int) -> dict[str, float]:
    """Train one row with one seed, which draws its weights, the order of the pairs and their captions.

    Returns
    -------
    dict
        Scores of captions of the 500 test pairs, by the weights after the last step, and tuple F1 on 500 of "new
        combinations"; of a T-BLIP2 also "ITC recall@1" and "ITM accuracy"; "seconds" of the training.
    """
    model = ablated_network(settings, seed).to(device())
    train, test, new = (_prepared(part, settings.pairs) for part in ("train", "test", "new"))
    torch.manual_seed(seed)
    options: dict[str, Any] = {"epochs": settings.epochs, "batch_size": settings.batch, "seed": seed, "progress": False}
    began = time.perf_counter()
    training.fit(model, train, None, ablated_recipe(settings, model), **options)
    found = {"seconds": round(time.perf_counter() - began, 1)}
    model.eval()
    how: dict[str, Any] = {} if settings.baseline else {"num_beams": _BEAMS}
    said, said_of_new = (asking.describe_all(model, pairs, **how) for pairs in (test, new))
    world = ablation_world(settings.pairs)
    references = {str(number): list(own) for number, own in enumerate(test.captions)}
    given = dict(zip(references, said, strict=True))
    found |= dict(captioning.score(references, given, metrics=_METRICS))
    found["exact match"] = float(captioning.exact_matches(references, given).mean())
    found |= world.exact_scores(said, test.captions)
    found["new combinations"] = world.exact_scores(said_of_new, new.captions)["tuple F1"]
    if not settings.baseline:
        found["ITC recall@1"], found["ITM accuracy"] = asking.retrieval(model, test)
    return {name: round(value, 4) for name, value in found.items()}


def ablation_code() -> list[Any]:
    """The code that decides what a row reaches: whatever runs between a seed and a score and could change it.

    Of this module the functions that make world, network and recipe, and train. Of the others what draws the scenes,
    lays them on each other, finds clusters, the models, their losses, how they are trained, and the scores. Left out is
    what hands on, unchanged, what it gets, saves and loads, or shows progress.
    """
    own = [for_an_epoch, ablation_world, ablated_network, ablated_recipe, ablated]
    own += [_vocabulary.__wrapped__, _prepared.__wrapped__]
    made = [
        getattr(worlds.GeneratedWorld, name)
        for name in ("scene", "_drawn", "read", "vocabulary", "prepared", "exact_scores")
    ]
    drawn = [*made, worlds.is_new, things, nuisances, sentences, scenes, gray, resized, same_size, shrink]
    laid = [alignment, realignment, structure, geometry, light, noise, tolerance, clusters]
    model = tblip2.EnhancedDiffBLIP2
    used = [getattr(one, "fget", one) for one in (getattr(model, name) for name in _DECIDING)]
    built = [blip2.small_blip2, blip2.word_processor, detector, language, matching, views, word_head, ddla]
    asked = [caption_loss, finetuning.parameter_groups, finetuning.freeze, parts.built_part, asking]
    scored = [captioning.score, captioning.exact_matches, java.tokenized, java.meteor, boxes.score_sets, boxes.BoxScore]
    taught = [PreparedPairs.__getitem__, feeding, losses, training.Recipe, training.fit, Trainer]
    return [*own, *drawn, *laid, *used, *built, *asked, *taught, *scored]


# Of T-BLIP2; it also saves and loads itself.
_DECIDING = ["__init__", "prepare", "compute_difference_map", "visual", "forward", "generate", "encode_images"]
_DECIDING += ["_features", "_normalized", "_detect", "_queries", "_token_kinds", "_query", "_where_it_differs"]
_DECIDING += ["_nameable", "_batch", "_sized", "image_size", "temperature", "loss_weights", "train"]


@lru_cache(1)
def _code() -> str:
    return digest_of(ablation_code())


def ablation_digest(settings: Ablated) -> str:
    """The hash of that code and of these settings."""
    return digest_of(
        [],
        [_code(), worlds.SHARES, sorted(worlds.KEPT_BACK), asdict(worlds.HAND), _TEST, _NEW, _BEAMS, asdict(settings)],
    )


def ablate(
    path: Path = ABLATION_FILE,
    *,
    names: Collection[str] = (),
    seeds: Sequence[int] = ABLATION_SEEDS,
    announce: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Train rows, the baseline also in its short form, and keep each training at once; see `kept_results.keep_all`.

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
    known = ablation_rows()
    names = chosen(known, names, "row")
    wanted = []
    for seed in seeds:
        for name in names:
            forms = {"whole": known[name]} | ({"short": for_an_epoch(known[name])} if name == BASELINE else {})
            wanted += [({"row": name, "form": form, "seed": seed}, one) for form, one in forms.items()]

    def make(about: dict[str, Any], settings: Ablated) -> dict[str, float]:
        return ablated(settings, about["seed"])

    return keep_all(
        path,
        wanted,
        make,
        digest=ablation_digest,
        machine=on_torch("fp32"),
        order=list(known),
        announce=announce,
        told=_told,
    )


def expected_after_an_epoch(kept: Sequence[dict[str, Any]], metric: str = "ROUGE-L") -> tuple[float, float]:
    """Where a metric from 0 to 1 of the baseline's short form is expected: `kept_results.expected`."""
    short = [one[metric] for one in kept if (one["row"], one["form"]) == (BASELINE, "short")]
    return expected(short, _TEST)


def _told(record: dict[str, Any]) -> str:
    """One training in a line."""
    return (
        f"{record['row']:<28}{record['form']:<7}seed {record['seed']}  CIDEr-D {record['CIDEr-D']:.3f}"
        f"  tuple F1 {record['tuple F1']:.3f}  {record['seconds']:.0f} s"
    )
