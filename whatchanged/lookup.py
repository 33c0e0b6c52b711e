"""Which picture below a folder a name in an annotation file means: that one, or none with the reason, never another."""

from __future__ import annotations

import filecmp
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection
from functools import cache
from itertools import combinations, product
from pathlib import Path, PurePosixPath

from whatchanged.images import unreadable
from whatchanged.listing import PICTURES, Tree

_PARTS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
_PARTS |= dict.fromkeys(("val", "valid", "validation", "dev"), "val")
_SPLIT = re.compile(rf"(?<![a-z])({'|'.join(sorted(_PARTS, key=len, reverse=True))})(?![a-z])[ _-]?(\d*)")
_PREVIEW = re.compile(r"(?<![a-z])(thumb(nail)?|preview)s?(?![a-z])")


def file_named(tree: Tree, name: str) -> Path:
    """The file of this name in a folder or in a folder of it.

    Raises
    ------
    ValueError
        There is none, or several that differ and none of them directly in the folder.
    """
    named = [one for one in map(PurePosixPath, [*tree.others, *tree.files]) if _folded(one.name) == _folded(name)]
    files = sorted((one for one in named if (tree.root / one).is_file()), key=lambda one: (len(one.parts) > 1, one))
    files = [one for one in files if one.name == name] or files
    if not files:
        kind = sorted(one for one in tree.others if one.endswith(PurePosixPath(name).suffix))[:5]
        told = f"; there is {', '.join(kind)}" if kind else ""
        raise ValueError(f"{tree.called} holds no {name}, nor does a folder of it{told}")
    for one in files[1:]:
        if len(files[0].parts) > 1 and not filecmp.cmp(tree.root / files[0], tree.root / one, shallow=False):
            raise ValueError(f"{tree.called} holds {files[0]} and {one}, which differ: name the folder of one of them")
    return tree.root / files[0]


def looked_up(
    tree: Tree, annotations: Path, part: str, wanted: Collection[str]
) -> tuple[dict[str, Path], dict[str, str]]:
    """The pictures that names mean, as `Lookup` finds them, each read once to its end; and why others are not there."""
    lookup, found, wrong = Lookup(tree, annotations, part, wanted), {}, {}
    for name in wanted:
        try:
            found[name] = lookup.find(name)
        except ValueError as error:
            wrong[name] = str(error)
    broken = unreadable(set(found.values()))
    wrong |= {name: broken[path] for name, path in found.items() if path in broken}
    return {name: path for name, path in found.items() if path not in broken}, wrong


