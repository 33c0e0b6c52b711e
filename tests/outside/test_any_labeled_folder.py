"""Odd folders of labeled pictures, drawn by hypothesis: each file is read right or left out with a word.

The mean of a picture tells which one it is. A plain walk over what was written says which files are good, of which
class and in which split: each of them is to be read exactly once, and nothing else.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support import FUZZ

from helpers import datasets, splits
from whatchanged.weights import to_tensor

SOUND_FIRST = [
    ("Negative", "Positive"),
    ("negative", "POSITIVE"),
    ("uncracked", "cracked"),
    ("Non-cracked", "Cracked"),
    ("good", "defect"),
    ("ok_front", "def_front"),
]
BY_ALPHABET = [
    ("apples", "pears"),
    ("0", "1"),
    ("Zopf", "Überriß"),
    ("a b", "c.d.e", "cd"),
    ("bus", "car", "train"),
    ("valid", "void"),
    ("crazing", "inclusion", "patches", "scratches"),
]
PARTS = {
    "train": ("train", "Train", "training", "TRAIN"),
    "validation": ("val", "valid", "validation", "Valid"),
    "test": ("test", "TEST", "testing"),
}
ENDINGS = (".jpg", ".JPG", ".jpeg", ".jfif", ".png", ".PNG", ".gif", ".bmp", ".webp", ".tif", ".pgm")
FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".jfif": "JPEG", ".tif": "TIFF", ".pgm": "PPM"}
STEMS = ("0", "1", "2", "a", "B", "ß ö", "x.y")
FAULTS = ("cut", "empty", "text")
JUNK = ("of a Mac", "__MACOSX", "hidden", "notes", "thumbnails", "a preview beside", "on top", "an empty folder")
CODINGS = ("uint8", "normalized", "half", "share", "levels", "int64", "grad")


@dataclass(frozen=True)
class World:
    """How a data set lies on a disk: of each file its class, split ("" where there are none), stem and fault."""

    classes: tuple[str, ...]
    words: dict[str, str]  # what the folders of the splits are called
    class_first: bool
    around: tuple[str, ...]
    below: str  # a folder in each class's folder
    files: tuple[tuple[str, str, str, str], ...]
    endings: tuple[str, ...]  # in turn; or the codings of tensors
    tensors: bool
    junk: frozenset[str]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    classes = draw(st.sampled_from(SOUND_FIRST + BY_ALPHABET))
    some = draw(st.sampled_from([(), (), ("train", "test"), ("train", "validation"), tuple(PARTS), ("train",)]))
    words = {part: draw(st.sampled_from(PARTS[part])) for part in some}
    files = set()
    for part in some or ("",):
        for name in classes:
            least = 1 if part in ("train", "") else 0
            for stem in draw(st.lists(st.sampled_from(STEMS), min_size=least, max_size=4, unique=True)):
                files.add((name, part, stem, draw(st.sampled_from(["", "", "", "", *FAULTS]))))
    tensors = draw(st.booleans()) if draw(st.booleans()) else False
    return World(
        classes,
        words,
        draw(st.booleans()),
        draw(st.sampled_from([(), (), ("cracks",), ("a", "b"), ("Positive or not",), ("données",)])),
        draw(st.sampled_from(["", "", "batch1", "2024/05"])),
        tuple(sorted(files)),
        tuple(draw(st.lists(st.sampled_from(CODINGS if tensors else ENDINGS), min_size=1, max_size=4))),
        tensors,
        draw(st.frozensets(st.sampled_from(JUNK), max_size=4)),
    )


def picture(number):
    """Grainy, its mean is four times the number, and at most 200."""
    return np.clip(np.random.default_rng(number).normal(24 + 4 * number, 6, (20, 24, 3)), 0, 255).astype(np.uint8)


def as_tensor(image, coding):
    whole = torch.from_numpy(image).permute(2, 0, 1)
    return {
        "uint8": whole,
        "normalized": to_tensor(image),
        "half": to_tensor(image).half(),
        "share": whole / 255.0,
        "levels": whole.float(),
        "int64": whole.long(),
        "grad": to_tensor(image).requires_grad_(),
    }[coding].clone(memory_format=torch.contiguous_format)


def write(world, root):
    """The files that were written, as a walk finds them: of each its number, class, split and fault."""
    written = {}
    for number, (name, part, stem, fault) in enumerate(world.files):
        of_part = [world.words[part]] if part else []
        folders = [*world.around, *([name, *of_part] if world.class_first else [*of_part, name]), world.below]
        choice = world.endings[number % len(world.endings)]
        path = Path(root, *folders, stem + (".pt" if world.tensors else choice))
        path.parent.mkdir(parents=True, exist_ok=True)
        if world.tensors:
            torch.save(as_tensor(picture(number), choice), path)
        else:
            Image.fromarray(picture(number)).save(path, FORMATS.get(choice.lower()))
        data = path.read_bytes()
        if fault:
            path.write_bytes({"cut": data[: len(data) // 2], "empty": b"", "text": b"no picture"}[fault])
        written[path] = (number, name, part, fault)
    for junk in sorted(world.junk):
        scatter(junk, root, list(written))
    walked = {Path(folder, file) for folder, _, files in os.walk(root) for file in files}
    assert walked >= set(written)
    return written, walked - set(written)


def scatter(junk, root, paths):
    """Put what is none of the pictures beside them."""
    for path in paths:
        if junk == "of a Mac":
            (path.parent / f"._{path.name}").write_bytes(b"\0\5\26\7" + bytes(90))
        elif junk == "__MACOSX":
            save(root / "__MACOSX" / path.relative_to(root).with_name(f"._{path.stem}.png"))
        elif junk == "hidden":
            save(path.parent / ".cache" / f"{path.stem}.png")
        elif junk == "thumbnails":
            save(path.parent / "thumbs" / f"{path.stem}.png")
        elif junk == "a preview beside" and path.suffix != ".pt":
            save(path.with_name(f"{path.stem}_thumb{path.suffix}"), FORMATS.get(path.suffix.lower()))
    if junk == "notes":
        (root / "readme.txt").write_text("notes")
        (paths[0].parent / "Thumbs.db").write_bytes(b"x")
    elif junk == "on top":
        save(root / "overview.png")
    elif junk == "an empty folder":
        (root / "later").mkdir()


def save(path, kind=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(60)[:9, :9]).save(path, kind)


def told(error, *wanted):
    """The sentence of an error is one line and names what it is about."""
    text = str(error)
    assert "\n" not in text
    assert len(text) < 600
    assert any(one in text for one in wanted), text


@settings(max_examples=25 * (FUZZ or 1))
@given(worlds())
def test_each_labeled_file_is_read_right_or_left_out_with_a_word(world):
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve() / "set"
        root.mkdir()
        written, others = write(world, root)
        good = {path: rest for path, (*rest, fault) in written.items() if not fault}
        hold_strict(world, root, written)
        try:
            found = datasets.defect_images(root, 20, strict=False)
        except ValueError as error:
            gone = [one for one in world.classes if one not in {kind for _, kind, _ in good.values()}]
            told(error, *map(repr, gone), *["sound", "cracked"] * bool(gone))
            return
        assert sorted(found.paths) == sorted(good)
        hold_labels(world, found, good)
        broken = [path.name for path in written if path not in good]
        visible = {
            path for path in others if not any(one.startswith((".", "_")) for one in path.relative_to(root).parts)
        }
        notes = [path.name for path in visible if path.name != "Thumbs.db"]
        for file in (*broken, *notes):
            assert any(f"{file}: " in reason for reason in found.skipped), (file, found.skipped)
        empty = "an empty folder" in world.junk
        assert len(found.skipped) == len(broken) + len(notes) + empty
        assert found.told().startswith(f"{len(good)} images: ")
        hold_parts(world, found)


def hold_strict(world, root, written):
    """Nothing is read ahead; a broken file is named when it is asked for, and the good ones are what they are."""
    found = datasets.defect_images(root, 20)
    assert sorted(found.paths) == sorted(written)
    for place, path in enumerate(found.paths):
        number, _, _, fault = written[path]
        try:
            shown = found.picture(place)
            tensor, _ = found[place]
        except ValueError as error:
            assert fault
            told(error, str(path))
            continue
        assert not fault
        assert abs(shown.mean() - picture(number).mean()) < 2.5
        assert abs(tensor - to_tensor(shown)).max() < 0.02


def hold_labels(world, found, good):
    """Classes and splits are those of the walk, and the sound ones come first."""
    course = tuple(one.lower() for one in world.classes) == ("negative", "positive")
    names = ("sound", "cracked") if course else world.classes
    assert found.names == names
    parts = {place: part for part, places in found.splits.items() for place in places}
    assert sum(map(len, found.splits.values())) == len(parts)
    for place, path in enumerate(found.paths):
        _, kind, part = good[path]
        assert names[found.labels[place]] == names[world.classes.index(kind)]
        assert parts.get(place, "") == part


def hold_parts(world, found):
    """The parts are disjoint, hold every class, keep the folder's own; or a sentence says what is too little."""
    for shares in ((0.8, 0.2), (0.6, 0.2, 0.2)):
        try:
            parts = splits.divided(found, 0, shares)
        except ValueError as error:
            told(error, *map(repr, found.names))
            sizes = {
                part: np.bincount(found.labels[places], minlength=len(found.names))
                for part, places in found.splits.items()
            }
            sizes = sizes or {"train": np.bincount(found.labels)}
            asked = ("train", "validation", "test")[: len(shares)]
            missing = [part for part in asked if part not in sizes]
            assert sizes["train"].min() <= len(missing) or any(
                sizes[part].min() == 0 for part in asked if part in sizes
            )
            continue
        held = [part for part in (parts.train, parts.validation, parts.test) if part is not None]
        names = [[part.name(place) for place in range(len(part))] for part in held]
        assert sorted(sum(names, [])) == sorted(map(found.name, range(len(found))))
        for part in held[: len(shares)]:
            assert set(part.labels.tolist()) == set(range(len(found.names)))
        for part, places in found.splits.items():
            if part != "train":
                assert [found.name(place) for place in places] == names[splits.PARTS.index(part)]
        assert parts.note
