"""HTML put together so that nothing foreign gets in: text and attributes are escaped, unless they are HTML already."""

from __future__ import annotations

import html
from collections.abc import Iterable

_EMPTY = {"br", "img", "input", "link", "meta"}  # elements without an end


class Html(str):
    """A piece of HTML, as `tag` made it."""


def tag(name: str, *inside: str | None, **attributes: str | int | bool | None) -> Html:
    """An element.

    Parameters
    ----------
    name : of the element.
    *inside : what it holds: elements as they are, other text escaped, None left out.
    **attributes : an underscore stands for a hyphen, one at the end is dropped (`class_`). True is an attribute
        without a value; None and False are left out.
    """
    given = "".join(_attribute(one.rstrip("_").replace("_", "-"), value) for one, value in attributes.items())
    if name in _EMPTY:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{together(inside)}</{name}>")


def together(parts: Iterable[str | None]) -> Html:
    """One after the other: elements as they are, other text escaped, None left out."""
    return Html("".join(part if isinstance(part, Html) else escaped(part) for part in parts if part is not None))


def escaped(text: str) -> Html:
    """Text as HTML; a byte of a file's name that is no UTF-8 becomes a question mark."""
    return Html(html.escape(text.encode("utf-8", "replace").decode()))


def _attribute(name: str, value: str | int | bool | None) -> str:
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escaped(str(value))}"'
