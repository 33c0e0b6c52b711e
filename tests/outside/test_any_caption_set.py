"""Odd folders of the five caption sets, drawn by hypothesis: each caption comes with its own pictures, or is refused.

The color of a picture tells which one it is, and its sentence tells it too. So whatever the names, folders, parts,
encodings, missing and broken files are: a pair that is read is right, and what is not read is told in one line.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support import FUZZ

from helpers.caption_sets import CAPTION_SETS

LEVELS = (15, 70, 125, 180, 235)  # of each channel: JPEG moves a plain color by less
FULL, SMALL = (24, 16), (9, 6)
WORDS = {
    "train": ("train", "training", "Train", "images_train"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "TEST"),
}
SPLITS = {
    "spot-the-diff": ("train", "val", "test"),
    "nlvr2": ("train", "dev", "test1"),
    "coco-captions": ("train2014", "val2014", "test2014"),
    "vist": ("train", "val", "test"),
    "clevr-change": ("train", "val", "test"),
}
FILES = {
    "coco-captions": "captions_{}.json",
    "vist": "{}.story-in-sequence.json",
    "clevr-change": "splits.json",
}
SIDES = {"spot-the-diff": 2, "nlvr2": 2, "coco-captions": 1, "vist": 3, "clevr-change": 3}
CLEAR = ("by part", "by part, below", "one folder", "beside", "chunks")
APART = ("by part", "by part, below", "told by nothing")


@dataclass(frozen=True)
class World:
    """How one data set lies on a disk."""

    kind: str
    counts: tuple[int, int, int]  # records of each part
    layout: str  # CLEAR, or "told by nothing": folders a, b, c
    anew: bool  # each part begins again with the same names
    ending: str  # of the files, whatever the annotations say
    capitals: bool
    words: tuple[str, str, str]  # the folders of the parts, where they have some
    home: str  # where the annotation files lie
    encoding: str
    line_end: str
    extra: tuple[str, ...]  # what else lies there
    gone: frozenset[int]  # pictures, by the number that their color tells
    broken: dict[int, str]
    spoiled: dict[int, str]  # records, by their number over all parts
    folder_in_name: bool
    numbers: bool  # ids are numbers, where a format has text

    @property
    def is_clear(self) -> bool:
        """Whether nothing is left to guess, so that all of it must be read."""
        unclear = {"previews without a name", "another set"} & set(self.extra)
        told = not self.folder_in_name or self.layout == "by part"
        return self.layout in CLEAR and told and not unclear

    @property
    def is_whole(self) -> bool:
        return not (self.gone or self.broken or self.spoiled)


@st.composite
def worlds(draw):
    kind = draw(st.sampled_from(sorted(SPLITS)))
    counts = tuple(draw(st.integers(1, 3)) for _ in range(3))
    pictures, records = sum(counts) * SIDES[kind], sum(counts)
    some = st.integers(0, pictures - 1)
    damages = st.sampled_from(["cut", "empty", "text"])
    faults = st.sampled_from(["no key", "null", "number", "empty", "twice", "not one"])
    whole = draw(st.booleans())
    layout = draw(st.sampled_from([*CLEAR, *APART]))
    return World(
        kind=kind,
        counts=counts,
        layout=layout,
        anew=layout in APART and draw(st.booleans()),
        ending=draw(st.sampled_from([".png", ".jpg", ".PNG", ".gif", ".webp", ".jpeg"])),
        capitals=draw(st.booleans()),
        words=tuple(draw(st.sampled_from(WORDS[part])) for part in WORDS),
        home=draw(st.sampled_from(["", "annotations", "data/annotations", "data"])),
        encoding=draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "utf-32"])),
        line_end=draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n"])),
        extra=tuple(draw(st.sets(st.sampled_from(EXTRAS), max_size=2))),
        gone=frozenset() if whole else draw(st.frozensets(some, max_size=min(3, pictures - 1))),
        broken={} if whole else draw(st.dictionaries(some, damages, max_size=2)),
        spoiled={} if whole else draw(st.dictionaries(st.integers(0, records - 1), faults, max_size=1)),
        folder_in_name=kind == "coco-captions" and draw(st.booleans()),
        numbers=draw(st.booleans()),
    )


EXTRAS = ("previews", "previews without a name", "a copy", "another set", "hidden", "of a Mac", "notes")


def color(number):
    return tuple(LEVELS[number // 5**place % 5] for place in range(3))


def number_of(picture):
    """Which picture an array shows."""
    levels = [int(np.argmin([abs(value - level) for level in LEVELS])) for value in picture.mean(axis=(0, 1))]
    return sum(level * 5**place for place, level in enumerate(levels))


def save(path, number, size=FULL, damage=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color(number)).save(path)
    data = path.read_bytes()
    path.write_bytes({"": data, "cut": data[: len(data) // 2], "empty": b"", "text": b"no picture"}[damage])


class Written:
    """A world on disk, and what is true of it: of each part its records, and of each record its pictures' numbers."""

    def __init__(self, world, root):
        self.world, self.root = world, root
        self.parts = {split: {} for split in SPLITS[world.kind]}  # name of a record -> numbers of its pictures
        number = 0
        places = {}
        for index, (split, count) in enumerate(zip(self.parts, world.counts, strict=True)):
            for record in range(count):
                name = str(record + 1 if world.anew and world.kind != "clevr-change" else number + 1)
                names = self._names(split, name)
                self.parts[split][name] = list(range(number, number + len(names)))
                for side, one in enumerate(names):
                    places[number + side] = self._place(index, one, number + side)
                number += len(names)
        self.places = places
        for one, path in places.items():
            if one not in world.gone:
                save(path, one, damage=world.broken.get(one, ""))
        self._annotate()
        for extra in world.extra:
            self._add(extra)

    def _names(self, split, name):
        kind = self.world.kind
        if kind == "clevr-change":
            words = ("default", "semantic", "nonsemantic")
            return [f"CLEVR_{word}_{int(name):06}.png" for word in words]
        if kind == "spot-the-diff":
            return [f"{name}.png", f"{name}_2.png"]
        if kind == "nlvr2":
            start = "x" if self.world.anew else split
            return [f"{start}-{name}-0-img{side}.png" for side in (0, 1)]
        return [f"p{name}.jpg"] if kind == "coco-captions" else [f"{name}{side}.jpg" for side in range(3)]

    def _place(self, part, name, number):
        world = self.world
        stem = Path(name).stem
        stem = stem.upper() if world.capitals else stem
        folder = {
            "by part": world.words[part],
            "by part, below": f"pictures/{world.words[part]}/all",
            "one folder": "Bilder für alle",
            "beside": world.home,
            "chunks": f"chunk{number % 3}",
            "told by nothing": "abc"[part],
        }[world.layout]
        return self.root / folder / f"{stem}{world.ending}"

    def _annotate(self):
        world, serial = self.world, 0
        if world.kind == "clevr-change":
            self._write("splits.json", {split: [int(one) for one in own] for split, own in self.parts.items()})
            told = {n: f"CLEVR_default_{int(n):06}.png" for own in self.parts.values() for n in own}
            for kind in ("change", "no_change"):
                self._write(f"{kind}_captions.json", {file: [f"é {kind} {n}"] for n, file in told.items()})
            return
        for index, (split, own) in enumerate(self.parts.items()):
            records = []
            for name in own:
                records += self._spoiled(self._records(index, split, name), world.spoiled.get(serial))
                serial += 1
            self._write(FILES.get(world.kind, "{}.json").format(split), self._content(records))

    def _records(self, index, split, name):
        """What the annotations say of one record: for each the dict, or of COCO two."""
        kind, said = self.world.kind, f"é {split} {name}"
        key = int(name) if self.world.numbers else name
        if kind == "spot-the-diff":
            return [{"img_id": key, "sentences": [said, " "]}]
        if kind == "nlvr2":
            start = self._names(split, name)[0].rsplit("-", 1)[0]
            return [{"identifier": f"{start}-0", "sentence": said, "label": "True"}]
        if kind == "coco-captions":
            folder = f"{self.world.words[index]}/" if self.world.folder_in_name else ""
            return [{"id": key, "file_name": f"{folder}p{name}.jpg", "image_id": name, "caption": said}]
        steps = [{"story_id": key, "photo_flickr_id": f"{name}{side}", "text": f"{said} {side}"} for side in range(3)]
        return [step | {"worker_arranged_photo_order": side} for side, step in enumerate(steps)]

    def _spoiled(self, records, fault):
        first, *others = records
        key = {"spot-the-diff": "sentences", "nlvr2": "sentence", "coco-captions": "caption", "vist": "text"}
        key = key[self.world.kind]
        spoiled = {
            None: [first],
            "no key": [{k: v for k, v in first.items() if k != key}],
            "null": [first | {key: None}],
            "number": [first | {key: 3}],
            "empty": [first | {key: [" "] if key == "sentences" else " "}],
            "twice": [first, first | {key: ["anew"] if key == "sentences" else "anew"}],
            "not one": ["no record"],
        }[fault]
        return [*spoiled, *others]

    def _content(self, records):
        kind = self.world.kind
        if kind == "coco-captions":
            return {"images": records, "annotations": records}
        return {"annotations": [[one] for one in records]} if kind == "vist" else records

    def _write(self, name, content):
        world = self.world
        path = self.root / world.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if world.kind == "nlvr2":
            lines = [json.dumps(one, ensure_ascii=False) for one in content]
            text = world.line_end.join([*lines, "", ""])
        else:
            text = json.dumps(content, ensure_ascii=False, indent=1).replace("\n", world.line_end)
        path.write_bytes(text.encode(world.encoding))

    def _add(self, extra):
        for number, path in self.places.items():
            if extra in ("previews", "previews without a name"):
                folder = "thumbnails" if extra == "previews" else "klein"
                save(self.root / folder / path.relative_to(self.root), number, size=SMALL)
            elif extra == "a copy" and path.exists():
                copy = self.root / "copy" / path.relative_to(self.root)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())
            elif extra == "another set":
                save(self.root / "other set" / path.name, 124 - number)
            elif extra == "hidden":
                save(path.parent / ".cache" / path.name, 124 - number)
            elif extra == "of a Mac":
                (path.parent / f"._{path.name}").parent.mkdir(parents=True, exist_ok=True)
                (path.parent / f"._{path.name}").write_bytes(b"\0\5\26\7")
        if extra == "notes":
            (self.root / "readme.txt").write_text("notes")


