"""Archives unpacked, whatever their format: nothing outside the folder, no links, no bombs, no disk filled up."""

from __future__ import annotations

import contextlib
import errno
import lzma
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

RESERVE = 200_000_000  # bytes of disk that are never used up
MAX_RATIO = 200  # unpacked to packed, beyond the first RATIO_FROM bytes
RATIO_FROM = 100_000_000
MAX_TOTAL = 200_000_000_000
MAX_ENTRIES = 2_000_000
_BLOCK = 1 << 14
_DECODING = (EOFError, zlib.error, lzma.LZMAError)  # beside OSError without a number
_UTF8_FLAG = 0x800  # of an entry of a ZIP file: its name is in UTF-8
_GB2312 = re.compile(rb"[\xb0-\xf7][\xa1-\xfe]")  # its Chinese characters, and from where the rarer ones are
_GB2312_RARE = 0xD8
_RAR = b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01\x00"  # how files of version 3 and 5 begin


class ArchiveError(ValueError):
    """Why an archive is not unpacked, in one sentence."""


class NoRoom(ArchiveError):
    """The disk has no room for it."""


class NoProgram(ArchiveError):
    """A RAR file, and nothing on this machine unpacks those."""


@dataclass(frozen=True)
class Member:
    """One entry of an archive, whatever its format: `kind` is "file", "folder" or what it is instead."""

    name: str
    kind: str
    size: int
    open: Callable[[], IO[bytes]]


def unpack(
    archive: Path,
    folder: Path,
    limit: int | None = None,
    progress: Callable[[list[Member]], Iterable[Member]] | None = None,
) -> None:
    """Unpack an archive into a folder, and nothing outside it; at most `limit` bytes, or `MAX_TOTAL`.

    Parameters
    ----------
    archive : a ZIP, RAR or tar file, told from its first bytes rather than its name.
    folder : exists.
    progress : what the entries go through on their way, as a bar of tqdm.

    Raises
    ------
    ArchiveError
        An entry would leave the folder or is a link or a device; the archive is none, damaged, encrypted, or unpacks to
        far more than it should. What was unpacked until then stays in the folder.
    """
    packed, written = archive.stat().st_size, 0
    opener = _opener(archive)
    if opener is None:
        raise ArchiveError(f"{archive.name} is not an archive: give a ZIP, RAR or tar file")
    try:
        with opener(archive) as entries:
            if len(entries) > MAX_ENTRIES:
                raise ArchiveError(
                    f"{archive.name} holds {len(entries):,} entries: at most {MAX_ENTRIES:,} are unpacked"
                )
            hold_room(folder, sum(entry.size for entry in entries), f"unpacking {archive.name}")
            for entry in progress(entries) if progress else entries:
                place = _place_of(entry, folder, archive.name)
                if _is_litter(entry.name):
                    continue
                if entry.kind == "folder":
                    place.mkdir(parents=True, exist_ok=True)
                    continue
                place.parent.mkdir(parents=True, exist_ok=True)
                with entry.open() as source, place.open("wb") as file:
                    while chunk := source.read(_BLOCK):
                        written += len(chunk)
                        _hold_total(written, packed, limit or MAX_TOTAL, archive.name)
                        file.write(chunk)
    except (zipfile.BadZipFile, tarfile.TarError, *_DECODING) as error:
        why = str(error)[:200]  # it may quote names of any length
        raise ArchiveError(f"{archive.name} is damaged or incomplete: {why}") from error
    except OSError as error:
        if error.errno == errno.EINVAL:  # that is a place before the file's beginning, which only the archive can name
            raise ArchiveError(f"{archive.name} is damaged or incomplete: it points outside itself") from error
        if error.errno is None:  # a decoder's word, not the system's
            raise ArchiveError(f"{archive.name} is damaged or incomplete: {error}") from error
        raise
    except (RuntimeError, NotImplementedError) as error:  # zipfile's words for encryption and odd compression
        raise ArchiveError(f"{archive.name} cannot be unpacked: {error}") from error


def is_archive(path: Path) -> bool:
    """Whether `unpack` reads such a file; its name does not matter."""
    return _opener(path) is not None


def _opener(archive: Path) -> Callable[[Path], AbstractContextManager[list[Member]]] | None:
    for is_kind, opener in ((zipfile.is_zipfile, _zip), (_is_tar, _tar), (_is_rar, _rar)):
        if is_kind(archive):
            return opener
    return None


