"""Images and datasets on disk, read right or refused with one sentence that names the file."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from helpers.images import one_a_core
from helpers.runtime import read_json, write_whole

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
MAX_PIXELS = 200_000_000


class ImageError(ValueError):
    """A file that is not an image the course can read."""


def read_image(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read an image file as 8-bit RGB.

    Parameters
    ----------
    path : PNG, JPEG, BMP, TIFF, WebP or whatever else Pillow reads. Gray and palette images become RGB, 16-bit values
        are scaled to 8 bits, transparent pixels lie on white, and a photograph turned by its EXIF tag is turned.
    max_pixels : refuse larger ones before they are decoded.

    Returns
    -------
    uint8 array (H, W, 3), RGB.

    Raises
    ------
    ImageError
        The file is absent, empty, truncated, not an image, or holds more than `max_pixels`.
    """
    path = Path(path)
    if not path.is_file():
        raise ImageError(f"{path} does not exist" if not path.exists() else f"{path} is not a file")
    if path.stat().st_size == 0:
        raise ImageError(f"{path} is empty (0 bytes)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large images; the limit below is ours
            with Image.open(path) as image:
                if image.width * image.height > max_pixels:
                    raise ImageError(f"{path} has {image.width}x{image.height} pixels: at most {max_pixels:,} are read")
                image.load()
                ImageOps.exif_transpose(image, in_place=True)
                return _rgb(image)
    except UnidentifiedImageError as error:
        raise ImageError(f"{path} is not an image that can be read") from error
    except Image.DecompressionBombError as error:
        most = f"at most {max_pixels:,} are read"
        raise ImageError(f"{path} has more than {2 * Image.MAX_IMAGE_PIXELS:,} pixels: {most}") from error
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"{path} is damaged: {error}") from error


