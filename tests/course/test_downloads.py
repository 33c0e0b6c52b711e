"""download_and_unzip.py against a real HTTP server on loopback that breaks off, lies, and serves hostile archives."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time

import pytest
from archived import rarred, tarred, zipped
from serving import GOOD, PICTURE, Server, assert_good, registry
from support import ROOT

from course import downloads, resuming
from course import registry as registered
from download_and_unzip import main
from whatchanged import archives

BLOCK = resuming.CHUNK


@pytest.fixture
def server():
    running = Server()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(resuming.time, "sleep", lambda seconds: None)


def fetch(tmp_path, server, capsys, **options):
    """Run the command in this process; returns its status and what it said on stderr's last line."""
    path = registry(tmp_path, server, **options)
    status = main(["set", "--data-dir", str(tmp_path / "data"), "--registry", str(path)])
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
        content = zipped([("Concrete Crack Images.rar", rarred("Positive/a.png", PICTURE))])
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
    with downloads.FileLock(tmp_path / "data" / ".set.lock"):
        script = f"from course import downloads as d; d._alone(d.Path({str(tmp_path / 'data')!r}), 'set').__enter__()"
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
    usage = archives.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda path: usage._replace(free=200_100_000))
    refused(tmp_path, server, capsys, "free: make room or choose another --data-dir")
    monkeypatch.undo()

    def full(*_):
        raise OSError(downloads.errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(downloads.shutil, "copyfile", full)
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


PAGES = {
    "quota": (
        b"<html><title>Google Drive - Quota exceeded</title></html>",
        "Google Drive has given this file to too many",
    ),
    "scan": (b"<!DOCTYPE html><title>Google Drive - Virus scan warning</title>", "Google Drive asks first whether"),
    "login": (b"<html><form><input name=p type='password'></form></html>", "a login page came instead of the file"),
    "named": (b"<html><title>School\n network</title>", "a web page, 'School network', instead of the file"),
}


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/octet-stream"])
@pytest.mark.parametrize("page", PAGES)
def test_pages_are_named_whatever_they_call_themselves(tmp_path, server, capsys, page, kind):
    server.files["data.zip"], message = PAGES[page]
    server.headers = {"Content-Type": kind}
    refused(tmp_path, server, capsys, message)


def test_a_certificate_that_is_not_trusted_is_named(tmp_path, capsys, monkeypatch):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    subprocess.run(command, capture_output=True, check=True)
    secure = Server(certificate, key)
    secure.files["data.zip"] = zipped(GOOD)
    refused(tmp_path, secure, capsys, "its certificate is not trusted: self-signed certificate; behind a proxy")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))  # the way out that the sentence names
    assert fetch(tmp_path, secure, capsys)[0] == 0
    assert_good(tmp_path)
    secure.shutdown()
    secure.server_close()


