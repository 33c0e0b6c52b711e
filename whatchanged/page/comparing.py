"""What the page does with two pictures, apart from the page: compare, and describe."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from whatchanged import images
from whatchanged.detection import detect
from whatchanged.documents import as_record, detect_pages
from whatchanged.extras import needed
from whatchanged.formats import ImageError
from whatchanged.options import Box, Options
from whatchanged.pages import Page
from whatchanged.regions import Difference

PAGES = 12
"""Pages of a pair of files that are shown: those that differ, or else the first one."""

_NOTHING = re.compile(r"\b(nothing|no (change|difference)|the same|identical|unchanged)\b", re.I)
_BECAME = re.compile(
    r"(?:the|an?) (.+?)"
    r" (?:is now|became|becomes|turned into|changed (?:in)?to|was replaced (?:by|with))"
    r" (?:the|an?) (.+)",
    re.I,
)


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
    ignore: tuple[Box, ...] = ()

    @property
    def options(self) -> Options:
        """The same for `detect`."""
        method = "tolerant" if self.method == "words" else self.method
        return Options(
            method,
            self.align,
            kind=self.kind,
            size=self.size,
            sensitivity=self.sensitivity,
            ignore=self.ignore,
        )


@dataclass(frozen=True, eq=False)
class Seen:
    """What was found in two files.

    Attributes
    ----------
    pages : those that are shown, at most `PAGES`, each with the strongest of its regions.
    record : what was found on all pages, all of it, see `documents.as_record`.
    """

    pages: list[tuple[Page, Difference]]
    record: dict[str, Any]

    @property
    def count(self) -> int:
        """How many regions differ, on all pages."""
        return len(self.record["regions"])

    @property
    def shown(self) -> int:
        """How many of them are shown."""
        return sum(len(found.regions) for _, found in self.pages)


def read(path: str | Path) -> np.ndarray:
    """An uploaded picture, uint8 (H, W, 3); the error names the file as the user knows it."""
    with _own_names(path):
        return images.read_image(path)


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
    """Compare two files page by page; of each page the strongest regions are shown, at most `settings.most`."""
    words = settings.method == "words"

    def told(one: np.ndarray, two: np.ndarray, how: Options) -> Difference:
        return models.words.difference(one, two) if words else detect(one, two, how)

    kept: list[tuple[Page, Difference]] = []

    def seen() -> Iterator[Difference]:
        for page, found in detect_pages(before, after, settings.options, compare=told):
            if kept and found.regions and not kept[0][1].regions:
                kept.clear()
            if not kept or (found.regions and len(kept) < PAGES):
                kept.append((page, replace(found, regions=found.regions[: settings.most])))
            yield found

    with needed(), _own_names(before, after):
        record = as_record(seen())
    return Seen(kept, record)


@dataclass(frozen=True)
class Words:
    """What a model says of a pair.

    Attributes
    ----------
    said : a sentence; "" where it is not shown.
    why : of what is not shown, the reason.
    unlike : whether the pair is unlike those that the model learned from; None: that is not known.
    """

    said: str
    why: str = ""
    unlike: bool | None = None


def describe(seen: Seen, settings: Settings, models: Models) -> Words:
    """What changed on the first page that is shown, in words."""
    page, found = seen.pages[0]
    if page.before is None or page.after is None:
        return Words("", "only one of the files has this page")
    try:
        said, unlike = models.words.say(page.before, page.after, settings.most)
    except ValueError as error:
        return Words("", str(error))
    return Words(*believed(said, len(found.regions)), unlike)


def believed(said: str, regions: int) -> tuple[str, str]:
    """What a model says, as far as it agrees with the boxes; or no words, and why.

    A change from something to the same, as "the red disk is now a red disk", is none, and is left out. With regions
    nothing may be "the same", and without any nothing else may be said.
    """
    parts = re.split(r"\s+and\s+(?=(?:the|an?|there)\b)", said.strip(" ."))
    parts = [part for part in parts if part and not _is_empty(part)]
    if parts and all(bool(_NOTHING.search(part)) == (regions == 0) for part in parts):
        return " and ".join(parts), ""
    shown = "differences" if regions else "none"
    return "", f"what the model says does not agree with the comparison, which found {shown}"


def _is_empty(part: str) -> bool:
    sides = _BECAME.fullmatch(part)
    return sides is not None and sides[1].casefold() == sides[2].casefold()
