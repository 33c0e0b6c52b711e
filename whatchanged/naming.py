"""Which pictures belong together by their names: by the usual ways to name them, or by a pattern of one's own."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import PurePosixPath

_FOLDERS = (("before", "after"), ("a", "b"))
_WORDS = (("before", "after"), ("temp", "test"))  # after a separator, or the whole name
_SIGNS = (("1", "2"), ("a", "b"))  # after a separator; letters also after a digit
_MARKED = re.compile(r"(?P<base>.*?)(?P<apart>[_\-. ]?)(?P<mark>before|after|temp|test|[12ab])", re.I | re.S)
_RULES = "x_before and x_after, x_1 and x_2, x and x_2, x-a and x-b, 1a and 1b, x_temp and x_test, before/x and after/x"


@dataclass(frozen=True)
class Role:
    """What a name says of its file.

    Attributes
    ----------
    after : whether it is the second one of its pair.
    key : what both names of the pair have in common.
    partner : how the other one is called.
    said : whether the name says that there is another one; that of x, which may go with x_2, does not.
    """

    after: bool
    key: tuple[str, ...]
    partner: str
    said: bool = True


@dataclass(frozen=True)
class Sorted:
    """Pairs (before, after), sorted; and the others, each with the reason and whether its name asked for a partner."""

    pairs: list[tuple[str, str]]
    alone: dict[str, tuple[str, bool]]


def by_rules(names: Collection[str], folders: Collection[str]) -> Sorted:
    """Pairs by the usual names.

    Parameters
    ----------
    names : of the pictures, below their common folder, with slashes.
    folders : all that there are; where before/ lies beside after/, or A/ beside B/, the folders say it, else the names.
    """
    known = {folder.casefold() for folder in folders}

    def roles(name: str) -> list[Role]:
        folder = _by_folder(name, known)
        return [folder] if folder else list(_by_name(name))

    return _matched({name: roles(name) for name in names}, f"matches no rule, as {_RULES}")


def by_pattern(names: Collection[str], before: str, after: str) -> Sorted:
    """Pairs by two patterns, as "{id}_temp" and "{id}_test" or "{id}/old.png" and "{id}/new.png".

    What stands in braces may be anything, and the same in both names of a pair; capitals do not matter. A pattern holds
    for pictures in any folder, and where it names no ending, for any that both have.

    Raises
    ------
    ValueError
        A pattern names nothing in braces, both are the same, or one knows a name that the other does not.
    """
    sides = (_pattern(before), _pattern(after))
    wanted, others = (set(side.fields) for side in sides)
    if wanted != others:
        odd = ", ".join(f"{{{one}}}" for one in sorted(wanted ^ others))
        raise ValueError(f"--pair-pattern {before} {after}: {odd} stands in one of them alone: give it in both")
    if before.casefold() == after.casefold():
        raise ValueError(f"--pair-pattern {before} {after}: both are the same, so nothing tells before from after")

    def roles(name: str) -> list[Role]:
        return [
            Role(bool(number), values, sides[1 - number].filled(values))
            for number, side in enumerate(sides)
            if (values := side.values(name))
        ]

    return _matched({name: roles(name) for name in names}, f"matches neither {before} nor {after}")


def _by_folder(name: str, folders: Collection[str]) -> Role | None:
    parts = name.split("/")
    for pair in _FOLDERS:
        for place, part in enumerate(parts[:-1]):
            if (mark := part.casefold()) not in pair:
                continue
            other = [*parts[:place], _like(pair[1 - pair.index(mark)], part)]
            if "/".join(other).casefold() in folders:
                key = ("/".join(parts[:place]), *pair, "/".join(parts[place + 1 :]))
                return Role(mark == pair[1], _folded(key), "/".join([*other, *parts[place + 1 :]]))
    return None


def _by_name(name: str) -> Iterable[Role]:
    path = PurePosixPath(name)
    folder, stem, suffix = name[: -len(path.name)], path.stem, path.suffix
    if marked := _MARKED.fullmatch(stem):
        base, apart, mark = marked["base"], marked["apart"], marked["mark"]
        low = mark.casefold()
        pair = next(pair for pair in (*_WORDS, *_SIGNS) if low in pair)
        whole = pair in _WORDS and (bool(apart and base) or not (apart or base))
        sign = pair in _SIGNS and bool(base) and (bool(apart) or (low in "ab" and base[-1].isdigit()))
        if whole or sign:
            other = f"{folder}{base}{apart}{_like(pair[1 - pair.index(low)], mark)}{suffix}"
            yield Role(low == pair[1], _folded((folder, base, apart, *pair, suffix)), other)
        if low == "2" and base and apart in ("_", "-"):
            yield Role(True, _folded((folder, base, suffix)), f"{folder}{base}{suffix}")
    yield Role(False, _folded((folder, stem, suffix)), f"{folder}{stem}_2{suffix}", said=False)


def _like(word: str, model: str) -> str:
    """The word in capitals as the model has them."""
    return word.upper() if model.isupper() else word.title() if model.istitle() else word


def _folded(key: Iterable[str]) -> tuple[str, ...]:
    return tuple(one.casefold() for one in key)


@dataclass(frozen=True)
class _Pattern:
    text: str
    fields: list[str]
    expression: re.Pattern[str]
    any_ending: bool

    def values(self, name: str) -> tuple[str, ...]:
        """The folder, what stands in the place of each field in the order of their names, and the ending."""
        path = PurePosixPath(name)
        found = self.expression.fullmatch(name[: -len(path.suffix)] if self.any_ending and path.suffix else name)
        if not found:
            return ()
        fields = (found[field] for field in sorted(self.fields))
        return _folded((found["_folder"] or "", *fields, path.suffix if self.any_ending else ""))

    def filled(self, values: tuple[str, ...]) -> str:
        folder, *fields, ending = values
        by_name = dict(zip(sorted(self.fields), fields, strict=True))
        return folder + re.sub(r"\{(\w+)\}", lambda field: by_name[field[1]], self.text) + ending


def _pattern(text: str) -> _Pattern:
    parts = re.split(r"\{([A-Za-z]\w*)\}", text)
    if len(parts) == 1 or any(brace in "".join(parts[::2]) for brace in "{}"):
        raise ValueError(f"--pair-pattern {text}: give a part of the name in braces, as {{id}}_temp")
    fields: list[str] = []
    expression = r"(?P<_folder>(?:.*?/)?)"
    for number, part in enumerate(parts):
        if number % 2 == 0:
            expression += re.escape(part.removeprefix("./") if number == 0 else part)
        elif part in fields:
            expression += f"(?P={part})"
        else:
            fields.append(part)
            expression += f"(?P<{part}>.+)"
    return _Pattern(text, fields, re.compile(expression, re.I | re.S), any_ending=not PurePosixPath(text).suffix)


def _matched(roles: dict[str, list[Role]], no_rule: str) -> Sorted:
    by_key: dict[tuple[str, ...], tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for name, several in roles.items():
        for role in several:
            by_key[role.key][role.after].append(name)
    partners: dict[str, set[str]] = defaultdict(set)
    possible = {edge for sides in by_key.values() for edge in product(*sides) if edge[0] != edge[1]}
    for first, second in possible:
        partners[first].add(second)
        partners[second].add(first)
    pairs = sorted(edge for edge in possible if all(len(partners[one]) == 1 for one in edge))
    paired = {name for pair in pairs for name in pair}
    other_endings = _other_endings(roles)
    alone = {}
    for name, several in roles.items():
        if name in paired:
            continue
        if partners[name]:
            alone[name] = _several(name, partners), True
        elif any(role.said for role in several):
            expected = [role.partner for role in several if role.said]
            alone[name] = f"there is no {' or '.join(expected)}" + other_endings(name, several), True
        else:
            also = other_endings(name, several)
            alone[name] = f"its name {no_rule}{also}", bool(also)
    return Sorted(pairs, alone)


def _several(name: str, partners: dict[str, set[str]]) -> str:
    own = sorted(partners[name])
    if len(own) > 1:
        return f"it may go with {' and with '.join(own)}: give the pairs in a CSV file"
    others = sorted(partners[own[0]] - {name})
    return f"{own[0]} may go with it and with {' and with '.join(others)}: give the pairs in a CSV file"


def _other_endings(names: Iterable[str]) -> Callable[[str, list[Role]], str]:
    """Names which partner there is that ends otherwise."""
    stems: dict[str, list[str]] = defaultdict(list)
    for name in names:
        stems[_stem(name)].append(name)

    def told(name: str, roles: list[Role]) -> str:
        found = sorted({other for role in roles for other in stems[_stem(role.partner)]} - {name})
        return f"; {' and '.join(found)} ends otherwise: give such pairs in a CSV file" if found else ""

    return told


def _stem(name: str) -> str:
    return name[: len(name) - len(PurePosixPath(name).suffix)].casefold()