def test_a_proxy_that_does_not_answer_is_named_without_its_password(tmp_path, server, capsys, monkeypatch):
    for name in ("NO_PROXY", "no_proxy", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    message = "the proxy http://127.0.0.1:9 gives no connection: correct or unset"
    for scheme in ("http", "https"):
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", "http://me:secret@127.0.0.1:9")
        urls = [f"{scheme}://data.invalid/data.zip"]
        refused(tmp_path, server, capsys, f"{message} {scheme.upper()}_PROXY", urls=urls)


@pytest.mark.parametrize("form", ["file://", "path"])
def test_an_address_may_be_of_this_machine(tmp_path, server, capsys, form):
    disk = tmp_path / "a disk" / "data.zip"
    disk.parent.mkdir()
    url = disk.as_uri() if form == "file://" else str(disk)
    refused(tmp_path, server, capsys, "there is no such file", urls=[url])
    disk.write_bytes(zipped(GOOD)[:500])
    refused(tmp_path, server, capsys, "it is not an archive, or not all of one", urls=[url])
    disk.write_bytes(zipped(GOOD))
    assert fetch(tmp_path, server, capsys, urls=[url])[0] == 0
    assert_good(tmp_path)
    assert disk.is_file()
    assert not server.requests


def test_an_address_of_another_kind_is_named(tmp_path, server, capsys):
    refused(tmp_path, server, capsys, "ftp:// is not read: give an address of http", urls=["ftp://a/data.zip"])
    status, error, _ = fetch(tmp_path, server, capsys, urls=server.url("data.zip"))
    assert status == 2
    assert "'urls' of data.zip is 'http://" in error
    assert "give a list of texts" in error


@pytest.mark.parametrize("place", ["by-hand/set/data.zip", "data.zip"])
def test_a_file_fetched_by_hand_is_taken_and_left(tmp_path, server, capsys, place):
    refused(tmp_path, server, capsys, f"by hand goes into {tmp_path / 'data' / 'by-hand' / 'set'}, under that name")
    path = tmp_path / "data" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"<html>a login page, saved</html>")
    refused(tmp_path, server, capsys, "could not be had")
    path.write_bytes(zipped(GOOD))
    refused(tmp_path, server, capsys, "could not be had", hash="sha256:" + "0" * 64)
    count = len(server.requests)
    status, _, said = fetch(tmp_path, server, capsys)
    assert status == 0
    assert f"{path} is taken" in said
    assert (tmp_path / "data" / "set" / "Positive" / "a.png").read_bytes() == PICTURE
    assert path.is_file()
    assert len(server.requests) == count


