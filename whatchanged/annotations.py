"""An annotation file of pictures while it is read: its records, the pictures that they name, and what is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

from whatchanged.listing import listed, speakable
from whatchanged.lookup import file_named, looked_up
from whatchanged.texts import json_lines, json_of

_NAMES = {"id", "image_id", "img_id", "identifier", "story_id", "photo_flickr_id", "file_name"}


class AnnotationError(ValueError):
    """Annotations on disk that cannot be used; the message names file and record."""


class Annotations:
    """The annotation file of one part of a data set.

    Parameters
    ----------
    folder : of the data set.
    file : the file's name; it lies in the folder or in a folder of it.
    part : as "train" or "val2014".
    strict : refuse a record that cannot be used; otherwise leave it out, and note it in `skipped`.

    Attributes
    ----------
    path : of the file.
    tree : `listing.Tree`, what lies below the folder.
    skipped : list of str: what was wrong with the records left out.

    Raises
    ------
    AnnotationError
        Here and in all methods.
    """

    def __init__(self, folder: str | Path, file: str, part: str, strict: bool) -> None:
        self.part, self.strict = part, strict
        self.skipped: list[str] = []
        with _told():
            self.tree = listed(Path(folder), speakable(folder))
            self.path = file_named(self.tree, file)

    def content(self, kind: type, path: Path | None = None) -> Any:
        """What the file holds, or another: a list or a dict; or `Iterator`, numbers of lines with their values."""
        path = path or self.path
        with _told():
            content = (json_lines if kind is Iterator else json_of)(path)
        if not isinstance(content, kind):
            raise AnnotationError(f"{path} holds a {type(content).__name__}, it must hold a {kind.__name__}")
        return content

    @contextmanager
    def refused(self) -> Iterator[None]:
        """An AnnotationError within it stops the reading, or is noted and the record left out."""
        try:
            yield
        except AnnotationError as error:
            if self.strict:
                raise AnnotationError(f"{error}: mend it, or pass strict=False to leave it out") from error
            self.skipped.append(str(error))

    def each(self, records: Any, what: str, *keys: str) -> Iterator[tuple[dict[str, Any], str]]:
        """Each record that has these keys, alone or in a list of its own, with the words for where it stands."""
        if not isinstance(records, list | Iterator):
            raise AnnotationError(f"{self.path}, {what}s are a {type(records).__name__}, they must be a list")
        for number, record in enumerate(records, start=1) if isinstance(records, list) else records:
            where, good = f"{self.path}, {what} {number}", False
            record = record[0] if isinstance(record, list) and len(record) == 1 else record
            with self.refused():
                hold_keys(record, where, *keys)
                good = True
            if good:
                yield record, where

    def pictures(self, names: Iterable[str]) -> Callable[[str, str], Path]:
        """What gives the picture that a name means, by where it is named: each of them can be read."""
        found, wrong = looked_up(self.tree, self.path, self.part, list(dict.fromkeys(names)))

        def picture(name: str, where: str) -> Path:
            if name in wrong:
                raise AnnotationError(f"{where}: {wrong[name]}")
            return found[name]

        return picture


def hold_keys(record: Any, where: str, *keys: str) -> None:
    """AnnotationError where a record lacks a key, or one that is a name is neither text nor a whole number."""
    if isinstance(record, ValueError):
        raise AnnotationError(f"{where} is not valid JSON: {record}")
    missing = [key for key in keys if not isinstance(record, dict) or key not in record]
    if missing:
        raise AnnotationError(f"{where} has no {missing[0]!r}: it needs {', '.join(keys)}")
    odd = [key for key in keys if key in _NAMES and type(record[key]) not in (str, int)]
    if odd:
        raise AnnotationError(f"{where}: {odd[0]} is {shortened(record[odd[0]])}, it must be text or a whole number")


@contextmanager
def _told() -> Iterator[None]:
    """What is wrong with a file, in this module's own error."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise AnnotationError(str(error)) from error
