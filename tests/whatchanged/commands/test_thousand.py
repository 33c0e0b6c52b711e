"""A thousand pairs in nested folders with all kinds of trouble: every file once, also where the run is killed."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import unicodedata
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import ROOT

from whatchanged.__main__ import main
from whatchanged.pairs import searched

PAIRS, KILLS = 1000, 10


def picture(seed, *boxes):
    """A small picture of a color of its own with black boxes (x, y, width, height)."""
    made = np.full((16, 24, 3), np.random.default_rng(seed).integers(90, 255, 3), np.uint8)
    for x, y, width, height in boxes:
        made[y : y + height, x : x + width] = 0
    return Image.fromarray(made)


def as_file(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_of(width, height):
    """A PNG file of which only the header is there."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


class Trees:
    """Two folders `old` and `new`, and what must be said of each file in them."""

    def __init__(self):
        self.truth = {}  # (before, after) -> state, a part of what is said
        self.kinds = 0

    def write(self, name, data):
        path = os.fsencode(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)

    def both(self, name, old, new, said="", regions=None):
        self.kinds += 1
        self.write(f"old/{name}", old)
        self.write(f"new/{name}", new)
        self.truth[f"old/{name}", f"new/{name}"] = "compared", said, regions

    def one(self, side, name, data, state, said="", shown=None):
        self.kinds += 1
        if data is not None:
            self.write(f"{side}/{name}", data)
        file = f"{side}/{shown or name}"
        self.truth[(file, None) if side == "old" else (None, file)] = state, said, None

    def plain(self, count):
        """Pairs in folders up to four deep; every seventh differs in one box."""
        for number in range(count):
            name = "/".join(f"{part}" for part in (f"s{number % 7}", f"t{number % 5}", f"u{number % 3}"))
            name = f"{name[: 2 + 3 * (number % 3)]}/p{number:04}.png"
            old = as_file(picture(number, (3, 3, 4, 4)))
            boxes = [(3, 3, 4, 4), (12, 6, 5, 4)] if number % 7 == 0 else [(3, 3, 4, 4)]
            self.both(name, old, as_file(picture(number, *boxes)), regions=int(number % 7 == 0))
        self.kinds = 0

    def trouble(self):
        """Everything that people's folders hold beside."""
        fine, other = as_file(picture(1)), as_file(picture(1, (2, 2, 3, 3)))
        jpeg = as_file(picture(2), "JPEG")
        self.both("t/empty.png", fine, b"", "new/t/empty.png is empty")
        self.both("t/empty both.png", b"", b"", "is empty")
        self.both(
            "t/cut.png", as_file(picture(3, (5, 5, 9, 9))), as_file(picture(3, (5, 5, 9, 9)))[:60], "new/t/cut.png"
        )
        self.both("t/cut.jpg", jpeg[: len(jpeg) // 2], jpeg, "old/t/cut.jpg")
        self.both("t/text.png", b"no picture at all", fine, "old/t/text.png is not an image")
        self.both("t/page.jpg", jpeg, b"<!DOCTYPE html><html>404</html>", "new/t/page.jpg is a web page")
        self.both("t/report.png", fine, b"%PDF-1.7 ...", "new/t/report.png is a PDF file")
        self.both("t/pointer.png", fine, b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS")
        self.both("t/x.heic", b"\0\0\0\x18ftypheic" + b"\0" * 32, b"\0\0\0\x18ftypheic" + b"\1" * 32, "HEIC")
        self.both("t/x.NEF", b"MM\0*" + b"\0" * 40, fine, "raw file")
        self.both("t/no pixels.png", png_of(0, 0), fine, "old/t/no pixels.png")
        self.both("t/bomb.png", fine, png_of(60000, 60000), "new/t/bomb.png")
        self.both("t/wrong ending.png", jpeg, jpeg, regions=0)
        self.both(
            "t/cmyk.jpg", as_file(picture(4).convert("CMYK"), "JPEG"), as_file(picture(4).convert("CMYK"), "JPEG")
        )
        deep = Image.fromarray((np.arange(16 * 24).reshape(16, 24) * 100).astype(np.uint16))
        self.both("t/deep.png", as_file(deep), as_file(deep), regions=0)
        self.both("t/gray.png", as_file(picture(5).convert("L")), as_file(picture(5).convert("L")), regions=0)
        self.both("t/alpha.png", as_file(picture(5).convert("RGBA")), as_file(picture(5)), regions=0)
        self.both("t/palette.png", as_file(picture(5).quantize(4)), as_file(picture(5).quantize(4)), regions=0)
        self.both("t/bilevel.tif", *[as_file(picture(5).convert("1"), "TIFF")] * 2, regions=0)
        frames = [picture(6, (2 * n, 2, 4, 4)) for n in range(3)]
        self.both("t/moving.gif", *[as_file(frames[0], "GIF", save_all=True, append_images=frames[1:])] * 2, regions=0)
        pages = [as_file(picture(7), "TIFF", save_all=True, append_images=[picture(7)] * n) for n in (2, 1)]
        self.both("t/pages.tif", *pages, regions=1)
        self.both(
            "t/sizes.png", as_file(picture(8, (2, 2, 9, 9))), as_file(picture(8, (2, 2, 9, 9)).crop((0, 0, 24, 12)))
        )
        self.both("t/one pixel.png", *[as_file(Image.new("RGB", (1, 1)))] * 2, regions=0)
        self.both("t/LOUD.PNG", fine, other, regions=1)
        self.both("t/twice 1.png", fine, fine, regions=0)
        self.both("t/twice 2.png", fine, fine, regions=0)
        self.both("t/two\nlines.png", fine, fine, regions=0)
        self.both(f"t/{'l' * 250}.png", fine, other, regions=1)
        self.both("t/-100%&<b>.png", fine, fine, regions=0)
        self.both("t/日本語.png", fine, other, regions=1)
        self._links(fine)
        self._alone(fine, other, jpeg)
        for name in (
            "._t.png",
            "t/._LOUD.PNG",
            "__MACOSX/t/x.png",
            ".DS_Store",
            "t/Thumbs.db",
            ".git/x.png",
            "t/.x.png",
        ):
            self.kinds += 1
            self.write(f"old/{name}", fine)

    def _links(self, fine):
        self.both("t/lost.png", fine, fine, "old/t/lost.png does not exist")
        os.remove("old/t/lost.png")
        os.symlink("nowhere.png", "old/t/lost.png")
        self.both("t/self.png", fine, fine, "old/t/self.png")
        os.remove("old/t/self.png")
        os.symlink("self.png", "old/t/self.png")
        self.both("t/linked.png", fine, fine, regions=0)
        os.remove("new/t/linked.png")
        os.symlink("LOUD.PNG", "new/t/linked.png")
        self.truth["old/t/linked.png", "new/t/linked.png"] = "compared", "", 1
        self.both("t/pipe.png", fine, fine, "new/t/pipe.png is not a file")
        os.remove("new/t/pipe.png")
        os.mkfifo("new/t/pipe.png")
        os.symlink("nowhere.png", "new/t/lost alone.png")
        self.one("new", "t/lost alone.png", None, "left out", "the link leads nowhere")
        os.symlink("..", "old/t/loop")
        self.one("old", "t/loop", None, "left out", "a folder that it lies in")
        if os.geteuid():  # root may read everything
            self.both("t/closed.png", fine, fine, "Permission denied")
            os.chmod("new/t/closed.png", 0)

    def _alone(self, fine, other, jpeg):
        self.one("old", "t/gone.png", as_file(picture(20)), "removed")
        self.one("new", "t/come.png", as_file(picture(21)), "added")
        self.one("new", "only/here/come.png", as_file(picture(22)), "added")
        self.write("old/t/was.png", as_file(picture(23)))
        self.write("new/elsewhere/is.png", as_file(picture(23)))
        self.truth["old/t/was.png", "new/elsewhere/is.png"] = "renamed", "", None
        for name, data in (("same 1", 24), ("same 2", 24)):
            self.one("new", f"t/{name}.png", as_file(picture(data)), "added")
        self.one("old", "t/ending.png", other, "removed", "new/t/ending.jpg ends otherwise")
        self.one("new", "t/ending.jpg", jpeg, "added", "old/t/ending.png ends otherwise")
        self.one("old", "t/Case.png", as_file(picture(25)), "removed", "new/t/case.png differs only in capitals")
        self.one("new", "t/case.png", as_file(picture(26)), "added", "old/t/Case.png differs only in capitals")
        composed, apart = (unicodedata.normalize(form, "t/ä.png") for form in ("NFC", "NFD"))
        self.one("old", composed, as_file(picture(27)), "removed", "form of Unicode")
        self.one("new", apart, as_file(picture(28)), "added", "form of Unicode")
        self.one("old", "t/empty alone.png", b"", "removed")
        self.one("new", "t/folder.png", fine, "added", "old/t/folder.png is a folder")
        self.one("old", "t/folder.png", None, "left out", "it is a folder")
        self.both("t/in.png/x.png", fine, fine, regions=0)
        for side in ("old", "new"):
            self.one(side, "t/in.png", None, "left out", "it is a folder")
        os.mkdir("old/t/folder.png")
        os.mkdir("old/t/empty folder")
        self.one("old", "t/notes.txt", b"notes", "left out", "no picture: its name ends with .txt")
        self.one("new", "t/README", b"notes", "left out", "no picture: its name has no ending")
        self.one("old", "t/x.png.bak", fine, "left out", "no picture: its name ends with .bak")
        self.one("new", "t/all.zip", b"PK\5\6" + b"\0" * 18, "left out", "no picture: its name ends with .zip")
        self.one("old", "t/\udcff.png", fine, "left out", "its name is no UTF-8", shown="t/\\udcff.png")


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    folder, here = tmp_path_factory.mktemp("thousand"), os.getcwd()
    os.chdir(folder)
    made = Trees()
    made.plain(PAIRS)
    made.trouble()
    yield made
    os.chdir(here)


def on_disk():
    """Every name below `old` and `new` that is no plain folder, found without the code under test."""
    for side in (b"old", b"new"):
        for folder, folders, files in os.walk(side):
            folders[:] = [name for name in folders if not name.startswith((b".", b"__"))]
            links = [name for name in folders if os.path.islink(os.path.join(folder, name)) or name.endswith(b".png")]
            for name in (*files, *links):
                if not (name.startswith(b".") or name == b"Thumbs.db"):
                    yield os.path.join(folder, name).decode("utf-8", "backslashreplace").replace("\\xff", "\\udcff")


def records(out):
    return [json.loads(line) for line in Path(out, "results.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.process
def test_every_file_is_told_once_with_its_state(trees, capsys):
    assert trees.kinds >= 30
    assert main(["old", "new", "--output-dir", "whole"]) == 2
    found = records("whole")
    told = [one[side] for one in found for side in ("before", "after") if one[side]]
    assert sorted(told) == sorted(on_disk())
    assert {(one["before"], one["after"]) for one in found} == set(trees.truth)
    for one in found:
        state, said, regions = trees.truth[one["before"], one["after"]]
        assert one["state"] == state, one
        assert said in one.get("error", "") + one.get("note", ""), one
        assert ("error" in one) == bool(said and (state == "compared" or "link leads nowhere" in said or "UTF" in said))
        if regions is not None:
            assert len(one["regions"]) == regions, one
    counts = {state: sum(one["state"] == state for one in found) for state in ("added", "removed", "renamed")}
    pairs = sum(one["state"] == "compared" for one in found)
    out = capsys.readouterr().out
    assert f"{pairs} pairs: " in out
    assert "{added} added, {removed} removed, {renamed} renamed".format_map(counts) in out


@pytest.mark.process
def test_killed_ten_times_the_outcome_is_that_of_an_unbroken_run(trees):
    if not os.path.isdir("whole"):
        main(["old", "new", "--output-dir", "whole"])
    command = [sys.executable, "-m", "whatchanged", "old", "new", "--output-dir", "broken"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    rng, journal, kept = np.random.default_rng(0), Path("broken/results.jsonl.journal"), []
    for _ in range(KILLS):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not (kept and kept[-1] < _lines(journal) or not kept and _lines(journal)):
            time.sleep(0.02)  # until it compares
        time.sleep(rng.uniform(0, 0.15))
        process.kill()
        assert process.wait() == -signal.SIGKILL, "it had ended before it was killed"
        assert not os.path.exists("broken/results.jsonl")
        for name in os.listdir("broken"):
            if name.endswith(".png"):
                Image.open(f"broken/{name}").load()
        kept.append(_lines(journal))
    assert kept == sorted(kept)
    assert 0 < kept[0] < kept[-1] <= len(records("whole"))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    earlier = int(done.stdout.split(" pairs (")[1].split(" by an earlier run")[0])
    assert kept[-1] - 40 < earlier <= kept[-1], "all that was kept but what was bad"
    assert Path("broken/results.jsonl").read_bytes() == Path("whole/results.jsonl").read_bytes()
    assert sorted(os.listdir("broken")) == sorted(os.listdir("whole"))
    for name in os.listdir("whole"):
        assert Path("broken", name).read_bytes() == Path("whole", name).read_bytes()
    shutil.rmtree("broken")


def _lines(path):
    return path.read_bytes().count(b"\n") if path.is_file() else 0


@pytest.mark.process
def test_as_pairs_by_name_each_file_is_told_once_too(trees):
    for name in ("a_1.png", "a_2.png", "a.png", "b_before.png", "b_after.png", "B_after.png", "c-a.png", "c-b.jpg"):
        trees.write(f"old/names/{name}", b"")
    with searched("old") as items:
        names = [file.name for item in items for file in item.files]
    assert sorted(names) == sorted(name for name in on_disk() if name.startswith("old/"))
    shutil.rmtree("old/names")
