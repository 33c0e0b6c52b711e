"""Single images with labels: in memory, as files, as tensor files; the layouts they are published in."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from whatchanged import kept
from whatchanged.images import SUFFIXES, image_files, read_image, resized
from whatchanged.pictures import PictureBatches
from whatchanged.weights import read_tensor, to_picture, to_tensor


class LabeledImages(PictureBatches):
    """Images, or pairs of them, with labels, as `training.fit` reads them: an item is (tensor, label).

    Attributes
    ----------
    labels : int64 array (n,): the index into `names`; or float32 array (n, len(names)): 1 for each that applies.
    names : of the classes or labels.
    """

    def __init__(self, labels: Sequence | np.ndarray, names: Sequence[str]) -> None:
        given = np.asarray(labels)
        self.labels, self.names = given.astype(np.int64 if given.ndim == 1 else np.float32), tuple(names)

    def name(self, index: int) -> str:
        """What to call the image: its file name, or its number."""
        return f"{index}"

    def subset(self, indices: Sequence[int]) -> LabeledImages:
        """The images at these places, in this order."""
        return _Subset(self, indices)

    def in_memory(self) -> Pictures:
        """All images read once, on all cores, and kept: n x H x W x 3 bytes. They must have one size."""
        return Pictures(kept.in_memory(len(self), self.picture), self.labels, self.names)

    def on_disk(self, place: str | Path) -> Pictures:
        """The same in a file, which the next run finds if it asks for the same of the same files (`kept.on_disk`)."""
        content = kept.digest(*self.made_of(range(len(self))))
        return Pictures(kept.on_disk(place, content, len(self), self.picture), self.labels, self.names)

    def made_of(self, indices: Sequence[int]) -> tuple[list[Path], str]:
        """The files of some of the images, and what is done with them."""
        raise ValueError("these images come from no files: they are in memory, and stay there")


class Pictures(LabeledImages):
    """Images, or pairs of them, in memory.

    Attributes
    ----------
    images : uint8 array (n, H, W, 3) or, pairs, (n, 2, H, W, 3), RGB; or a map of a file that holds one.
    masks : bool array (n, H, W), where the defect is; None where nobody knows.
    """

    resident = True

    def __init__(
        self, images: np.ndarray, labels: Sequence | np.ndarray, names: Sequence[str], masks: np.ndarray | None = None
    ) -> None:
        super().__init__(labels, names)
        self.images, self.masks = images, masks

    def picture(self, index: int) -> np.ndarray:
        return self.images[index]

    def pictures(self, indices: Sequence[int]) -> np.ndarray:
        return kept.taken(self.images, indices)


class ImageFiles(LabeledImages):
    """Image files, each read when it is asked for and reduced or enlarged to `size` x `size` pixels."""

    def __init__(self, paths: Sequence[Path], labels: Sequence[int], names: Sequence[str], size: int) -> None:
        super().__init__(labels, names)
        self.paths, self.size = list(paths), size

    def picture(self, index: int) -> np.ndarray:
        return resized(read_image(self.paths[index]), self.size)

    def name(self, index: int) -> str:
        return f"{self.paths[index].parent.name}/{self.paths[index].name}"

    def made_of(self, indices: Sequence[int]) -> tuple[list[Path], str]:
        return [self.paths[index] for index in indices], f"{kept.called(type(self))} {self.size}"


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
        self.whole, self.indices, self.resident = whole, np.asarray(indices, int), whole.resident
        super().__init__(whole.labels[self.indices], whole.names)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.whole[self.indices[index]]

    def batch_of(self, indices: Sequence[int]) -> tuple[Any, Any]:
        return self.whole.batch_of(self.indices[indices])

    def on_device(self, batch: tuple[Any, Any]) -> tuple[Any, Any]:
        return self.whole.on_device(batch)

    def picture(self, index: int) -> np.ndarray:
        return self.whole.picture(self.indices[index])

    def pictures(self, indices: Sequence[int]) -> np.ndarray:
        return self.whole.pictures(self.indices[indices])

    def made_of(self, indices: Sequence[int]) -> tuple[list[Path], str]:
        return self.whole.made_of(self.indices[indices])

    def name(self, index: int) -> str:
        return self.whole.name(self.indices[index])


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


def course_split(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices for training and validation as the IBM course splits its tensors: the first 30,000, and the rest.

    Where there are not more than 30,000, the first three quarters.
    """
    first = COURSE_TRAINING if count > COURSE_TRAINING else count * 3 // 4
    return np.arange(first), np.arange(first, count)
