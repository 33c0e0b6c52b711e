"""Pictures in a folder for each class, as data sets come: the class and the split of each, and what is left out."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from whatchanged.listing import listed, speakable

TENSORS = ".pt"
SPLIT_FOLDERS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
SPLIT_FOLDERS |= dict.fromkeys(("val", "valid", "validation"), "validation")
"""How folders of a split are named, in small letters, and which split they are."""

_SOUND = {"negative", "sound", "good", "ok", "okfront", "normal", "intact", "undamaged", "healthy", "defectfree"}
_SOUND |= {"uncracked", "noncracked", "notcracked", "nocrack", "nodefect"}
_DEFECT = {"positive", "crack", "cracked", "defect", "defective", "deffront", "damaged", "faulty", "bad", "ng"}
_DEFECT |= {"anomaly", "anomalous"}
_SOUND_OF_SDNET, _DEFECT_OF_SDNET = {"ud", "up", "uw"}, {"cd", "cp", "cw"}  # which in other sets mean what they like
_COURSE = {"negative", "positive"}
_PREVIEWS = {"thumb", "thumbs", "thumbnail", "thumbnails", "preview", "previews"}
_PREVIEW = re.compile(r"(.+)[-_. ](?:thumb|thumbnail|preview)$", re.IGNORECASE)


@dataclass
class ClassFolders:
    """Labeled files below a folder.

    Attributes
    ----------
    files : the paths, in the order of their names.
    labels : of each file the index into `names`.
    splits : of each file "train", "validation" or "test"; "" where the folder has no such parts.
    names : of the classes, as their folders are called; what is sound comes first, what is defective last.
    left_out : the other files and the empty folders by their names below the folder, each with the reason.
    """

    files: list[Path] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    names: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)

    def spread(self) -> list[int]:
        """The places of the files in an order in which the classes are spread evenly.

        Of one size they take turns, the last class first.
        """
        sizes, ranks = Counter(self.labels), Counter[int]()
        order = []
        for place, label in enumerate(self.labels):
            order.append(((2 * ranks[label] + 1) / sizes[label], -label, place))
            ranks[label] += 1
        return [place for *_, place in sorted(order)]


def why_left_out(left_out: Sequence[str], most: int = 5) -> str:
    """What was left out, each "name: reason", in a sentence: of each reason one name, and how many more."""
    alike = defaultdict(list)
    for name, _, reason in (one.partition(": ") for one in left_out):
        alike[reason].append(name)
    told = [f"{names[0]}{f' and {len(names) - 1} more' * (len(names) > 1)} ({why})" for why, names in alike.items()]
    more = f", and for {len(told) - most} other reasons" if len(told) > most else ""
    return f"left out {len(left_out)}: {', '.join(told[:most])}{more}"


def by_class(folder: str | Path) -> ClassFolders:
    """The pictures, or the tensor files, of a folder that holds a folder for each class.

    The classes may lie in `train/`, `val/` and `test/` or hold such folders, and all of it in further folders; what
    lies deeper in the folder of a class belongs to the class. Where the folders are called `Positive` and `Negative`,
    or all of them have names for what is sound and what is defective, there are these two classes, at whatever depth.
    Capitals do not count. Tensor files go before pictures where there are as many or more.

    Raises
    ------
    ValueError
        There is no such folder, or it does not hold files of two classes.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ValueError(f"{root} is no folder")
    tree = listed(root, speakable(root))
    tensors = [name for name in tree.others if name.lower().endswith(TENSORS)]
    left = {name: why for name, why in (tree.others | tree.unseen).items() if name not in set(tensors)}
    left |= {f"{one}/": "the folder is empty" for one in tree.folders - _above([*tree.files, *tensors, *left])}
    shown = set(tree.files)
    previews = {name for name in shown if _is_preview(name, shown)}
    left |= dict.fromkeys(previews, "a preview")
    as_tensors, as_pictures = _Placed(tensors), _Placed(shown - previews)
    found, other = as_tensors, as_pictures
    if len(found.of) < len(other.of):
        found, other = other, found
    left |= found.left_out | dict.fromkeys([*other.of, *other.left_out], "pictures and tensor files are not mixed")
    names = found.names()
    if len(names) < 2:
        what = f"pictures in {next(iter(names.values()))}/ alone" if names else "no picture in the folder of a class"
        raise ValueError(
            f"{root} holds {what}: put the pictures of each class into a folder of its own, as Positive/ and Negative/"
        )
    order, files = list(names), sorted(found.of, key=lambda name: name.split("/"))
    labels, splits = [order.index(found.of[name][0]) for name in files], [found.of[name][1] for name in files]
    return ClassFolders([root / name for name in files], labels, splits, tuple(names.values()), left)