class Lookup:
    """The pictures of one part of a data set, by the names that its annotation file gives them.

    A name is looked for in all folders. It may lack its ending or have another than the file, be in other capitals, and
    tell some of the folders that the picture lies in. Several folders may hold pictures of the same names, because each
    part is numbered anew or there are previews. Then those count that lie

    1. in the folder that the name tells;
    2. in no folder of previews, unless there is no other;
    3. in the folder of the part, as `val2014/` or `validation/` of "val", and never in that of another;
    4. below the folder of the annotation file, where others do not.

    Where that leaves two folders with different pictures of the same names, a name means none of them, not even one
    that only one of them holds: of the other it may be missing.

    Parameters
    ----------
    tree : what lies below the folder of the data set.
    annotations : the annotation file, below that folder.
    part : as "train" or "val2014".
    wanted : all names that will be asked for; of two that differ in capitals, endings or folders alone, each means a
        file of exactly this name.
    """

    def __init__(self, tree: Tree, annotations: Path, part: str, wanted: Collection[str]) -> None:
        self._tree, self._part = tree, _folded(part)
        self._home = _folders(annotations.parent.relative_to(tree.root).as_posix())
        self._told = cache(self._told_by_folders)  # there are many files, and few folders
        self._alike = Counter(map(_key, {_normal(name) for name in wanted}))
        self._found: dict[str, list[str]] = defaultdict(list)
        for file in tree.files:
            self._found[_key(file)].append(file)
        self._of_others = {file for file in tree.files if self._is_of_other_part(file)}
        everywhere = {_above(file) for file in tree.files}
        self._previews = {folder for folder in everywhere if _PREVIEW.search(_folded(folder))}
        if self._previews == everywhere:
            self._previews = set()
        folders = {_above(file) for file in tree.files if file not in self._of_others} - self._previews
        self._own = {folder for folder in folders if any(map(self._is_part, self._beyond(folder)))}
        self._homes = self._own or folders
        asked = {_above(file) for key in self._alike for file in self._found.get(key, ())} & self._homes
        if any(map(self._is_below, asked)):
            self._homes = {one for one in self._homes if self._is_below(one)}
        self._rivals = self._rival_folders()

    def find(self, name: str) -> Path:
        """The file that a name means.

        Raises
        ------
        ValueError
            There is none, or more than one that differ.
        """
        above, _, base = _normal(name).rpartition("/")
        known = self._found.get(_key(name), [])
        if above:
            files = self._in_named_folder(known, _folders(above))
        else:
            files = [one for one in known if _above(one) in self._homes and one not in self._of_others]
        exact = [one for one in files if base in _exact_names(one)]
        if self._alike[_key(name)] > 1:
            files = [one for one in exact if f"/{_above(one)}".endswith(f"/{above}" if above else "")]
        elif exact:
            files = exact
        if not files:
            raise ValueError(f"there is no picture {name!r}{self._why_not(known)}")
        for one in files[1:]:
            if not self._same(files[0], one):
                raise ValueError(f"{name!r} is there twice, as {files[0]} and {one}, which differ: leave one there")
        if not above and _above(files[0]) in self._rivals:
            other = self._rivals[_above(files[0])]
            raise ValueError(
                f"{name!r} may mean {files[0]}, but {other[0]} and {other[1]} differ, so the folders are not of one"
                f" part: leave one of them there, or name that of {self._part!r} so"
            )
        return self._tree.root / files[0]

    def _in_named_folder(self, known: list[str], named: list[str]) -> list[str]:
        """The files in the folder that the name tells, of which the first folders may be those of another machine."""
        found = []
        for one in known:
            folders = _folders(_above(one))
            same = _common(named, folders)
            ends = same == len(folders) and (same > 0 or _folded(self._tree.root.name) == named[-1])
            if (same == len(named) or ends) and not self._is_of_other_part(one, same):
                found.append(one)
        found = [one for one in found if _above(one) not in self._previews]
        return [one for one in found if _above(one) in self._own] or found

    def _rival_folders(self) -> dict[str, tuple[str, str]]:
        """Of folders that count, those of which another one holds another picture of the same name: both files.

        Where the part has no folder of its own, that other one may be the folder of another part.
        """
        rivals: dict[str, tuple[str, str]] = {}
        for files in self._found.values():
            meant = [one for one in files if _above(one) in self._homes or (one in self._of_others and not self._own)]
            for one, other in combinations(meant, 2):
                known = {_above(one), _above(other)} <= rivals.keys()
                if _above(one) != _above(other) and not known and not self._same(one, other):
                    rivals.setdefault(_above(one), (one, other))
                    rivals.setdefault(_above(other), (other, one))
        return rivals

    def _same(self, one: str, other: str) -> bool:
        first, second = self._tree.root / one, self._tree.root / other
        try:
            return first.samefile(second) or filecmp.cmp(first, second, shallow=False)
        except OSError:  # gone, or not to be read: nobody knows
            return False

    def _why_not(self, known: list[str]) -> str:
        if not known:
            unseen = next(iter(self._tree.unseen.items()), None)
            return f"; {unseen[0]!r} was not looked at: {unseen[1]}" if unseen else ""
        if known[0] in self._of_others:
            return f"; {known[0]} lies in the folder of another part"
        if _above(known[0]) in self._previews:
            return f"; {known[0]} lies among previews"
        return f"; {known[0]} lies in another folder, or is named otherwise"

    def _is_below(self, folder: str) -> bool:
        return _folders(folder)[: len(self._home)] == self._home

    def _is_of_other_part(self, file: str, named: int = 0) -> bool:
        """Whether it lies in a folder of another part, of which its own name does not tell as well.

        Parameters
        ----------
        named : how many of its folders, from the last, were told by name, and so are no question.
        """
        told = self._told(_above(file), named)
        return bool(told) and not told & set(_splits(_folded(file.rpartition("/")[2])))

    def _told_by_folders(self, folder: str, named: int) -> set[tuple[str, str]]:
        """The other parts that a file's folders tell of."""
        folders = self._beyond(folder)
        folders = folders[: max(0, len(folders) - named)]
        if not _splits(self._part) or any(map(self._is_part, folders)):
            return set()
        return {one for folder in folders for one in _splits(folder)}

    def _is_part(self, word: str) -> bool:
        both = product(_splits(self._part), _splits(word))
        return word == self._part or any(a[0] == b[0] and (a[1] == b[1] or not (a[1] and b[1])) for a, b in both)

    def _beyond(self, folder: str) -> list[str]:
        """The folders below the one that it has in common with the annotation file: those above tell of neither."""
        parts = _folders(folder)
        same = next((i for i, (a, b) in enumerate(zip(parts, self._home, strict=False)) if a != b), len(self._home))
        return parts[same:]


def _above(file: str) -> str:
    """The folder of a file; "" of one that lies in no other."""
    return file.rpartition("/")[0]


def _folders(path: str) -> list[str]:
    return [one for one in _folded(path).split("/") if one not in ("", ".")]


def _normal(name: str) -> str:
    """A name with the folders divided as everywhere, in one form of Unicode."""
    parts = [one for one in unicodedata.normalize("NFC", name).replace("\\", "/").split("/") if one not in ("", ".")]
    return "/".join(parts)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _exact_names(file: str) -> tuple[str, str]:
    """What a name must be to mean exactly this file: its name, or that without its ending."""
    base = _normal(file).rpartition("/")[2]
    return base, base.rpartition(".")[0]


def _key(name: str) -> str:
    """What a picture's name has in common with all that may mean the same file."""
    base = _folded(_normal(name)).rpartition("/")[2]
    stem, dot, ending = base.rpartition(".")
    return stem if dot and f".{ending}" in PICTURES else base


def _splits(word: str) -> list[tuple[str, str]]:
    """Each part that a word tells of, with its number: ("val", "2014")."""
    return [(_PARTS[name], number) for name, number in _SPLIT.findall(word)]


def _common(ends: list[str], parts: list[str]) -> int:
    """How many folders, from the last, are the same."""
    both = zip(reversed(ends), reversed(parts), strict=False)
    return next((i for i, (a, b) in enumerate(both) if a != b), min(len(ends), len(parts)))
