"""A full disk, and one that cannot be written to: one sentence, and the same command goes on when there is room.

It needs a file system of its own, so it runs as root only.
"""

import json
import os
import subprocess
import sys

import pytest
from archived import zipped
from pyarrow import parquet
from serving import GOOD, Server, assert_good, registry
from support import ROOT
from test_kills import pairs  # noqa: F401  a fixture
from tiny_models import describer

from whatchanged import many

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


@pytest.fixture
def disk(tmp_path):
    """A disk in memory, and a function that mounts it anew with other options."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("a file system can be mounted by root only")

    def again(options):
        subprocess.run(["mount", "-o", f"remount,{options}", place], check=True)

    yield place, again
    subprocess.run(["umount", "-l", place], check=True)


def said(command):
    """Exit status, and the last line that the command says to a reader; no traceback."""
    done = subprocess.run(command, env=ENVIRONMENT, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, (done.stderr.strip().splitlines() or [""])[-1]


def goes_on(command, disk, status=0):
    """Refused on a full disk and on one that cannot be written to; done where there is room."""
    place, again = disk
    for options in ("size=64k", "size=64k,ro"):
        again(options)
        code, text = said(command)
        assert code == 2
        assert any(words in text for words in ("No space left", "Read-only", "no space", "free")), text
    again("size=400m,rw")
    code, text = said(command)
    assert code == status, text


def test_diff(pairs, disk):  # noqa: F811
    place, _ = disk
    out = place / "out"
    goes_on(
        [sys.executable, "-m", "whatchanged", "diff", "--pairs", str(pairs), "--output-dir", str(out)], disk, status=1
    )
    assert len((out / "results.jsonl").read_text().splitlines()) == 40


def test_diff_on_dask(pairs, disk):  # noqa: F811
    place, _ = disk
    out = place / "out"
    filler = place / "filler"
    filler.write_bytes(bytes(60_000))
    command = [
        sys.executable,
        "-m",
        "whatchanged",
        "diff",
        "--pairs",
        str(pairs),
        "--workers",
        "1",
        "--output-dir",
        str(out),
    ]
    goes_on(command, disk, status=1)
    (part, *_) = sorted((out / many.RESULTS).glob("*.parquet"))
    assert parquet.read_table(part).num_rows > 0
    assert sum(parquet.read_table(one).num_rows for one in (out / many.RESULTS).glob("*.parquet")) == 40


def test_describe(pairs, disk, tmp_path):  # noqa: F811
    place, _ = disk
    (place / "filler").write_bytes(bytes(62_000))
    out = place / "results.json"
    command = [sys.executable, "-m", "whatchanged", "describe", "--model-path", str(describer(tmp_path / "model"))]
    command += ["--max-new-tokens", "5", "--input-dir", str(pairs), "--output-file", str(out)]
    goes_on(command, disk)
    assert len(json.loads(out.read_text())["pairs"]) == 40


def test_download(tmp_path, disk):
    place, _ = disk
    server = Server()
    server.files["data.zip"] = zipped(GOOD)
    (tmp_path / "data").symlink_to(place)
    command = [sys.executable, "download_and_unzip.py", "set", "--data-dir", str(tmp_path / "data")]
    goes_on([*command, "--registry", str(registry(tmp_path, server))], disk)
    assert_good(tmp_path)
    server.shutdown()
    server.server_close()
