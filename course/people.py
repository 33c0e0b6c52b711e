"""What people wrote of pairs: how rich it is, and between which scores captions of such pairs lie."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from course.kept_results import KEPT_RESULTS, digest_of, write_kept
from helpers.caption_sets import sentences_of
from helpers.evaluation import captioning
from helpers.evaluation.java import meteor, tokenized
from helpers.evaluation.scores import resampled_interval
from helpers.runtime import ROOT
from whatchanged.annotations import AnnotationError, Annotations

PEOPLE_FILE = KEPT_RESULTS / "05_people.json"
WRITTEN_SPLITS = ("val", "test")
SCORED = ("BLEU-4", "METEOR", "ROUGE-L", "CIDEr-D", "SPICE")
ANOTHER, ALL = "another person", "all who wrote"  # whose captions the references are

Told = Mapping[str, Sequence[tuple[str, ...]]]
"""Name of a pair -> the description of each person who wrote of it: the sentences, about one change each."""

# How a description becomes captions: the literature judges one sentence at a time, or all changes of a pair together.
PROTOCOLS: dict[str, Callable[[tuple[str, ...]], tuple[str, ...]]] = {
    "one sentence": tuple,
    "all changes": lambda sentences: (" ".join(sentences),),
}


def annotations_folder() -> Path | None:
    """Where Spot-the-Diff's annotations lie, fetched into `data/` or as a sample beside the course; None: nowhere."""
    places = [ROOT / "data" / "spot-the-diff", ROOT.parent / "shared" / "data" / "spot-the-diff"]
    return next((one for one in places if all((one / f"{split}.json").is_file() for split in WRITTEN_SPLITS)), None)


def descriptions(folder: str | Path, split: str) -> dict[str, list[tuple[str, ...]]]:
    """What each person wrote of each pair of Spot-the-Diff; the pictures are not needed.

    Parameters
    ----------
    folder : holds `<split>.json`, or a folder of it does, as `helpers.caption_sets.spot_the_diff` reads it.
    split : "train", "val" or "test".

    Returns
    -------
    dict
        Name of a pair -> a description for each person, whose sentences are as they wrote them. As published, some
        records hold no sentence: these are left out, and with them pairs that have no other.

    Raises
    ------
    AnnotationError
        There is no such file, or it is broken.
    """
    part = Annotations(folder, f"{split}.json", split, strict=False)
    told = defaultdict(list)
    for record, where in part.each(part.content(list), "record", "img_id", "sentences"):
        with part.refused():
            sentences = sentences_of(record["sentences"], where)
            told[str(record["img_id"])].append(sentences)
    if not told:
        raise AnnotationError(f"{part.path} holds no sentence")
    return dict(told)


def statistics(told: Told) -> dict[str, float]:
    """How much was written, how long it is, and in how many words: letters and digits between spaces, in lower case."""
    described = [one for own in told.values() for one in own]
    sentences = [one for own in described for one in own]
    words = Counter(word for one in sentences for word in _words(one))
    found: dict[str, float] = {"pairs": len(told), "descriptions": len(described), "sentences": len(sentences)}
    found["pairs described twice"] = sum(len(own) > 1 for own in told.values())
    found["sentences a description"] = len(sentences) / len(described)
    found["words a sentence"] = words.total() / len(sentences)
    found["different words"] = len(words)
    found["of these written once"] = sum(count == 1 for count in words.values()) / len(words)
    found["sentences nobody else wrote"] = _alone(sentences) / len(sentences)
    return found


def _words(sentence: str) -> list[str]:
    return re.findall(r"[a-z0-9]+(?:'[a-z]+)?", sentence.lower())


def _alone(sentences: Sequence[str]) -> int:
    same = Counter(" ".join(_words(one)) for one in sentences)
    return sum(count for count in same.values() if count == 1)


def by_protocol(told: Told, protocol: str) -> dict[str, list[str]]:
    """All captions of each pair, by one of `PROTOCOLS`."""
    return {name: [one for own in described for one in PROTOCOLS[protocol](own)] for name, described in told.items()}


def floors(known: Mapping[str, Sequence[str]], most: int = 30) -> dict[str, str]:
    """Two captions that can be said of any pair without a look at it; a model that scores less has said nothing.

    Parameters
    ----------
    known : name of a pair -> its captions: pairs to choose by, others than those to be judged. Of many tries on few
        pairs one is high by luck.
    most : so many of the most frequent captions are tried.

    Returns
    -------
    dict
        "most frequent" : the caption that was written most often; of several the first.
        "best constant" : of the most frequent ones that with the highest CIDEr-D where it is said of every known pair.
    """
    often = [one for one, _ in Counter(one for own in known.values() for one in own).most_common(most)]
    return {"most frequent": often[0], "best constant": often[int(np.argmax(_constant_cider(known, often)))]}


