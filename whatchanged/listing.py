"""The pictures below a folder or in an archive, by their names there; and what else lies there, with the reason."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from whatchanged.formats import CAMERAS
from whatchanged.images import SUFFIXES

PICTURES = (
    SUFFIXES
    | CAMERAS
    | {".dib", ".dds", ".ico", ".jp2", ".j2k", ".jpe", ".pbm", ".pcx", ".pgm", ".pnm", ".ppm", ".psd", ".tga"}
    | {".dcm", ".exr", ".hdr", ".heic", ".heif", ".hif", ".jxl"}
)
"""How the names of pictures end. Some are of kinds that are not read: their pair is told with the way out."""

ARCHIVES = (".zip", ".rar", ".tar", ".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz")
"""How the names of archives end that are looked into as into a folder."""

_SYSTEM = {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini"}  # what systems put beside pictures, in small letters


@dataclass(frozen=True)
class File:
    """A picture: where it is read, and what results call it. In an archive these are two."""

    path: Path
    name: str


@dataclass(frozen=True)
class Item:
    """A pair, or a file without a partner: each file of a run is in exactly one.

    Attributes
    ----------
    state : "compared", "added", "removed", "renamed" or "left out".
    name : of both, below their folders.
    before, after : the files; of a pair both.
    note : what else is to be said; of what is left out the reason, where nothing is wrong about it.
    error : why it is not compared though it should be.
    """

    state: str
    name: str
    before: File | None = None
    after: File | None = None
    note: str = ""
    error: str = ""

    @property
    def files(self) -> list[File]:
        """Those that there are."""
        return [file for file in (self.before, self.after) if file]

    @property
    def names(self) -> tuple[str | None, str | None]:
        """What results call both; None for one that there is not."""
        return self.before.name if self.before else None, self.after.name if self.after else None

    def row(self) -> dict[str, str]:
        """The names of the files without their folders, and the error, as tables of pairs have them."""
        before, after = (Path(file.name).name if file else "" for file in (self.before, self.after))
        return {"before": before, "after": after, "error": self.error}

    def told(self, reason: str) -> str:
        """A sentence about the files, by the names that results give them."""
        for file in self.files:
            reason = reason.replace(str(file.path), file.name)
        return reason


def lone(state: str, name: str, file: File, is_after: bool, note: str = "", error: str = "") -> Item:
    """An item of one file, which lies before or after."""
    return Item(state, name, None if is_after else file, file if is_after else None, note, error)


@dataclass
class Tree:
    """All that lies below a folder, at any depth.

    Attributes
    ----------
    root : the folder.
    called : the name of the folder, or of the archive that it was unpacked from.
    files : the pictures by their names below the root, with slashes, sorted; links to nowhere, too.
    folders : all folders below the root, but those that were not gone into.
    unseen : those, each with the reason.
    others : what is no picture, and nothing is wrong about it, each with the reason.
    """

    root: Path
    called: str
    files: dict[str, Path] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    unseen: dict[str, str] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)

    def file(self, name: str) -> File:
        """A file by its name below the root."""
        return File(self.root / name, os.path.join(self.called, name))

    def left_out(self, is_after: bool = False) -> list[Item]:
        """What is no picture or could not be looked at."""
        told = {name: ("", why) for name, why in self.others.items()}
        told |= {name: (why, "") for name, why in self.unseen.items() if name not in told}
        return [
            lone("left out", printable(name), self._shown(name), is_after, note, error)
            for name, (error, note) in told.items()
        ]

    def _shown(self, name: str) -> File:
        return File(self.root / name, printable(os.path.join(self.called, name)))

    def below(self, top: str) -> Tree:
        """The tree of one folder at the top."""
        return listed(self.root / top, os.path.join(self.called, top))


def printable(name: str) -> str:
    """A name in one line: what cannot be printed, as a newline or bytes that are no UTF-8, is escaped."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in name)


def is_packed(path: str | Path) -> bool:
    """Whether the name of a file is that of an archive that is looked into."""
    return str(path).lower().endswith(ARCHIVES)


def is_tree(source: str | Path) -> bool:
    """Whether it is a folder, or an archive by its name."""
    return os.path.isdir(source) or (is_packed(source) and os.path.isfile(source))


@contextmanager
def opened(source: str | Path, skip: Collection[str] = ()) -> Iterator[Tree]:
    """A folder or an archive; an archive is unpacked, guarded, and lies in a temporary folder meanwhile.

    Parameters
    ----------
    skip : real paths of files and folders that do not count, as those that a run writes.

    Raises
    ------
    ValueError
        There is no such folder; `archives.ArchiveError` of an archive.
    """
    from whatchanged.archives import unpack

    source = Path(source)
    if source.is_dir():
        yield listed(source, speakable(source), skip)
        return
    if not source.is_file():
        raise ValueError(f"{source} does not exist" if not source.exists() else f"{source} is no folder")
    with tempfile.TemporaryDirectory(prefix="whatchanged-") as folder:
        unpack(source, Path(folder))
        seen = source.stat()
        tree = listed(Path(folder), speakable(source))
        for path in tree.files.values():  # they are as old as the archive: what is known of them stays so
            os.utime(path, ns=(seen.st_mtime_ns, seen.st_mtime_ns))
        yield tree


def speakable(path: str | Path) -> str:
    """A path as text that every file takes: bytes that are no UTF-8 are escaped."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def listed(root: Path, called: str, skip: Collection[str] = ()) -> Tree:
    """What lies below a folder.

    Hidden files and what systems put beside pictures do not count. Links are followed, but not into a folder that they
    lie in.
    """
    tree = Tree(root, called)
    waiting: list[tuple[str, tuple[str, ...]]] = [("", (os.path.realpath(root),))]
    while waiting:  # no recursion: folders may be nested deeper than Python calls
        folder, above = waiting.pop()
        try:
            with os.scandir(root / folder) as found:
                entries = list(found)
        except OSError as error:
            if not folder:
                raise ValueError(f"{called} cannot be read: {error.strerror}") from error
            tree.unseen[folder] = f"the folder cannot be read: {error.strerror}"
            continue
        if folder:
            tree.folders.add(folder)
        for entry in entries:
            if entry.name.startswith(".") or entry.name.lower() in _SYSTEM:
                continue
            name = f"{folder}/{entry.name}" if folder else entry.name
            if skip and os.path.realpath(entry.path) in skip:
                continue
            if real := _enter(tree, name, entry, above):
                waiting.append((name, (*above, real)))
    tree.files = dict(sorted(tree.files.items()))
    return tree


def _enter(tree: Tree, name: str, entry: os.DirEntry[str], above: tuple[str, ...]) -> str:
    """Put an entry where it belongs; of a folder that is to be gone into its real path."""
    suffix = os.path.splitext(entry.name)[1].lower()
    try:
        entry.name.encode()
    except UnicodeEncodeError:
        tree.unseen[name] = "its name is no UTF-8: rename it"
        return ""
    try:
        is_folder = entry.is_dir()
    except OSError:  # a link to itself
        is_folder = False
    if is_folder:
        real = os.path.realpath(entry.path) if entry.is_symlink() else os.path.join(above[-1], entry.name)
        if real in above:
            tree.unseen[name] = tree.others[name] = "the link leads to a folder that it lies in"
            return ""
        if suffix in PICTURES:
            tree.others[name] = "it is a folder, though its name ends as that of a picture"
        return real
    if suffix in PICTURES:
        tree.files[name] = tree.root / name
    else:
        ends = f"its name ends with {suffix}" if suffix else "its name has no ending"
        tree.others[name] = f"no picture: {ends}"
    return ""
