"""Arrays that are many: made on all cores, a few at a time; or kept in a file, which the next run finds and maps."""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from whatchanged.files import alone, user_path
from whatchanged.images import one_a_core

TOGETHER = 256  # arrays that are made before they are written: so many are in memory, however slow the disk is
AT_ONCE = 32  # arrays that a device makes together
LOOKED_AT = 3  # of a file that is found, so many arrays are made anew and must be the same


def made(count: int, make: Callable[[int], np.ndarray]) -> Iterator[np.ndarray]:
    """`make(0)`, `make(1)`, ... in order, computed on all cores; a ValueError names the first of another shape."""
    first: np.ndarray | None = None
    with one_a_core() as pool:
        for start in range(0, count, TOGETHER):
            for number, one in enumerate(pool.map(make, range(start, min(count, start + TOGETHER))), start):
                first = one if first is None else first
                if one.shape != first.shape:
                    raise ValueError(f"number {number} is {one.shape} and number 0 is {first.shape}: give one size")
                yield one


def in_memory(count: int, make: Callable[[int], np.ndarray]) -> np.ndarray:
    """All that is `made`, as one array (count, ...); never twice in memory."""
    arrays = made(count, make)
    first = next(arrays)
    found = np.empty((count, *first.shape), first.dtype)
    found[0] = first
    for number, one in enumerate(arrays, 1):
        found[number] = one
    return found


def on_disk(
    place: str | Path,
    content: str,
    count: int,
    make: Callable[[int], np.ndarray],
    *,
    several: Callable[[Sequence[int]], Iterable[np.ndarray]] | None = None,
    alike: Callable[[np.ndarray, np.ndarray], bool] = np.array_equal,
) -> np.ndarray:
    """All that is `made`, in a file, as a read-only map (count, ...): of an earlier run's where that made the same.

    Parameters
    ----------
    place : where the file is, and how its name begins; what `content` says and `.npy` are put behind it. Its folder is
        made. Files of other content with this beginning are removed once the new one is whole.
    content : says what the arrays are made of, as `digest` does: 32 letters and digits. A file is believed where
        `LOOKED_AT` of its arrays, made anew, are the same; otherwise it is made anew.
    count : of the arrays, at least 1.
    make : number -> array; called in several threads.
    several : numbers -> their arrays, for what a device makes many of at once; called in this thread, with at most
        `AT_ONCE` numbers. `make` then serves the look at an earlier run's file alone.
    alike : whether an array of the file is what is made anew: where a device rounds as it likes, equal is too much.

    Raises
    ------
    ValueError
        The arrays differ in shape, or another run writes them now.
    OSError
        The disk is full; what was written is removed.
    """
    place = user_path(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    path = place.with_name(f"{place.name}-{content}.npy")
    with alone(path, place.with_name(f"{place.name}.lock")):
        if not _is_that(path, count, make, alike):
            _write(path, count, made(count, make) if several is None else _made_at_once(count, several))
        for old in place.parent.glob(f"{place.name}-{'[0-9a-f]' * 32}.*"):
            if old.stem != path.stem:
                old.unlink()
    return np.load(path, mmap_mode="r")


def digest(files: Iterable[Path], settings: str) -> str:
    """What these files hold, in this order, and what is done with them, as 32 letters and digits.

    A file that is missing counts as empty: whoever reads it says so.
    """
    found = hashlib.blake2b(settings.encode(), digest_size=16)
    with one_a_core() as pool:
        for one in pool.map(_digest_of, files):
            found.update(one)
    return found.hexdigest()


def called(function: Any) -> str:
    """A function's name with its module's, to tell in `settings` which one makes something of files."""
    name = getattr(function, "__qualname__", None)
    return f"{function.__module__}.{name}" if name else repr(function)


def taken(arrays: np.ndarray, places: Sequence[int] | np.ndarray) -> np.ndarray:
    """A copy of some of the arrays. What of a map is in memory for it is given back, and stays in the system's cache
    as long as there is room.
    """
    found = arrays[np.asarray(places)]
    mapped = getattr(arrays, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)
    return found


def _made_at_once(count: int, several: Callable[[Sequence[int]], Iterable[np.ndarray]]) -> Iterator[np.ndarray]:
    for start in range(0, count, AT_ONCE):
        yield from several(range(start, min(count, start + AT_ONCE)))


def _is_that(path: Path, count: int, make: Callable[[int], np.ndarray], alike: Callable) -> bool:
    """Whether the file is there and holds what would be made, as far as some of it tells."""
    if not path.is_file():
        return False
    arrays = np.load(path, mmap_mode="r")
    looked_at = np.linspace(0, count - 1, LOOKED_AT).astype(int)
    return len(arrays) == count and all(alike(arrays[place], make(int(place))) for place in looked_at)


def _write(path: Path, count: int, arrays: Iterator[np.ndarray]) -> None:
    """The arrays one after the other, beside the file's place and then moved there whole."""
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            for number, one in enumerate(arrays):
                if not number:
                    about = {"descr": one.dtype.str, "fortran_order": False, "shape": (count, *one.shape)}
                    np.lib.format.write_array_header_1_0(file, about)
                file.write(np.ascontiguousarray(one).data)
        os.replace(part, path)
    except BaseException:  # a full disk, a picture that cannot be read, Ctrl-C: nothing is left behind
        part.unlink(missing_ok=True)
        raise


def _digest_of(path: Path) -> bytes:
    return hashlib.blake2b(path.read_bytes() if path.is_file() else b"", digest_size=16).digest()
