"""The published data sets of pairs with sentences, each as its authors ship it.

=============  ========  ==============================================================
data set       mode      a pair
=============  ========  ==============================================================
spot-the-diff  diff      two frames of a surveillance camera, and what changed
clevr-change   diff      a rendered scene twice, and what changed, or that nothing did
nlvr2          relation  two photographs, and what is true of them together
coco-captions  single    one photograph, twice, and what it shows
vist           story     two photographs of a story, and how it goes on with the second
=============  ========  ==============================================================
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from helpers.captioned import CaptionedPair, CaptionedPairs, CaptionError
from whatchanged.images import SUFFIXES


def spot_the_diff(folder: str | Path, split: str, *, together: bool = False, strict: bool = True) -> CaptionedPairs:
    """Frames of surveillance cameras, some time apart [1]_.

    Several people told of some pairs, in a record each; a pair has the sentences of all of them. As published, thirteen
    records of val and test are without a sentence.

    Parameters
    ----------
    folder : holds `<split>.json`, a list of `{"img_id": "256", "sentences": ["...", ...]}`, and the pictures
        `256.png` and `256_2.png`, either of them beside it or in a folder of it.
    split : "train", "val" or "test".
    together : join the sentences of a record to one caption, which tells of all differences (multi-sentence
        evaluation); otherwise each is a caption (single-sentence).
    strict : here and below: refuse a record without a sentence or a picture; otherwise leave it out, and note it in
        `skipped`.

    Raises
    ------
    CaptionError
        Here and below: the JSON is missing or broken, no pair is left, or there is no picture at all.

    References
    ----------
    .. [1] Jhamtani and Berg-Kirkpatrick, Learning to Describe Differences Between Pairs of Similar Images, EMNLP 2018.
    """
    folder = Path(folder)
    path, pictures = _found(folder, f"{split}.json"), _pictures(folder, "spot-the-diff")
    told: dict[str, list[str]] = {}
    files: dict[str, tuple[Path, Path]] = {}
    pairs = CaptionedPairs()
    for record, where in _each(_json(path, list), f"{path}, record", "img_id", "sentences"):
        name = str(record["img_id"])
        with _refused(pairs, strict):
            sentences = _sentences(record["sentences"], where)
            files[name] = _picture(pictures, f"{name}.png", where), _picture(pictures, f"{name}_2.png", where)
            told.setdefault(name, []).extend([" ".join(sentences)] if together else sentences)
    pairs += [CaptionedPair(name, *files[name], tuple(captions), "spot-the-diff") for name, captions in told.items()]
    return _whole(pairs, path, "spot-the-diff")


def clevr_change(folder: str | Path, split: str, *, strict: bool = True) -> CaptionedPairs:
    """Rendered scenes: each once with a change, and once with another camera and light alone [1]_.

    Parameters
    ----------
    folder : holds `splits.json`, `{"train": [0, ...], "val": ..., "test": ...}`, beside it `change_captions.json` and
        `no_change_captions.json`, each `{"CLEVR_default_000000.png": ["...", ...]}`, and the pictures
        `images/CLEVR_default_000000.png`, `sc_images/CLEVR_semantic_000000.png` and
        `nsc_images/CLEVR_nonsemantic_000000.png`; or a folder of it does.
    split : "train", "val" or "test".

    Returns
    -------
    CaptionedPairs
        Two for each number of the split: "000000 change", and "000000 no change".

    References
    ----------
    .. [1] Park, Darrell and Rohrbach, Robust Change Captioning, ICCV 2019.
    """
    folder, pairs = Path(folder), CaptionedPairs()
    path, pictures = _found(folder, "splits.json"), _pictures(folder, "clevr-change")
    numbers = _json(path, dict)
    if split not in numbers:
        raise CaptionError(f"{path} has no split {split!r}: choose from {', '.join(map(repr, numbers))}")
    kinds = {"change": "semantic", "no change": "nonsemantic"}
    files = {kind: path.with_name(f"{kind.replace(' ', '_')}_captions.json") for kind in kinds}
    told = {kind: _json(file, dict) for kind, file in files.items()}
    if not isinstance(numbers[split], list) or not all(isinstance(one, int) for one in numbers[split]):
        raise CaptionError(f"{path}: {split} must be a list of whole numbers")
    for number in numbers[split]:
        name = f"CLEVR_default_{number:06}.png"
        for kind, word in kinds.items():
            where = f"{files[kind].name}, {name}"
            with _refused(pairs, strict):
                captions, before = _sentences(told[kind].get(name), where), _picture(pictures, name, where)
                after = _picture(pictures, f"CLEVR_{word}_{number:06}.png", where)
                pairs.append(CaptionedPair(f"{number:06} {kind}", before, after, captions, "clevr-change"))
    return _whole(pairs, path, "clevr-change")


def nlvr2(folder: str | Path, split: str, *, strict: bool = True) -> CaptionedPairs:
    """Two photographs and a sentence that is true of them; the false ones are left out [1]_.

    Parameters
    ----------
    folder : holds `<split>.json`, a line a record: `{"identifier": "dev-850-0-0", "sentence": "...", "label": "True",
        ...}`, and the pictures `dev-850-0-img0.png` and `dev-850-0-img1.png`, beside it or in folders of it.
    split : "train", "dev", "test1" or "test2".

    References
    ----------
    .. [1] Suhr et al., A Corpus for Reasoning about Natural Language Grounded in Photographs, ACL 2019.
    """
    folder = Path(folder)
    path, pictures, pairs = _found(folder, f"{split}.json"), _pictures(folder, "nlvr2"), CaptionedPairs()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        where = f"{path}, line {number}"
        record = _parsed(line, where)
        _hold_keys(record, where, "identifier", "sentence", "label")
        if str(record["label"]) == "True":
            name = str(record["identifier"])
            before, after = (f"{name.rsplit('-', 1)[0]}-img{side}.png" for side in (0, 1))
            with _refused(pairs, strict):
                files = _picture(pictures, before, where), _picture(pictures, after, where)
                pairs.append(CaptionedPair(name, *files, _sentences([record["sentence"]], where), "nlvr2"))
    return _whole(pairs, path, "nlvr2")


def coco_captions(folder: str | Path, split: str, *, other: bool = False, strict: bool = True) -> CaptionedPairs:
    """Single photographs with about five captions each [1]_, as pairs.

    Parameters
    ----------
    folder : holds `captions_<split>.json` with "images" (`id`, `file_name`) and "annotations" (`image_id`, `caption`),
        and the pictures, beside it or in folders of it.
    split : as "val2014".
    other : the before picture is the one before in the file, so that the caption tells of what only the after picture
        shows; otherwise it is the same picture twice.

    References
    ----------
    .. [1] Chen et al., Microsoft COCO Captions: Data Collection and Evaluation Server, 2015.
    """
    folder, pairs = Path(folder), CaptionedPairs()
    path, pictures = _found(folder, f"captions_{split}.json"), _pictures(folder, "coco-captions")
    content = _json(path, dict)
    _hold_keys(content, str(path), "images", "annotations")
    told: dict[Any, list[str]] = {}
    for record, where in _each(content["annotations"], f"{path}, annotation", "image_id", "caption"):
        with _refused(pairs, strict):
            told.setdefault(record["image_id"], []).append(_sentences([record["caption"]], where)[0])
    found = []
    for record, where in _each(content["images"], f"{path}, image", "id", "file_name"):
        with _refused(pairs, strict):
            captions = _sentences(told.get(record["id"]), where)
            found.append((str(record["id"]), _picture(pictures, record["file_name"], where), captions))
    for index, (name, picture, captions) in enumerate(found):
        pairs.append(CaptionedPair(name, found[index - 1][1] if other else picture, picture, captions, "coco-captions"))
    return _whole(pairs, path, "coco-captions")


def vist(folder: str | Path, split: str, *, strict: bool = True) -> CaptionedPairs:
    """Stories in five sentences, one a photograph [1]_: each photograph after the first, with the one before it.

    Where one is left out, the one after it comes with the one before that.

    Parameters
    ----------
    folder : holds `<split>.story-in-sequence.json` with "annotations", a list of lists of one record (`story_id`,
        `photo_flickr_id`, `worker_arranged_photo_order`, `text`), and pictures named by their `photo_flickr_id`.
    split : "train", "val" or "test".

    References
    ----------
    .. [1] Huang et al., Visual Storytelling, NAACL 2016.
    """
    folder, pairs = Path(folder), CaptionedPairs()
    path = _found(folder, f"{split}.story-in-sequence.json")
    pictures = {Path(name).stem: place for name, place in _pictures(folder, "vist").items()}
    content = _json(path, dict)
    _hold_keys(content, str(path), "annotations")
    given = content["annotations"]
    flat = [one[0] if isinstance(one, list) and one else one for one in given] if isinstance(given, list) else given
    keys = ("story_id", "photo_flickr_id", "worker_arranged_photo_order", "text")
    stories: dict[str, list[tuple[int, Path, tuple[str, ...]]]] = {}
    for record, where in _each(flat, f"{path}, annotation", *keys):
        order = str(record["worker_arranged_photo_order"])
        if not order.isdecimal():
            raise CaptionError(f"{where}: worker_arranged_photo_order is {order!r}, it must be a whole number")
        with _refused(pairs, strict):
            picture = _picture(pictures, str(record["photo_flickr_id"]), where)
            step = int(order), picture, _sentences([record["text"]], where)
            stories.setdefault(str(record["story_id"]), []).append(step)
    for story, steps in stories.items():
        for (_, before, _), (at, after, captions) in pairwise(sorted(steps, key=lambda step: step[0])):
            pairs.append(CaptionedPair(f"{story} {at}", before, after, captions, "vist"))
    return _whole(pairs, path, "vist")


@dataclass(frozen=True)
class CaptionSet:
    """One published data set, and where its pictures are had."""

    mode: str  # what the originals call such a task
    read: Callable[..., CaptionedPairs]
    splits: tuple[str, str, str]  # to train, to validate, to test; one for both of these is halved
    pictures: str = "python download_and_unzip.py brings them"


CAPTION_SETS = {
    "spot-the-diff": CaptionSet("diff", spot_the_diff, ("train", "val", "test")),
    "clevr-change": CaptionSet("diff", clevr_change, ("train", "val", "test")),
    "nlvr2": CaptionSet(
        "relation",
        nlvr2,
        ("train", "dev", "test1"),
        "ask its authors for them by the form at https://github.com/lil-lab/nlvr/tree/master/nlvr2",
    ),
    # The captions of its test split are not published: of val2014 every second photograph is for the test.
    "coco-captions": CaptionSet("single", coco_captions, ("train2014", "val2014", "val2014")),
    "vist": CaptionSet(
        "story", vist, ("train", "val", "test"), "https://visionandlanguage.net/VIST/dataset.html links them"
    ),
}


def captioned_parts(name: str, folder: str | Path) -> dict[str, CaptionedPairs]:
    """A published data set as "train", "validation" and "test"; broken records are left out, and noted in `skipped`."""
    if name not in CAPTION_SETS:
        choices = ", ".join(f"{one!r} ({known.mode})" for one, known in CAPTION_SETS.items())
        raise CaptionError(f"the data set is {name!r}: choose from {choices}")
    splits = CAPTION_SETS[name].splits
    found = {split: CAPTION_SETS[name].read(folder, split, strict=False) for split in dict.fromkeys(splits)}
    train, validation, test = (found[split] for split in splits)
    if validation is test:
        if len(test) < 2:
            raise CaptionError(f"{folder} holds one pair of {splits[2]}: validation and test need one each")
        validation, test = CaptionedPairs(test[::2], test.skipped), CaptionedPairs(test[1::2], test.skipped)
    return {"train": train, "validation": validation, "test": test}


@contextmanager
def _refused(pairs: CaptionedPairs, strict: bool) -> Iterator[None]:
    """What is wrong with a record stops the reading, or is noted and the record left out."""
    try:
        yield
    except CaptionError as error:
        if strict:
            raise CaptionError(f"{error}: mend it, or pass strict=False to leave it out") from error
        pairs.skipped.append(str(error))


def _found(folder: Path, name: str) -> Path:
    """The file of this name in the folder or in a folder of it."""
    path = next((one for one in [folder / name, *sorted(folder.rglob(name))] if one.is_file()), None)
    if path is None:
        raise CaptionError(f"{folder} holds no {name}, nor does a folder of it")
    return path


def _pictures(folder: Path, name: str) -> dict[str, Path]:
    """The image files of the folder and of all folders of it, by name."""
    paths = sorted(folder.rglob("*"), key=lambda path: path.parent)
    found = {path.name: path for path in paths if path.suffix.lower() in SUFFIXES}
    if not found:
        where = CAPTION_SETS[name].pictures
        raise CaptionError(f"{folder} holds no picture of {name}, nor does a folder of it: {where}; put them there")
    return found


def _picture(pictures: dict[str, Path], name: str, where: str) -> Path:
    if name not in pictures:
        raise CaptionError(f"{where}: there is no picture {name!r}")
    return pictures[name]


def _json(path: Path, kind: type) -> Any:
    if not path.is_file():
        raise CaptionError(f"{path} does not exist")
    content = _parsed(path.read_bytes(), str(path))
    if not isinstance(content, kind):
        raise CaptionError(f"{path} holds a {type(content).__name__}, it must hold a {kind.__name__}")
    return content


def _parsed(text: str | bytes, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CaptionError(f"{where} is not valid JSON: {error}") from error


def _each(records: Any, what: str, *keys: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Each record with the words for where it stands."""
    if not isinstance(records, list):
        raise CaptionError(f"{what}s are a {type(records).__name__}, they must be a list")
    for number, record in enumerate(records, start=1):
        _hold_keys(record, f"{what} {number}", *keys)
        yield record, f"{what} {number}"


