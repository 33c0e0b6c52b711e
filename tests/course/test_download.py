"""download_and_unzip.py against a real HTTP server on loopback that breaks off, lies, and serves hostile archives."""

from __future__ import annotations

import binascii
import hashlib
import io
import json
import os
import signal
import struct
import subprocess
import sys
import tarfile
import threading
import time
import zipfile

import pytest
from serving import GOOD, PICTURE, Server, assert_good, registry, zipped
from support import ROOT

sys.path.insert(0, str(ROOT))
import download_and_unzip as fetcher

BLOCK = fetcher.CHUNK


@pytest.fixture
def server():
    running = Server()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(fetcher.time, "sleep", lambda seconds: None)


def tarred(*members):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def stored_rar(name, content):
    """A RAR 3 file with one entry that is stored as it is, after the published format."""

    def block(kind, flags, fields, data=b""):
        rest = struct.pack("<BHH", kind, flags, 7 + len(fields)) + fields
        return struct.pack("<H", binascii.crc32(rest) & 0xFFFF) + rest + data

    path = name.encode()
    fields = struct.pack(
        "<LLBLLBBHL", len(content), len(content), 3, binascii.crc32(content), 0x5A000000, 20, 0x30, len(path), 0o100644
    )
    end = block(0x7B, 0x4000, b"")
    return b"Rar!\x1a\x07\x00" + block(0x73, 0, bytes(6)) + block(0x74, 0x8000, fields + path, content) + end


def fetch(tmp_path, server, capsys, **options):
    """Run the command in this process; returns its status and what it said on stderr's last line."""
    path = registry(tmp_path, server, **options)
    status = fetcher.main(["set", "--data-dir", str(tmp_path / "data"), "--registry", str(path)])
    said = capsys.readouterr()
    return status, (said.err.strip().splitlines() or [""])[-1], said.out


def refused(tmp_path, server, capsys, message, **options):
    """The command must fail with one sentence and leave no dataset."""
    status, error, _ = fetch(tmp_path, server, capsys, **options)
    assert status == 2
    assert error.startswith("download_and_unzip: ")
    assert message in error
    assert not (tmp_path / "data" / "set").exists()


def test_fetches_verifies_and_does_nothing_the_second_time(tmp_path, server, capsys):
    server.files["data.zip"] = zipped(GOOD)
    digest = hashlib.sha256(server.files["data.zip"]).hexdigest()
    status, _, said = fetch(tmp_path, server, capsys, hash=f"sha256:{digest}")
    assert status == 0
    assert_good(tmp_path)
    assert "CC0" in said
    assert "please cite: nobody" in said
    about = json.loads((tmp_path / "data" / "set" / "about.json").read_text())
    assert about["sha256"] == {"data.zip": digest}
    count = len(server.requests)
    status, _, said = fetch(tmp_path, server, capsys)
    assert status == 0
    assert "is already here" in said
    assert len(server.requests) == count


@pytest.mark.parametrize("suffix", ["tar.gz", "rar"])
def test_other_formats(tmp_path, server, capsys, suffix):
    if suffix == "rar":
        content = zipped([("Concrete Crack Images.rar", stored_rar("Positive/a.png", PICTURE))])
        name = "data.zip"
    else:
        name, content = "data.tar.gz", tarred((tarfile.TarInfo("Positive/a.png"), PICTURE))
    server.files[name] = content
    assert fetch(tmp_path, server, capsys, names=(name,))[0] == 0
    assert (tmp_path / "data" / "set" / "Positive" / "a.png").read_bytes() == PICTURE
    assert not list((tmp_path / "data" / "set").rglob("*.rar"))


def test_plain_files(tmp_path, server, capsys):
    server.files |= {"train.json": b"[1]", "test.json": b"[2]"}
    names = ("train.json", "test.json")
    assert fetch(tmp_path, server, capsys, names=names, unpacks_to=["train.json"])[0] == 0
    assert (tmp_path / "data" / "set" / "test.json").read_text() == "[2]"


def test_a_broken_download_goes_on_where_it_stopped(tmp_path, server, capsys):
    server.files["data.zip"] = zipped(GOOD)
    server.break_after = [6 * BLOCK, 3 * BLOCK]
    assert fetch(tmp_path, server, capsys)[0] == 0
    assert_good(tmp_path)
    assert [wanted for _, wanted in server.requests] == [None, f"bytes={6 * BLOCK}-", f"bytes={9 * BLOCK}-"]