def hold_pair(written, split, pair):
    """The pair shows what its sentences say."""
    world, (said, *words) = written.world, pair.captions[0].split()
    assert said == "é"
    shown = pair.read()
    before, after = (number_of(picture) for picture in shown)
    for number, picture in zip((before, after), shown, strict=True):
        # Where the picture itself is gone, a small copy in a folder of any name is the only one that shows this.
        left = number in world.gone and "previews without a name" in world.extra
        assert picture.shape[:2] == FULL[::-1] or left
    if world.kind == "clevr-change":
        kind, name = words
        own = written.parts[split][name]
        assert (before, after) == (own[0], own[1 if kind == "change" else 2])
    elif world.kind == "vist":
        part, name, side = words
        own = written.parts[split][name]
        assert part == split
        assert after == own[int(side)]
        assert before in own[: int(side)]
    else:
        part, name = words
        own = written.parts[split][name]
        assert part == split
        assert (before, after) == (own[0], own[-1])


def attempt(read, *arguments, **options):
    """What is read, or in one sentence why not."""
    try:
        return read(*arguments, **options), ""
    except ValueError as error:
        text = str(error)
    assert text
    assert "\n" not in text
    assert len(text) < 1000
    return None, text


@settings(max_examples=25 * (FUZZ or 1))
@given(worlds())
def test_each_caption_has_its_own_pictures_or_is_refused(world):
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve() / "set"
        written = Written(world, root)
        read = CAPTION_SETS[world.kind].read
        for split, own in written.parts.items():
            pairs, refused = attempt(read, root, split, strict=False)
            if refused:
                assert str(root) in refused
                assert not (world.is_clear and world.is_whole), refused
                continue
            for pair in pairs:
                hold_pair(written, split, pair)
            assert not any("\n" in why for why in pairs.skipped)
            assert max(Counter(pair.name for pair in pairs).values()) == 1
            whole = len(own) * {"clevr-change": 2, "vist": 2}.get(world.kind, 1)
            assert len(pairs) == whole or pairs.skipped
            if world.kind != "vist":  # where a photograph may end two pairs, or none
                assert len(pairs.skipped) >= whole - len(pairs)
            if world.is_clear and world.is_whole:
                assert (len(pairs), pairs.skipped) == (whole, [])
            same, refused = attempt(read, root, split)
            assert same == (None if pairs.skipped else pairs)
            assert not pairs.skipped or "mend it, or pass strict=False to leave it out" in refused