_NAMES = {"id", "image_id", "img_id", "identifier", "story_id", "photo_flickr_id", "file_name"}


def _hold_keys(record: Any, where: str, *keys: str) -> None:
    missing = [key for key in keys if not isinstance(record, dict) or key not in record]
    if missing:
        raise CaptionError(f"{where} has no {missing[0]!r}: it needs {', '.join(keys)}")
    odd = [key for key in keys if key in _NAMES and not isinstance(record[key], (str, int))]
    if odd:
        raise CaptionError(f"{where}: {odd[0]} is {record[odd[0]]!r}, it must be text or a whole number")


def _sentences(given: Any, where: str) -> tuple[str, ...]:
    """The sentences without spaces around them; empty ones do not count."""
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise CaptionError(f"{where}: the sentences are {given!r}, they must be a list of text")
    kept = tuple(one.strip() for one in given if one.strip())
    if not kept:
        raise CaptionError(f"{where} has no sentence")
    return kept


def _whole(pairs: CaptionedPairs, path: Path, name: str) -> CaptionedPairs:
    """The pairs; refused where a name comes twice, or where none is left."""
    known: set[str] = set()
    for pair in pairs:
        if pair.name in known:
            raise CaptionError(f"{path}: {pair.name!r} comes twice")
        known.add(pair.name)
    if not pairs:
        why = f", for {pairs.skipped[0]} ({CAPTION_SETS[name].pictures})" if pairs.skipped else ""
        raise CaptionError(f"{path} holds no pair{why}")
    return pairs