def test_a_later_run_goes_on_too(tmp_path, server, capsys):
    server.files["data.zip"] = zipped(GOOD)
    server.break_after = [6 * BLOCK] + [0] * 20
    refused(tmp_path, server, capsys, "the connection broke after 98 kB: run the same command again to go on")
    server.break_after = []
    assert fetch(tmp_path, server, capsys)[0] == 0
    assert_good(tmp_path)
    assert server.requests[-1][1] == f"bytes={6 * BLOCK}-"


def test_another_version_is_not_glued_to_the_first_part(tmp_path, server, capsys):
    server.files["data.zip"] = zipped([("Positive/a.png", os.urandom(300_000))])
    server.break_after = [6 * BLOCK] + [0] * 20
    refused(tmp_path, server, capsys, "the connection broke")
    server.files["data.zip"], server.etag, server.break_after = zipped(GOOD), '"2"', []
    assert fetch(tmp_path, server, capsys)[0] == 0
    assert_good(tmp_path)


def test_without_a_version_it_starts_anew(tmp_path, server, capsys):
    server.files["data.zip"], server.etag, server.break_after = zipped(GOOD), "", [6 * BLOCK]
    assert fetch(tmp_path, server, capsys)[0] == 0
    assert_good(tmp_path)
    assert [wanted for _, wanted in server.requests] == [None, None]


