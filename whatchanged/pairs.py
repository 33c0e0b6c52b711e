"""Pairs of pictures in folders, archives and CSV files; and going through many, where a bad one gets its reason."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from whatchanged.listing import File, Item, Tree, is_packed, lone, opened, speakable
from whatchanged.naming import by_pattern, by_rules
from whatchanged.tables import read_rows

T = TypeVar("T")
Result = TypeVar("Result")
Pattern = tuple[str, str]


def find_pairs(source: str | Path, pattern: Pattern | None = None) -> list[tuple[Path, Path]]:
    """The image pairs that a CSV file or a folder names.

    Parameters
    ----------
    source : a CSV file with the columns `before` and `after` (relative paths count from the CSV's folder), or a folder
        with pairs by name, at any depth: `x_before.png` with `x_after.png`, `x.png` with `x_2.png`, `before/x.png` with
        `after/x.png`, and the others that `naming` knows.
    pattern : of a folder, two names with {id} in place of what the names of a pair have in common.

    Returns
    -------
    list of (before, after) paths, sorted by name (folder) or in the order of the rows (CSV). A warning tells of
    pictures that should be in a pair and are not; `pairs_and_rest` gives them.

    Raises
    ------
    ValueError
        There is no such file or folder, a column or a name in a row is missing, or no pair is found.
    """
    pairs, rest = pairs_and_rest(source, pattern)
    if rest:
        more = f", and {len(rest) - 1} more" if len(rest) > 1 else ""
        warnings.warn(f"{source}: left out is {rest[0].name}: {rest[0].error}{more}", stacklevel=2)
    return pairs


def pairs_and_rest(source: str | Path, pattern: Pattern | None = None) -> tuple[list[tuple[Path, Path]], list[Item]]:
    """The pairs that `find_pairs` finds, and the pictures that should be in one and are not, each with its `error`."""
    if is_packed(source) and Path(source).is_file():
        raise ValueError(f"{source} is an archive: unpack it first")
    with searched(source, pattern) as items:
        for item in items:
            if item.error and not Path(source).is_dir():
                raise ValueError(item.error)
        pairs = [(item.before.path, item.after.path) for item in items if item.before and item.after]
        return pairs, [item for item in items if item.error]


@contextmanager
def searched(source: str | Path, pattern: Pattern | None = None, skip: Collection[str] = ()) -> Iterator[list[Item]]:
    """The pairs that `find_pairs` finds, and each other file with the reason why it is in none.

    Parameters
    ----------
    source, pattern : as of `find_pairs`; or an archive, which is unpacked meanwhile.
    skip : real paths of files and folders that do not count.

    Raises
    ------
    ValueError
        As `find_pairs`, but that a row of a CSV file lacks a name; that is an item.
    """
    if not Path(source).exists():
        raise ValueError(f"{source} does not exist: give a CSV file or a folder of pairs")
    if Path(source).is_dir() or is_packed(source):
        with opened(source, skip) as tree:
            items = _in_tree(tree, pattern)
            _hold_any(source, items, pattern)
            yield items
    elif pattern:
        raise ValueError(f"--pair-pattern goes with a folder or an archive, and {source} is a CSV file")
    else:
        items = list(_in_csv(Path(source)))
        _hold_any(source, items, pattern)
        yield items


def _hold_any(source: str | Path, items: list[Item], pattern: Pattern | None) -> None:
    if any(item.state == "compared" for item in items):
        return
    if wrong := [item for item in items if item.error]:
        raise ValueError(f"{source} holds no pairs; {wrong[0].name}: {wrong[0].error}")
    names = f"as {pattern[0]} and {pattern[1]}" if pattern else "x_before.png and x_after.png, or x.png and x_2.png"
    raise ValueError(
        f"{source} holds no pairs: name them {names}, or put them into before/ and after/ under the same name"
    )


def _in_tree(tree: Tree, pattern: Pattern | None) -> list[Item]:
    found = by_pattern(tree.files, *pattern) if pattern else by_rules(tree.files, tree.folders)
    items = [Item("compared", before, tree.file(before), tree.file(after)) for before, after in found.pairs]
    for name, (why, wanted) in found.alone.items():
        items.append(lone("left out", name, tree.file(name), False, "" if wanted else why, why if wanted else ""))
    return sorted([*items, *tree.left_out()], key=lambda item: item.name)


def _in_csv(path: Path) -> Iterator[Item]:
    for line, *names in read_rows(path):
        before, after = (File(path.parent / name, speakable(path.parent / name)) if name else None for name in names)
        both = before is not None and after is not None
        error = "" if both else f"{path}, line {line}: give both a before and an after image"
        yield Item("compared" if both else "left out", names[0] or names[1], before, after, error=error)


def each(items: Iterable[T], do: Callable[[T], Result]) -> Iterator[tuple[T, Result | None, str]]:
    """Go through many things; one that fails gets its reason, and the others are done all the same.

    Yields
    ------
    item, result, reason : of the next one. Where it failed there is no result, and the reason is the sentence of a
        ValueError or OSError, or of any other error its name and sentence; else the reason is empty.

    Raises
    ------
    ImportError
        A library is not installed: that is no fault of one of them.
    """
    for item in items:
        result, reason = None, ""
        try:
            result = do(item)
        except (ValueError, OSError) as error:
            reason = str(error)
        except ImportError:  # what is not installed is missing for all of them
            raise
        except Exception as error:  # one must not take the others with it
            reason = f"{type(error).__name__}: {error}"
        yield item, result, reason