def test_a_plain_file_beside_the_data_sets_is_not_taken_for_one_of_theirs(tmp_path, server, capsys):
    """Several of them have a train.json."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.json").write_text("of another")
    server.files["train.json"] = b"[1]"
    assert fetch(tmp_path, server, capsys, names=("train.json",), unpacks_to=["train.json"])[0] == 0
    assert (tmp_path / "data" / "set" / "train.json").read_text() == "[1]"


@pytest.mark.parametrize("of", ["server", "folder"])
def test_a_mirror_is_asked_first_and_the_address_after_it(tmp_path, server, capsys, of):
    server.files["data.zip"] = zipped(GOOD)
    folder = tmp_path / "disk"
    mirror = server.url("copy/") if of == "server" else str(folder)
    path = registry(tmp_path, server)
    command = ["set", "--registry", str(path), "--mirror", mirror, "--data-dir"]
    assert main([*command, str(tmp_path / "first")]) == 0
    assert server.requests[-1][0] == "data.zip"
    (folder / "set").mkdir(parents=True)
    (folder / "set" / "data.zip").write_bytes(zipped(GOOD))
    server.files = {"copy/set/data.zip": zipped(GOOD)}
    server.requests.clear()
    assert main([*command, str(tmp_path / "data")]) == 0
    assert_good(tmp_path)
    assert [name for name, _ in server.requests] == (["copy/set/data.zip"] if of == "server" else [])


def test_a_folder_above_is_taken_away_and_nothing_else(tmp_path, server, capsys):
    inner = [(f"a-1/data/{name}", content) for name, content in GOOD]
    server.files["data.zip"] = zipped([*inner, ("a-1/README", b"r"), ("__MACOSX/Positive/._a.png", b"\0")])
    assert fetch(tmp_path, server, capsys, unpacks_to=["Positive", "Negative"])[0] == 0
    assert_good(tmp_path)
    folder = tmp_path / "data" / "set"
    assert sorted(p.name for p in folder.iterdir()) == ["Negative", "Positive", "a-1", "about.json"]
    assert (folder / "a-1" / "README").read_bytes() == b"r"


def test_of_two_folders_above_none_is_chosen(tmp_path, server, capsys):
    server.files["data.zip"] = zipped([("a/Positive/a.png", b"1"), ("b/Positive/a.png", b"2")])
    refused(tmp_path, server, capsys, "data.zip does not hold Positive")


def test_an_archive_without_what_was_promised(tmp_path, server, capsys):
    server.files["data.zip"] = zipped([("other.txt", b"x")])
    refused(tmp_path, server, capsys, "data.zip does not hold Positive/a.png")


REFUSED = {
    "parent.zip": (
        zipped([("../outside.txt", b"x")]),
        "parent.zip holds '../outside.txt', which would leave the folder",
    ),
    "cut.tar.gz": (tarred((tarfile.TarInfo("a.png"), PICTURE))[:1000], "cut.tar.gz is damaged or incomplete"),
    "large.zip": (zipped([("a.png", bytes(2_000_000))]), "large.zip unpacks to more than 1.0 MB"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_unpacked_leaves_no_dataset(tmp_path, server, capsys, monkeypatch, name):
    """Of each kind one: all of them are in `tests/whatchanged/test_archives.py`."""
    monkeypatch.setattr(archives, "MAX_TOTAL", 1_000_000)
    server.files[name], message = REFUSED[name]
    refused(tmp_path, server, capsys, message, names=(name,))
    assert not list(tmp_path.rglob("outside.txt"))


def test_a_rar_file_that_cannot_be_unpacked_names_what_to_fetch_instead(tmp_path, server, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "rarfile", None)
    server.files["data.rar"] = rarred("Positive/a.png", PICTURE)
    refused(tmp_path, server, capsys, "is not installed", names=("data.rar",))
    other = {"instead": "set-2, the same in a ZIP file"}
    refused(tmp_path, server, capsys, "is not installed, or fetch set-2, the same in", names=("data.rar",), entry=other)


def test_names_are_listed(capsys):
    assert main(["nothing"]) == 2
    error = capsys.readouterr().err
    assert "there is no dataset 'nothing': choose from concrete-tensors, concrete-images" in error
    assert main(["--list"]) == 0
    listed = capsys.readouterr().out
    for name, dataset in registered.read_registry(registered.REGISTRY).items():
        assert name in listed
        assert dataset.by_hand in listed
        assert dataset.sources
        assert all(source.urls and source.unpacks_to for source in dataset.sources)
    assert {"deep-pcb", "design-system-screens", "screenshots"} <= registered.read_registry(registered.REGISTRY).keys()


def test_typed_bare_it_fetches_the_tensors_of_concrete(tmp_path, server, capsys, monkeypatch):
    server.files["data.zip"] = zipped(GOOD)
    path = registry(tmp_path, server, names=("data.zip", "data.zip"), name="concrete-tensors", size=2_350_000)
    monkeypatch.chdir(tmp_path)
    assert main(["--registry", str(path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "concrete-tensors: test (about 4.7 MB), into data/concrete-tensors"
    assert (tmp_path / "data" / "concrete-tensors" / "Negative" / "c.png").is_file()
    assert main(["--registry", str(path)]) == 0
    assert capsys.readouterr().out == "data/concrete-tensors is already here\n"
    assert main(["--registry", str(registry(tmp_path, server))]) == 2
    assert "give the name of a dataset: choose from set" in capsys.readouterr().err


def test_what_comes_by_hand_is_told(tmp_path, server, capsys):
    server.files["data.json"] = b"[]"
    rest = {"by_hand": "the pictures: ask for them at the university"}
    _, _, said = fetch(tmp_path, server, capsys, names=("data.json",), unpacks_to=["data.json"], entry=rest)
    folder = tmp_path / "data" / "set"
    assert f"by hand, anywhere below {folder}: the pictures: ask for them at the university" in said
    assert json.loads((folder / "about.json").read_text())["by_hand"] == rest["by_hand"]


def test_a_broken_registry_is_named(tmp_path, capsys):
    path = tmp_path / "mine.json"
    path.write_text('{"a": {"sources": []}}')
    assert main(["a", "--registry", str(path)]) == 2
    assert "mine.json is no registry of datasets" in capsys.readouterr().err


def test_the_registry_of_the_readme_is_one(tmp_path):
    text = (ROOT / "data" / "README.md").read_text()
    path = tmp_path / "mine.json"
    path.write_text(text.split("```json")[1].split("```")[0])
    (dataset,) = registered.read_registry(path).values()
    assert dataset.sources[0].urls == ("http://files.school.example/Positive_tensors.zip",)