def read_pair(before: str | Path, after: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Two pictures, as `read_image` reads them, decoded at the same time."""
    with ThreadPoolExecutor(2) as readers:  # decoding does not hold the interpreter's lock
        first, second = readers.map(read_image, (before, after))
    return first, second


def write_image(path: str | Path, picture: np.ndarray) -> Path:
    """Write a picture as PNG, whole or not at all.

    Parameters
    ----------
    path : the file; its folder exists.
    picture : uint8 array (H, W, 3), RGB.
    """
    return write_whole(path, cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), _PNG)[1])


_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]
if hasattr(cv2, "IMWRITE_PNG_FILTER"):  # two thirds of the time of OpenCV's own choice, and three quarters of the space
    _PNG += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]


def _rgb(image: Image.Image) -> np.ndarray:
    if image.mode == "F":
        raise ImageError("floating-point images have no fixed range: save the image with 8 or 16 bits")
    if image.mode.startswith("I"):  # 16-bit gray
        values = np.asarray(image).astype(np.float64)
        return np.repeat(np.clip(np.rint(values / 257), 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def find_pairs(source: str | Path) -> list[tuple[Path, Path]]:
    """The image pairs that a CSV file or a folder names.

    Parameters
    ----------
    source : a CSV file with the columns `before` and `after` (relative paths count from the CSV's folder), or a folder
        with pairs by name: `x_before.png` with `x_after.png`, `x.png` with `x_2.png`, or `before/x.png` with
        `after/x.png`.

    Returns
    -------
    list of (before, after) paths, sorted by name (folder) or in the order of the rows (CSV).

    Raises
    ------
    ValueError
        There is no such file or folder, a column is missing, or no pair is found.
    """
    source = Path(source)
    if source.is_dir():
        pairs = sorted(_pairs_by_name(source))
    elif source.is_file():
        pairs = _pairs_in_csv(source)
    else:
        raise ValueError(f"{source} does not exist: give a CSV file or a folder of pairs")
    if not pairs:
        raise ValueError(
            f"{source} holds no pairs: name them x_before.png and x_after.png, or x.png and x_2.png, or put them into"
            " before/ and after/ under the same name"
        )
    return pairs


def _pairs_by_name(folder: Path) -> Iterator[tuple[Path, Path]]:
    files = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    by_stem = {path.stem: path for path in files}
    for path in files:
        partner = re.sub(r"_before$", "_after", path.stem) if path.stem.endswith("_before") else path.stem + "_2"
        if partner in by_stem:
            yield path, by_stem[partner]
    if (folder / "before").is_dir() and (folder / "after").is_dir():
        for path in (folder / "before").iterdir():
            if path.suffix.lower() in SUFFIXES:
                yield path, folder / "after" / path.name


def _pairs_in_csv(path: Path) -> list[tuple[Path, Path]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = {"before", "after"} - set(reader.fieldnames or [])
        if missing:
            raise ValueError(f"{path} has no column {' and no column '.join(sorted(missing))}: it needs before,after")
        pairs = []
        for row in reader:
            if not (row["before"] and row["after"]):
                raise ValueError(f"{path}, line {reader.line_num}: give both a before and an after image")
            pairs.append((path.parent / row["before"], path.parent / row["after"]))
    return pairs


@dataclass(frozen=True)
class BoardPair:
    """One pair of DeepPCB: a board without faults, the tested board, and its faults.

    Attributes
    ----------
    name : the pair's number.
    before, after : uint8 arrays (640, 640, 3): template and tested board.
    boxes : int array (n, 4): x, y, width, height, in pixels.
    kinds : the kind of each fault, some of `DEEP_PCB_KINDS`.
    """

    name: str
    before: np.ndarray
    after: np.ndarray
    boxes: np.ndarray
    kinds: tuple[str, ...]


DEEP_PCB_KINDS = {1: "open", 2: "short", 3: "mousebite", 4: "spur", 5: "copper", 6: "pin-hole"}


def deep_pcb(folder: str | Path) -> Iterator[BoardPair]:
    """The pairs of the DeepPCB dataset [1]_ in a folder, sorted by number.

    Parameters
    ----------
    folder : holds `<id>_temp.jpg`, `<id>_test.jpg` and `<id>.txt`, a line a fault: `x1 y1 x2 y2 type`.

    Raises
    ------
    ValueError
        The folder holds no such pair, or a line of annotations is broken (named with file and line).

    References
    ----------
    .. [1] Tang, He, Huang and Yang, Online PCB Defect Detector On A New PCB Defect Dataset, 2019.
    """
    folder = Path(folder)
    templates = sorted(folder.glob("*_temp.jpg"))
    if not templates:
        raise ValueError(f"{folder} holds no DeepPCB pairs (<id>_temp.jpg, <id>_test.jpg, <id>.txt)")
    for template in templates:
        name = template.stem.removesuffix("_temp")
        boxes, kinds = _board_faults(folder / f"{name}.txt")
        tested = read_image(folder / f"{name}_test.jpg")
        yield BoardPair(name, read_image(template), tested, boxes, kinds)


def _board_faults(path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    boxes, kinds = [], []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        fields = re.split(r"[ ,]+", line.strip())
        if fields == [""]:
            continue
        if len(fields) != 5 or not all(value.isdigit() for value in fields) or int(fields[4]) not in DEEP_PCB_KINDS:
            raise ValueError(f"{path}, line {number}: {line!r} is not `x1 y1 x2 y2 type` with a type from 1 to 6")
        x1, y1, x2, y2, kind = map(int, fields)
        boxes.append((x1, y1, x2 - x1, y2 - y1))
        kinds.append(DEEP_PCB_KINDS[kind])
    return np.array(boxes, dtype=int).reshape(-1, 4), tuple(kinds)


# ---------------------------------------------------------------------------------------------------------------------
# Images with one label each

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32)


def to_tensor(picture: np.ndarray) -> Any:
    """float32 tensor (..., 3, H, W) of a uint8 array (..., H, W, 3): divided by 255, then ImageNet's mean and deviation
    taken."""
    import torch

    return torch.from_numpy((picture / np.float32(255) - IMAGENET_MEAN) / IMAGENET_STD).movedim(-1, -3)


def to_picture(tensor: Any) -> np.ndarray:
    """uint8 array (H, W, 3) of a tensor that `to_tensor` made."""
    values = tensor.permute(1, 2, 0).float().cpu().numpy() * IMAGENET_STD + IMAGENET_MEAN
    return np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)


class LabeledImages:
    """Images, or pairs of them, with labels, as `training.fit` reads them: an item is (tensor, label).

    Attributes
    ----------
    labels : int64 array (n,): the index into `names`; or float32 array (n, len(names)): 1 for each that applies.
    names : of the classes or labels.
    """

    def __init__(self, labels: Sequence, names: Sequence[str]) -> None:
        labels = np.asarray(labels)
        self.labels, self.names = labels.astype(np.int64 if labels.ndim == 1 else np.float32), tuple(names)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """float32 tensor (3, H, W) or (2, 3, H, W), normalized as `to_tensor` does, and the label or labels."""
        return to_tensor(self.picture(index)), self.labels[index]

    def picture(self, index: int) -> np.ndarray:
        """The image as uint8 array (H, W, 3), or the pair as (2, H, W, 3)."""
        raise NotImplementedError

    def name(self, index: int) -> str:
        """What to call the image: its file name, or its number."""
        return f"{index}"

    def subset(self, indices: Sequence[int]) -> LabeledImages:
        """The images at these places, in this order."""
        return _Subset(self, indices)

    def in_memory(self) -> Pictures:
        """All images read once, on all cores, and kept: n x H x W x 3 bytes. They must have one size."""
        with one_a_core() as pool:
            pictures = list(pool.map(self.picture, range(len(self))))
        return Pictures(np.stack(pictures), self.labels, self.names)


class Pictures(LabeledImages):
    """Images in memory: uint8 array (n, H, W, 3) or, pairs, (n, 2, H, W, 3), RGB."""

    def __init__(self, images: np.ndarray, labels: Sequence, names: Sequence[str]) -> None:
        super().__init__(labels, names)
        self.images = images

    def picture(self, index: int) -> np.ndarray:
        return self.images[index]


class ImageFiles(LabeledImages):
    """Image files, each read when it is asked for and reduced or enlarged to `size` x `size` pixels."""

    def __init__(self, paths: Sequence[Path], labels: Sequence[int], names: Sequence[str], size: int) -> None:
        super().__init__(labels, names)
        self.paths, self.size = list(paths), size

    def picture(self, index: int) -> np.ndarray:
        return resized(read_image(self.paths[index]), self.size)

    def name(self, index: int) -> str:
        return f"{self.paths[index].parent.name}/{self.paths[index].name}"


class TensorFiles(ImageFiles):
    """Tensor files (`.pt`), one image each: float (3, H, W), normalized as `to_tensor` does, or uint8 (3, H, W)."""

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        tensor = read_tensor(self.paths[index])
        if tensor.shape[1:] != (self.size, self.size):
            return to_tensor(self.picture(index)), self.labels[index]
        return tensor, self.labels[index]

    def picture(self, index: int) -> np.ndarray:
        return resized(to_picture(read_tensor(self.paths[index])), self.size)


class _Subset(LabeledImages):
    def __init__(self, whole: LabeledImages, indices: Sequence[int]) -> None:
        self.whole, self.indices = whole, np.asarray(indices, int)
        super().__init__(whole.labels[self.indices], whole.names)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.whole[self.indices[index]]

    def picture(self, index: int) -> np.ndarray:
        return self.whole.picture(self.indices[index])

    def name(self, index: int) -> str:
        return self.whole.name(self.indices[index])


# ---------------------------------------------------------------------------------------------------------------------
# Pairs with several labels each

CHANGE_LABELS = ("color", "shape", "texture")
SPLITS = {"train": 0.7, "val": 0.15, "test": 0.15}


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
    split : "train", "val" or "test"; None takes all. Where there is no folder for each split, a record without `split`
        goes where a hash of its id sends it: 70 %, 15 % and 15 %, always the same.
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
        not four numbers, or an id comes twice.
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
        self.folder, records = _split_records(Path(root), split)
        self.transform, self.size = transform, size
        self.records: list[dict[str, Any]] = []
        self.skipped: list[str] = []
        self._sizes: list[tuple[int, int]] = []
        known: set[str] = set()
        for number, record in enumerate(records):
            try:
                self._sizes.append(_hold_record(record, number, self.folder, known))
                self.records.append(record)
            except RecordError as error:
                if strict:
                    raise
                self.skipped.append(str(error))
        if not self.records:
            of_split = f" of the split {split!r}" if split else ""
            raise ValueError(f"{self.folder} holds no usable pair{of_split}")
        super().__init__([[record[name] for name in CHANGE_LABELS] for record in self.records], CHANGE_LABELS)

    def picture(self, index: int) -> np.ndarray:
        """The pair as uint8 array (2, H, W, 3), transformed and resized."""
        record = self.records[index]
        try:
            pair = tuple(read_image(self.folder / side / record[side]) for side in ("before", "after"))
        except ImageError as error:
            raise ImageError(f"record {record['id']!r}: {error}") from error
        pair = self.transform(*pair) if self.transform else pair
        return np.stack([resized(one, self.size) for one in pair] if self.size else pair)

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


def _split_records(root: Path, split: str | None) -> tuple[Path, list[Any]]:
    """The folder of a split, and its records as they are in the file."""
    if split is not None and split not in SPLITS:
        raise ValueError(f"split is {split!r}: choose from {', '.join(SPLITS)}, or None for all")
    own = split is not None and (root / split / "annotations.json").is_file()
    folder = root / split if own else root
    path = folder / "annotations.json"
    if not path.is_file():
        raise ValueError(f"{root} holds no annotations.json: it belongs beside before/ and after/")
    try:
        records = read_json(path)
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(records, list):
        raise ValueError(f"{path} holds a {type(records).__name__}: it must hold a list of records")
    return folder, records if own or split is None else [one for one in records if _split_of(one) == split]


def _split_of(record: Any) -> str:
    if not isinstance(record, dict):
        return "train"  # where it is refused
    if "split" in record:
        return record["split"]
    place = int(hashlib.sha1(str(record.get("id")).encode()).hexdigest()[:8], 16) / 16**8
    for split, share in SPLITS.items():
        if place < share:
            return split
        place -= share
    return split


def _hold_record(record: Any, number: int, folder: Path, known: set[str]) -> tuple[int, int]:
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
    sizes = [_picture_size(folder / side, record.get(side), f"{name}, {side}") for side in ("before", "after")]
    if sizes[0] != sizes[1]:
        (w, h), (w2, h2) = sizes
        raise RecordError(f"{name}: before is {w}x{h} and after is {w2}x{h2}, they must have one size")
    boxes = record.get("boxes", [])
    if not isinstance(boxes, list) or not all(_is_box(box) for box in boxes):
        raise RecordError(f"{name}: boxes is {boxes!r}, it must be a list of [x, y, width, height]")
    return sizes[0]


def _is_box(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(isinstance(value, (int, float)) for value in box)


def _picture_size(folder: Path, file: Any, name: str) -> tuple[int, int]:
    """Width and height, from the file's header alone."""
    if not isinstance(file, str) or "\0" in file or not (folder / file).resolve().is_relative_to(folder.resolve()):
        raise RecordError(f"{name}: {file!r} names no file in {folder}")
    try:
        with Image.open(folder / file) as image:
            return image.size
    except FileNotFoundError as error:
        raise RecordError(f"{name}: {file!r} does not exist in {folder}") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise RecordError(f"{name}: {file!r} in {folder} is not an image that can be read") from error


def resized(picture: np.ndarray, size: int) -> np.ndarray:
    """The picture at `size` x `size` pixels: averaged where it shrinks, interpolated where it grows."""
    if picture.shape[:2] == (size, size):
        return picture
    shrinks = min(picture.shape[:2]) > size
    return cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def read_tensor(path: str | Path) -> Any:
    """One image from a tensor file: float32 (3, H, W), normalized as `to_tensor` does.

    It is read with `weights_only=True`: a `.pt` file is a pickle, and a hostile one would run its own code.

    Raises
    ------
    ImageError
        The file is absent, holds anything but one tensor, or the tensor is not an image of three channels.
    """
    import torch

    if not Path(path).is_file():
        raise ImageError(f"{path} does not exist")
    try:
        tensor = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what torch raises depends on how the file is broken
        raise ImageError(f"{path} is not a tensor file: only files that torch.save wrote of one tensor are") from error
    if not isinstance(tensor, torch.Tensor):
        raise ImageError(f"{path} holds a {type(tensor).__name__}: it must hold one tensor")
    if tensor.ndim != 3 or tensor.shape[0] != 3:
        raise ImageError(f"{path} holds a tensor of shape {tuple(tensor.shape)}: it must be (3, H, W)")
    return to_tensor(tensor.permute(1, 2, 0).numpy()) if tensor.dtype == torch.uint8 else tensor.float()


DEFECT_CLASSES = ("sound", "cracked")
COURSE_TRAINING = 30_000
_DEFECT_FOLDERS = (
    ("Negative_tensors", "Positive_tensors", {".pt"}, TensorFiles),
    ("Negative", "Positive", SUFFIXES, ImageFiles),
)


def defect_images(folder: str | Path, size: int) -> ImageFiles:
    """Cracked and sound images of a folder, in the order of the course: cracked and sound in turn, by name.

    Parameters
    ----------
    folder : holds `Positive_tensors/*.pt` and `Negative_tensors/*.pt` [1]_, or `Positive/` and `Negative/` with images
        [2]_; or holds one folder that does.
    size : of the images, pixels.

    Raises
    ------
    ValueError
        The folder holds neither, or nothing of one class.

    References
    ----------
    .. [1] IBM, AI Capstone Project with Deep Learning (DL0321EN).
    .. [2] Özgenel, Concrete Crack Images for Classification, Mendeley Data, 2019.
    """
    folder = Path(folder)
    inside = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    for place in (folder, *inside):
        for negative, positive, suffixes, kind in _DEFECT_FOLDERS:
            if (place / negative).is_dir() and (place / positive).is_dir():
                classes = [image_files(place / name, suffixes) for name in (negative, positive)]
                pairs = [(path, label) for label in (1, 0) for path in enumerate(classes[label])]
                pairs.sort(key=lambda pair: (pair[0][0], -pair[1]))
                return kind([path for (_, path), _ in pairs], [label for _, label in pairs], DEFECT_CLASSES, size)
    raise ValueError(
        f"{folder} holds no defect images: it needs Positive/ and Negative/, or Positive_tensors/ and Negative_tensors/"
    )


class CsvError(ValueError):
    """A CSV file of labels that cannot be used; the message names file and row."""


def labeled_csv_images(folder: str | Path, size: int, names: Sequence[str] = ("0", "1")) -> ImageFiles:
    """Images in `0/` and `1/` with their labels in `0.csv` and `1.csv`.

    Parameters
    ----------
    folder : holds both folders and both CSV files. A CSV file has the columns `image_name`, a file of the folder of the
        same name, and `target`, 0 or 1.
    size : of the images, pixels.
    names : of the two classes.

    Returns
    -------
    ImageFiles
        The rows of `0.csv`, then those of `1.csv`, labeled by `target`.

    Raises
    ------
    CsvError
        A CSV file is missing, empty or lacks a column; an image is missing; a target is neither 0 nor 1; a name comes
        twice in a file, or in both.
    """
    folder = Path(folder)
    paths: list[Path] = []
    labels: list[int] = []
    first: dict[str, str] = {}
    for part in ("0", "1"):
        for where, name, target in _csv_rows(folder / f"{part}.csv"):
            if name in first:
                raise CsvError(f"{where}: {name!r} comes a second time, first in {first[name]}")
            if target not in ("0", "1"):
                raise CsvError(f"{where}: target is {target!r}, it must be 0 or 1")
            if not _is_inside(folder / part, name):
                raise CsvError(f"{where}: {folder / part / name} does not exist")
            first[name] = where
            paths.append(folder / part / name)
            labels.append(int(target))
    return ImageFiles(paths, labels, names, size)


def _csv_rows(path: Path) -> Iterator[tuple[str, str, str]]:
    """Where each row stands, its image name and its target."""
    if not path.is_file():
        raise CsvError(f"{path} does not exist: the images need 0.csv and 1.csv beside their folders 0/ and 1/")
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = [name for name in ("image_name", "target") if name not in (reader.fieldnames or [])]
        if missing:
            raise CsvError(f"{path} has no column {' and no column '.join(missing)}: it needs image_name,target")
        number = 0
        for number, row in enumerate(reader, start=1):
            yield f"{path.name}, row {number}", (row["image_name"] or "").strip(), (row["target"] or "").strip()
        if not number:
            raise CsvError(f"{path} holds no row")


def _is_inside(folder: Path, file: str) -> bool:
    """Whether there is such a file in the folder, not beyond it."""
    path = (folder / file).resolve()
    return bool(file) and path.is_file() and path.is_relative_to(folder.resolve())


def image_files(folder: str | Path, suffixes: set[str] = SUFFIXES) -> list[Path]:
    """The files of a folder whose name ends so, sorted; a `ValueError` where there is none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes)
    if not found:
        raise ValueError(f"{folder} holds no file with one of {', '.join(sorted(suffixes))}")
    return found


def classify_folder(
    classify: Callable[[np.ndarray], np.ndarray],
    folder: str | Path,
    *,
    size: int,
    names: Sequence[str],
    csv: str | Path | None = None,
) -> Any:
    """Classify every image of a folder.

    Parameters
    ----------
    classify : function of uint8 (n, size, size, 3), RGB, that returns the probabilities of the classes, float
        (n, len(names)).
    folder : its image files are read, not those of folders inside it. A file that cannot be read gets a row that says
        why; the others are classified all the same.
    size : of the images the model was trained on, pixels.
    names : of the classes.
    csv : where to write the table as well, whole or not at all.

    Returns
    -------
    pandas DataFrame
        A row a file: "file", "prediction", "probability" (of the prediction), "error"; sorted by name.

    Raises
    ------
    ValueError
        The folder holds no image.
    """
    import pandas

    rows, read = [], []
    for path in image_files(folder):
        try:
            read.append((path.name, resized(read_image(path), size)))
        except ImageError as error:
            rows.append({"file": path.name, "error": str(error)})
    if read:
        files, pictures = zip(*read, strict=True)
        for file, row in zip(files, classify(np.stack(pictures)), strict=True):
            rows.append({"file": file, "prediction": names[row.argmax()], "probability": float(row.max()), "error": ""})
    columns = ["file", "prediction", "probability", "error"]
    table = pandas.DataFrame(sorted(rows, key=lambda row: row["file"]), columns=columns)
    if csv is not None:
        write_whole(csv, table.to_csv(index=False).encode())
    return table


def course_split(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices for training and validation as the IBM course splits its tensors: the first 30,000, and the rest.

    Where there are not more than 30,000, the first three quarters.
    """
    first = COURSE_TRAINING if count > COURSE_TRAINING else count * 3 // 4
    return np.arange(first), np.arange(first, count)


def model_weights(weights: str | Path, architecture: str) -> dict[str, Any]:
    """The state dict of a pretrained model.

    Parameters
    ----------
    weights : "imagenet" for torchvision's best (downloaded once), or the path of a `.pt` or `.safetensors` checkpoint.
    architecture : torchvision's name, as "resnet18".

    Raises
    ------
    ConnectionError
        The ImageNet weights are neither on disk nor to be had.
    FileNotFoundError, ValueError
        There is no such checkpoint, or it holds no weights.
    """
    import torch

    if str(weights) == "imagenet":
        from torchvision.models import get_model_weights

        try:
            return get_model_weights(architecture).DEFAULT.get_state_dict(progress=False, check_hash=True)
        except OSError as error:
            raise ConnectionError(
                f"the ImageNet weights of {architecture} are not on this machine and could not be downloaded: connect"
                " to the network once, or set WEIGHTS to the path of a checkpoint, or to None"
            ) from error
    path = Path(weights)
    if not path.is_file():
        raise FileNotFoundError(f"WEIGHTS is {str(weights)!r}: use 'imagenet', None, or a checkpoint that exists")
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        with whole_weights(path):
            return load_file(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what torch raises depends on how the file is broken
        raise ValueError(f"{path} is not a checkpoint: save one with torch.save(model.state_dict(), path)") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ValueError(f"{path} holds no state dict: save one with torch.save(model.state_dict(), path)")
    return state


@contextlib.contextmanager
def whole_weights(path: str | Path) -> Iterator[None]:
    """Within it a file of safetensors is read; one that is cut off or no such file is refused with a ValueError."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged, copy it again or train again: {error}") from error


def load_backbone(model: Any, weights: Any, architecture: str) -> None:
    """Load pretrained weights into a ResNet of torchvision's making, all but its last layer `fc`.

    Parameters
    ----------
    model : the network; its last layer stays as it is.
    weights : "imagenet", the path of a checkpoint, or a state dict.
    architecture : torchvision's name, as "resnet18".

    Raises
    ------
    ConnectionError
        The ImageNet weights are neither on disk nor to be had. It never falls back to random weights.
    FileNotFoundError, ValueError
        There is no such checkpoint, or it is not one of this architecture.
    """
    given = weights if isinstance(weights, dict) else model_weights(weights, architecture)
    own = model.state_dict()
    state = {name: value for name, value in given.items() if not name.startswith("fc.")}
    odd = [name for name in own if not name.startswith("fc.") and name not in state]
    odd += [name for name, value in state.items() if name not in own or value.shape != own[name].shape]
    if odd:
        raise ValueError(f"the weights are not those of a {architecture}: {odd[0]} does not fit")
    model.load_state_dict(state, strict=False)
