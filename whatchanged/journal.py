"""Records of a long run: each is on disk at once, the whole file appears at the end, a second run goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from whatchanged.files import alone, read_json, write_json, write_whole


class Journal:
    """A file of records that grows a record at a time and is never half there.

    Records are appended to a journal beside the file, a line each; `finish` writes the file, whole, and removes the
    journal. A kill costs the record in work, nothing else. It is a context: inside it no other run has the file.

    Parameters
    ----------
    path : the JSON file: the entries of `about`, and under `name` the list of records.
    name : of that list. None makes it a file of JSON lines, a record each; a run after one that finished begins anew.
    about : what all records share, as the model they come from.
    key : of a record; two with the same key are the same piece of work.
    fresh : whether a record of an earlier run still holds; None: all do.

    What a record says under names that begin with "_" is for the next run alone: the file is without it.

    Attributes
    ----------
    done : key -> record, those of earlier runs too. Records with an "error" of earlier runs are not among them: they
        are tried again, and so are those that are not fresh.

    Raises
    ------
    ValueError
        On entering: another run has the file; it is none of this kind; or its records come from something else or from
        another version.
    """

    def __init__(
        self,
        path: str | Path,
        name: str | None,
        about: dict[str, Any],
        key: Callable[[dict], Any],
        fresh: Callable[[dict], bool] | None = None,
    ) -> None:
        self.path, self.name, self.about, self._key, self._fresh = Path(path), name, about, key, fresh
        self.part = self.path.with_name(self.path.name + ".journal")
        self._held = ExitStack()
        self.done: dict[Any, dict[str, Any]] = {}

    def __enter__(self) -> Journal:
        if not self.path.parent.is_dir():
            raise ValueError(f"{self.path.parent} is no folder: make it first, then write {self.path.name} there")
        with ExitStack() as entering:
            entering.enter_context(alone(self.path, self.path.with_name(f".{self.path.name}.lock")))
            earlier = [one for one in self._earlier() if not one.get("error")]
            self._held = entering.pop_all()
        self.done = {self._key(one): one for one in earlier if self._fresh is None or self._fresh(one)}
        self._file = write_whole(self.part, _lines([self.about, *self.done.values()])).open("a", encoding="utf-8")
        return self

    def __exit__(self, *_: Any) -> None:
        self._file.close()
        self._held.close()

    def missing(self, work: Sequence[Any]) -> list[Any]:
        """Those of the keys for which there is no record."""
        return [one for one in work if one not in self.done]

    def add(self, record: dict[str, Any]) -> None:
        """Keep a record; when this returns, a kill does not lose it."""
        print(json.dumps(record), file=self._file, flush=True)
        self.done[self._key(record)] = record

    def finish(self, order: Sequence[Any]) -> Path:
        """Write the file, with the records of these keys in this order, and remove the journal."""
        records = [told(self.done[one]) for one in order]
        if self.name is None:
            write_whole(self.path, _lines(records))
        else:
            write_json(self.path, self.about | {self.name: records})
        self.discard()
        return self.path

    def discard(self) -> None:
        """Remove the journal: what its records were for is written."""
        self.part.unlink()

    def _earlier(self) -> Iterator[dict[str, Any]]:
        if self.name is not None and self.path.is_file():
            yield from self._finished(self.name)
        if self.part.is_file():
            yield from self._begun()

    def _begun(self) -> list[dict[str, Any]]:
        lines = self.part.read_text(encoding="utf-8").split("\n")[:-1]  # what no newline ends was cut off
        try:
            about, *records = map(json.loads, lines or [json.dumps(self.about)])
            if not all(isinstance(one, dict) for one in (about, *records)):
                raise ValueError("a line is no record")
        except ValueError as error:
            raise ValueError(
                f"{self.part} is no journal of an earlier run ({error}): delete it to begin anew"
            ) from error
        self._hold_about(about, self.part)
        return records

    def _finished(self, name: str) -> list[dict[str, Any]]:
        try:
            content = read_json(self.path)
            records = content.pop(name)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{self.path} holds no {name!r} of an earlier run: choose another file") from error
        self._hold_about(content, self.path)
        return records

    def _hold_about(self, about: dict[str, Any], where: Path) -> None:
        if unknown := [name for name in self.about if name not in about]:
            raise ValueError(
                f"{where} was begun by another version, which did not know {' and '.join(unknown)}: choose another"
                " file, or delete it to begin anew"
            )
        for name, value in self.about.items():
            if about.get(name) != value:
                raise ValueError(
                    f"{where} was begun with {name} {about.get(name)!r}, not {value!r}: choose another file, or"
                    " delete it to begin anew"
                )


def told(record: dict[str, Any]) -> dict[str, Any]:
    """A record without what is for the next run alone."""
    return {name: value for name, value in record.items() if not name.startswith("_")}


def _lines(records: Iterable[dict[str, Any]]) -> bytes:
    """JSON, a line each."""
    return "".join(json.dumps(one) + "\n" for one in records).encode()
