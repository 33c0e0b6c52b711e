"""Pairs with several labels, on disk: written, read, refused with their id."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from helpers.datasets import LabeledImages
from helpers.things import ATTRIBUTES, Pair
from whatchanged import kept
from whatchanged.files import write_json
from whatchanged.formats import ImageError
from whatchanged.images import read_image, resized, unreadable, write_image
from whatchanged.pictures import Indices
from whatchanged.texts import json_of

CHANGE_LABELS = ("color", "shape", "texture")
SPLITS = {"train": 0.7, "val": 0.15, "test": 0.15}
_SIDES = ("before", "after")
_SAME_SPLIT = dict.fromkeys(("valid", "validation", "dev"), "val")


class RecordError(ValueError):
    """A record of an annotation file that cannot be used; the message names it by its id."""


class SubtleDiffDataset(LabeledImages):
    """Before/after pairs on disk, each with yes or no to color, shape and texture.

    An item is (float32 tensor (2, 3, H, W), float32 array (3,)), the pair normalized as `to_tensor` does.

    Parameters
    ----------
    root : a folder with `before/`, `after/` and `annotations.json`, or one with such a folder for each split. The JSON
        file holds a list of records, `{"id": "17", "before": "17.png", "after": "17.png", "color": 1, "shape": 0,
        "texture": 0}`; file names are relative to `before/` and `after/`. A record may have `boxes`, a list of [x, y,
        width, height] in pixels of the before image; `split`; and whatever else.
    split : "train", "val" or "test"; None takes all. Where there is no folder for each split, records tell theirs
        ("valid", "validation" and "dev" are "val"); one without `split`, or with null, goes where a hash of its id
        sends it: 70 %, 15 % and 15 %, always the same.
    transform : function of (before, after), uint8 arrays (H, W, 3), that returns such a pair, as `alignment.aligned`.
    size : the pictures' new side, after the transform; None leaves them as they are.
    strict : refuse a broken record; otherwise leave it out and note it in `skipped`.

    Attributes
    ----------
    records : list of dict, one a pair, as in the file.
    skipped : list of str: what was wrong with the records left out.

    Raises
    ------
    RecordError
        A picture is missing or unreadable, the two differ in size, a label is missing or neither 0 nor 1, a box is
        not four numbers, an id comes twice, or a record tells another split than these.
    ValueError
        There is no annotation file, it is no list of records, or none is left.
    """

    def __init__(
        self,
        root: str | Path,
        split: str | None = None,
        transform: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]] | None = None,
        *,
        size: int | None = None,
        strict: bool = True,
    ) -> None:
        self.folder, records, by_record = _split_records(Path(root), split)
        self.transform, self.size = transform, size
        self.records: list[dict[str, Any]] = []
        self.skipped: list[str] = []
        self._sizes: list[tuple[int, int]] = []
        known: set[str] = set()
        broken = unreadable(_named_files(records, self.folder))
        for number, record in enumerate(records):
            try:
                size_in_file = _hold_record(record, number, self.folder, known, broken)
                if by_record and _split_of(record) not in list(SPLITS):
                    raise RecordError(f"record {record['id']!r}: split is {record['split']!r}, not {', '.join(SPLITS)}")
                self._sizes.append(size_in_file)
                self.records.append(record)
            except RecordError as error:
                if strict:
                    raise
                self.skipped.append(str(error))
        if not self.records:
            of_split = f" of the split {split!r}" if split else ""
            raise ValueError(f"{self.folder} holds no usable pair{of_split}")
        labels = [[record[name] for name in CHANGE_LABELS] for record in self.records]
        super().__init__(labels, CHANGE_LABELS, self.skipped)

    def picture(self, index: int) -> np.ndarray:
        """The pair as uint8 array (2, H, W, 3), transformed and resized."""
        record = self.records[index]
        try:
            pair = tuple(read_image(self.folder / side / record[side]) for side in _SIDES)
        except ImageError as error:
            raise ImageError(f"record {record['id']!r}: {error}") from error
        pair = self.transform(*pair) if self.transform else pair
        return np.stack([resized(one, self.size) for one in pair] if self.size else pair)

    def made_of(self, indices: Indices) -> tuple[list[Path], str]:
        chosen = [self.records[index] for index in indices]
        files = [self.folder / side / record[side] for record in chosen for side in _SIDES]
        return files, f"pairs {self.size} {kept.called(self.transform)}"

    def name(self, index: int) -> str:
        return str(self.records[index]["id"])

    @property
    def boxes(self) -> list[np.ndarray]:
        """Of each pair: float array (n, 4): x, y, width, height, in pixels of the before image at its new size."""
        found = []
        for record, (width, height) in zip(self.records, self._sizes, strict=True):
            sides = (self.size or width, self.size or height)
            scale = np.array([sides[0] / width, sides[1] / height] * 2)
            found.append(np.array(record.get("boxes", []), float).reshape(-1, 4) * scale)
        return found


def _split_records(root: Path, split: str | None) -> tuple[Path, list[Any], bool]:
    """The folder of a split, its records as they are in the file, and whether these tell the split.

    A record whose split is unknown is one of each.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(f"split is {split!r}: choose from {', '.join(SPLITS)}, or None for all")
    words = [split, *(word for word, same in _SAME_SPLIT.items() if same == split)] if split else []
    own = next((word for word in words if (root / word / "annotations.json").is_file()), "")
    folder = root / own
    path = folder / "annotations.json"
    if not path.is_file():
        raise ValueError(f"{root} holds no annotations.json: it belongs beside before/ and after/")
    try:
        records = json_of(path)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    if not isinstance(records, list):
        raise ValueError(f"{path} holds a {type(records).__name__}: it must hold a list of records")
    if own or split is None:
        return folder, records, False
    others = [one for one in SPLITS if one != split]
    return folder, [record for record in records if _split_of(record) not in others], True