@contextlib.contextmanager
def _zip(path: Path) -> Iterator[list[Member]]:
    with zipfile.ZipFile(path) as archive:

        def kind(info: zipfile.ZipInfo) -> str:
            mode = info.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                return "link" if stat.S_ISLNK(mode) else "device"
            return "folder" if info.is_dir() else "file"

        infos = archive.infolist()
        # Without the flag for UTF-8, zipfile has read a name as of DOS, which loses nothing.
        unsaid = [info for info in infos if not info.flag_bits & _UTF8_FLAG]
        names = {info: info.filename for info in infos}
        names |= zip(unsaid, _spelled([info.orig_filename.encode("cp437", "replace") for info in unsaid]), strict=True)
        members = [Member(names[i], kind(i), i.file_size, partial(archive.open, i)) for i in infos]
        files = Counter(member.name for member in members if member.kind == "file")
        if twice := next((name for name, times in files.items() if times > 1), None):
            raise ArchiveError(f"{path.name} holds {twice} twice, and one would replace the other: pack it anew")
        yield members


@contextlib.contextmanager
def _tar(path: Path) -> Iterator[list[Member]]:
    with tarfile.open(path) as archive:

        def kind(info: tarfile.TarInfo) -> str:
            if info.isfile():
                return "file"
            return "folder" if info.isdir() else "link" if info.issym() or info.islnk() else "device"

        def opened(info: tarfile.TarInfo) -> IO[bytes]:
            found = archive.extractfile(info)
            assert found is not None  # as for everything that is no plain file, and that is refused before
            return found

        yield [Member(i.name, kind(i), i.size, partial(opened, i)) for i in archive]


def _spelled(names: list[bytes]) -> list[str]:
    """The names of an archive that does not say their encoding: UTF-8, Chinese where all of them are, or as of DOS.

    Chinese is told by the pairs of bytes of GB 2312, at least half of them its common characters; hardly any names in a
    Western or Cyrillic encoding of DOS pass as that.
    """
    whole = b"\n".join(names)
    with contextlib.suppress(UnicodeDecodeError):
        whole.decode("utf-8")
        return [name.decode("utf-8") for name in names]
    pairs = _GB2312.findall(whole)
    common = sum(pair[0] < _GB2312_RARE for pair in pairs)
    encoding = "gbk" if _GB2312.sub(b"", whole).isascii() and 2 * common >= len(pairs) else "cp437"
    return [name.decode(encoding) for name in names]


def _is_litter(name: str) -> bool:
    """Whether an entry is what the Finder of a Mac adds: its `._1.jpg` is no picture."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return "__MACOSX" in parts or (bool(parts) and (parts[-1].startswith("._") or parts[-1] == ".DS_Store"))


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except _DECODING:  # packed, and cut off before its first entry ends
        return True


def _is_rar(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_RAR[1])).startswith(_RAR)


@contextlib.contextmanager
def _rar(path: Path) -> Iterator[list[Member]]:
    try:
        import rarfile
    except ImportError as error:
        raise NoProgram(f"{path.name} is a RAR file, and rarfile, which reads those, is not installed") from error

    def kind(info: Any) -> str:
        return "link" if info.is_symlink() else "folder" if info.is_dir() else "file"

    try:
        with rarfile.RarFile(path) as archive:
            yield [Member(i.filename, kind(i), i.file_size, partial(archive.open, i)) for i in archive.infolist()]
    except rarfile.RarCannotExec as error:
        raise NoProgram(
            f"{path.name} is a RAR file, and no program to unpack it is here: install unar, 7z or bsdtar (on Debian:"
            " apt install unar)"
        ) from error
    except rarfile.Error as error:
        raise ArchiveError(f"{path.name} is damaged or incomplete: {error}") from error


def _place_of(entry: Member, folder: Path, archive: str) -> Path:
    """Where an entry goes; refused where that is not below the folder, or where the entry is no plain file."""
    name = entry.name.replace("\\", "/")
    path = PurePosixPath(name)
    if entry.kind not in ("file", "folder"):
        raise ArchiveError(f"{archive} holds a {entry.kind}, {entry.name!r}: only plain files are unpacked")
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name) or "\0" in name:
        raise ArchiveError(f"{archive} holds {entry.name!r}, which would leave the folder: it is not unpacked")
    return folder.joinpath(*path.parts)


def _hold_total(written: int, packed: int, limit: int, archive: str) -> None:
    if written > limit:
        raise ArchiveError(f"{archive} unpacks to more than {readable_size(limit)}: it is not unpacked further")
    if written > RATIO_FROM and written > MAX_RATIO * packed:
        raise ArchiveError(f"{archive} unpacks to more than {MAX_RATIO} times its size: it is not unpacked further")


def hold_room(folder: Path, needed: int, what: str) -> None:
    """Refuse what would leave less than `RESERVE` bytes free on the disk of a folder, by `NoRoom`."""
    free = shutil.disk_usage(folder).free
    if free < needed + RESERVE:
        raise NoRoom(
            f"{what} needs {readable_size(needed)} and {readable_size(RESERVE)} to spare, and the disk of {folder} has"
            f" {readable_size(free)} free: make room"
        )


def readable_size(count: float) -> str:
    """A number of bytes, for people: "4.7 GB"."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit in ("B", "kB") else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
