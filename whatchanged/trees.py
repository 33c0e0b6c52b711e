"""Two folders or archives compared file by file, by the names below them: what has a partner, and what came or went."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from itertools import product
from pathlib import Path, PurePosixPath

from whatchanged.listing import Item, Tree, is_packed, is_tree, lone, opened

_BLOCK = 1 << 20


@contextmanager
def in_both(before: str | Path, after: str | Path) -> Iterator[list[Item]]:
    """Every file of two folders or archives in exactly one item, sorted by name; archives are unpacked meanwhile.

    A file goes with that of the same name below the other one. The rest is added, removed, or renamed where the content
    is the same; what differs in capitals, in its form of Unicode or in its ending is told by name.

    Raises
    ------
    ValueError
        One is no folder, one lies within the other, or there is no picture in them.
    """
    for one, other in ((before, after), (after, before)):
        if not os.path.exists(one):
            raise ValueError(f"{one} does not exist")
        if not is_tree(one):
            raise ValueError(f"{other} is a folder and {one} is not: give two folders or archives, or two pictures")
        inner, outer = os.path.realpath(one), os.path.realpath(other)
        if inner != outer and os.path.isdir(outer) and inner.startswith(os.path.join(outer, "")):
            raise ValueError(f"{one} lies within {other}: give two folders that lie beside each other")
    with opened(before) as first, opened(after) as second:
        trees = _laid_together(first, second)
        if not (trees[0].files or trees[1].files):
            wrong = [f"; {tree.called}/{name}: {why}" for tree in trees for name, why in tree.unseen.items()]
            raise ValueError(f"{before} and {after} hold no pictures{''.join(wrong[:1])}")
        yield sorted(_items(*trees), key=lambda item: item.name)


def _laid_together(before: Tree, after: Tree) -> tuple[Tree, Tree]:
    """Archives often hold one folder with all the rest, under a name of its own: then it is that which is compared."""
    choices = product((before, *_only_folder(before)), (after, *_only_folder(after)))
    return max(choices, key=lambda pair: len(pair[0].files.keys() & pair[1].files.keys()))


def _only_folder(tree: Tree) -> list[Tree]:
    if not is_packed(tree.called):
        return []
    tops = {name.split("/")[0] for name in (*tree.files, *tree.folders, *tree.unseen, *tree.others)}
    return [tree.below(top) for top in tops & tree.folders] if len(tops) == 1 else []


def _items(before: Tree, after: Tree) -> Iterable[Item]:
    yield from before.left_out()
    yield from after.left_out(is_after=True)
    both = before.files.keys() & after.files.keys()
    for name in both:
        yield Item("compared", name, before.file(name), after.file(name))
    gone: dict[str, Item] = {}
    come: dict[str, Item] = {}
    for is_after, tree, other, told in ((False, before, after, gone), (True, after, before, come)):
        alike = _alike(other)
        for name in sorted(tree.files.keys() - both):
            file = tree.file(name)
            if reason := _not_known(name, file.path, other):
                yield lone("left out", name, file, is_after, error=reason)
            else:
                told[name] = lone("added" if is_after else "removed", name, file, is_after, alike(name))
    for old, new in _renamed(gone, come):
        first, second = gone.pop(old), come.pop(new).after
        note = first.note if second and first.note.startswith(second.name) else ""
        yield Item("renamed", new, first.before, second, note)
    yield from gone.values()
    yield from come.values()


def _not_known(name: str, path: Path, other: Tree) -> str:
    """Why nobody knows whether a file came or went."""
    if not path.is_file():
        return "the link leads nowhere" if path.is_symlink() else "it is no file"
    for folder in (name, *map(str, PurePosixPath(name).parents)):
        if folder in other.unseen:
            return f"of {os.path.join(other.called, folder)}, {other.unseen[folder]}"
    return ""


def _alike(other: Tree) -> Callable[[str], str]:
    """A note on what nearly has the same name in the other tree."""
    forms: dict[str, list[str]] = defaultdict(list)
    stems: dict[str, list[str]] = defaultdict(list)
    for name in other.files:
        forms[_form(name)].append(name)
        stems[_stem(name)].append(name)

    def note(name: str) -> str:
        if name in other.folders:
            return f"{os.path.join(other.called, name)} is a folder"
        for known, key, why in (
            (forms, _form(name), "differs only in capitals"),
            (stems, _stem(name), "ends otherwise, so they are not compared"),
        ):
            if found := sorted(known[key]) if key in known else []:
                one = found[0]
                if _composed(one) == _composed(name):
                    why = "differs only in its form of Unicode"
                return f"{os.path.join(other.called, one)} {why}"
        return ""

    return note


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _form(name: str) -> str:
    return _composed(_composed(name).casefold())


def _stem(name: str) -> str:
    return _form(str(PurePosixPath(name).with_suffix("")))


def _renamed(gone: dict[str, Item], come: dict[str, Item]) -> Iterable[tuple[str, str]]:
    """Names before and after of the same content; each in one pair at most, the same name elsewhere first."""
    sizes: dict[int, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for side, items in enumerate((gone, come)):
        for name, item in items.items():
            if size := item.files[0].path.stat().st_size:  # what is empty says nothing
                sizes[size][side].append(name)
    for olds, news in sizes.values():
        if not (olds and news):
            continue
        contents: dict[bytes, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
        for side, (names, items) in enumerate(((olds, gone), (news, come))):
            for name in names:
                if content := _content(items[name].files[0].path):
                    contents[content][side].append(name)
        for old_names, new_names in contents.values():
            yield from _matched_names(old_names, new_names)


def _matched_names(olds: list[str], news: list[str]) -> Iterable[tuple[str, str]]:
    left = list(news)
    for old in sorted(olds, key=lambda name: all(PurePosixPath(one).name != PurePosixPath(name).name for one in news)):
        if left:
            new = next((one for one in left if PurePosixPath(one).name == PurePosixPath(old).name), left[0])
            left.remove(new)
            yield old, new


def _content(path: Path) -> bytes:
    """A hash of a file; nothing where it cannot be read."""
    digest = blake2b(digest_size=32)
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError:
        return b""
    return digest.digest()
