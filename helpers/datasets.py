"""Single images with labels: in memory, as files, as tensor files; the layouts they are published in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from whatchanged import kept
from whatchanged.classes import TENSORS, by_class, why_left_out
from whatchanged.images import one_a_core, read_image, resized
from whatchanged.labels import read_labels
from whatchanged.pairs import each
from whatchanged.pictures import Indices, PictureBatches
from whatchanged.weights import read_tensor, to_picture, to_tensor


class LabeledImages(PictureBatches):
    """Images, or pairs of them, with labels, as `training.fit` reads them: an item is (tensor, label).

    Attributes
    ----------
    labels : int64 array (n,): the index into `names`; or float32 array (n, len(names)): 1 for each that applies.
    names : of the classes or labels.
    splits : the parts that the data come in, "train", "validation", "test": of each that there is the places of its
        images, int array; empty where they come in one.
    skipped : list of str: what was left out, each with its reason.
    """

    def __init__(self, labels: Sequence | np.ndarray, names: Sequence[str], skipped: Sequence[str] = ()) -> None:
        given = np.asarray(labels)
        self.labels, self.names = given.astype(np.int64 if given.ndim == 1 else np.float32), tuple(names)
        self.splits: dict[str, np.ndarray] = {}
        self.skipped = list(skipped)

    def name(self, index: int) -> str:
        """What to call the image: its file name, or its number."""
        return f"{index}"

    def told(self) -> str:
        """How many there are of each class and in each part, and what was left out: one line or two."""
        sizes = [*zip(self.names, np.bincount(self.labels, minlength=len(self.names)), strict=True)]
        sizes += [(part, len(places)) for part, places in self.splits.items()]
        first = f"{len(self)} images: {', '.join(f'{count} {name}' for name, count in sizes)}"
        return "\n".join([first, *([why_left_out(self.skipped)] if self.skipped else [])])

    def subset(self, indices: Indices) -> LabeledImages:
        """The images at these places, in this order."""
        return _Subset(self, indices)

    def in_memory(self) -> Pictures:
        """All images read once, on all cores, and kept: n x H x W x 3 bytes. They must have one size."""
        return self._with(kept.in_memory(len(self), self.picture))

    def on_disk(self, place: str | Path) -> Pictures:
        """The same in a file, which the next run finds if it asks for the same of the same files (`kept.on_disk`)."""
        content = kept.digest(*self.made_of(range(len(self))))
        return self._with(kept.on_disk(place, content, len(self), self.picture))

    def _with(self, images: np.ndarray) -> Pictures:
        """The same data, of which the images are these."""
        same = Pictures(images, self.labels, self.names)
        same.splits, same.skipped = self.splits, self.skipped
        return same

    def made_of(self, indices: Indices) -> tuple[list[Path], str]:
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

    def pictures(self, indices: Indices) -> np.ndarray:
        return kept.taken(self.images, indices)


class ImageFiles(LabeledImages):
    """Image files, each read when it is asked for and reduced or enlarged to `size` x `size` pixels."""

    def __init__(self, paths: Sequence[Path], labels: Sequence[int], names: Sequence[str], size: int) -> None:
        super().__init__(labels, names)
        self.paths, self.size = list(paths), size
        self.root = os.path.commonpath([path.parent for path in self.paths])

    def picture(self, index: int) -> np.ndarray:
        return resized(read_image(self.paths[index]), self.size)

    def name(self, index: int) -> str:
        return os.path.relpath(self.paths[index], self.root)

    def readable(self) -> ImageFiles:
        """Those of the files that can be read; each of the others is noted in `skipped`. All are read once."""
        with one_a_core() as pool:
            reasons = list(pool.map(self._reason, range(len(self))))
        good = [index for index, reason in enumerate(reasons) if not reason]
        for label, name in enumerate(self.names):
            if label not in self.labels[good]:
                raise ValueError(f"no picture of {name!r} can be read: {next(filter(None, reasons), 'there is none')}")
        found = type(self)([self.paths[index] for index in good], self.labels[good].tolist(), self.names, self.size)
        found.splits = {part: np.flatnonzero(np.isin(good, places)) for part, places in self.splits.items()}
        found.skipped = [*filter(None, reasons), *self.skipped]
        return found

    def _reason(self, index: int) -> str:
        """Its name and why it cannot be read; empty where it can."""
        _, _, reason = next(each([index], self.picture))
        return f"{self.name(index)}: {reason.replace(str(self.paths[index]), 'it')}" if reason else ""

    def made_of(self, indices: Indices) -> tuple[list[Path], str]:
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
    def __init__(self, whole: LabeledImages, indices: Indices) -> None:
        self.whole, self.indices, self.resident = whole, np.asarray(indices, int), whole.resident
        super().__init__(whole.labels[self.indices], whole.names)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.whole[self.indices[index]]

    def batch_of(self, indices: Indices) -> tuple[Any, Any]:
        return self.whole.batch_of(self.indices[indices])

    def on_device(self, batch: tuple[Any, Any]) -> tuple[Any, Any]:
        return self.whole.on_device(batch)

    def picture(self, index: int) -> np.ndarray:
        return self.whole.picture(self.indices[index])

    def pictures(self, indices: Indices) -> np.ndarray:
        return self.whole.pictures(self.indices[indices])

    def made_of(self, indices: Indices) -> tuple[list[Path], str]:
        return self.whole.made_of(self.indices[indices])

    def name(self, index: int) -> str:
        return self.whole.name(self.indices[index])


PARTS = ("train", "validation", "test")
DEFECT_CLASSES = ("sound", "cracked")
COURSE_TRAINING = 30_000


def defect_images(folder: str | Path, size: int, *, strict: bool = True) -> ImageFiles:
    """Labeled pictures in a folder for each class, as `Positive/` and `Negative/`; the classes spread evenly, by name.

    Of two classes of one size the second and the first take turns, as in the course, whose order it is.

    Parameters
    ----------
    folder : holds `Positive_tensors/*.pt` and `Negative_tensors/*.pt` [1]_, or `Positive/` and `Negative/` with images
        [2]_, or a folder of images for each of two classes or more; in whatever `whatchanged.classes.by_class` knows
        around them, as `train/`, `val/` and `test/`.
    size : of the images, pixels.
    strict : read no file now; one that cannot be read is named when it is asked for. Otherwise all are read once, and
        such a one is left out and noted in `skipped`.

    Raises
    ------
    ValueError
        The folder does not hold pictures of two classes.

    References
    ----------
    .. [1] IBM, AI Capstone Project with Deep Learning (DL0321EN).
    .. [2] Özgenel, Concrete Crack Images for Classification, Mendeley Data, 2019.
    """
    found = by_class(folder)
    order = found.spread()
    course = {name.casefold().removesuffix("_tensors") for name in found.names} == {"negative", "positive"}
    kind = TensorFiles if found.files[0].suffix.lower() == TENSORS else ImageFiles
    images = kind(
        [found.files[place] for place in order],
        [found.labels[place] for place in order],
        DEFECT_CLASSES if course else found.names,
        size,
    )
    splits = np.array([found.splits[place] for place in order])
    images.splits = {split: np.flatnonzero(splits == split) for split in PARTS if split in found.splits}
    images.skipped = [f"{name}: {reason}" for name, reason in found.left_out.items()]
    return images if strict else images.readable()


def labeled_csv_images(
    folder: str | Path, size: int, names: Sequence[str] = ("0", "1"), *, strict: bool = True
) -> ImageFiles:
    """Images in `0/` and `1/` with their labels in `0.csv` and `1.csv`.

    Parameters
    ----------
    folder : holds both folders and both CSV files. A CSV file has the columns `image_name`, a file of the folder of the
        same name, and `target`, 0 or 1.
    size : of the images, pixels.
    names : of the two classes.
    strict : refuse a row that cannot be used, and read no picture now; otherwise leave such rows out, and pictures that
        cannot be read, and note them in `skipped`.

    Returns
    -------
    ImageFiles
        The rows of `0.csv`, then those of `1.csv`, labeled by `target`.

    Raises
    ------
    CsvError
        A CSV file is missing, empty, no text or lacks a column; an image is missing; a target is neither 0 nor 1; a
        name comes twice in a file, or in both.
    """
    paths, labels, skipped = read_labels(Path(folder), strict)
    images = ImageFiles(paths, labels, names, size)
    images.skipped = skipped
    return images if strict else images.readable()


def course_split(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices for training and validation as the IBM course splits its 40,000 tensors: the first 30,000, and the rest;
    of fewer the first three quarters.
    """
    first = min(COURSE_TRAINING, count * 3 // 4)
    return np.arange(first), np.arange(first, count)
