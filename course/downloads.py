"""Data sets by name: the registry of what there is, and a download that goes on where it broke off.

A data set appears in its folder only when it is whole: a stop at any moment leaves either nothing or all of it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pooch
import requests
from filelock import FileLock, Timeout
from tqdm import tqdm

from whatchanged.archives import ArchiveError, NoProgram, NoRoom, hold_room, is_archive, readable_size, unpack

REGISTRY = Path(__file__).with_name("datasets.json")
CHUNK = 1 << 14  # what the connection breaks off in is lost
ATTEMPTS = 5  # without a new byte between them


class DownloadError(Exception):
    """Why a dataset cannot be had, in one sentence."""


@dataclass(frozen=True)
class Source:
    """One file of a dataset.

    Attributes
    ----------
    name : of the downloaded file; an archive (.zip, .tar.gz, .rar) is unpacked, anything else is kept.
    urls : the first that answers is taken; the others are its mirrors.
    size : bytes, about; None where it is not known.
    hash : as published, "sha256:..." or "md5:..."; None where none is published.
    unpacks_to : what must be there afterwards, below the dataset's folder.
    """

    name: str
    urls: tuple[str, ...]
    unpacks_to: tuple[str, ...]
    size: int | None = None
    hash: str | None = None


@dataclass(frozen=True)
class Dataset:
    """What `--list` tells of a dataset, and where its files come from.

    Attributes
    ----------
    by_hand : what does not come with it, where that is had, and how it is named.
    instead : another dataset where a program to unpack this one is missing.
    """

    title: str
    licence: str
    citation: str
    page: str
    sources: tuple[Source, ...] = ()
    by_hand: str = ""
    instead: str = ""


def read_registry(path: str | Path) -> dict[str, Dataset]:
    """Datasets from a JSON file: name -> the fields of `Dataset`, its sources as a list of the fields of `Source`."""
    try:
        entries = json.loads(Path(path).read_text(encoding="utf-8"))
        return {
            name: Dataset(**entry | {"sources": tuple(_read_source(source) for source in entry["sources"])})
            for name, entry in entries.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DownloadError(f"{path} is no registry of datasets: {error}") from error


def _read_source(source: dict[str, Any]) -> Source:
    return Source(**source | {name: tuple(source[name]) for name in ("urls", "unpacks_to")})


def listing(datasets: dict[str, Dataset], data_dir: Path) -> str:
    """What there is, for people."""
    lines = []
    for name, dataset in datasets.items():
        here = ", already here" if (data_dir / name).is_dir() else ""
        lines += [f"{name} ({_size(dataset)}{here})", f"    {dataset.title}", f"    licence: {dataset.licence}"]
        lines += [f"    cite: {dataset.citation}", f"    page: {dataset.page}"]
        lines += [f"    {_by_hand(dataset, data_dir / name)}"] * bool(dataset.by_hand)
    return "\n".join(lines)


def _size(dataset: Dataset) -> str:
    known = [source.size for source in dataset.sources if source.size is not None]
    return f"about {readable_size(sum(known))}" if len(known) == len(dataset.sources) else "size unknown"


def _by_hand(dataset: Dataset, folder: Path) -> str:
    return f"by hand, anywhere below {folder}: {dataset.by_hand}"


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
    print(f"{name}: {dataset.title} ({_size(dataset)}), into {target}", flush=True)
    with _readable_errors(dataset, data_dir), _alone(data_dir, name):
        downloads = data_dir / f".{name}.downloads"
        downloads.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(part, ignore_errors=True)  # of a run that was stopped while it unpacked
        files = [download(source, downloads) for source in dataset.sources]
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
        print(f"it wants more, {_by_hand(dataset, target)}")
    return target


def _place(source: Source, file: Path, folder: Path) -> None:
    """Unpack an archive, or copy a plain file, and see that what was promised is there."""
    if is_archive(file):
        _unpack(file, folder)
        for inner in sorted(folder.rglob("*.rar")):  # the original of the concrete images is a RAR file in a ZIP file
            _unpack(inner, inner.parent)
            inner.unlink()
    elif re.search(r"\.(zip|rar|tar|tar\.\w+|tgz)$", source.name):
        raise DownloadError(f"{source.name} is not an archive: the address gives another file; please report it")
    else:
        shutil.copyfile(file, folder / source.name)
    for expected in source.unpacks_to:
        if not (folder / expected).exists():
            raise DownloadError(
                f"{source.name} does not hold {expected}: it is not the file that was expected; please report it"
            )


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
def _readable_errors(dataset: Dataset, data_dir: Path) -> Iterator[None]:
    try:
        yield
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
# Download


def download(source: Source, folder: Path) -> Path:
    """The file of a source in `folder`, its checksum verified, from the first address that gives it.

    pooch moves it in place when its checksum is right; a file that is already there is checked and kept.
    """
    failures = []
    for url in source.urls:
        try:
            path = pooch.retrieve(
                url, source.hash, fname=source.name, path=folder, downloader=ResumingDownloader(source, folder)
            )
            return Path(path)
        except _NotThere as error:
            failures.append(f"{url} ({error})")
        except ArchiveError:  # no room for it
            raise
        except ValueError as error:  # pooch's word for a wrong checksum
            failures.append(f"{url} (its checksum is not the published {source.hash})")
            if "hash" not in str(error):
                raise
    raise DownloadError(f"{source.name} could not be had; tried {'; '.join(failures)}")


class _NotThere(Exception):
    """An address does not give the file; another one may."""


class ResumingDownloader:
    """A downloader for pooch that goes on where an earlier try, or an earlier run, broke off.

    What has come so far lies in `<name>.part` beside `<name>.part.json`, which says from which address and in which
    version (ETag or date). It is continued only with `If-Range` on that version; otherwise it starts anew.
    """

    def __init__(self, source: Source, folder: Path) -> None:
        self.source = source
        self.part = folder / f"{source.name}.part"
        self.note = folder / f"{source.name}.part.json"

    def __call__(self, url: str, output_file: str, _pooch: Any) -> None:
        tries = 0
        while tries < ATTEMPTS:
            before = self._have()
            try:
                self._go_on(url)
                break
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                tries = 0 if self._have() > before else tries + 1
                if tries == ATTEMPTS or (self._have() == 0 and not isinstance(error, requests.Timeout)):
                    raise _NotThere(self._broken()) from error
                time.sleep(min(0.2 * 2**tries, 10))
        os.replace(self.part, output_file)
        self.note.unlink(missing_ok=True)

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _broken(self) -> str:
        have = self._have()
        if not have:
            return "no connection: is there a network?"
        return f"the connection broke after {readable_size(have)}: run the same command again to go on from there"

    def _go_on(self, url: str) -> None:
        headers = {"Accept-Encoding": "identity"}
        version = self._version_of_part(url)
        if version:
            headers |= {"Range": f"bytes={self._have()}-", "If-Range": version}
        with requests.get(url, headers=headers, stream=True, timeout=(20, 60)) as response:
            if response.status_code == 416:  # the part is as long as the file, or longer
                self.part.unlink()
                raise requests.ConnectionError("the part did not fit")
            if response.status_code >= 400:
                raise _NotThere(f"{response.status_code} {response.reason}")
            if "text/html" in response.headers.get("Content-Type", ""):
                raise _NotThere("it answers with a web page instead of the file")
            resumed = response.status_code == 206 and _first_byte(response) == self._have()
            if response.status_code == 206 and not resumed:
                self.part.unlink(missing_ok=True)
                raise requests.ConnectionError("the answer starts elsewhere")
            self._receive(response, url, self._have() if resumed else 0)

    def _version_of_part(self, url: str) -> str | None:
        try:
            note = json.loads(self.note.read_text())
        except (OSError, ValueError):
            return None
        return note["version"] if note.get("url") == url and self._have() else None

    def _receive(self, response: requests.Response, url: str, start: int) -> None:
        length = response.headers.get("Content-Length")
        total = start + int(length) if length and length.isdigit() else None
        hold_room(self.part.parent, (total or self.source.size or 0) - start, self.source.name)
        version = response.headers.get("ETag") or response.headers.get("Last-Modified")
        if version and not version.startswith("W/"):
            self.note.write_text(json.dumps({"url": url, "version": version}))
        else:
            self.note.unlink(missing_ok=True)
        name = self.source.name
        bar = tqdm(total=total, initial=start, unit="B", unit_scale=True, unit_divisor=1000, desc=name, mininterval=0.5)
        with self.part.open("ab" if start else "wb") as file, bar:
            for count, chunk in enumerate(response.iter_content(CHUNK)):
                if count % 4096 == 0:
                    hold_room(self.part.parent, len(chunk), name)
                file.write(chunk)
                bar.update(len(chunk))
        if total is not None and self._have() != total:
            raise requests.ConnectionError("the file ended early")


def _first_byte(response: requests.Response) -> int | None:
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else None
