"""`whatchanged diff` as a user types it: exit status, files, sentences."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from PIL import Image
from support import ROOT

from helpers import evaluation
from helpers.nuisances import CONDITIONS
from helpers.photographs import photo_pair, photograph
from whatchanged.__main__ import main
from whatchanged.commands import diff, folders
from whatchanged.images import read_image


@pytest.fixture
def files(tmp_path):
    pair = photo_pair(2, name="coffee", edits=(2, 2), nuisance=CONDITIONS["shift 2 px"])
    for name, image in (("before", pair.before), ("after", pair.after)):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG no more")
    return tmp_path, pair


def test_differences(files, capsys):
    folder, pair = files
    arguments = ["diff", str(folder / "before.png"), str(folder / "after.png")]
    assert main([*arguments, "--output", str(folder / "changes.png"), "--json", str(folder / "changes.json")]) == 1
    out = capsys.readouterr().out
    assert out.startswith("similarity 0.9")
    record = json.loads((folder / "changes.json").read_text())
    added = ["changed_pixels", "changed_share", "uncompared_share", "transform"]
    assert list(record) == ["before", "after", "method", "kind", "similarity", *added, "note", "regions"]
    names = ["x", "y", "width", "height", "area", "strength", "what", "after", "page"]
    assert all(list(region) == names for region in record["regions"])
    assert record["kind"] == "camera"
    boxes = np.array([[r["x"], r["y"], r["width"], r["height"]] for r in record["regions"]])
    assert evaluation.score_boxes([(boxes, pair.boxes)]).f1 == 1
    assert f"x={boxes[0][0]} y={boxes[0][1]}" in out
    assert read_image(folder / "changes.png").shape[0] == pair.before.shape[0]
    assert not list(folder.glob("*.part"))


@pytest.fixture
def page(tmp_path):
    """A page of twelve lines, and the box of the sixth in it."""
    made = np.full((260, 300, 3), 255, np.uint8)
    rng = np.random.default_rng(0)
    for line in range(12):
        letters = np.repeat(np.repeat(rng.random((5, 80)) < 0.5, 2, axis=0), 2, axis=1)
        letters[0, [0, -1]] = letters[-1, [0, -1]] = True
        made[10 + 20 * line : 20 + 20 * line, 20:180][letters] = 0
    return made, (20, 110, 160, 10)


def said_of(folder, capsys, before, after, *options):
    """What the command prints of two arrays, a line each, and its exit status."""
    for name, array in (("before", before), ("after", after)):
        Image.fromarray(array).save(folder / f"{name}.png")
    status = main(["diff", str(folder / "before.png"), str(folder / "after.png"), *options])
    return status, capsys.readouterr().out.splitlines()


def test_a_line_that_is_gone_is_one_region(page, tmp_path, capsys):
    before, (x, y, width, height) = page
    after = np.concatenate([before[:110], before[130:], np.full((20, 300, 3), 255, np.uint8)])
    status, lines = said_of(tmp_path, capsys, before, after)
    assert status == 1
    assert re.fullmatch(r"similarity 0\.\d{4} \(tolerant, layout\)", lines[0])
    assert lines[1].startswith(f"1: removed x={x} y={y} width={width} height={height} ")
    assert len(lines) == 2


def test_what_moved_says_where_to(page, tmp_path, capsys):
    before = page[0].copy()
    before[3:8, 220:260] = (200, 30, 30)
    before[3:8, 230:235] = (30, 30, 200)
    after = page[0].copy()
    after[200:205, 240:280] = before[3:8, 220:260]
    status, lines = said_of(tmp_path, capsys, before, after)
    assert status == 1
    assert lines[0].endswith("(tolerant, exact)")
    assert re.fullmatch(r"1: moved x=220 y=3 width=40 height=5 to x=240 y=200 area=400 strength=\d\.\d\d", lines[1])
    assert len(lines) == 2


@pytest.mark.parametrize(("size", "status"), [("pad", 1), ("crop", 0)])
def test_pictures_of_two_sizes_need_no_switch(page, tmp_path, capsys, size, status):
    made, lines = said_of(tmp_path, capsys, page[0], page[0][:150], "--size", size)
    assert made == status
    assert lines[0] == ("similarity 1.0000 (tolerant, exact)" if status == 0 else lines[0])
    assert ("removed" in lines[1]) == (status == 1)


def test_the_kind_may_be_said(page, tmp_path, capsys):
    after = page[0].copy()
    after[200, 200] = (250, 255, 255)
    assert said_of(tmp_path, capsys, page[0], after)[0] == 1
    status, lines = said_of(tmp_path, capsys, page[0], after, "--kind", "camera")
    assert status == 0
    assert lines[0].endswith("(tolerant, camera)")


def test_every_page_is_compared_and_named(page, tmp_path, capsys):
    made, after = Image.fromarray(page[0]), page[0].copy()
    after[200:210, 250:270] = 0
    for name, pages in (("before", [made, made, made]), ("after", [made, Image.fromarray(after), made])):
        pages[0].save(tmp_path / f"{name}.tif", save_all=True, append_images=pages[1:])
    names = [str(tmp_path / f"{name}.tif") for name in ("before", "after")]
    assert main(["diff", *names, "--json", str(tmp_path / "out.json")]) == 1
    assert "1: page=2 added x=250 y=200 width=20 height=10 area=200 " in capsys.readouterr().out
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["pages"] == 3
    assert [region["page"] for region in record["regions"]] == [2]


def test_a_note_says_what_the_regions_do_not(tmp_path, capsys):
    """Colors of 16 bits, of which Pillow keeps 8."""
    deep = np.full((30, 40, 3), 30000, np.uint16)
    for name, color in (("before", 30000), ("after", 30001)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.where(deep > 0, color, deep).astype(np.uint16))
    assert main(["diff", str(tmp_path / "before.png"), str(tmp_path / "after.png")]) == 0
    assert "only the upper 8 bits of its 16-bit colors are compared" in capsys.readouterr().out.splitlines()[-1]


def test_no_difference(files, capsys):
    folder, _ = files
    assert main(["diff", str(folder / "before.png"), str(folder / "before.png")]) == 0
    assert "no difference" in capsys.readouterr().out


@pytest.mark.parametrize("method", ["pixel", "ssim"])
def test_classic_methods_and_align(files, method, capsys):
    folder, _ = files
    arguments = ["diff", str(folder / "before.png"), str(folder / "after.png"), "--method", method]
    assert main(arguments) == 1
    plain = float(capsys.readouterr().out.split()[1])
    assert main([*arguments, "--set", "align=true"]) == 1
    assert float(capsys.readouterr().out.split()[1]) > plain


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["before.png", "broken.png"], "broken.png is"),
        (["before.png", "absent.png"], "absent.png does not exist"),
        (["before.png"], "give two image files"),
        (["before.png", "after.png", "--pairs", "x"], "--pairs goes without BEFORE and AFTER"),
        (["before.png", "after.png", "--output-dir", "x"], "--output-dir goes with --pairs"),
        (["before.png", "after.png", "--json", "nowhere/x.json"], "there is no folder nowhere, make it first"),
        (["before.png", "after.png", "--sensitivity", "0"], "sensitivity is 0.0"),
        (["before.png", "after.png", "--picture", "after"], "--picture goes with --output"),
        (["--pairs", "x", "--output-dir", "x", "--workers", "1", "--picture", "after"], "--picture goes with --output"),
        (["--pairs", "absent.csv", "--output-dir", "x"], "absent.csv does not exist"),
    ],
)
def test_trouble_is_one_sentence(files, arguments, message, capsys, monkeypatch):
    folder, _ = files
    monkeypatch.chdir(folder)
    assert main(["diff", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (folder / "nowhere").exists()


def test_the_after_picture_alone(files, tmp_path):
    folder, pair = files
    arguments = ["diff", str(folder / "before.png"), str(folder / "after.png"), "--output"]
    assert main([*arguments, str(tmp_path / "both.png")]) == 1
    assert main([*arguments, str(tmp_path / "one.png"), "--picture", "after"]) == 1
    both, one = (read_image(tmp_path / name) for name in ("both.png", "one.png"))
    assert one.shape == pair.after.shape
    assert np.array_equal(one, both[:, -one.shape[1] :])  # the right half of both
    assert not np.array_equal(one, pair.after)  # boxed


def test_many_pairs_go_on_after_a_bad_one(files, capsys):
    folder, _ = files
    (folder / "pairs.csv").write_text(
        "before,after\nbefore.png,after.png\nbefore.png,broken.png\nbefore.png,before.png\n"
    )
    arguments = ["diff", "--pairs", str(folder / "pairs.csv"), "--output-dir", str(folder / "out")]
    assert main(arguments) == 2
    lines = [json.loads(line) for line in (folder / "out" / "results.jsonl").read_text().splitlines()]
    assert len(lines[0]["regions"]) == 2
    assert "regions" not in lines[1]
    assert "broken.png" in lines[1]["error"]
    assert lines[2]["regions"] == []
    assert len(list((folder / "out").glob("*.png"))) == 2
    assert "3 pairs: 1 differ, 1 do not, 1 bad" in capsys.readouterr().out


def test_a_folder_of_pairs(tmp_path):
    image = photograph("coffee")[:80, :80]
    for name in ("1.png", "1_2.png", "x_before.png", "x_after.png"):
        Image.fromarray(image).save(tmp_path / name)
    assert main(["diff", "--pairs", str(tmp_path), "--output-dir", str(tmp_path / "out")]) == 0
    assert len((tmp_path / "out" / "results.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["before.png", "after.png"], ["--help"]])
def test_a_reader_that_has_enough_is_no_trouble(files, arguments, unbuffered):
    """`whatchanged diff before.png after.png | head -0`"""
    command = [sys.executable, "-m", "whatchanged", "diff", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
    end, pipe = os.pipe()
    os.close(end)
    done = subprocess.run(command, cwd=files[0], env=environment, stdout=pipe, stderr=subprocess.PIPE, check=False)
    os.close(pipe)
    assert done.stderr == b""
    assert done.returncode == 141 or "--help" in arguments


def test_another_broken_pipe_is_told(files, capsys, monkeypatch):
    """As of a connection to a cluster."""

    def fail(*_):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(diff, "compare_pair", fail)
    assert main(["diff", "a.png", "b.png"]) == 2
    assert capsys.readouterr().err == "whatchanged: [Errno 32] Broken pipe\n"


def test_from_a_shell(files):
    folder, _ = files
    command = [sys.executable, "-m", "whatchanged", "diff", str(folder / "before.png"), str(folder / "after.png")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == ""
    done = subprocess.run([*command[:-2], "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for option in ("--method", "--output", "--json", "--pairs", "--output-dir", "Exit status"):
        assert option in done.stdout


@pytest.fixture
def many(tmp_path):
    """Three pairs, of which the middle one differs; and the command that compares them."""
    before = photograph("coffee")[:80, :100]
    other = before.copy()
    other[20:50, 30:70] = 0
    for number, after in enumerate((before, other, before), start=1):
        Image.fromarray(before).save(tmp_path / f"x{number}_before.png")
        Image.fromarray(after).save(tmp_path / f"x{number}_after.png")
    out = tmp_path / "out"
    return tmp_path, out, ["diff", "--pairs", str(tmp_path), "--output-dir", str(out), "--set", "align=false"]


def stopped_after(count, monkeypatch, arguments):
    """The command, stopped by the user after so many pairs."""
    compare, done = folders.compare_pair, []

    def until(*given):
        if len(done) == count:
            raise KeyboardInterrupt
        done.append(given)
        return compare(*given)

    with monkeypatch.context() as patched:
        patched.setattr(folders, "compare_pair", until)
        assert main(arguments) == 2


def records(out):
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


def test_many_pairs_go_on_where_they_were_stopped(many, monkeypatch, capsys):
    folder, out, arguments = many
    stopped_after(2, monkeypatch, arguments)
    assert not (out / "results.jsonl").exists()
    capsys.readouterr()
    assert main(arguments) == 1
    assert "3 pairs (2 by an earlier run): 1 differ, 2 do not, 0 bad" in capsys.readouterr().out
    assert [len(one["regions"]) for one in records(out)] == [0, 1, 0]
    assert sorted(path.name for path in out.glob("*.png")) == ["1_x1_before.png", "2_x2_before.png", "3_x3_before.png"]
    assert main(arguments) == 1
    assert "3 pairs: 1 differ" in capsys.readouterr().out, "after a run that finished it begins anew"


def test_a_picture_that_changed_is_compared_again(many, monkeypatch):
    """Also where the run was stopped a second time, before it came to that pair."""
    folder, out, arguments = many
    stopped_after(2, monkeypatch, arguments)
    time.sleep(0.05)
    shutil.copyfile(folder / "x2_before.png", folder / "x2_after.png")
    stopped_after(0, monkeypatch, arguments)
    assert main(arguments) == 0
    assert [len(one["regions"]) for one in records(out)] == [0, 0, 0]


def test_a_picture_that_is_missing_is_drawn_again(many, monkeypatch):
    _, out, arguments = many
    stopped_after(2, monkeypatch, [*arguments[:2], str(numbered(many, "123")), *arguments[3:]])
    assert {path.name for path in out.glob("*.png")} == {"1_x1_before.png", "2_x2_before.png"}
    (out / "1_x1_before.png").unlink()
    table = numbered(many, "132")  # the second has another number now, and so a picture of another name
    assert main([*arguments[:2], str(table), *arguments[3:]]) == 1
    names = {path.name for path in out.glob("*.png")}
    assert {"1_x1_before.png", "2_x3_before.png", "3_x2_before.png"} <= names


def numbered(many, order):
    """A CSV file of the pairs in this order, twice the last."""
    table = many[0] / f"{order}.csv"
    rows = [f"x{number}_before.png,x{number}_after.png" for number in order + order[-1]]
    table.write_text("before,after\n" + "\n".join(rows) + "\n")
    return table


def test_a_pair_that_comes_twice_is_compared_once_and_told_twice(many, capsys):
    _, out, arguments = many
    assert main([*arguments[:2], str(numbered(many, "132")), *arguments[3:]]) == 1
    assert "4 pairs: 2 differ, 2 do not, 0 bad" in capsys.readouterr().out
    assert [len(one["regions"]) for one in records(out)] == [0, 0, 1, 1]
    assert len(list(out.glob("*.png"))) == 3


def test_another_method_does_not_go_on_with_what_was_begun(many, monkeypatch, capsys):
    _, out, arguments = many
    stopped_after(1, monkeypatch, arguments)
    capsys.readouterr()
    assert main([*arguments, "--method", "ssim"]) == 2
    assert "results.jsonl.journal was begun with method 'tolerant', not 'ssim'" in capsys.readouterr().err


def test_what_an_earlier_version_began_is_told_apart(many, capsys):
    _, out, arguments = many
    about = {"method": "tolerant", "align": False, "resize": False, "sensitivity": 1.0, "weights": None}
    out.mkdir()
    (out / "results.jsonl.journal").write_text(json.dumps(about | {"picture": None}) + "\n")
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "results.jsonl.journal was begun by another version, which did not know normalize and" in line
