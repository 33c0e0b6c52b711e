"""Captions against references by the field's own scorers: a metric is the official one, or absent with its reason."""

from __future__ import annotations

import contextlib
import importlib
import io
import math
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from helpers.runtime import ROOT
from whatchanged.devices import quiet_stderr
from whatchanged.files import write_whole

METRICS = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "METEOR", "CIDEr-D", "SPICE")
_SPICE_JARS = ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar")


class JavaMissing(RuntimeError):
    """The scorers need Java, and there is none."""


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

    The code is pycocoevalcap's, called as it is; its "CIDEr" is CIDEr-D. CIDEr-D weighs words by how rare they are in
    the references given, so it depends on the whole set; with one pair it is 0.

    Parameters
    ----------
    references : name of a pair -> all its references, at least one.
    candidates : the same names -> the caption to judge. It may be empty.
    metrics : which of `METRICS`.

    Returns
    -------
    Scores
        What could be computed; `absent` tells of the rest.

    Raises
    ------
    JavaMissing
        There is no Java: nothing can be computed as it is meant to be.
    ValueError
        The names differ, a pair has no reference, or there is no such metric.

    References
    ----------
    .. [1] Chen et al., Microsoft COCO Captions: Data Collection and Evaluation Server, 2015.
    """
    _hold(references, candidates, metrics)
    require_java()
    names = list(candidates)
    found = Scores()
    with quiet_stderr(), contextlib.redirect_stdout(io.StringIO()):
        truth = _tokenized({name: references[name] for name in names})
        given = _tokenized({name: [candidates[name]] for name in names})
        for own, run in _SCORERS.items():
            if not set(own) & set(metrics):
                continue
            try:
                values, each = run(truth, given)
            except (OSError, RuntimeError, subprocess.SubprocessError) as error:
                found.absent |= {name: str(error) for name in own if name in metrics}
                continue
            for name, value, one in zip(own, values, each, strict=True):
                if name in metrics:
                    found[name], found.each[name] = float(value), np.asarray(one, float)
    return found


def require_java() -> None:
    """Raise `JavaMissing` where no Java can be run."""
    if shutil.which("java") is None:
        raise JavaMissing(
            "the caption metrics need Java 8 or newer and there is no `java` on the path: install one, as Debian's"
            " default-jre-headless"
        )


def _hold(references: Mapping, candidates: Mapping, metrics: Sequence[str]) -> None:
    unknown = [name for name in metrics if name not in METRICS]
    if unknown:
        raise ValueError(f"metric {unknown[0]!r} is unknown: choose from {', '.join(METRICS)}")
    odd = sorted(references.keys() ^ candidates.keys(), key=str)
    if odd or not candidates:
        where = "there are no candidates" if not odd else f"{odd[0]!r} is in one of references and candidates only"
        raise ValueError(f"{where}: give both the same names, at least one")
    for name, given in references.items():
        if isinstance(given, str) or not any(one.strip() for one in given):
            raise ValueError(f"{name!r} has the references {given!r}: give a list with at least one sentence")


def _tokenized(captions: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Lower-case tokens without punctuation, joined by spaces. The tokenizer keeps captions apart by lines."""
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    plain = {
        name: [" ".join(one.replace("|||", " ").split()) or "." for one in given] for name, given in captions.items()
    }
    return PTBTokenizer().tokenize({name: [{"caption": one} for one in given] for name, given in plain.items()})


def _scorer(module: str, name: str, *options: Any) -> Callable[[dict, dict], tuple[list, list]]:
    """What calls a scorer of pycocoevalcap, which is imported when it is needed."""

    def run(truth: dict, given: dict) -> tuple[list, list]:
        scorer = getattr(importlib.import_module(f"pycocoevalcap.{module}"), name)(*options)
        values, each = scorer.compute_score(truth, given)
        return (values, each) if isinstance(values, list) else ([values], [each])  # BLEU gives its four at once

    return run


def _spice(truth: dict, given: dict) -> tuple[list, list]:
    from pycocoevalcap.spice import spice

    _place_spice_models(Path(spice.__file__).parent / "lib", ROOT / "data" / "spice-models")
    value, each = spice.Spice().compute_score(truth, given)
    by_name = dict(zip(sorted(given), each, strict=True))
    return [value], [[by_name[name]["All"]["f"] for name in given]]


def _place_spice_models(library: Path, downloaded: Path) -> None:
    """SPICE reads its models beside its own code: put them there, if they were downloaded."""
    for jar in _SPICE_JARS:
        if not (library / jar).is_file():
            source = next(iter(downloaded.rglob(jar)), None) if downloaded.is_dir() else None
            if source is None:
                raise RuntimeError(
                    f"SPICE needs {jar} of Stanford CoreNLP, which is not here: python download_and_unzip.py"
                    " spice-models fetches it"
                )
            write_whole(library / jar, source.read_bytes())


_SCORERS: dict[tuple[str, ...], Callable[[dict, dict], tuple[list, list]]] = {
    ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4"): _scorer("bleu.bleu", "Bleu", 4),
    ("ROUGE-L",): _scorer("rouge.rouge", "Rouge"),
    ("METEOR",): _scorer("meteor.meteor", "Meteor"),
    ("CIDEr-D",): _scorer("cider.cider", "Cider"),
    ("SPICE",): _spice,
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
    with contextlib.redirect_stdout(io.StringIO()):
        _, each = Bleu(4).compute_score(truth, {i: [one] for i, one in enumerate(captions)})
    return math.fsum(each[3]) / len(captions)
