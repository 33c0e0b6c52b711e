"""Data sets by name, whole or not at all: files fetched, by the machine or by hand, verified, and unpacked.

A data set appears in its folder only when it is whole: a stop at any moment leaves either nothing or all of it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pooch
from filelock import FileLock, Timeout
from tqdm import tqdm

from course.registry import BY_HAND, Dataset, DownloadError, Source, about_by_hand, about_size
from course.resuming import NotThere, ResumingDownloader
from whatchanged.archives import ArchiveError, NoProgram, NoRoom, is_archive, unpack


def fetch(name: str, dataset: Dataset, data_dir: Path) -> Path:
    """Download, verify and unpack a dataset into `data_dir / name`; do nothing where it is there already.

    Raises
    ------
    DownloadError
        With one sentence that says what went wrong and what to do.
    """
    target, part = data_dir / name, data_dir / f".{name}.part"
    if target.is_dir():
        print(f"{target} is already here")
        return target
    print(f"{name}: {dataset.title} ({about_size(dataset)}), into {target}", flush=True)
    with _readable_errors(name, dataset, data_dir), _alone(data_dir, name):
        downloads = data_dir / f".{name}.downloads"
        downloads.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(part, ignore_errors=True)  # of a run that was stopped while it unpacked
        files = [_by_hand(name, source, data_dir) or download(source, downloads) for source in dataset.sources]
        part.mkdir()
        for source, file in zip(dataset.sources, files, strict=True):
            _place(source, file, part)
        about: dict[str, Any] = {"dataset": name, "title": dataset.title, "licence": dataset.licence}
        about |= {"citation": dataset.citation, "page": dataset.page}
        about |= {"by_hand": dataset.by_hand} if dataset.by_hand else {}
        about["sha256"] = {file.name: pooch.file_hash(str(file)) for file in files}
        (part / "about.json").write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(part, target)
        shutil.rmtree(downloads)
    print(f"{target} is ready ({dataset.licence}); please cite: {dataset.citation}")
    if dataset.by_hand:
        print(f"it wants more, {about_by_hand(dataset, target)}")
    return target


def _place(source: Source, file: Path, folder: Path) -> None:
    """Unpack an archive, or copy a plain file, and see that what was promised is there."""
    if is_archive(file):
        _unpack(file, folder)
        for inner in sorted(folder.rglob("*.rar")):  # the original of the concrete images is a RAR file in a ZIP file
            _unpack(inner, inner.parent)
            inner.unlink()
    elif _says_archive(source.name):
        raise DownloadError(f"{source.name} is not an archive: the address gives another file; please report it")
    else:
        shutil.copyfile(file, folder / source.name)
    _raise_up(folder, source.unpacks_to)
    for expected in source.unpacks_to:
        if not (folder / expected).exists():
            raise DownloadError(
                f"{source.name} does not hold {expected}: it is not the file that was expected; please report it"
            )


def _raise_up(folder: Path, expected: tuple[str, ...]) -> None:
    """Where all that is expected lies below one other folder, as in the archives of GitHub: move it up."""
    if all((folder / one).exists() for one in expected):
        return
    above = [one for one in folder.rglob("*") if one.is_dir() and all((one / wanted).exists() for wanted in expected)]
    least = min((len(one.parts) for one in above), default=0)
    tops = [one for one in above if len(one.parts) == least]
    if len(tops) != 1:
        return
    top, moved = tops[0], folder / ".above"
    os.replace(top, moved)
    while (top := top.parent) != folder and not any(top.iterdir()):
        top.rmdir()
    for one in moved.iterdir():
        if (folder / one.name).exists():
            raise DownloadError(f"two files of the dataset hold {one.name}: please report it")
        os.replace(one, folder / one.name)
    moved.rmdir()


def _unpack(archive: Path, folder: Path) -> None:
    bar = partial(tqdm, desc=f"unpacking {archive.name}", unit="file", mininterval=0.5)
    unpack(archive, folder, progress=bar)


@contextlib.contextmanager
def _alone(data_dir: Path, name: str) -> Iterator[None]:
    data_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(data_dir / f".{name}.lock", timeout=0)  # let go of by the system if this process is killed
    try:
        with lock:
            yield
    except Timeout as error:
        raise DownloadError(f"another process is fetching {name} into {data_dir}: wait for it") from error


@contextlib.contextmanager
def _readable_errors(name: str, dataset: Dataset, data_dir: Path) -> Iterator[None]:
    try:
        yield
    except NotThere as error:
        where = data_dir / BY_HAND / name
        raise DownloadError(f"{error}; a file that you fetch by hand goes into {where}, under that name") from error
    except NoRoom as error:
        raise DownloadError(f"{error} or choose another --data-dir") from error
    except NoProgram as error:
        raise DownloadError(f"{error}, or fetch {dataset.instead}" if dataset.instead else str(error)) from error
    except ArchiveError as error:
        raise DownloadError(str(error)) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DownloadError(
                f"the disk of {data_dir} is full: make room, then run the same command again"
            ) from error
        raise DownloadError(f"{error.strerror or error}: {error.filename or data_dir}") from error


# ---------------------------------------------------------------------------------------------------------------------
# Where a file is had


def _by_hand(name: str, source: Source, data_dir: Path) -> Path | None:
    """A file that was fetched by hand, where that is the one: `by-hand/<dataset>/<file>`, or an archive beside."""
    for path in (data_dir / BY_HAND / name / source.name, data_dir / source.name):
        if not path.is_file() or (path.parent == data_dir and not _says_archive(source.name)):
            continue  # beside, other files of data sets have names as train.json
        try:
            found = _held(path, source)
        except NotThere as error:
            print(f"{path} is left alone: {error}", flush=True)
            continue
        print(f"{path} is taken, as it was fetched by hand", flush=True)
        return found
    return None


def download(source: Source, folder: Path) -> Path:
    """The file of a source, its checksum verified, from the first address that gives it.

    It lies in `folder`, or where an address on this machine has it. pooch moves it in place when its checksum is right;
    a file that is already there is checked and kept.

    Raises
    ------
    NotThere
        No address gives it: what each of them gave instead.
    """
    failures = []
    pooch.get_logger().setLevel("WARNING")  # it advises on code
    for url in source.urls:
        try:
            if (local := _local(url)) is not None:
                return _held(local, source)
            path = pooch.retrieve(
                url, source.hash, fname=source.name, path=folder, downloader=ResumingDownloader(source, folder)
            )
            return Path(path)
        except NotThere as error:
            failures.append(f"{url} ({error})")
        except ArchiveError:  # no room for it
            raise
        except ValueError as error:  # pooch's word for a wrong checksum
            failures.append(f"{url} (its checksum is not the published {source.hash})")
            if "hash" not in str(error):
                raise
    raise NotThere(f"{source.name} could not be had; tried {'; '.join(failures)}")


def _local(url: str) -> Path | None:
    """The place of an address on this machine, or None where it is elsewhere."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        return None
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise NotThere("file:// is for this machine: write file:/// and a path")
        return Path(url2pathname(parts.path))
    if len(parts.scheme) > 1 and "://" in url:
        raise NotThere(f"{parts.scheme}:// is not read: give an address of http, https or file, or a path")
    return Path(url).expanduser()  # a scheme of one letter is a disk of Windows


def _held(path: Path, source: Source) -> Path:
    """A file on this machine, if it is the one of the source."""
    if not path.is_file():
        raise NotThere("there is no such file")
    if source.hash is not None and not pooch.hashes.hash_matches(str(path), source.hash):
        raise NotThere(f"its checksum is not the published {source.hash}")
    if _says_archive(source.name) and not is_archive(path):
        raise NotThere("it is not an archive, or not all of one")
    return path


def _says_archive(name: str) -> bool:
    return re.search(r"\.(zip|rar|tar|tar\.\w+|tgz)$", name) is not None
