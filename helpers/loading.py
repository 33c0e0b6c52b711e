"""Images and datasets on disk, read right or refused with one sentence that names the file."""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
MAX_PIXELS = 200_000_000


class ImageError(ValueError):
    """A file that is not an image the course can read."""


def read_image(path: str | Path) -> np.ndarray:
    """Read an image file as 8-bit RGB.

    Parameters
    ----------
    path : PNG, JPEG, BMP, TIFF, WebP or whatever else Pillow reads. Gray and palette images become RGB, 16-bit values
        are scaled to 8 bits, transparent pixels lie on white, and a photograph turned by its EXIF tag is turned.

    Returns
    -------
    uint8 array (H, W, 3), RGB.

    Raises
    ------
    ImageError
        The file is absent, empty, truncated, not an image, or holds more than 200 million pixels.
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
                if image.width * image.height > MAX_PIXELS:
                    raise ImageError(f"{path} has {image.width}x{image.height} pixels: at most {MAX_PIXELS:,} are read")
                image.load()
                return _rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError as error:
        raise ImageError(f"{path} is not an image that can be read") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"{path} is damaged: {error}") from error


def _rgb(image: Image.Image) -> np.ndarray:
    if image.mode == "F":
        raise ImageError("floating-point images have no fixed range: save the image with 8 or 16 bits")
    if image.mode.startswith("I"):  # 16-bit gray
        values = np.asarray(image).astype(np.float64)
        return np.repeat(np.clip(np.rint(values / 257), 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))


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
