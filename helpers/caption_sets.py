"""The published data sets of pairs with sentences, each as its authors ship it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from helpers.captioned import CaptionedPair, CaptionedPairs, CaptionError
from whatchanged.images import image_files


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
    strict : refuse a broken record; otherwise leave it out and note it in `skipped`.

    Raises
    ------
    CaptionError
        The JSON is missing or broken, a record has no sentence, or a picture is missing.

    References
    ----------
    .. [1] Jhamtani and Berg-Kirkpatrick, Learning to Describe Differences Between Pairs of Similar Images, EMNLP 2018.
    """
    folder = Path(folder)
    path, pictures = _found(folder, f"{split}.json"), _pictures(folder)
    told: dict[str, list[str]] = {}
    files: dict[str, tuple[Path, ...]] = {}
    pairs = CaptionedPairs()
    for record, where in _records(path, "img_id", "sentences"):
        name = str(record["img_id"])
        try:
            sentences = _sentences(record["sentences"], where)
            files[name] = tuple(_picture(pictures, file, where) for file in (f"{name}.png", f"{name}_2.png"))
        except CaptionError as error:
            if strict:
                raise CaptionError(f"{error}: mend it, or pass strict=False to leave it out") from error
            pairs.skipped.append(str(error))
            continue
        told.setdefault(name, []).extend([" ".join(sentences)] if together else sentences)
    pairs += [CaptionedPair(name, *files[name], tuple(captions), "spot-the-diff") for name, captions in told.items()]
    return _unique(pairs, path)