def _constant_cider(references: Mapping[str, Sequence[str]], captions: Sequence[str]) -> list[float]:
    """CIDEr-D of each caption where all pairs have it: `captioning.score`, with one run of the tokenizer for all."""
    from pycocoevalcap.cider.cider import Cider

    tokens = list(tokenized({str(number): own for number, own in enumerate([captions, *references.values()])}).values())
    truth = dict(enumerate(tokens[1:]))
    return [float(Cider().compute_score(truth, {name: [one] for name in truth})[0]) for one in tokens[0]]


def scored(folder: str | Path, most: int = 30, metrics: Sequence[str] = SCORED) -> Iterator[dict[str, Any]]:
    """Floors and the ceiling of Spot-the-Diff by the official scorers, a record a row, for each of `PROTOCOLS`.

    Of test the floors, chosen by val, are judged against all that was written of a pair. A person can only be judged
    where another one wrote, too: of such pairs of both splits the first description is judged against the second and
    the second against the first, and the mean is taken; so are the floors, against the same references, chosen by the
    pairs that one person described. Of a description of several sentences "one sentence" judges the first. CIDEr-D has
    a 95 % interval, pairs drawn again.
    """
    told = {split: descriptions(folder, split) for split in WRITTEN_SPLITS}
    every = {f"{split} {name}": own for split in WRITTEN_SPLITS for name, own in told[split].items()}
    twice = {name: own for name, own in every.items() if len(own) > 1}
    once = {name: own for name, own in every.items() if len(own) == 1}
    for protocol, captions in PROTOCOLS.items():
        judged = by_protocol(told["test"], protocol)
        about = {"protocol": protocol, "against": ALL, "pairs": len(judged)}
        for row, said in floors(by_protocol(told["val"], protocol), most).items():
            found = [captioning.score(judged, dict.fromkeys(judged, said), metrics=metrics)]
            yield {"row": row, **about, "said": said, **_as_record(found)}
        mine, other = ({name: captions(own[one]) for name, own in twice.items()} for one in (0, 1))
        about = {"protocol": protocol, "against": ANOTHER, "pairs": len(twice)}
        for row, caption in {**floors(by_protocol(once, protocol), most), "a person": None}.items():
            found = [
                captioning.score(references, {name: caption or own[0] for name, own in given.items()}, metrics=metrics)
                for given, references in ((mine, other), (other, mine))
            ]
            yield {"row": row, **about, "said": caption, **_as_record(found)}


def _as_record(found: Sequence[captioning.Scores]) -> dict[str, Any]:
    """Means of what was scored once or in both directions, and the interval of CIDEr-D."""
    values = {name: round(float(np.mean([one[name] for one in found])), 4) for name in SCORED if name in found[0]}
    each = np.mean([one.each["CIDEr-D"] for one in found], axis=0)
    around = resampled_interval(lambda drawn: each[drawn].mean(), len(each))
    return values | {"CIDEr-D interval": [round(around.low, 4), round(around.high, 4)], "absent": found[0].absent}


def sources(folder: str | Path) -> dict[str, str]:
    """The SHA-256 of each file that is read, its first twelve digits."""
    files = [Annotations(folder, f"{split}.json", split, strict=True).path for split in WRITTEN_SPLITS]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:12] for path in files}


def people_digest(files: Mapping[str, str]) -> str:
    """The hash of the code that decides these scores, and of the files that they are of."""
    own = [descriptions, sentences_of, statistics, _words, _alone, by_protocol, floors, _constant_cider, scored]
    own += [_as_record, kept_statistics]
    said = {name: [inner(("a", "b"))] for name, inner in PROTOCOLS.items()}
    return digest_of(
        [*own, captioning, tokenized, meteor, resampled_interval],
        [dict(files), said, list(WRITTEN_SPLITS), list(SCORED)],
    )


def keep_people(folder: str | Path, path: Path = PEOPLE_FILE) -> list[dict[str, Any]]:
    """Measure all of it, which takes minutes, and keep it: `kept_statistics`, then what `scored` gives."""
    files = sources(folder)
    made = {"date": str(date.today()), "sources": files, "digest": people_digest(files)}
    records = [{**one, **made} for one in (*kept_statistics(folder), *scored(folder))]
    write_kept(path, records)
    return records


def kept_statistics(folder: str | Path) -> list[dict[str, Any]]:
    """`statistics` of each split and of both together, a record each."""
    told = {split: descriptions(folder, split) for split in WRITTEN_SPLITS}
    told["both"] = {f"{split} {name}": own for split in WRITTEN_SPLITS for name, own in told[split].items()}
    return [
        {"split": split} | {name: round(value, 4) for name, value in statistics(own).items()}
        for split, own in told.items()
    ]
