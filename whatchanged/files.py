"""Files that are whole or not there: bytes, JSON, and one run at a time in a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def user_path(path: str | Path) -> Path:
    """A path as a person gives it: `~` is the home folder."""
    return Path(os.path.expanduser(path))


def write_whole(path: str | Path, data: bytes) -> Path:
    """Write a file so that a reader sees the old one or the whole new one: to a neighbor first, then moved in place.

    What is no file, as `/dev/stdout` or a pipe, is written to as it stands.
    """
    path = Path(path)
    if str(path.parent) in ("/dev", "/dev/fd") or path.is_fifo():
        path.write_bytes(data)
        return path
    if not path.parent.is_dir():
        raise ValueError(f"{path.parent} is no folder: make it first, then write {path.name} there")
    neighbor = path.with_name(path.name + ".part")
    try:
        neighbor.write_bytes(data)
        os.replace(neighbor, path)
    except BaseException:  # a full disk, a name that is a folder, Ctrl-C: nothing is left behind
        neighbor.unlink(missing_ok=True)
        raise
    return path


def write_json(path: str | Path, value: Any) -> Path:
    """Write JSON, whole or not at all."""
    return write_whole(path, (json.dumps(value, indent=2) + "\n").encode())


def read_json(path: str | Path) -> Any:
    """What a JSON file holds."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


@contextmanager
def alone(path: Path, lock: Path) -> Iterator[None]:
    """No other run writes what is at `path` meanwhile, or ValueError; `lock` is a file beside it."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(lock, timeout=0):
            yield
    except Timeout as error:
        raise ValueError(f"{path} is being written by another run: wait for it, or choose another place") from error
