"""The registry of data sets: what there is, under which licence, and where its files are had."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from whatchanged.archives import readable_size

REGISTRY = Path(__file__).with_name("datasets.json")
BY_HAND = "by-hand"  # the folder beside the data sets for files that were fetched by hand


class DownloadError(Exception):
    """Why a dataset cannot be had, in one sentence."""


@dataclass(frozen=True)
class Source:
    """One file of a dataset.

    Attributes
    ----------
    name : of the downloaded file; an archive (.zip, .tar.gz, .rar) is unpacked, anything else is kept.
    urls : the first that gives the file is taken; the others are its mirrors. Each is of http, https or file, or a
        path.
    size : bytes, about; None where it is not known.
    hash : as published, "sha256:..." or "md5:..."; None where none is published.
    unpacks_to : what must be there afterwards, below the dataset's folder.
    """

    name: str
    urls: tuple[str, ...]
    unpacks_to: tuple[str, ...]
    size: int | None = None
    hash: str | None = None

    def __post_init__(self) -> None:
        for one in ("urls", "unpacks_to"):
            if not getattr(self, one):
                raise ValueError(f"{one!r} of {self.name} is empty: give at least one")
        if Path(self.name).name != self.name:
            raise ValueError(f"the name {self.name!r} is that of no file")


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
    for name in ("urls", "unpacks_to"):
        if not isinstance(source[name], list) or not all(isinstance(one, str) for one in source[name]):
            raise ValueError(f"{name!r} of {source['name']} is {source[name]!r}: give a list of texts")
    return Source(**source | {name: tuple(source[name]) for name in ("urls", "unpacks_to")})


def mirrored(name: str, dataset: Dataset, mirror: str) -> Dataset:
    """The dataset from a mirror first, which has its files as `<mirror>/<name of the dataset>/<name of the file>`.

    Parameters
    ----------
    mirror : an address of http, https or file, or a folder.
    """
    base = mirror.rstrip("/\\")
    sources = [replace(one, urls=(f"{base}/{name}/{one.name}", *one.urls)) for one in dataset.sources]
    return replace(dataset, sources=tuple(sources))


def listing(datasets: dict[str, Dataset], data_dir: Path) -> str:
    """What there is, for people."""
    lines = []
    for name, dataset in datasets.items():
        here = ", already here" if (data_dir / name).is_dir() else ""
        lines += [f"{name} ({about_size(dataset)}{here})", f"    {dataset.title}", f"    licence: {dataset.licence}"]
        lines += [f"    cite: {dataset.citation}", f"    page: {dataset.page}"]
        lines += [f"    {about_by_hand(dataset, data_dir / name)}"] * bool(dataset.by_hand)
    lines += [
        f"a file that was fetched by hand: {data_dir / BY_HAND}/NAME/FILE, NAME as above, FILE as its address has it"
    ]
    return "\n".join(lines)


def about_size(dataset: Dataset) -> str:
    """How large the download is, for people."""
    known = [source.size for source in dataset.sources if source.size is not None]
    return f"about {readable_size(sum(known))}" if len(known) == len(dataset.sources) else "size unknown"


def about_by_hand(dataset: Dataset, folder: Path) -> str:
    """What does not come with a dataset, and where it goes."""
    return f"by hand, anywhere below {folder}: {dataset.by_hand}"