def _split_of(record: Any) -> Any:
    """A split, or what stands in its place."""
    if not isinstance(record, dict):
        return "train"  # where it is refused
    if (told := record.get("split")) is not None:
        return _SAME_SPLIT.get(told, told) if isinstance(told, str) else told
    place = int(hashlib.sha1(str(record.get("id")).encode()).hexdigest()[:8], 16) / 16**8
    for split, share in SPLITS.items():
        if place < share:
            return split
        place -= share
    return split


def _named_files(records: Iterable[Any], folder: Path) -> set[Path]:
    """All pictures that records name."""
    named = (_inside(folder / side, one.get(side)) for one in records if isinstance(one, dict) for side in _SIDES)
    return {path for path in named if path is not None and path.is_file()}


def _inside(folder: Path, file: Any) -> Path | None:
    """A file of this name in the folder, not beyond it."""
    if not isinstance(file, str) or "\0" in file or not (folder / file).resolve().is_relative_to(folder.resolve()):
        return None
    return folder / file


def _hold_record(record: Any, number: int, folder: Path, known: set[str], broken: dict[Path, str]) -> tuple[int, int]:
    """The pictures' width and height; a RecordError where the record cannot be used. Its id is noted as known."""
    if not isinstance(record, dict) or "id" not in record:
        raise RecordError(f"record number {number} of {folder / 'annotations.json'} has no id")
    name = f"record {record['id']!r}"
    if str(record["id"]) in known:
        raise RecordError(f"{name}: there are two records with this id")
    known.add(str(record["id"]))
    for label in CHANGE_LABELS:
        if label not in record:
            raise RecordError(f"{name} has no label {label!r}: each record needs {', '.join(CHANGE_LABELS)}")
        if record[label] not in (0, 1):
            raise RecordError(f"{name}: {label} is {record[label]!r}, it must be 0 or 1")
    sizes = [_picture_size(folder / side, record.get(side), f"{name}, {side}", broken) for side in _SIDES]
    if sizes[0] != sizes[1]:
        (w, h), (w2, h2) = sizes
        raise RecordError(f"{name}: before is {w}x{h} and after is {w2}x{h2}, they must have one size")
    boxes = record.get("boxes", [])
    if not isinstance(boxes, list) or not all(_is_box(box) for box in boxes):
        raise RecordError(f"{name}: boxes is {boxes!r}, it must be a list of [x, y, width, height]")
    return sizes[0]


def _is_box(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(isinstance(value, (int, float)) for value in box)


def _picture_size(folder: Path, file: Any, name: str, broken: dict[Path, str]) -> tuple[int, int]:
    """Width and height, from the file's header alone."""
    if (path := _inside(folder, file)) is None:
        raise RecordError(f"{name}: {file!r} names no file in {folder}")
    if path in broken:
        raise RecordError(f"{name}: {broken[path]}")
    try:
        with Image.open(path) as image:
            return image.size
    except OSError as error:
        raise RecordError(f"{name}: {file!r} does not exist in {folder}") from error


def parts_of(folder: Path, testing: bool = False) -> dict[str, tuple[Path, str | None]]:
    """The parts of a data set, by name what `SubtleDiffDataset` reads them by: the folder and the split.

    Parameters
    ----------
    folder : of the data set.
    testing : leave out what is trained with: the part "test" alone, which is all of a folder that tells no parts.

    Raises
    ------
    ValueError
        A label is the same in all pairs of a part, so that nothing could be learned or judged by it.
    """
    found: dict[str, tuple[Path, str | None]] = {split: (folder, split) for split in SPLITS}
    if testing:
        whole = [] if (folder / "test").is_dir() else SubtleDiffDataset(folder).records
        told = not whole or any("split" in one for one in whole)
        found = {"test": (folder, "test" if told else None)}
    for split, part in found.items():
        labels = SubtleDiffDataset(*part).labels
        for name in np.array(CHANGE_LABELS)[labels.min(axis=0) == labels.max(axis=0)]:
            same = f"in all {len(labels)} pairs of the part {split!r} {name} is the same"
            raise ValueError(f"{same}: give pairs with it and without")
    return found


def write_dataset(folder: str | Path, pairs: Iterable[Pair]) -> Path:
    """Write pairs to disk as `SubtleDiffDataset` reads them: `before/`, `after/` and `annotations.json`.

    Beside the labels, a record holds the boxes, how many objects there are, the captions and the nuisance. The
    annotations are written last: a folder that has them is whole.

    Parameters
    ----------
    folder : made where it is missing; a data set that it holds is replaced.
    pairs : from `subtle_pair` or `scene_pair`.
    """
    folder, records = Path(folder), []
    (folder / "annotations.json").unlink(missing_ok=True)
    for side in _SIDES:
        (folder / side).mkdir(parents=True, exist_ok=True)
    for number, pair in enumerate(pairs):
        name = f"{number:06}"
        for side in _SIDES:
            write_image(folder / side / f"{name}.png", getattr(pair, side))
        record: dict[str, Any] = {"id": name, "before": f"{name}.png", "after": f"{name}.png"}
        record |= {kind: int(pair.labels[kind]) for kind in ATTRIBUTES}
        record |= {"boxes": pair.boxes.tolist(), "objects": len(pair.things), "captions": list(pair.captions)}
        records.append(record | {"nuisance": asdict(pair.nuisance)})
    write_json(folder / "annotations.json", records)
    return folder
