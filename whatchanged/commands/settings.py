"""How pictures are compared, as one says it on the command line: switches for the usual, `--set` for the rest."""

from __future__ import annotations

import argparse
import inspect
from dataclasses import fields
from typing import Any

from whatchanged.options import METHODS, PAIR_KINDS, PRESETS, SIZES, Options

_SWITCHED = ("ignore", "mask")  # which have a switch only
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def add_settings(command: argparse.ArgumentParser) -> None:
    """The switches of a command that compares."""
    how = command.add_argument_group("how pictures are compared")
    how.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        help="what you know of the pictures: a screen, where each pixel counts; a document, rendered or scanned; a"
        " photo; a board of a production line",
    )
    kind = (
        "what the pair is: exact, the same rendering, where every pixel counts; layout, a page whose rows moved;"
        " camera, photographs and scans; without it, the pair says itself what it is"
    )
    how.add_argument("--kind", choices=PAIR_KINDS, help=kind)
    size = (
        "of pictures of different sizes compare: pad, all, and tell what only one has (the usual); crop, what both have"
        " at the top left; scale, both at the smaller size, for a picture in another resolution"
    )
    how.add_argument("--size", choices=SIZES, help=size)
    how.add_argument(
        "--ignore",
        action="append",
        metavar="X,Y,W,H",
        help="a box in pixels of the before picture in which nothing is compared, as a clock; may be given again",
    )
    how.add_argument("--mask", metavar="FILE", help="a picture of the size of the before picture: white is compared")
    how.add_argument("--sensitivity", type=float, metavar="X", help="above 1 reports weaker differences (1)")
    how.add_argument("--min-area", type=int, metavar="PIXELS", help="regions with fewer changed pixels are left out")
    how.add_argument(
        "--method",
        choices=tuple(METHODS),
        help="how the pictures are compared: tolerant, the best and the usual one; or a classic method",
    )
    how.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other option, as --set align=false; --set help tells them all",
    )


def settings(options: argparse.Namespace) -> dict[str, Any]:
    """What is said of `Options`, by name: the switches, over --set, over the preset."""
    said = dict(PRESETS[options.preset]) if options.preset else {}
    for one in options.set:
        name, value = _setting(one)
        said[name] = value
    for name in ("kind", "size", "mask", "sensitivity", "min_area", "method"):
        if (value := getattr(options, name)) is not None:
            said[name] = value
    if options.ignore:
        said["ignore"] = [_box(one) for one in options.ignore]
    Options(**said)  # refuses what makes no sense
    return said


def all_options() -> str:
    """Each option with what it is by default, then what they mean."""
    doc = inspect.getdoc(Options) or ""
    meaning = doc.partition("Attributes\n----------\n")[2].partition("\n\nRaises")[0]
    values = "\n".join(f"  {one.name}={_shown(one.default)}" for one in fields(Options) if one.name not in _SWITCHED)
    return f"With --set NAME=VALUE, here as they are without it:\n\n{values}\n\n{meaning}"


def _shown(value: Any) -> str:
    return str(value).lower()


def _setting(given: str) -> tuple[str, Any]:
    name, equals, text = given.partition("=")
    name = name.strip().replace("-", "_")
    types = {one.name: str(one.type).split(" | ") for one in fields(Options) if one.name not in _SWITCHED}
    if not equals or name not in types:
        raise ValueError(f"--set {given}: give NAME=VALUE, with one of {', '.join(types)}; --set help tells more")
    return name, _value(name, text.strip(), types[name])


def _value(name: str, text: str, types: list[str]) -> Any:
    if "None" in types and text.lower() in ("none", ""):
        return None
    if "bool" in types:
        if text.lower() not in _TRUE + _FALSE:
            raise ValueError(f"--set {name}={text}: give true or false")
        return text.lower() in _TRUE
    for kind, what in ((int, "a whole number"), (float, "a number")):
        if kind.__name__ in types:
            try:
                return kind(text)
            except ValueError:
                raise ValueError(f"--set {name}={text}: give {what}") from None
    return text


def _box(text: str) -> tuple[int, ...]:
    try:
        box = tuple(int(one) for one in text.split(","))
    except ValueError:
        box = ()
    if len(box) != 4:
        raise ValueError(f"--ignore {text}: give x,y,width,height in pixels, as 10,20,300,40")
    return box
