"""Fetch a dataset by name, verify it and unzip it: `python download_and_unzip.py NAME [--data-dir data]`.

A download that breaks off is resumed. The dataset appears in its folder only when it is whole: a stop at any moment
leaves either nothing or all of it. A second run does nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import gzip
import json
import os
import re
import shutil
import stat
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

import pooch
import requests
from filelock import FileLock, Timeout
from tqdm import tqdm

CHUNK = 1 << 14  # what the connection breaks off in is lost
RESERVE = 200_000_000  # bytes of disk that are never used up
ATTEMPTS = 5  # without a new byte between them
MAX_RATIO = 200  # unpacked to packed, beyond the first RATIO_FROM bytes
RATIO_FROM = 100_000_000
MAX_TOTAL = 200_000_000_000
MAX_ENTRIES = 2_000_000


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
    """What `--list` tells of a dataset, and where its files come from."""

    title: str
    licence: str
    citation: str
    page: str
    sources: tuple[Source, ...] = field(default=())


_COURSE = "CognitiveClass/DL0321EN/data/images"
_COURSE_HOSTS = (
    "https://s3-api.us-geo.objectstorage.softlayer.net/cf-courses-data",
    "https://cf-courses-data.s3.us.cloud-object-storage.appdomain.cloud",
)
_MENDELEY_HOSTS = (
    "https://prod-dcd-datasets-cache-zipfiles.s3.eu-west-1.amazonaws.com",
    "https://md-datasets-cache-zipfiles-prod.s3.eu-west-1.amazonaws.com",
)
_OZGENEL = "Özgenel, Concrete Crack Images for Classification, Mendeley Data, V2, 2019, doi:10.17632/5y9wdsg2zt.2"


def _course(name: str, *unpacks_to: str, size: int | None = None) -> Source:
    return Source(name, tuple(f"{host}/{_COURSE}/{name}" for host in _COURSE_HOSTS), unpacks_to, size)


def _github(repository: str, folder: str, *names: str) -> tuple[Source, ...]:
    address = f"https://raw.githubusercontent.com/{repository}/master/{folder}"
    return tuple(Source(name, (f"{address}/{name}",), (name,)) for name in names)


def _drive(name: str, key: str, *unpacks_to: str) -> Source:
    address = f"https://drive.usercontent.google.com/download?id={key}&export=download&confirm=t"
    return Source(name, (address,), unpacks_to)


DATASETS = {
    "concrete-tensors": Dataset(
        "40,000 concrete images as tensors (3, 224, 224), one a file; notebook 02",
        "CC BY 4.0",
        _OZGENEL + "; as tensors: IBM, AI Capstone Project with Deep Learning (DL0321EN)",
        "https://data.mendeley.com/datasets/5y9wdsg2zt/2",
        (
            _course("Positive_tensors.zip", "Positive_tensors", size=2_600_000_000),
            _course("Negative_tensors.zip", "Negative_tensors", size=2_100_000_000),
        ),
    ),
    "concrete-images": Dataset(
        "40,000 concrete images, 227 x 227, with and without cracks (a RAR file in a ZIP file); notebooks 02, 04",
        "CC BY 4.0",
        _OZGENEL,
        "https://data.mendeley.com/datasets/5y9wdsg2zt/2",
        (
            Source(
                "5y9wdsg2zt-2.zip",
                tuple(f"{host}/5y9wdsg2zt-2.zip" for host in _MENDELEY_HOSTS),
                ("Positive", "Negative"),
                size=245_000_000,
            ),
        ),
    ),
    "concrete-images-course": Dataset(
        "the same 40,000 images as the IBM course repacked them (a plain ZIP file); notebooks 02, 04",
        "CC BY 4.0",
        _OZGENEL,
        "https://data.mendeley.com/datasets/5y9wdsg2zt/2",
        (_course("concrete_crack_images_for_classification.zip", "Positive", "Negative", size=250_000_000),),
    ),
    "spot-the-diff": Dataset(
        "13,192 pairs of surveillance frames with sentences on what changed; notebook 05",
        "not stated; the frames are of VIRAT",
        "Jhamtani and Berg-Kirkpatrick, Learning to Describe Differences Between Pairs of Similar Images, EMNLP 2018",
        "https://github.com/harsh19/spot-the-diff",
        (
            *_github("harsh19/spot-the-diff", "data/annotations", "train.json", "val.json", "test.json"),
            _drive("resized_images.zip", "1OVb4_3Uec_xbyUk90aWC6LFpKsIOtR7v", "resized_images"),
        ),
    ),
    "clevr-change": Dataset(
        "79,606 rendered pairs with sentences on what changed; notebook 05",
        "not stated",
        "Park, Darrell and Rohrbach, Robust Change Captioning, ICCV 2019",
        "https://github.com/Seth-Park/RobustChangeCaptioning",
        (_drive("clevr_change.tar.gz", "1HJ3gWjaUJykEckyb2M0MB4HnrJSihjVe", "data/images", "data/splits.json"),),
    ),
    "nlvr2": Dataset(
        "sentences on pairs of photographs, true or false (no photographs); notebook 05",
        "CC BY 4.0",
        "Suhr et al., A Corpus for Reasoning about Natural Language Grounded in Photographs, ACL 2019",
        "https://lil.nlp.cornell.edu/nlvr/",
        _github("lil-lab/nlvr", "nlvr2/data", "train.json", "dev.json", "test1.json"),
    ),
    "coco-captions": Dataset(
        "captions of 123,287 photographs (no photographs); notebook 05",
        "CC BY 4.0",
        "Chen et al., Microsoft COCO Captions: Data Collection and Evaluation Server, 2015",
        "https://cocodataset.org",
        (
            Source(
                "annotations_trainval2014.zip",
                ("http://images.cocodataset.org/annotations/annotations_trainval2014.zip",),
                ("annotations/captions_train2014.json", "annotations/captions_val2014.json"),
                size=253_000_000,
            ),
        ),
    ),
    "vist": Dataset(
        "stories in five sentences, one a photograph (no photographs); notebook 05",
        "see the page",
        "Huang et al., Visual Storytelling, NAACL 2016",
        "https://visionandlanguage.net/VIST/",
        (
            Source(
                "SIS-with-labels.tar.gz",
                ("https://visionandlanguage.net/VIST/json_files/story-in-sequence/SIS-with-labels.tar.gz",),
                ("sis/train.story-in-sequence.json", "sis/test.story-in-sequence.json"),
                size=23_000_000,
            ),
        ),
    ),
    "spice-models": Dataset(
        "Stanford CoreNLP 3.6.0, which the caption metric SPICE needs; notebook 05",
        "GPL 3",
        "Manning et al., The Stanford CoreNLP Natural Language Processing Toolkit, ACL 2014",
        "https://stanfordnlp.github.io/CoreNLP/",
        (
            Source(
                "stanford-corenlp-full-2015-12-09.zip",
                ("https://nlp.stanford.edu/software/stanford-corenlp-full-2015-12-09.zip",),
                ("stanford-corenlp-full-2015-12-09/stanford-corenlp-3.6.0.jar",),
                size=404_000_000,
            ),
        ),
    ),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status: 0, or 2 where the dataset cannot be had."""
    parser = argparse.ArgumentParser(description="Fetch a dataset by name, verify it and unzip it.")
    parser.add_argument("name", nargs="?", help="of the dataset; see --list")
    parser.add_argument("--data-dir", default="data", help="where its folder goes (data)")
    parser.add_argument("--list", action="store_true", help="say what there is, with size, licence and citation")
    parser.add_argument(
        "--registry", metavar="JSON", help="datasets of your own, or a mirror of these: see data/README.md"
    )
    options = parser.parse_args(arguments)
    try:
        datasets = read_registry(options.registry) if options.registry else DATASETS
        if options.list:
            print(listing(datasets, Path(options.data_dir)))
            return 0
        if options.name not in datasets:
            what = f"there is no dataset {options.name!r}" if options.name else "give the name of a dataset"
            raise DownloadError(f"{what}: choose from {', '.join(datasets)}")
        fetch(options.name, datasets[options.name], Path(options.data_dir))
        return 0
    except DownloadError as error:
        print(f"download_and_unzip: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("download_and_unzip: stopped; the same command goes on from here", file=sys.stderr)
    return 2


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
        sizes = [source.size for source in dataset.sources]
        size = "size unknown" if None in sizes else f"about {_bytes(sum(sizes))}"
        here = ", already here" if (data_dir / name).is_dir() else ""
        lines += [f"{name} ({size}{here})", f"    {dataset.title}", f"    licence: {dataset.licence}"]
        lines += [f"    cite: {dataset.citation}", f"    page: {dataset.page}"]
    return "\n".join(lines)


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
    with _readable_errors(data_dir), _alone(data_dir, name):
        downloads = data_dir / f".{name}.downloads"
        downloads.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(part, ignore_errors=True)  # of a run that was stopped while it unpacked
        files = [download(source, downloads) for source in dataset.sources]
        part.mkdir()
        for source, file in zip(dataset.sources, files, strict=True):
            _place(source, file, part)
        about = {"dataset": name, "title": dataset.title, "licence": dataset.licence, "citation": dataset.citation}
        about["page"] = dataset.page
        about["sha256"] = {file.name: pooch.file_hash(str(file)) for file in files}
        (part / "about.json").write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(part, target)
        shutil.rmtree(downloads)
    print(f"{target} is ready ({dataset.licence}); please cite: {dataset.citation}")
    return target


def _place(source: Source, file: Path, folder: Path) -> None:
    """Unpack an archive, or copy a plain file, and see that what was promised is there."""
    if _opener(file):
        unpack(file, folder)
        for inner in sorted(folder.rglob("*.rar")):  # the original of the concrete images is a RAR file in a ZIP file
            unpack(inner, inner.parent)
            inner.unlink()
    else:
        shutil.copyfile(file, folder / source.name)
    for expected in source.unpacks_to:
        if not (folder / expected).exists():
            raise DownloadError(
                f"{source.name} does not hold {expected}: it is not the file that was expected; please report it"
            )


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
def _readable_errors(data_dir: Path) -> Iterator[None]:
    try:
        yield
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
        return f"the connection broke after {_bytes(have)}: run the same command again to go on from there"

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
        _hold_space(self.part.parent, (total or self.source.size or 0) - start, self.source.name)
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
                    _hold_space(self.part.parent, len(chunk), name)
                file.write(chunk)
                bar.update(len(chunk))
        if total is not None and self._have() != total:
            raise requests.ConnectionError("the file ended early")


def _first_byte(response: requests.Response) -> int | None:
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _hold_space(folder: Path, needed: int, what: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed + RESERVE:
        raise DownloadError(
            f"{what} needs {_bytes(needed)} and {_bytes(RESERVE)} to spare, and the disk of {folder} has {_bytes(free)}"
            " free: make room or choose another --data-dir"
        )


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit in ("B", "kB") else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


# ---------------------------------------------------------------------------------------------------------------------
# Unpack


@dataclass(frozen=True)
class Entry:
    """One entry of an archive, whatever its format: `kind` is "file", "folder" or what it is instead."""

    name: str
    kind: str
    size: int
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, folder: Path, limit: int | None = None) -> None:
    """Unpack an archive into a folder, and nothing outside it; at most `limit` bytes, or `MAX_TOTAL`.

    Raises
    ------
    DownloadError
        An entry would leave the folder or is a link or a device; the archive is damaged, encrypted, or unpacks to far
        more than it should. What was unpacked until then stays in the folder.
    """
    packed, written = archive.stat().st_size, 0
    try:
        with _opener(archive)(archive) as entries:
            entries = list(entries)
            if len(entries) > MAX_ENTRIES:
                raise DownloadError(
                    f"{archive.name} holds {len(entries):,} entries: at most {MAX_ENTRIES:,} are unpacked"
                )
            _hold_space(folder, sum(entry.size for entry in entries), f"unpacking {archive.name}")
            for entry in tqdm(entries, desc=f"unpacking {archive.name}", unit="file", mininterval=0.5):
                place = _place_of(entry, folder, archive.name)
                if entry.kind == "folder":
                    place.mkdir(parents=True, exist_ok=True)
                    continue
                place.parent.mkdir(parents=True, exist_ok=True)
                with entry.open() as source, place.open("wb") as file:
                    while chunk := source.read(CHUNK):
                        written += len(chunk)
                        _hold_total(written, packed, limit or MAX_TOTAL, archive.name)
                        file.write(chunk)
    except (zipfile.BadZipFile, gzip.BadGzipFile, tarfile.TarError, EOFError, *_decoder_errors()) as error:
        why = str(error)[:200]  # it may quote names of any length
        raise DownloadError(f"{archive.name} is damaged or incomplete: {why}") from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # that is a place before the file's beginning, which only the archive can name
            raise
        raise DownloadError(f"{archive.name} is damaged or incomplete: it points outside itself") from error
    except (RuntimeError, NotImplementedError) as error:  # zipfile's words for encryption and odd compression
        raise DownloadError(f"{archive.name} cannot be unpacked: {error}") from error


def _opener(archive: Path) -> Callable[[Path], Any] | None:
    """How to read an archive, told from its first bytes rather than its name; None where it is none."""
    import rarfile

    for is_kind, opener in ((zipfile.is_zipfile, _zip), (tarfile.is_tarfile, _tar), (rarfile.is_rarfile, _rar)):
        if is_kind(str(archive)):
            return opener
    if re.search(r"\.(zip|rar|tar|tar\.\w+|tgz)$", archive.name):
        raise DownloadError(f"{archive.name} is not an archive: the address gives another file; please report it")
    return None


@contextlib.contextmanager
def _zip(path: Path) -> Iterator[list[Entry]]:
    with zipfile.ZipFile(path) as archive:

        def kind(info: zipfile.ZipInfo) -> str:
            mode = info.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                return "link" if stat.S_ISLNK(mode) else "device"
            return "folder" if info.is_dir() else "file"

        yield [Entry(i.filename, kind(i), i.file_size, lambda i=i: archive.open(i)) for i in archive.infolist()]


@contextlib.contextmanager
def _tar(path: Path) -> Iterator[list[Entry]]:
    with tarfile.open(path) as archive:

        def kind(info: tarfile.TarInfo) -> str:
            if info.isfile():
                return "file"
            return "folder" if info.isdir() else "link" if info.issym() or info.islnk() else "device"

        yield [Entry(i.name, kind(i), i.size, lambda i=i: archive.extractfile(i)) for i in archive]


@contextlib.contextmanager
def _rar(path: Path) -> Iterator[list[Entry]]:
    import rarfile

    def kind(info: Any) -> str:
        return "link" if info.is_symlink() else "folder" if info.is_dir() else "file"

    try:
        with rarfile.RarFile(path) as archive:
            yield [Entry(i.filename, kind(i), i.file_size, lambda i=i: archive.open(i)) for i in archive.infolist()]
    except rarfile.RarCannotExec as error:
        raise DownloadError(
            f"{path.name} is a RAR file, and no program to unpack it is here: install unar, 7z or bsdtar (on Debian:"
            " apt install unar), or fetch concrete-images-course, the same images in a ZIP file"
        ) from error
    except rarfile.Error as error:
        raise DownloadError(f"{path.name} is damaged or incomplete: {error}") from error


def _decoder_errors() -> tuple[type[Exception], ...]:
    import lzma
    import zlib

    return zlib.error, lzma.LZMAError


def _place_of(entry: Entry, folder: Path, archive: str) -> Path:
    """Where an entry goes; refused where that is not below the folder, or where the entry is no plain file."""
    name = entry.name.replace("\\", "/")
    path = PurePosixPath(name)
    if entry.kind not in ("file", "folder"):
        raise DownloadError(f"{archive} holds a {entry.kind}, {entry.name!r}: only plain files are unpacked")
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name) or "\0" in name:
        raise DownloadError(f"{archive} holds {entry.name!r}, which would leave the folder: it is not unpacked")
    return folder.joinpath(*path.parts)


def _hold_total(written: int, packed: int, limit: int, archive: str) -> None:
    if written > limit:
        raise DownloadError(f"{archive} unpacks to more than {_bytes(limit)}: it is not unpacked further")
    if written > RATIO_FROM and written > MAX_RATIO * packed:
        raise DownloadError(f"{archive} unpacks to more than {MAX_RATIO} times its size: it is not unpacked further")


if __name__ == "__main__":
    sys.exit(main())
