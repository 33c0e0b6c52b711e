"""Archives that are whole are unpacked; hostile, damaged and swollen ones are refused, and nothing lies astray."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import tarfile
import zipfile
from functools import partial

import pytest
import rarfile
from archived import rarred, tarred, zipped
from support import ROOT

from whatchanged import archives
from whatchanged.archives import ArchiveError, NoProgram, NoRoom, is_archive, unpack

PICTURE = random.Random(0).randbytes(256_000)


def unpacked(folder, name, content, **options):
    """Write the archive, unpack it below `folder`, and return where."""
    path, target = folder / name, folder / "out"
    path.write_bytes(content)
    target.mkdir(exist_ok=True)
    unpack(path, target, **options)
    return target


def refused(folder, name, content, message, kind=ArchiveError, **options):
    """It must be refused in one sentence that begins with the archive's name; returns what was unpacked until then."""
    with pytest.raises(kind) as error:
        unpacked(folder, name, content, **options)
    assert message in str(error.value)
    assert name in str(error.value)
    assert "\n" not in str(error.value)
    return [path for path in (folder / "out").rglob("*") if path.is_file()]


WHOLE = {
    "a.zip": zipped([("Positive/a.png", PICTURE), ("Negative/", b"")]),
    "a.tar.gz": tarred((tarfile.TarInfo("Positive/a.png"), PICTURE)),
    "a.rar": rarred("Positive/a.png", PICTURE),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("called", [None, "other.bin"])
def test_whole_ones_are_told_from_their_content(tmp_path, name, called):
    target = unpacked(tmp_path, called or name, WHOLE[name])
    assert (target / "Positive" / "a.png").read_bytes() == PICTURE
    assert (target / "Negative").is_dir() is name.endswith("zip")
    assert is_archive(tmp_path / (called or name))


def test_other_files_are_none(tmp_path):
    refused(tmp_path, "data.zip", b"<html>", "data.zip is not an archive: give a ZIP, RAR or tar file")
    assert not is_archive(tmp_path / "data.zip")


def test_progress_sees_every_entry(tmp_path):
    seen = []

    def watched(entries):
        for entry in entries:
            seen.append((entry.name, entry.kind, entry.size))
            yield entry

    unpacked(tmp_path, "a.zip", WHOLE["a.zip"], progress=watched)
    assert seen == [("Positive/a.png", "file", len(PICTURE)), ("Negative/", "folder", 0)]


def test_it_needs_nothing_but_the_standard_library():
    """So that `pip install .` alone can unpack; what fetches, reads RAR files or draws bars comes with its caller."""
    script = "import sys, whatchanged.archives; print({n.split('.')[0] for n in sys.modules} - sys.stdlib_module_names)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"rarfile", "tqdm", "pooch", "requests", "numpy", "cv2"} & eval(done.stdout)


def _zip_with_link():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        link = zipfile.ZipInfo("Positive/a.png")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return data.getvalue()


def _tar_entry(name, kind, target=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return tarred((member, b""))


HOSTILE = {
    "parent.zip": (zipped([("../outside.txt", b"x")]), "'../outside.txt', which would leave the folder"),
    "deep.zip": (zipped([("a/../../outside.txt", b"x")]), "which would leave the folder"),
    "absolute.zip": (zipped([("/tmp/outside.txt", b"x")]), "'/tmp/outside.txt', which would leave the folder"),
    "windows.zip": (zipped([("..\\outside.txt", b"x")]), "which would leave the folder"),
    "drive.zip": (zipped([("C:/outside.txt", b"x")]), "which would leave the folder"),
    "link.zip": (_zip_with_link(), "holds a link, 'Positive/a.png': only plain files"),
    "parent.tar.gz": (tarred((tarfile.TarInfo("../outside.txt"), b"x")), "which would leave the folder"),
    "symbolic.tar.gz": (_tar_entry("Positive", tarfile.SYMTYPE, "/tmp"), "holds a link"),
    "hard.tar.gz": (_tar_entry("a", tarfile.LNKTYPE, "/etc/passwd"), "holds a link"),
    "device.tar.gz": (_tar_entry("null", tarfile.CHRTYPE), "holds a device"),
    "parent.rar": (rarred("../outside.txt", b"x"), "which would leave the folder"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_ones(tmp_path, name):
    content, message = HOSTILE[name]
    assert refused(tmp_path, name, content, message) == []
    assert not list(tmp_path.rglob("outside.txt"))


def test_bombs(tmp_path, monkeypatch):
    swollen = zipped([("a.png", bytes(40_000_000))])
    monkeypatch.setattr(archives, "RATIO_FROM", 10_000_000)
    (part,) = refused(tmp_path, "data.zip", swollen, "unpacks to more than 200 times its size")
    assert part.stat().st_size <= 10_000_000
    small = zipped([(f"{number}.png", b"x" * 60_000) for number in range(4)])
    refused(tmp_path, "data.zip", small, "unpacks to more than 100 kB", limit=100_000)
    monkeypatch.setattr(archives, "MAX_TOTAL", 200_000)
    refused(tmp_path, "data.zip", small, "unpacks to more than 200 kB")
    monkeypatch.setattr(archives, "MAX_ENTRIES", 3)
    refused(tmp_path, "data.zip", small, "holds 4 entries: at most 3")


def test_a_bomb_that_lies_about_its_size(tmp_path, monkeypatch):
    """Its directory says 10 bytes; what comes out is counted, not believed."""
    monkeypatch.setattr(archives, "RATIO_FROM", 1_000_000)
    content = bytearray(zipped([("a.png", bytes(40_000_000))]))
    for place in (content.index(b"PK\x03\x04") + 22, content.index(b"PK\x01\x02") + 24):
        content[place : place + 4] = struct.pack("<L", 10)
    written = refused(tmp_path, "data.zip", bytes(content), "damaged")
    assert sum(path.stat().st_size for path in written) <= 10_000_000


@pytest.mark.parametrize("cut", [0.01, 0.5, 0.99])
def test_damaged_ones(tmp_path, cut):
    whole = tarred((tarfile.TarInfo("a.png"), PICTURE))
    refused(tmp_path, "data.tar.gz", whole[: int(len(whole) * cut)], "data.tar.gz is damaged or incomplete")
    content = bytearray(WHOLE["a.zip"])
    content[600:610] = bytes(10)
    refused(tmp_path, "data.zip", bytes(content), "data.zip is damaged or incomplete")
    refused(tmp_path, "data.rar", WHOLE["a.rar"][:-1000], "data.rar is damaged or incomplete")


def test_a_decoder_that_speaks_as_the_system_does(tmp_path):
    """bz2 raises OSError, without a number; a full disk raises it with one, and that is told by the caller."""
    content = bytearray(tarred((tarfile.TarInfo("a.png"), PICTURE * 10), kind="bz2"))
    content[len(content) // 2] ^= 255  # in the second of three blocks, each with its own checksum
    refused(tmp_path, "data.tar.bz2", bytes(content), "data.tar.bz2 is damaged or incomplete")


def test_encrypted_ones(tmp_path):
    content = bytearray(WHOLE["a.zip"])
    for place in (content.index(b"PK\x03\x04") + 6, content.index(b"PK\x01\x02") + 8):
        content[place] |= 1
    refused(tmp_path, "data.zip", bytes(content), "data.zip cannot be unpacked")


def test_a_packed_rar_file_without_a_program(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(rarfile, "CURRENT_SETUP", None)  # what it found on the PATH of an earlier test
    packed = rarred("a.png", PICTURE, method=0x33)
    refused(tmp_path, "data.rar", packed, "install unar, 7z or bsdtar (on Debian: apt install unar)", NoProgram)


def test_a_rar_file_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rarfile", None)
    refused(tmp_path, "data.rar", WHOLE["a.rar"], "rarfile, which reads those, is not installed", NoProgram)
    unpacked(tmp_path, "data.zip", WHOLE["a.zip"])


def test_a_full_disk_is_seen_before(tmp_path, monkeypatch):
    usage = archives.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(
        archives.shutil, "disk_usage", partial(lambda free, path: usage._replace(free=free), 200_100_000)
    )
    message = "unpacking a.zip needs 256 kB and 200.0 MB to spare, and the disk of"
    assert refused(tmp_path, "a.zip", WHOLE["a.zip"], message, NoRoom) == []


def test_sizes_are_told_for_people():
    told = [archives.readable_size(count) for count in (0, 999, 1000, 245e6, 4.7e9, 3.2e12)]
    assert told == ["0 B", "999 B", "1 kB", "245.0 MB", "4.7 GB", "3200.0 GB"]


@pytest.mark.parametrize(
    ("name", "encoding", "read"),
    [
        ("\u88c2\u7f1d/\u56fe1.png", "gbk", None),
        ("\u88c2\u7f1d/\u56fe1.png", "utf-8", None),
        ("\u00dcbersicht/Ma\u00dfe.png", "cp437", None),
        ("\u00e9t\u00e9.png", "utf-8", None),
        ("\u0442\u0435\u0441\u0442.png", "cp866", "\u0442\u0435\u0441\u0442.png".encode("cp866").decode("cp437")),
    ],
)
def test_names_without_their_encoding(tmp_path, name, encoding, read):
    """As programs write them that set no flag; Cyrillic of DOS stays as zipfile reads it, not taken for Chinese."""
    raw = name.encode(encoding)
    content = zipped([("A" * len(raw), b"x")]).replace(b"A" * len(raw), raw)
    folder = unpacked(tmp_path, "a.zip", content)
    assert [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()] == [read or name]


def test_what_a_mac_adds_is_left_out(tmp_path):
    litter = [("__MACOSX/a/._1.jpg", b"\0"), ("a/._2.jpg", b"\0"), ("a/.DS_Store", b"\0")]
    folder = unpacked(tmp_path, "a.zip", zipped([("a/1.jpg", b"x"), *litter]))
    assert [p.name for p in folder.rglob("*") if p.is_file()] == ["1.jpg"]


def test_a_name_that_comes_twice_in_a_zip_is_refused(tmp_path):
    """One picture would silently stand for the other."""
    with pytest.warns(UserWarning, match="Duplicate name"):
        content = zipped([("x/a.png", b"one"), ("x/a.png", b"other"), ("y/a.png", b"third")])
    assert refused(tmp_path, "a.zip", content, "a.zip holds x/a.png twice") == []