@pytest.mark.process
@pytest.mark.parametrize("moment", ["download", "unpack"])
def test_a_kill_leaves_nothing_or_the_whole(tmp_path, server, moment):
    server.files["data.zip"] = zipped([*GOOD, *((f"Positive/{i}.png", b"x") for i in range(20_000))])
    server.slow = 0.02 if moment == "download" else 0
    path, data = registry(tmp_path, server), tmp_path / "data"
    command = [sys.executable, str(ROOT / "download_and_unzip.py"), "set", "--data-dir", str(data)]
    command += ["--registry", str(path)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    sign = data / ".set.downloads" / "data.zip.part" if moment == "download" else data / ".set.part" / "Positive"
    deadline = time.monotonic() + 60
    while not sign.exists() and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert sign.exists()
    assert not (data / "set").exists()
    server.slow = 0
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert_good(tmp_path)
    assert len(list((data / "set" / "Positive").iterdir())) == 20_002


def test_a_second_run_at_the_same_time_is_refused(tmp_path, server, capsys):
    (tmp_path / "data").mkdir()
    with fetcher.FileLock(tmp_path / "data" / ".set.lock"):
        script = f"import download_and_unzip as d; d._alone(d.Path({str(tmp_path / 'data')!r}), 'set').__enter__()"
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "another process is fetching set" in done.stderr


def test_mirrors_are_tried_in_order_and_named(tmp_path, server, capsys):
    server.files["good.zip"] = zipped(GOOD)
    urls = [server.url("gone.zip"), server.url("good.zip")]
    assert fetch(tmp_path, server, capsys, urls=urls)[0] == 0
    assert_good(tmp_path)


def test_404_names_the_mirrors(tmp_path, server, capsys):
    urls = [server.url("gone.zip"), server.url("lost.zip")]
    refused(tmp_path, server, capsys, f"tried {urls[0]} (404 Not Found); {urls[1]} (404 Not Found)", urls=urls)


def test_no_network(tmp_path, server, capsys):
    server.shutdown()
    server.server_close()
    refused(tmp_path, server, capsys, "no connection: is there a network?")


def test_bad_checksum(tmp_path, server, capsys):
    server.files["data.zip"] = zipped(GOOD)
    refused(tmp_path, server, capsys, "its checksum is not the published sha256:00", hash="sha256:" + "0" * 64)
    assert not list((tmp_path / "data" / ".set.downloads").glob("data.zip"))


def test_disk_full_before_and_during(tmp_path, server, capsys, monkeypatch):
    server.files["data.zip"] = zipped(GOOD)
    usage = fetcher.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(fetcher.shutil, "disk_usage", lambda path: usage._replace(free=200_100_000))
    refused(tmp_path, server, capsys, "free: make room or choose another --data-dir")
    monkeypatch.undo()

    def full(*_):
        raise OSError(fetcher.errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetcher.shutil, "copyfile", full)
    server.files["x.json"] = b"{}"
    refused(tmp_path, server, capsys, "is full: make room", names=("x.json",), unpacks_to=["x.json"])


def test_a_server_that_promises_too_much(tmp_path, server, capsys):
    server.files["data.zip"], server.length_factor = zipped(GOOD), 1e10
    refused(tmp_path, server, capsys, "free: make room or choose another --data-dir")


def test_a_server_that_promises_too_little(tmp_path, server, capsys):
    server.files["data.zip"], server.length_factor = zipped(GOOD), 0.5
    refused(tmp_path, server, capsys, "data.zip is not an archive")


def test_a_web_page_is_no_dataset(tmp_path, server, capsys):
    server.files["data.zip"], server.headers = b"<html>quota exceeded</html>", {"Content-Type": "text/html"}
    refused(tmp_path, server, capsys, "answers with a web page instead of the file")


def test_an_archive_without_what_was_promised(tmp_path, server, capsys):
    server.files["data.zip"] = zipped([("other.txt", b"x")])
    refused(tmp_path, server, capsys, "data.zip does not hold Positive/a.png")


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
    "parent.rar": (stored_rar("../outside.txt", b"x"), "which would leave the folder"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives(tmp_path, server, capsys, name):
    server.files[name], message = HOSTILE[name]
    refused(tmp_path, server, capsys, message, names=(name,))
    assert not list(tmp_path.rglob("outside.txt"))


def test_bombs(tmp_path, server, capsys, monkeypatch):
    monkeypatch.setattr(fetcher, "RATIO_FROM", 10_000_000)
    server.files["data.zip"] = zipped([("Positive/a.png", bytes(40_000_000))])
    refused(tmp_path, server, capsys, "unpacks to more than 200 times its size")
    monkeypatch.setattr(fetcher, "MAX_TOTAL", 100_000)
    server.files["data.zip"] = zipped(GOOD)
    (tmp_path / "b").mkdir()
    refused(tmp_path / "b", server, capsys, "unpacks to more than 100 kB")
    monkeypatch.setattr(fetcher, "MAX_ENTRIES", 3)
    (tmp_path / "c").mkdir()
    refused(tmp_path / "c", server, capsys, "holds 4 entries: at most 3")


def test_a_bomb_that_lies_about_its_size(tmp_path, server, capsys, monkeypatch):
    """Its directory says 10 bytes; what comes out is counted, not believed."""
    monkeypatch.setattr(fetcher, "RATIO_FROM", 1_000_000)
    content = bytearray(zipped([("Positive/a.png", bytes(40_000_000))]))
    for place in (content.index(b"PK\x03\x04") + 22, content.index(b"PK\x01\x02") + 24):
        content[place : place + 4] = struct.pack("<L", 10)
    server.files["data.zip"] = bytes(content)
    status, error, _ = fetch(tmp_path, server, capsys)
    assert status == 2
    assert "damaged" in error or "200 times" in error
    written = sum(path.stat().st_size for path in (tmp_path / "data").rglob("*.png"))
    assert written <= 10_000_000


@pytest.mark.parametrize("cut", [0.5, 0.99])
def test_damaged_archives(tmp_path, server, capsys, cut):
    whole = tarred((tarfile.TarInfo("Positive/a.png"), PICTURE))
    server.files["data.tar.gz"] = whole[: int(len(whole) * cut)]
    refused(tmp_path, server, capsys, "data.tar.gz is damaged or incomplete", names=("data.tar.gz",))
    content = bytearray(zipped([("Positive/a.png", PICTURE)]))
    content[1000:1010] = bytes(10)
    server.files["data.zip"] = bytes(content)
    (tmp_path / "b").mkdir()
    refused(tmp_path / "b", server, capsys, "data.zip is damaged or incomplete")


def test_encrypted_archives(tmp_path, server, capsys):
    content = bytearray(zipped([("Positive/a.png", PICTURE)]))
    for place in (content.index(b"PK\x03\x04") + 6, content.index(b"PK\x01\x02") + 8):
        content[place] |= 1
    server.files["data.zip"] = bytes(content)
    refused(tmp_path, server, capsys, "data.zip cannot be unpacked")


def test_names_are_listed(capsys):
    assert fetcher.main(["nothing"]) == 2
    error = capsys.readouterr().err
    assert "there is no dataset 'nothing': choose from concrete-tensors, concrete-images" in error
    assert fetcher.main([]) == 2
    assert fetcher.main(["--list"]) == 0
    listed = capsys.readouterr().out
    for name, dataset in fetcher.DATASETS.items():
        assert name in listed
        assert dataset.sources
        assert all(source.urls and source.unpacks_to for source in dataset.sources)


def test_a_broken_registry_is_named(tmp_path, capsys):
    path = tmp_path / "mine.json"
    path.write_text('{"a": {"sources": []}}')
    assert fetcher.main(["a", "--registry", str(path)]) == 2
    assert "mine.json is no registry of datasets" in capsys.readouterr().err
