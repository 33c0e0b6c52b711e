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

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

from helpers.captioned import CaptionedPair, CaptionedPairs
from whatchanged.annotations import AnnotationError, Annotations, hold_keys


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
    strict : here and below: refuse a record without a sentence, or without two pictures that can be read; otherwise
        leave it out, and note it in `skipped`. Which picture a name means, `whatchanged.lookup` says.

    Raises
    ------
    AnnotationError
        Here and below: the JSON is missing or broken, no pair is left, or there is no picture at all.

    References
    ----------
    .. [1] Jhamtani and Berg-Kirkpatrick, Learning to Describe Differences Between Pairs of Similar Images, EMNLP 2018.
    """
    part = _Part("spot-the-diff", folder, f"{split}.json", split, strict)
    told: dict[str, list[tuple[str, tuple[str, ...]]]] = defaultdict(list)
    for record, where in part.each(part.content(list), "record", "img_id", "sentences"):
        with part.refused():
            sentences = sentences_of(record["sentences"], where)
            told[str(record["img_id"])].append((where, sentences))
    picture = part.pictures(f"{name}{end}" for name in told for end in (".png", "_2.png"))
    for name, records in told.items():
        with part.refused():
            before, after = (picture(f"{name}{end}", records[0][0]) for end in (".png", "_2.png"))
            captions = [" ".join(own) for _, own in records] if together else [one for _, own in records for one in own]
            part.add(name, before, after, tuple(captions))
    return part.whole()


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
    part = _Part("clevr-change", folder, "splits.json", split, strict)
    numbers = part.content(dict)
    if split not in numbers:
        raise AnnotationError(f"{part.path} has no split {split!r}: choose from {', '.join(map(repr, numbers))}")
    if not isinstance(numbers[split], list):
        raise AnnotationError(f"{part.path}: {split} must be a list of whole numbers")
    kinds = {"change": "semantic", "no change": "nonsemantic"}
    files = {kind: part.path.with_name(f"{kind.replace(' ', '_')}_captions.json") for kind in kinds}
    told = {kind: part.content(dict, file) for kind, file in files.items()}
    scenes = []
    for number in numbers[split]:
        with part.refused():
            if type(number) is not int:
                raise AnnotationError(f"{part.path}: {split} holds {shortened(number)}, it must hold whole numbers")
            scenes.append(f"{number:06}")
    picture = part.pictures(f"CLEVR_{word}_{one}.png" for one in scenes for word in ("default", *kinds.values()))
    for one in scenes:
        for kind, word in kinds.items():
            where = f"{files[kind].name}, CLEVR_default_{one}.png"
            with part.refused():
                captions = sentences_of(told[kind].get(f"CLEVR_default_{one}.png", []), where)
                before, after = (picture(f"CLEVR_{side}_{one}.png", where) for side in ("default", word))
                part.add(f"{one} {kind}", before, after, captions)
    return part.whole()


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
    part = _Part("nlvr2", folder, f"{split}.json", split, strict)
    true = []
    for record, where in part.each(part.content(Iterator), "line", "identifier", "sentence", "label"):
        with part.refused():
            label = str(record["label"]).strip().lower()
            if label not in ("true", "false"):
                raise AnnotationError(f"{where}: label is {shortened(record['label'])}, it must be True or False")
            if label == "true":
                true.append((str(record["identifier"]), sentences_of([record["sentence"]], where), where))
    names = {name: [f"{name.rsplit('-', 1)[0]}-img{side}.png" for side in (0, 1)] for name, _, _ in true}
    picture = part.pictures(one for both in names.values() for one in both)
    for name, captions, where in true:
        with part.refused():
            before, after = (picture(one, where) for one in names[name])
            part.add(name, before, after, captions)
    return part.whole()


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
    part = _Part("coco-captions", folder, f"captions_{split}.json", split, strict)
    content = part.content(dict)
    hold_keys(content, str(part.path), "images", "annotations")
    images = list(part.each(content["images"], "image", "id", "file_name"))
    told: dict[str, list[str]] = {str(record["id"]): [] for record, _ in images}
    for record, where in part.each(content["annotations"], "annotation", "image_id", "caption"):
        with part.refused():
            if (name := str(record["image_id"])) not in told:
                raise AnnotationError(f"{where}: there is no image with the id {record['image_id']!r}")
            told[name] += sentences_of([record["caption"]], where)
    picture = part.pictures(str(record["file_name"]) for record, _ in images)
    for record, where in images:
        with part.refused():
            shown = picture(str(record["file_name"]), where)
            part.add(str(record["id"]), shown, shown, sentences_of(told[str(record["id"])], where))
    pairs = part.whole()
    if other:
        pairs[:] = [replace(pair, before=pairs[index - 1].after) for index, pair in enumerate(pairs)]
    return pairs


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
    part = _Part("vist", folder, f"{split}.story-in-sequence.json", split, strict)
    content = part.content(dict)
    hold_keys(content, str(part.path), "annotations")
    keys = ("story_id", "photo_flickr_id", "worker_arranged_photo_order", "text")
    records = list(part.each(content["annotations"], "annotation", *keys))
    picture = part.pictures(str(record["photo_flickr_id"]) for record, _ in records)
    stories: dict[str, dict[int, tuple[Path, tuple[str, ...]]]] = defaultdict(dict)
    for record, where in records:
        with part.refused():
            order = str(record["worker_arranged_photo_order"])
            if not order.isdecimal():
                raise AnnotationError(f"{where}: worker_arranged_photo_order is {order!r}, it must be a whole number")
            step = picture(str(record["photo_flickr_id"]), where), sentences_of([record["text"]], where)
            if stories[str(record["story_id"])].setdefault(int(order), step) != step:
                raise AnnotationError(f"{where}: photograph {order} of the story {record['story_id']!r} comes twice")
    for story, steps in stories.items():
        for (_, (before, _)), (at, (after, captions)) in pairwise(sorted(steps.items())):
            part.add(f"{story} {at}", before, after, captions)
    return part.whole()


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
        raise AnnotationError(f"the data set is {name!r}: choose from {choices}")
    splits = CAPTION_SETS[name].splits
    found = {split: CAPTION_SETS[name].read(folder, split, strict=False) for split in dict.fromkeys(splits)}
    train, validation, test = (found[split] for split in splits)
    if validation is test:
        if len(test) < 2:
            raise AnnotationError(f"{folder} holds one pair of {splits[2]}: validation and test need one each")
        validation, test = CaptionedPairs(test[::2], test.skipped), CaptionedPairs(test[1::2], test.skipped)
    return {"train": train, "validation": validation, "test": test}


class _Part(Annotations):
    """One part of a data set while it is read, with the pairs that it has so far."""

    def __init__(self, name: str, folder: str | Path, file: str, split: str, strict: bool) -> None:
        super().__init__(folder, file, split, strict)
        self.name, self.where_had = name, CAPTION_SETS[name].pictures
        self.pairs: dict[str, list[CaptionedPair]] = defaultdict(list)

    def pictures(self, names: Iterable[str]) -> Callable[[str, str], Path]:
        if not self.tree.files:
            nothing = f"{self.tree.called} holds no picture of {self.name}, nor does a folder of it"
            raise AnnotationError(f"{nothing}: {self.where_had}; put them there")
        return super().pictures(names)

    def add(self, name: str, before: Path, after: Path, captions: tuple[str, ...]) -> None:
        self.pairs[name].append(CaptionedPair(name, before, after, captions, self.name))

    def whole(self) -> CaptionedPairs:
        """The pairs: of equal ones with one name the first, of others none; refused where none is left."""
        for name in (name for name, own in self.pairs.items() if len(own) > 1):
            with self.refused():
                raise AnnotationError(f"{self.path}: {name!r} comes twice")
        sound = [own[0] for own in self.pairs.values() if own.count(own[0]) == len(own)]
        if not sound:
            why = f", for {self.skipped[0]} ({self.where_had})" if self.skipped else ""
            raise AnnotationError(f"{self.path} holds no pair{why}")
        return CaptionedPairs(sound, self.skipped)


def sentences_of(given: Any, where: str) -> tuple[str, ...]:
    """The sentences of a record without spaces around them; empty ones do not count."""
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise AnnotationError(f"{where}: the sentences are {shortened(given)}, they must be a list of text")
    kept = tuple(one.strip() for one in given if one.strip())
    if not kept:
        raise AnnotationError(f"{where} has no sentence")
    return kept
