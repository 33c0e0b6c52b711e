"""Text files as people and their programs write them: in which bytes, with a mark or none, JSON or lines of JSON."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BY_MARK = (  # the longer mark first: that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(path: str | Path) -> str:
    """What a text file says: UTF-8, UTF-16 or UTF-32, with a byte order mark or without, or cp1252.

    Raises
    ------
    ValueError
        It is none of these, or UTF-8 of which bytes are damaged; as cp1252 all its accents would be wrong.
    """
    data = Path(path).read_bytes()
    encoding = next((name for mark, name in _BY_MARK if data.startswith(mark)), None)
    if encoding is None and b"\0" in data[:200]:
        high, low = (data[:200][start::2].count(0) for start in (0, 1))
        if max(high, low) > len(data[:200]) / 4:  # most of a head's letters have one
            encoding = "utf-16-be" if high > low else "utf-16-le"
    for name in [encoding] if encoding else ["utf-8", "cp1252"]:
        try:
            text = data.decode(name)
        except UnicodeDecodeError as error:
            if name == "utf-8" and any("\x7f" < one != "\ufffd" for one in data.decode(name, "replace")):
                raise ValueError(
                    f"{path} is UTF-8 with damaged bytes at {error.start}: save it again, or fetch it anew"
                ) from error
            continue
        if "\0" not in text:
            return text
    raise ValueError(f"{path} is no text in UTF-8, UTF-16 or cp1252: save it in UTF-8")


def json_of(path: str | Path) -> Any:
    """What a JSON file holds, whatever it is encoded in.

    Raises
    ------
    ValueError
        It is no text, no JSON, or an object in it has a name twice, of which one would be lost.
    """
    text = read_text(path)
    try:
        return _parsed(text)
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error


def json_lines(path: str | Path) -> Iterator[tuple[int, Any]]:
    """A file with JSON on each line: the number of a line, and its value, or the ValueError of what is no JSON.

    Lines end as on any system, and nowhere else: a sentence may hold U+2028 or U+0085. Empty lines do not count.
    """
    lines = re.split(r"\r\n|\n|\r", read_text(path))
    return ((number, _value(line)) for number, line in enumerate(lines, start=1) if line.strip())


def _value(line: str) -> Any:
    try:
        return _parsed(line)
    except ValueError as error:
        return error


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_whole)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _whole(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} comes twice in one object")
    return found
