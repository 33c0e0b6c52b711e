"""What changed in a generated scene, in sentences; and sentences read back as changes."""

from __future__ import annotations

import re

import numpy as np

from helpers.things import COLORS, SHAPES, TEXTURES

_TEMPLATES = {
    "added": ("{a_new} was added", "there is a new {new}", "{a_new} has appeared"),
    "removed": ("the {old} was removed", "the {old} is gone", "the {old} has disappeared"),
    "moved": ("the {old} moved", "the {old} is in another place", "the {old} was moved elsewhere"),
    "altered": ("the {old} became {a_new}", "the {old} is now {a_new}", "the {old} turned into {a_new}"),
}
NOTHING = ("nothing has changed", "there is no difference", "the two pictures show the same")


def captions_of(rng: np.random.Generator, plan: list) -> tuple[str, ...]:
    """Three wordings of all changes, told from left to right (by where a thing was, or is if it is new)."""
    if not plan:
        return NOTHING
    plan = sorted(plan, key=lambda step: (step[1] or step[2]).x)
    order = rng.permutation(3)
    return tuple(" and ".join(_say(step, int(order[(w + i) % 3])) for i, step in enumerate(plan)) for w in range(3))


def _say(step, wording: int) -> str:
    kinds, old, new = step
    template = _TEMPLATES[kinds[0] if kinds[0] in _TEMPLATES else "altered"][wording]
    article = "an" if str(new)[0] in "aeiou" else "a"
    return template.format(old=old, new=new, a_new=f"{article} {new}")


def change_tuples(caption: str) -> set[tuple[str, str, str]]:
    """What a caption of a scene says, exactly: a set of (object, attribute, what became of it).

    "the red plain ring became a blue plain ring" is ("red plain ring", "color", "blue"); an object that was added,
    removed or moved is (object, "", kind); "nothing has changed" is the empty set. Words that describe no scene are
    ("", "", words): a claim that is never true.
    """
    if caption in NOTHING:
        return set()
    return {claim for part in caption.split(" and ") for claim in _claims(part)}


def _claims(part: str) -> list[tuple[str, str, str]]:
    for kind, templates in _TEMPLATES.items():
        for template in templates:
            found = re.fullmatch(template.format(old=_OLD, new=_NEW, a_new=f"an? {_NEW}"), part)
            if found and kind != "altered":
                return [(found.group(1), "", kind)]
            if found:
                values = zip(("color", "texture", "shape"), *(thing.split() for thing in found.groups()), strict=True)
                return [(found["old"], attribute, after) for attribute, before, after in values if after != before]
    return [("", "", part)]


_THING = " ".join(f"(?:{'|'.join(values)})" for values in (COLORS, TEXTURES, SHAPES))
_OLD, _NEW = f"(?P<old>{_THING})", f"(?P<new>{_THING})"
