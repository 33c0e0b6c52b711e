"""What the page does with pictures, apart from the page: compare, describe, and go through many pairs."""

from __future__ import annotations

import base64
import html
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from whatchanged import drawing, images
from whatchanged.archives import unpack
from whatchanged.detection import detect
from whatchanged.extras import needed
from whatchanged.formats import ImageError
from whatchanged.images import shrink
from whatchanged.options import Options
from whatchanged.pairs import each, find_pairs
from whatchanged.regions import Difference

LARGEST = 25_000_000
MAX_ARCHIVE = 500_000_000  # bytes that a zip may unpack to
MAX_PAIRS = 500
COLUMNS = ("number", "before", "after", "similarity", "regions", "words", "error")


@dataclass
class Models:
    """The trained models, each loaded when it is first asked for.

    Parameters
    ----------
    describer : folder of a T-BLIP2, or None.
    classifier : file of a ResNet18, or None.
    """

    describer: str | Path | None = None
    classifier: str | Path | None = None

    @cached_property
    def words(self) -> Any:
        """`describer.Describer`; ValueError where there is none."""
        if self.describer is None:
            raise ValueError("no model that describes was given: start the page with --model-path")
        with needed():
            from whatchanged.models.describer import Describer

        return Describer(self.describer)

    @cached_property
    def defects(self) -> Any:
        """`resnet18.Classifier`; ValueError where there is none."""
        if self.classifier is None:
            raise ValueError("no model that judges surfaces was given: start the page with --defect-model")
        with needed():
            from whatchanged.models.resnet18 import Classifier

        return Classifier.load(self.classifier)


@dataclass(frozen=True)
class Settings:
    """What the controls say: as in `Options`, and how many regions are shown; method "words" is T-BLIP2."""

    method: str = "tolerant"
    align: bool | None = None
    sensitivity: float = 1.0
    most: int = 10


def read(path: str | Path) -> np.ndarray:
    """An uploaded picture, uint8 (H, W, 3); the error names the file as the user knows it."""
    try:
        return images.read_image(path, max_pixels=LARGEST)
    except ImageError as error:
        raise ImageError(str(error).replace(str(path), Path(path).name)) from error


def compare(before: np.ndarray, after: np.ndarray, settings: Settings, models: Models) -> Difference:
    """The regions in which two pictures (uint8 (H, W, 3)) differ, the strongest first, at most `settings.most`."""
    if settings.method == "words":
        found = models.words.difference(before, after)
    else:
        how = Options(settings.method, settings.align, sensitivity=settings.sensitivity)
        with needed():
            found = detect(before, after, how)
    return replace(found, regions=found.regions[: settings.most])


def describe(before: np.ndarray, after: np.ndarray, settings: Settings, models: Models) -> tuple[str, str]:
    """What changed, in words; or no words, and why there are none."""
    try:
        return models.words(before, after, settings.most), ""
    except ValueError as error:
        return "", str(error)


def lay_out(files: list[str | Path], folder: Path) -> Path:
    """Put uploaded pictures, or what uploaded archives hold, into one folder, under their own names.

    Raises
    ------
    ValueError
        Two have the same name; an archive is damaged, unpacks to too much or leaves its folder.
    """
    folder.mkdir(parents=True)
    for path in map(Path, files):
        if path.suffix.lower() == ".zip":
            unpack(path, folder, limit=MAX_ARCHIVE)
        elif (folder / path.name).exists():
            raise ValueError(f"two files are called {path.name}: give each picture a name of its own")
        else:
            shutil.copyfile(path, folder / path.name)
    inside = [path for path in folder.iterdir() if not path.name.startswith((".", "__"))]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def batch(folder: Path, settings: Settings, models: Models) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Compare all pairs of a folder.

    Yields
    ------
    count, record, thumbnails : how many pairs there are; what is known of the next one, with the names of `COLUMNS`
        and its "boxes"; HTML of both pictures.
    """
    pairs = find_pairs(folder)
    if len(pairs) > MAX_PAIRS:
        raise ValueError(f"these are {len(pairs)} pairs: at most {MAX_PAIRS}; `whatchanged diff --pairs` takes more")

    def one(paths: tuple[Path, Path]) -> tuple[dict[str, Any], str]:
        before, after = map(read, paths)
        found = compare(before, after, settings, models)
        record: dict[str, Any] = {"similarity": round(found.similarity, 4), "regions": len(found.regions)}
        record |= {"words": describe(before, after, settings, models)[0], "boxes": found.boxes.tolist()}
        return record, _thumbnail(drawing.draw_regions(before, after, found), " and ".join(path.name for path in paths))

    for number, (paths, done, reason) in enumerate(each(pairs, one), start=1):
        known, thumbnails = done or ({"error": reason}, "")
        record = dict.fromkeys(COLUMNS, "") | {"number": number, "before": paths[0].name, "after": paths[1].name}
        yield len(pairs), record | known, thumbnails


def _thumbnail(picture: np.ndarray, alt: str) -> str:
    data = base64.b64encode(cv2.imencode(".jpg", shrink(picture, 360)[..., ::-1])[1].tobytes()).decode()
    return f'<img src="data:image/jpeg;base64,{data}" alt="{html.escape(alt)}, boxes around what differs">'


def table(rows: Sequence[tuple[dict[str, Any], str]]) -> str:
    """The records as an HTML table, with thumbnails."""
    cells = []
    for record, thumbnails in rows:
        pictures = thumbnails or html.escape(f"{record['before']}, {record['after']}")
        cells.append([str(record["number"]), pictures, *(html.escape(str(record[name])) for name in COLUMNS[3:])])
    return html_table("What differs in each pair", ["pair", "pictures", *COLUMNS[3:]], cells)


def html_table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that scrolls sideways where it is wider than the page; cells are HTML."""
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    table = f"<table><caption>{caption}</caption><tr>{head}</tr>{body}</table>"
    return f'<div class="rows" tabindex="0" role="region" aria-label="{caption}">{table}</div>'