def clevr_change(folder: str | Path, split: str) -> CaptionedPairs:
    """Rendered scenes: each once with a change, and once with another camera and light alone [1]_.

    Parameters
    ----------
    folder : holds `change_captions.json` and `no_change_captions.json`, each `{"CLEVR_default_000000.png": ["...",
        ...]}`, `splits.json`, `{"train": [0, ...], "val": ..., "test": ...}`, and the pictures
        `images/CLEVR_default_000000.png`, `sc_images/CLEVR_semantic_000000.png` and
        `nsc_images/CLEVR_nonsemantic_000000.png`.
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
    numbers = _json(folder / "splits.json", dict)
    if split not in numbers:
        raise CaptionError(
            f"{folder / 'splits.json'} has no split {split!r}: choose from {', '.join(map(repr, numbers))}"
        )
    kinds = (("change", "sc_images", "semantic"), ("no change", "nsc_images", "nonsemantic"))
    told = {kind: _json(folder / f"{kind.replace(' ', '_')}_captions.json", dict) for kind, _, _ in kinds}
    if not isinstance(numbers[split], list) or not all(isinstance(one, int) for one in numbers[split]):
        raise CaptionError(f"{folder / 'splits.json'}: {split} must be a list of whole numbers")
    for number in numbers[split]:
        before = f"CLEVR_default_{number:06}.png"
        for kind, place, word in kinds:
            where = f"{kind.replace(' ', '_')}_captions.json, {before}"
            captions = _sentences(told[kind].get(before), where)
            files = folder / "images" / before, folder / place / f"CLEVR_{word}_{number:06}.png"
            pairs.append(_there(CaptionedPair(f"{number:06} {kind}", *files, captions, "clevr-change"), where))
    return pairs


def nlvr2(folder: str | Path, split: str) -> CaptionedPairs:
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
    path, pictures, pairs = _found(folder, f"{split}.json"), _pictures(folder), CaptionedPairs()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        record, where = _parsed(line, f"{path}, line {number}"), f"{path}, line {number}"
        _hold_keys(record, where, "identifier", "sentence", "label")
        if str(record["label"]) == "True":
            name = str(record["identifier"])
            stem = name.rsplit("-", 1)[0]
            files = (_picture(pictures, f"{stem}-img{side}.png", where) for side in (0, 1))
            captions = _sentences([record["sentence"]], where)
            pairs.append(CaptionedPair(name, *files, captions, "nlvr2"))
    return _unique(pairs, path)


def coco_captions(folder: str | Path, split: str, *, other: bool = False) -> CaptionedPairs:
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
    folder = Path(folder)
    path, pictures = _found(folder, f"captions_{split}.json"), _pictures(folder)
    content = _json(path, dict)
    _hold_keys(content, str(path), "images", "annotations")
    told: dict[Any, list[str]] = {}
    for record, where in _each(content["annotations"], f"{path}, annotation", "image_id", "caption"):
        told.setdefault(record["image_id"], []).append(_sentences([record["caption"]], where)[0])
    found = []
    for record, where in _each(content["images"], f"{path}, image", "id", "file_name"):
        captions = _sentences(told.get(record["id"]), where)
        found.append((str(record["id"]), _picture(pictures, record["file_name"], where), captions))
    pairs = CaptionedPairs()
    for index, (name, picture, captions) in enumerate(found):
        pairs.append(CaptionedPair(name, found[index - 1][1] if other else picture, picture, captions, "coco-captions"))
    return _unique(pairs, path)


def vist(folder: str | Path, split: str) -> CaptionedPairs:
    """Stories in five sentences, one a photograph [1]_: each photograph after the first, with the one before it.

    Parameters
    ----------
    folder : holds `<split>.story-in-sequence.json` with "annotations", a list of lists of one record (`story_id`,
        `photo_flickr_id`, `worker_arranged_photo_order`, `text`), and pictures named by their `photo_flickr_id`.
    split : "train", "val" or "test".

    References
    ----------
    .. [1] Huang et al., Visual Storytelling, NAACL 2016.
    """
    folder = Path(folder)
    path = _found(folder, f"{split}.story-in-sequence.json")
    pictures = {Path(name).stem: place for name, place in _pictures(folder).items()}
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
        picture = _picture(pictures, str(record["photo_flickr_id"]), where)
        step = int(order), picture, _sentences([record["text"]], where)
        stories.setdefault(str(record["story_id"]), []).append(step)
    return CaptionedPairs(
        CaptionedPair(f"{story} {order}", before, after, captions, "vist")
        for story, steps in stories.items()
        for (_, before, _), (order, after, captions) in _neighbors(sorted(steps, key=lambda step: step[0]))
    )


DATASETS: dict[str, Callable[..., CaptionedPairs]] = {
    "spot-the-diff": spot_the_diff,
    "clevr-change": clevr_change,
    "nlvr2": nlvr2,
    "coco-captions": coco_captions,
    "vist": vist,
}


def _neighbors(steps: Sequence) -> Iterator[tuple]:
    return zip(steps[:-1], steps[1:], strict=True)


def _found(folder: Path, name: str) -> Path:
    """The file of this name in the folder or in a folder of it."""
    path = next((one for one in [folder / name, *sorted(folder.rglob(name))] if one.is_file()), None)
    if path is None:
        raise CaptionError(f"{folder} holds no {name}, nor does a folder of it")
    return path


def _pictures(folder: Path) -> dict[str, Path]:
    """The image files of the folder and of all folders of it, by name."""
    folders = [folder, *sorted(path for path in folder.rglob("*") if path.is_dir())]
    found: dict[str, Path] = {}
    for place in folders:
        try:
            found |= {path.name: path for path in image_files(place)}
        except ValueError:  # no picture in this one
            continue
    return found


def _picture(pictures: dict[str, Path], name: str, where: str) -> Path:
    if name not in pictures:
        raise CaptionError(f"{where}: there is no picture {name!r}")
    return pictures[name]


def _there(pair: CaptionedPair, where: str) -> CaptionedPair:
    for path in (pair.before, pair.after):
        if not path.is_file():
            raise CaptionError(f"{where}: there is no picture {path}")
    return pair


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


def _records(path: Path, *keys: str) -> Iterator[tuple[dict[str, Any], str]]:
    yield from _each(_json(path, list), f"{path}, record", *keys)


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


def _unique(pairs: CaptionedPairs, path: Path) -> CaptionedPairs:
    known: set[str] = set()
    for pair in pairs:
        if pair.name in known:
            raise CaptionError(f"{path}: {pair.name!r} comes twice")
        known.add(pair.name)
    if not pairs:
        raise CaptionError(f"{path} holds no pair")
    return pairs