class _Placed:
    """Files by their names below a folder, each put into its class and split.

    Attributes
    ----------
    of : of each file the key of its class, and its split.
    called : of each class the names of its folders.
    left_out : those that are in no class or no split, with the reason.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.of: dict[str, tuple[str, str]] = {}
        self.called: dict[str, list[str]] = defaultdict(list)
        self.left_out: dict[str, str] = {}
        inside = {name: tuple(name.split("/")[:-1]) for name in sorted(names)}
        parts = _split_folders(set(inside.values()))
        rest: dict[str, tuple[str, tuple[str, ...]]] = {}
        for name, path in inside.items():
            at = next((place for place in range(len(path)) if path[: place + 1] in parts), None)
            if at is not None:
                rest[name] = SPLIT_FOLDERS[path[at].casefold()], path[:at] + path[at + 1 :]
            elif parts:
                self.left_out[name] = "it lies beside the folders of the splits, in none"
            else:
                rest[name] = "", path
        rest = _unwrapped(rest)
        words = _words({name: path for name, (_, path) in rest.items()})
        for name, (split, path) in rest.items():
            one = next((one for one in path if _word(one) in words), None) if words else next(iter(path), None)
            if one is None:
                self.left_out[name] = "it lies in no folder of a class"
                continue
            key = ("sound" if _word(one) in _SOUND | _SOUND_OF_SDNET else "defective") if words else _key(one)
            self.of[name] = key, split
            if one not in self.called[key]:
                self.called[key].append(one)

    def names(self) -> dict[str, str]:
        """The classes in their order: of each key what to call it."""

        def rank(key: str) -> tuple[int, str]:
            words = {key, _word(self.called[key][0])}
            return (0 if words & _SOUND else 2 if words & _DEFECT else 1), key

        called = {key: {_key(one) for one in self.called[key]} for key in self.called}
        return {key: self.called[key][0] if len(called[key]) == 1 else key for key in sorted(called, key=rank)}


def _split_folders(folders: set[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """The folders that are splits. A class may be called as one, too: a split has others beside it, or nothing else, or
    holds several folders of its own.
    """
    children: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for path in folders:
        for depth in range(len(path)):
            children[path[:depth]].add(path[depth])
    found = set()
    for above, names in children.items():
        named = {name for name in names if name.casefold() in SPLIT_FOLDERS}
        several = len({SPLIT_FOLDERS[name.casefold()] for name in named}) > 1 or named == names
        for name in named:
            own = children.get((*above, name), set())
            others = set().union(*(children.get((*above, one), set()) for one in names - {name}))
            alone = len(own) > 1 and not own & others and not all(one.casefold() in SPLIT_FOLDERS for one in own)
            if several or alone:
                found.add((*above, name))
    return found


def _unwrapped(rest: dict[str, tuple[str, tuple[str, ...]]]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Of each file its split and its folders, without those around all classes, one for all or one for each split."""
    while True:
        tops, deeper, lone = defaultdict(set), set(), False
        for split, path in rest.values():
            if path:
                tops[split].add(path[0])
                deeper |= set(path[1:2])
                lone |= len(path) == 1
        each, every = list(tops.values()), set().union(*tops.values())
        around = bool(each) and all(len(one) == 1 for one in each) and len(every) in (1, len(each))
        if not around or not deeper or (lone and len(deeper) < 2):
            return rest
        rest = {name: (split, path[1:]) for name, (split, path) in rest.items()}


def _words(paths: dict[str, tuple[str, ...]]) -> set[str]:
    """The words that tell the classes: all that are known where every file has one, else the course's; or none."""
    every = _SOUND | _DEFECT | _SOUND_OF_SDNET | _DEFECT_OF_SDNET
    for words, whole in ((every, True), (_COURSE, False)):
        first = [next((_word(one) for one in path if _word(one) in words), "") for path in paths.values()]
        if {word in _SOUND | _SOUND_OF_SDNET for word in first if word} == {True, False} and (all(first) or not whole):
            return words
    return set()


def _word(name: str) -> str:
    """A folder's name as one word in small letters: "noncracked" of "Non-cracked", "positive" of "Positive_tensors"."""
    return re.sub(r"[\W_]", "", _key(name).removesuffix("_tensors"))


def _key(name: str) -> str:
    """What names of one folder share, however their letters are written."""
    return unicodedata.normalize("NFC", name).casefold()


def _is_preview(name: str, names: set[str]) -> bool:
    """Whether it lies among previews, or beside the picture that it is a preview of."""
    *folders, last = name.split("/")
    if any(folder.casefold() in _PREVIEWS for folder in folders):
        return True
    stem, _, suffix = last.rpartition(".")
    small = _PREVIEW.fullmatch(stem)
    return small is not None and "/".join([*folders, f"{small[1]}.{suffix}"]) in names


def _above(names: Iterable[str]) -> set[str]:
    """All folders that files lie in, at any depth."""
    return {name[:place] for name in names for place, letter in enumerate(name) if letter == "/"}
