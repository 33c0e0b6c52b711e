"""Pictures as arrays: read, written, resized; gray, color, one size."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from os import PathLike
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from PIL import Image

from whatchanged.files import write_whole
from whatchanged.formats import MAX_PIXELS, read_each
from whatchanged.levels import Decoded, decoded, shown_alone, shown_together


def gray(image: np.ndarray) -> np.ndarray:
    """uint8 (H, W) of an RGB (H, W, 3) or gray image."""
    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def color(image: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) of an RGB or gray (H, W) image."""
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def apart(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """By how much two images (H, W, 3) of one size differ in the channel that differs most: uint8 (H, W)."""
    return strongest(cv2.absdiff(before, after))


def strongest(image: np.ndarray) -> np.ndarray:
    """The greatest value of each pixel's channels: (H, W) of an image (H, W, 3)."""
    red, green, blue = cv2.split(image)
    return cv2.max(cv2.max(red, green), blue)


def middle(values: np.ndarray) -> float:
    """The median of numbers (N,), at least one. NumPy's own loads `numpy.ma` first, which takes 10 ms."""
    half = len(values) // 2
    ordered = np.partition(values, [max(0, half - 1), half]).astype(np.float64)
    return float(ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2)


def packed(image: np.ndarray) -> np.ndarray:
    """Each color as one number: int32 (H, W) of a uint8 image (H, W, 3)."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2RGBA).view(np.int32)[..., 0]


def local_range(gray: np.ndarray) -> np.ndarray:
    """How far the gray levels within 3 x 3 pixels are apart: uint8 (H, W)."""
    square = np.ones((3, 3), np.uint8)
    return cv2.dilate(gray, square) - cv2.erode(gray, square)


def shrink(image: np.ndarray, longest: int) -> np.ndarray:
    """The image with at most `longest` pixels along its longer side; smaller images stay as they are."""
    factor = longest / max(image.shape[:2])
    if factor >= 1:
        return image
    height, width = (max(1, round(side * factor)) for side in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def size(image: np.ndarray) -> str:
    """ "640x480": width and height, for messages."""
    return f"{image.shape[1]}x{image.shape[0]}"


@contextmanager
def one_a_core() -> Iterator[ThreadPoolExecutor]:
    """A thread a core, for work on many pictures; within it OpenCV shares no picture among cores.

    OpenCV lets go of the interpreter while it computes, so threads are enough, and a picture a core is faster than one
    picture over all cores.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            yield pool
    finally:
        cv2.setNumThreads(threads)


SUFFIXES = {".png", ".apng", ".jpg", ".jpeg", ".jfif", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".avif"}


def read_image(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read an image file as 8-bit RGB; of several pages, the first.

    Parameters
    ----------
    path : PNG, JPEG, BMP, TIFF, GIF, WebP, AVIF or whatever else Pillow reads. Gray and palette images become RGB,
        colors become sRGB by their profile, transparent pixels lie on white, and a photograph turned by its EXIF tag is
        turned.
        Deep gray is scaled to 8 bits: whole numbers from 0 by the least of 8, 10, 12, 14 or 16 bits that holds them,
        fractions from 0 to 1 by 1, all others from their least to their greatest.
    max_pixels : refuse larger ones before they are decoded.

    Returns
    -------
    uint8 array (H, W, 3), RGB.

    Raises
    ------
    ImageError
        The file is absent, empty, truncated, not an image, of a kind that cannot be read, or holds more than
        `max_pixels`.
    """
    return shown_alone(_first(path, max_pixels))


def unreadable(paths: Iterable[Path]) -> dict[Path, str]:
    """Those of many files that `read_image` refuses, each with the reason; all are decoded, on all cores."""

    def reason(path: Path) -> str:
        try:
            read_image(path)
        except ValueError as error:
            return str(error)
        return ""

    paths = list(paths)
    with one_a_core() as pool:
        return {path: why for path, why in zip(paths, pool.map(reason, paths), strict=True) if why}


def read_pair(before: str | Path, after: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """The first pages of two files, uint8 (H, W, 3), decoded at the same time and made comparable.

    `pages.read_pages` reads the others too, makes them comparable in the same way, and says what 8 bits do not show.
    """
    with ThreadPoolExecutor(2) as readers:  # decoding does not hold the interpreter's lock
        first, second = readers.map(_first, (before, after))
    return shown_together(first, second)[:2]


def _first(path: str | Path, max_pixels: int = MAX_PIXELS) -> Decoded:
    with closing(read_each(path, max_pixels=max_pixels)) as pages:
        return next(pages)


def write_image(path: str | Path, picture: np.ndarray) -> Path:
    """Write a picture in the format that its name says, whole or not at all.

    Parameters
    ----------
    path : a name of `WRITTEN`; without a suffix, as `/dev/stdout`, it is PNG. Its folder exists.
    picture : uint8 array (H, W, 3), RGB.

    Raises
    ------
    ValueError
        No such format is written, or the picture is too large for it.
    """
    suffix = check_format(path)
    try:
        done, data = cv2.imencode(suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), WRITTEN[suffix])
    except cv2.error:
        done, data = False, picture
    if not done:
        raise ValueError(f"{path}: {size(picture)} pixels do not fit into a {suffix} file: write .png or .tif")
    return write_whole(path, data.tobytes())


def check_format(path: str | Path) -> str:
    """The suffix of the format that a name says, a key of `WRITTEN`, or ValueError."""
    suffix = Path(path).suffix.lower() or ".png"
    if suffix not in WRITTEN:
        raise ValueError(f"{path}: {suffix} is not written, give one of {', '.join(WRITTEN)}")
    return suffix


_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]
if hasattr(cv2, "IMWRITE_PNG_FILTER"):  # two thirds of the time of OpenCV's own choice, and three quarters of the space
    _PNG += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95]
WRITTEN: dict[str, list[int]] = {
    ".png": _PNG,
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, 101],  # without loss
    ".tif": [],
    ".tiff": [],
    ".bmp": [],
}
"""The suffixes of files that `write_image` writes, and how."""


def resized(picture: np.ndarray, size: int) -> np.ndarray:
    """The picture at `size` x `size` pixels: averaged where it shrinks, interpolated where it grows."""
    if picture.shape[:2] == (size, size):
        return picture
    shrinks = min(picture.shape[:2]) > size
    return cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def image_files(folder: str | Path, suffixes: set[str] = SUFFIXES) -> list[Path]:
    """The files of a folder whose name ends so, sorted, without hidden ones; a `ValueError` where there is none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder")
    inside = [path for path in folder.iterdir() if not path.name.startswith(".")]  # as ._x.jpg, which a Mac leaves
    found = sorted(path for path in inside if path.suffix.lower() in suffixes and not path.is_dir())
    if not found:
        raise ValueError(f"{folder} holds no file with one of {', '.join(sorted(suffixes))}")
    return found


Picture: TypeAlias = np.ndarray | Image.Image | str | PathLike
"""A picture as people have it: an array, a picture of Pillow, a file."""


def as_arrays(before: Picture, after: Picture) -> tuple[np.ndarray, np.ndarray, str]:
    """Two pictures, however they are given, as uint8 (H, W, 3), made comparable; and in words, what these do not show.

    Raises
    ------
    ValueError
        An array is no picture of 8 bits; `ImageError` where a file cannot be read.
    """
    if isinstance(before, np.ndarray) and isinstance(after, np.ndarray):
        return color(checked(before, "before")), color(checked(after, "after")), ""
    first, second, notes = shown_together(_page(before, "before"), _page(after, "after"))
    return first, second, "; ".join(notes)


def _page(given: Picture, name: str) -> Decoded:
    if isinstance(given, str | PathLike):
        return _first(Path(given))
    if isinstance(given, Image.Image):
        return decoded(given)  # not a copy: it has lost what a TIFF says of its values
    return Decoded(color(checked(np.asarray(given), name)), None, ())


def checked(image: np.ndarray, name: str) -> np.ndarray:
    """The image; ValueError where it is no picture of 8 bits."""
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)) or 0 in image.shape:
        raise ValueError(f"{name} is a {image.dtype} array of shape {image.shape}: give uint8 (H, W) or (H, W, 3)")
    return image


def same_size(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    checked(before, "before")
    checked(after, "after")
    if before.shape[:2] != after.shape[:2]:
        raise ValueError(
            f"before is {size(before)} and after is {size(after)}: `detect` compares pictures of different sizes, this"
            " takes two of one size"
        )
    if before.shape != after.shape:
        raise ValueError(f"before has shape {before.shape} and after {after.shape}: give both in color or both in gray")
    return before, after
