"""Captions against references by the field's own scorers: a metric is the official one, or absent with its reason."""

from __future__ import annotations

import contextlib
import importlib
import io
import math
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any

import numpy as np

from helpers.evaluation.java import JavaFailed, JavaMissing, java_version, meteor, spice, tokenized

_SILENT = Lock()  # stdout is one for all threads
METRICS = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "METEOR", "CIDEr-D", "SPICE")


class Scores(dict):
    """Metric -> value over all pairs.

    Attributes
    ----------
    each : metric -> float array (n,), a value a pair in the order of the candidates; their mean is not always the value
        over all pairs (BLEU and METEOR add up counts first).
    absent : metric -> why it is not there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.each: dict[str, np.ndarray] = {}
        self.absent: dict[str, str] = {}


def score(
    references: Mapping[str, Sequence[str]], candidates: Mapping[str, str], *, metrics: Sequence[str] = METRICS
) -> Scores:
    """Score captions as COCO does [1]_: Stanford's tokenizer, then BLEU, ROUGE-L, METEOR, CIDEr-D and SPICE.

    The code is pycocoevalcap's, and so are the Java programs; its "CIDEr" is CIDEr-D. CIDEr-D weighs words by how rare
    they are in the references given, so it depends on the whole set; with one pair it is 0. Threads may score at once.

    Parameters
    ----------
    references : name of a pair -> all its references, at least one. One may be an empty sentence, as published files
        hold some.
    candidates : the same names -> the caption to judge. It may be empty.
    metrics : which of `METRICS`.

    Returns
    -------
    Scores
        What could be computed; `absent` tells of the rest.

    Raises
    ------
    JavaMissing
        There is no Java, or none that runs: nothing can be computed as it is meant to be.
    ValueError
        The names differ, a pair has no reference, none of all has a word, or there is no such metric.

    References
    ----------
    .. [1] Chen et al., Microsoft COCO Captions: Data Collection and Evaluation Server, 2015.
    """
    _hold(references, candidates, metrics)
    java_version()
    truth, given = _tokens({name: references[name] for name in candidates}, candidates)
    if not any(one for own in truth.values() for one in own):
        raise ValueError("no reference has a word: give sentences to compare with")
    found = Scores()
    for own, run in _SCORERS.items():
        if not set(own) & set(metrics):
            continue
        try:
            values, each = run(truth, given)
        except (OSError, JavaFailed) as error:
            found.absent |= {name: str(error) for name in own if name in metrics}
            continue
        for name, value, one in zip(own, values, each, strict=True):
            if name in metrics:
                found[name], found.each[name] = float(value), np.asarray(one, float)
    return found


def _hold(references: Mapping, candidates: Mapping, metrics: Sequence[str]) -> None:
    unknown = [name for name in metrics if name not in METRICS]
    if unknown:
        raise ValueError(f"metric {unknown[0]!r} is unknown: choose from {', '.join(METRICS)}")
    odd = sorted(references.keys() ^ candidates.keys(), key=str)
    if odd or not candidates:
        where = "there are no candidates" if not odd else f"{odd[0]!r} is in one of references and candidates only"
        raise ValueError(f"{where}: give both the same names, at least one")
    for name, given in references.items():
        if isinstance(given, str) or not given:
            raise ValueError(f"{name!r} has the references {given!r}: give a list with at least one sentence")


def _tokens(references: Mapping[str, Sequence[str]], candidates: Mapping[str, str]) -> tuple[dict, dict]:
    """References and candidates as tokens, by one run of the tokenizer."""
    try:
        both = tokenized({name: [candidates[name], *given] for name, given in references.items()})
    except JavaFailed as error:
        raise JavaMissing(f"the caption metrics need a Java that runs: {error}") from error
    return {name: own[1:] for name, own in both.items()}, {name: own[:1] for name, own in both.items()}


def _scorer(module: str, name: str, *options: Any) -> Callable[[dict, dict], tuple[list, list]]:
    """What calls a scorer of pycocoevalcap, which is imported when it is needed."""

    def run(truth: dict, given: dict) -> tuple[list, list]:
        with _SILENT, contextlib.redirect_stdout(io.StringIO()):
            scorer = getattr(importlib.import_module(f"pycocoevalcap.{module}"), name)(*options)
            values, each = scorer.compute_score(truth, given)
        return (values, each) if isinstance(values, list) else ([values], [each])  # BLEU gives its four at once

    return run


_SCORERS: dict[tuple[str, ...], Callable[[dict, dict], tuple[list, list]]] = {
    ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4"): _scorer("bleu.bleu", "Bleu", 4),
    ("ROUGE-L",): _scorer("rouge.rouge", "Rouge"),
    ("METEOR",): meteor,
    ("CIDEr-D",): _scorer("cider.cider", "Cider"),
    ("SPICE",): spice,
}


def exact_matches(references: Mapping[str, Sequence[str]], candidates: Mapping[str, str]) -> np.ndarray:
    """Whether each caption is one of its references, but for case and spaces: bool array (n,)."""

    def plain(text: str) -> str:
        return " ".join(text.lower().split())

    return np.array([plain(one) in {plain(r) for r in references[name]} for name, one in candidates.items()])


def distinct(captions: Sequence[str], n: int) -> float:
    """Share of different n-grams among all n-grams of the captions, words split at spaces [1]_; 0 where there are none.

    References
    ----------
    .. [1] Li et al., A Diversity-Promoting Objective Function for Neural Conversation Models, NAACL 2016.
    """
    if n < 1:
        raise ValueError(f"n is {n}: give 1 or more")
    words = [caption.split() for caption in captions]
    grams = [tuple(line[i : i + n]) for line in words for i in range(len(line) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0


def self_bleu(captions: Sequence[str], *, most: int = 100, seed: int = 0) -> float:
    """How alike the captions are: the mean BLEU-4 of each with all others as its references [1]_, 0 to 1.

    Parameters
    ----------
    captions : two or more; words are split at spaces.
    most : of more captions than these, so many are drawn.
    seed : of the draw.

    References
    ----------
    .. [1] Zhu et al., Texygen: A Benchmarking Platform for Text Generation Models, SIGIR 2018.
    """
    from pycocoevalcap.bleu.bleu import Bleu

    if len(captions) < 2:
        raise ValueError(f"there are {len(captions)} captions: self-BLEU compares two or more")
    if len(captions) > most:
        captions = [captions[i] for i in np.random.default_rng(seed).permutation(len(captions))[:most]]
    truth = {i: [other for j, other in enumerate(captions) if j != i] for i in range(len(captions))}
    with _SILENT, contextlib.redirect_stdout(io.StringIO()):
        _, each = Bleu(4).compute_score(truth, {i: [one] for i, one in enumerate(captions)})
    return math.fsum(each[3]) / len(captions)
