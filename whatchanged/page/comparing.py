"""What the page does with pictures, apart from the page: compare, describe, and go through many pairs."""

from __future__ import annotations

import base64
import html
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from whatchanged import drawing, images
from whatchanged.archives import unpack
from whatchanged.detection import detect
from whatchanged.documents import as_record, detect_pages
from whatchanged.extras import needed
from whatchanged.formats import ImageError
from whatchanged.images import shrink
from whatchanged.listing import Item
from whatchanged.options import Options
from whatchanged.pages import Page
from whatchanged.pairs import each, searched
from whatchanged.regions import Difference, rounded_down

LARGEST = 25_000_000
MAX_ARCHIVE = 500_000_000  # bytes that a zip may unpack to
MAX_PAIRS = 500
COLUMNS = ("number", "before", "after", "similarity", "kind", "regions", "note", "words", "error")


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
    """What the controls say: as in `Options`, and how many regions of a page are shown; method "words" is T-BLIP2."""

    method: str = "tolerant"
    align: bool | None = None
    sensitivity: float = 1.0
    most: int = 10
    kind: str | None = None
    size: str = "pad"


@dataclass(frozen=True, eq=False)
class Seen:
    """What was found in two files, and the page of them that is shown: the first that differs, or else the first one.

    Attributes
    ----------
    before, after : that page, uint8 (H, W, 3); white in a file that lacks it.
    found : what differs there.
    whole : whether both files have the page.
    page, pages : its number, and how many there are.
    record : what was found on all of them, see `documents.as_record`.
    """

    before: np.ndarray
    after: np.ndarray
    found: Difference
    whole: bool
    page: int
    pages: int
    record: dict[str, Any]


def read(path: str | Path) -> np.ndarray:
    """An uploaded picture, uint8 (H, W, 3); the error names the file as the user knows it."""
    with _own_names(path):
        return images.read_image(path, max_pixels=LARGEST)


@contextmanager
def _own_names(*paths: str | Path) -> Iterator[None]:
    """An error names the files as their owner knows them."""
    try:
        yield
    except ImageError as error:
        said = str(error)
        for path in paths:
            said = said.replace(str(path), Path(path).name)
        raise ImageError(said) from error


def see(before: str | Path, after: str | Path, settings: Settings, models: Models) -> Seen:
    """Compare two files page by page; of each page the strongest regions, at most `settings.most`."""
    words = settings.method == "words"
    method = "tolerant" if words else settings.method
    how = Options(method, settings.align, kind=settings.kind, size=settings.size, sensitivity=settings.sensitivity)

    def told(one: np.ndarray, two: np.ndarray, how: Options) -> Difference:
        found = models.words.difference(one, two) if words else detect(one, two, how)
        return replace(found, regions=found.regions[: settings.most])

    kept: list[tuple[Page, Difference]] = []

    def seen() -> Iterator[Difference]:
        for page, found in detect_pages(before, after, how, max_pixels=LARGEST, compare=told):
            if not kept or (found.regions and not kept[0][1].regions):
                kept[:] = [(page, found)]
            yield found

    with needed(), _own_names(before, after):
        record = as_record(seen())
    ((page, found),) = kept
    one, two = page.before, page.after
    whole = one is not None and two is not None
    one = np.full_like(two, 255) if one is None else one
    two = np.full_like(one, 255) if two is None else two
    return Seen(one, two, found, whole, page.number, record.get("pages", 1), record)


def describe(seen: Seen, settings: Settings, models: Models) -> tuple[str, str]:
    """What changed on the page that is shown, in words; or no words, and why there are none."""
    if not seen.whole:
        return "", "only one of the files has this page"
    try:
        return models.words(seen.before, seen.after, settings.most), ""
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
    """Compare all pairs of a folder; what is in no pair has its reason.

    Yields
    ------
    count, record, thumbnails : how many pairs there are; what is known of the next one, with the names of `COLUMNS`
        and its "boxes", and all that is "found" there; HTML of both pictures.
    """
    with searched(folder) as items:
        count = sum(item.state == "compared" for item in items)
    if count > MAX_PAIRS:
        raise ValueError(f"these are {count} pairs: at most {MAX_PAIRS}; `whatchanged diff --pairs` takes more")

    def one(item: Item) -> tuple[dict[str, Any], str]:
        if item.state != "compared":
            raise ValueError(item.error or item.note)
        before, after = (file.path for file in item.files)
        seen = see(before, after, settings, models)
        found = seen.record["regions"]
        record: dict[str, Any] = {"similarity": rounded_down(seen.record["similarity"], 4), "regions": len(found)}
        record |= {"kind": seen.record["kind"], "note": seen.record["note"]}
        record |= {"words": describe(seen, settings, models)[0]}
        record |= {"boxes": [[one[name] for name in ("x", "y", "width", "height")] for one in found], "found": found}
        drawn = drawing.draw_regions(seen.before, seen.after, seen.found)
        return record, _thumbnail(drawn, f"{before.name} and {after.name}")

    for number, (item, done, reason) in enumerate(each(items, one), start=1):
        known, thumbnails = done or ({"error": reason}, "")
        names = {"before": item.before, "after": item.after}
        record = dict.fromkeys(COLUMNS, "") | {"number": number}
        record |= {which: file.path.name if file else "" for which, file in names.items()}
        yield len(items), record | known, thumbnails


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
