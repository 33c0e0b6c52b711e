"""`whatchanged OLD NEW` of two folders or archives, as a user types it."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from support import save_picture

from whatchanged.__main__ import main
from whatchanged.commands import folders
from whatchanged.images import read_image

SCHEMA = json.loads((Path(folders.__file__).parents[1] / "result.schema.json").read_text())
GROUND = np.full((16, 24, 3), 200, np.uint8)


def picture(name, *boxes):
    """A gray picture with black boxes (x, y, width, height)."""
    made = GROUND.copy()
    for x, y, width, height in boxes:
        made[y : y + height, x : x + width] = 0
    save_picture(name, made)


@pytest.fixture
def two(tmp_path, monkeypatch):
    """Two folders with a pair that differs in 12 pixels, one that does not, one that is broken, and the rest."""
    monkeypatch.chdir(tmp_path)
    for side in ("old", "new"):
        picture(f"{side}/same.png", (1, 1, 3, 3))
        picture(f"{side}/deep/other.png", (1, 1, 3, 3), *([(10, 5, 4, 3)] if side == "new" else []))
        picture(f"{side}/broken.png")
    with open("new/broken.png", "r+b") as file:
        file.truncate(60)
    picture("old/gone.png", (2, 2, 2, 2))
    picture("new/come.png", (3, 3, 2, 2))
    picture("old/was.png", (4, 4, 2, 2))
    shutil.copyfile("old/was.png", "new/is.png")
    with open("old/notes.txt", "w") as file:
        file.write("notes")
    return tmp_path


SUMMARY = "3 pairs: 1 differ, 1 do not, 1 bad; 1 added, 1 removed, 1 renamed, 1 left out"


def lines_of(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


def test_each_file_that_differs_has_a_line(two, capsys):
    assert main(["old", "new"]) == 2
    out = capsys.readouterr().out.splitlines()
    (broken,) = [line for line in out if line.startswith("unreadable")]
    assert broken.startswith("unreadable old/broken.png: new/broken.png is")
    assert [line for line in out if line != broken] == [
        "changed old/deep/other.png: 1 region, similarity 0.9687 (exact)",
        "added new/come.png",
        "removed old/gone.png",
        "renamed old/was.png new/is.png",
        "left out old/notes.txt: no picture: its name ends with .txt",
        SUMMARY,
    ]


@pytest.mark.parametrize(
    ("files", "status"),
    [
        (["same.png"], 0),
        (["same.png", "notes.txt"], 0),
        (["same.png", "deep/other.png"], 1),
        (["same.png", "gone.png"], 1),
        (["same.png", "come.png"], 1),
        (["same.png", "was.png", "is.png"], 1),
        (["same.png", "deep/other.png", "broken.png"], 2),
    ],
)
def test_the_exit_status(two, files, status, capsys):
    for side in ("old", "new"):
        for file in files:
            if os.path.exists(f"{side}/{file}"):
                os.makedirs(os.path.dirname(f"{side}2/{file}"), exist_ok=True)
                shutil.copyfile(f"{side}/{file}", f"{side}2/{file}")
    assert main(["old2", "new2"]) == status
    assert main(["diff", "old2", "new2"]) == status


@pytest.mark.parametrize(("limit", "status"), [("11px", 1), ("12px", 0), ("3.1%", 1), ("3.2%", 0)])
def test_how_much_may_change_is_asked_of_each_pair(two, limit, status, capsys):
    """12 of 24 x 16 pixels are 3.125 %."""
    shutil.copyfile("old/broken.png", "new/broken.png")
    for name in ("old/gone.png", "new/come.png", "old/was.png", "new/is.png"):
        os.remove(name)
    assert main(["old", "new", "--fail-above", limit]) == status
    assert f"3 pairs: {status} differ, {3 - status} do not" in capsys.readouterr().out


def test_what_is_ignored_is_so_in_each_pair(two, capsys):
    main(["old", "new", "--ignore", "9,4,8,8"])
    assert "3 pairs: 0 differ, 2 do not, 1 bad" in capsys.readouterr().out
    made = np.full((16, 24), 255, np.uint8)
    made[4:12, 9:17] = 0
    save_picture("mask.png", made)
    main(["old", "new", "--mask", "mask.png"])
    assert "3 pairs: 0 differ, 2 do not, 1 bad" in capsys.readouterr().out


def test_every_file_is_in_one_record(two, capsys):
    assert main(["old", "new", "--output-dir", "out", "--json", "all.json"]) == 2
    assert capsys.readouterr().out == SUMMARY + "\n"
    records = lines_of("out/results.jsonl")
    with open("all.json") as file:
        whole = json.load(file)
    assert whole["results"] == records
    counts = {"pairs": 3, "differ": 1, "same": 1, "bad": 1, "added": 1, "removed": 1, "renamed": 1, "left out": 1}
    assert whole["summary"] == counts
    for record in records:
        jsonschema.validate(record, SCHEMA)
    without = {name: value for name, value in records[1].items() if name != "note"}
    assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(without)
    assert [(one["state"], one["before"], one["after"]) for one in records] == [
        ("compared", "old/broken.png", "new/broken.png"),
        ("added", None, "new/come.png"),
        ("compared", "old/deep/other.png", "new/deep/other.png"),
        ("removed", "old/gone.png", None),
        ("renamed", "old/was.png", "new/is.png"),
        ("left out", "old/notes.txt", None),
        ("compared", "old/same.png", "new/same.png"),
    ]
    (region,) = records[2]["regions"]
    assert [region[name] for name in ("x", "y", "width", "height")] == [10, 5, 4, 3]
    assert "new/broken.png" in records[0]["error"]
    assert not [name for one in records for name in one if name.startswith("_")]
    assert sorted(os.listdir("out")) == [".results.jsonl.lock", "3_other.png", "7_same.png", "results.jsonl"]
    assert read_image("out/3_other.png").shape[1] > 2 * GROUND.shape[1]
    assert [name for name in os.listdir(".") if name.endswith((".journal", ".part"))] == []


def test_json_on_standard_output_is_nothing_else(two, capsys):
    assert main(["old", "new", "--json", "-"]) == 2
    said = capsys.readouterr()
    assert len(json.loads(said.out)["results"]) == 7
    assert sorted(os.listdir(".")) == ["new", "old"]


def test_archives_are_as_folders(two, capsys):
    shutil.make_archive("old", "zip", "old")
    shutil.make_archive("new", "zip", ".", "new")
    assert main(["old.zip", "new.zip", "--output-dir", "out"]) == 2
    assert capsys.readouterr().out == SUMMARY + "\n"
    records = lines_of("out/results.jsonl")
    assert records[2]["after"] == "new.zip/new/deep/other.png"
    assert records[0]["error"].startswith("new.zip/new/broken.png is")
    assert not [one for one in records if "/tmp" in json.dumps(one)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["old", "new/come.png"], "old is a folder and new/come.png is not"),
        (["old", "absent"], "absent does not exist"),
        (["old", "-"], "- does not exist"),
        (["old"], "old is compared with nothing: give two folders, or --pairs old"),
        (["old", "old/deep"], "old/deep lies within old"),
        (["old", "new", "--output-dir", "old/out"], "old/out lies in old, which is compared"),
        (["old", "new", "--output-dir", "new"], "new, which is compared"),
        (["old", "new", "--json", "new/all.json"], "lies in new, which is compared"),
        (["old", "new", "--report", "new/all.html"], "lies in new, which is compared"),
        (["old", "new", "--report", "all"], "--report all: give a name that ends with .html"),
        (["old", "new", "--report", "taken.html"], "taken is to be a folder"),
        (["old", "new", "--report", "no/all.html"], "--report no/all.html: there is no folder no"),
        (["old", "new", "--json", "old"], "--json old is a folder"),
        (["old", "new", "--json", "x.html", "--report", "./x.html"], "would write the same file"),
        (["old", "new", "--output-dir", "taken"], "taken is to be a folder"),
        (["old", "new", "--output", "x.png"], "--output and --mask-output go with one pair"),
        (["old", "new", "--mask-output", "x.png"], "--output and --mask-output go with one pair"),
        (["old", "new", "--picture", "after"], "--picture goes with --output or --output-dir"),
        (["old", "new", "--pairs", "old"], "--pairs goes without BEFORE and AFTER"),
        (["old", "new", "--pair-pattern", "{id}_a", "{id}_b"], "two folders are compared by equal names"),
        (["old", "new", "--workers", "1"], "--workers and --scheduler go with --output-dir"),
        (["old", "new", "--workers", "1", "--output-dir", "o", "--json", "x"], "without --json, --report"),
        (["old", "new.zip", "--workers", "1", "--output-dir", "o"], "new.zip/broken.png lies in an archive: unpack it"),
        (["old", "new", "--fail-above", "much"], "--fail-above much: give a share"),
        (["--pairs", "pairs.csv", "--json", "pairs.csv"], "pairs.csv would be overwritten"),
        (["--pairs", "pairs.csv", "--output-dir", "."], "1_x.png would be overwritten"),
        (["--pairs", "pairs", "--output-dir", "pairs"], "pairs holds the pairs themselves"),
        (["--pairs", "pairs", "--output-dir", "pairs/after"], "pairs/after lies in pairs and holds pictures"),
        (["old", "new", "--mask", "m.png", "--json", "m.png"], "m.png would be overwritten"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_leaves_nothing(two, arguments, message, capsys):
    shutil.make_archive("new", "zip", "new")
    for name in ("x.png", "1_x.png", "m.png", "pairs/before/a.png", "pairs/after/a.png"):
        picture(name)
    with open("taken", "w"), open("pairs.csv", "w") as file:
        file.write("before,after\nx.png,1_x.png\n")

    def files():
        return {os.path.join(folder, name) for folder, _, names in os.walk(".") for name in names}

    before = files()
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert files() == before


def stopped_after(count, monkeypatch, arguments):
    """The command, stopped by the user after so many pairs; the names of those that were compared."""
    compare, done = folders.compare_pair, []

    def until(*given):
        if len(done) == count:
            raise KeyboardInterrupt
        done.append(given[3]["before"])
        return compare(*given)

    with monkeypatch.context() as patched:
        patched.setattr(folders, "compare_pair", until)
        main(arguments)
    return done


@pytest.mark.parametrize("where", [["--output-dir", "out"], ["--json", "all.json"]])
@pytest.mark.parametrize("names", [["old", "new"], ["old.zip", "new.zip"]])
def test_a_run_goes_on_where_it_was_stopped(two, where, names, monkeypatch, capsys):
    for name in ("old", "new"):
        shutil.make_archive(name, "zip", name)
    main([*names, where[0], "whole"])
    result = {"--json": "all.json", "--output-dir": "out/results.jsonl"}[where[0]]
    whole = Path("whole" + result.removeprefix("out").removeprefix("all.json")).read_text()
    arguments = [*names, *where]
    assert len(stopped_after(2, monkeypatch, arguments)) == 2
    assert not os.path.exists(result)
    capsys.readouterr()
    again = stopped_after(9, monkeypatch, arguments)
    assert again == [f"{names[0]}/broken.png", f"{names[0]}/same.png"], "what was bad is tried again"
    assert "3 pairs (1 by an earlier run): 1 differ, 1 do not, 1 bad; 1 added" in capsys.readouterr().out
    assert Path(result).read_text() == whole
    assert [name for name in os.listdir(".") if name.endswith((".journal", ".part"))] == []


def test_a_file_that_is_another_one_is_compared_again_however_old_it_is(two, monkeypatch):
    """As a copy that keeps its time, or one that came while the run went on."""
    arguments = ["old", "new", "--output-dir", "out"]
    stopped_after(2, monkeypatch, arguments)
    os.utime("old/deep/other.png", (1000, 1000))
    shutil.copy2("old/deep/other.png", "new/deep/other.png")
    assert "old/deep/other.png" in stopped_after(9, monkeypatch, arguments)
    assert [one["regions"] for one in lines_of("out/results.jsonl") if one["name"] == "deep/other.png"] == [[]]


def test_a_mask_that_changed_counts(two, monkeypatch):
    save_picture("mask.png", np.full((16, 24), 255, np.uint8))
    arguments = ["old", "new", "--output-dir", "out", "--mask", "mask.png"]
    stopped_after(2, monkeypatch, arguments)
    time.sleep(0.02)
    made = np.full((16, 24), 255, np.uint8)
    made[4:12, 9:17] = 0
    save_picture("mask.png", made)
    assert "old/deep/other.png" in stopped_after(9, monkeypatch, arguments)


def test_a_picture_of_another_pair_is_not_taken_for_ones_own(tmp_path, monkeypatch):
    """Numbers move where a file came; both pairs have the same stem."""
    monkeypatch.chdir(tmp_path)
    for side in ("old", "new"):
        picture(f"{side}/b/x.png", (1, 1, 3, 3))
        picture(f"{side}/c/x.png", (9, 9, 3, 3))
        picture(f"{side}/d/x.png", (9, 9, 3, 3))
    arguments = ["old", "new", "--output-dir", "out"]
    stopped_after(2, monkeypatch, arguments)
    for side in ("old", "new"):
        picture(f"{side}/a/x.png", (15, 5, 3, 3))
    assert main(arguments) == 0
    names = ["1_x.png", "2_x.png", "3_x.png", "4_x.png"]
    assert [name for name in sorted(os.listdir("out")) if name.endswith(".png")] == names
    boxes = [(15, 5), (1, 1), (9, 9), (9, 9)]
    for name, (x, y) in zip(names, boxes, strict=True):
        drawn = read_image(f"out/{name}")
        top = (drawn.shape[0] - 16) // 2 if drawn.shape[0] > 16 else 0
        assert (drawn[:, :24].min(axis=2) < 60).any()
        assert drawn[top + y + 1, x + 1].max() < 60


def test_two_runs_at_once_are_told_apart(two, capsys):
    from whatchanged.files import alone

    os.mkdir("out")
    with alone(two / "out" / "results.jsonl", two / "out" / ".results.jsonl.lock"):
        assert main(["old", "new", "--output-dir", "out"]) == 2
    assert "is being written by another run" in capsys.readouterr().err


def test_pairs_need_no_output(two, capsys):
    picture("p/x_before.png"), picture("p/x_after.png", (5, 5, 4, 4)), picture("p/alone.png")
    assert main(["--pairs", "p"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "changed p/x_before.png p/x_after.png: 1 region, similarity 0.9583 (exact)",
        "left out p/alone.png: its name matches no rule, as x_before and x_after, x_1 and x_2, x and x_2, x-a and x-b,"
        " 1a and 1b, x_temp and x_test, before/x and after/x",
        "1 pair: 1 differ, 0 do not, 0 bad; 1 left out",
    ]


def test_a_partner_that_is_missing_is_trouble(two, capsys):
    picture("p/x_before.png"), picture("p/x_after.png"), picture("p/y_before.png")
    assert main(["--pairs", "p"]) == 2
    assert "left out p/y_before.png: there is no y_after.png" in capsys.readouterr().out


def test_what_a_run_wrote_among_the_pairs_is_no_picture_of_the_next(two, capsys):
    picture("p/x_before.png"), picture("p/x_after.png", (5, 5, 4, 4))
    for _ in range(2):
        assert main(["--pairs", "p", "--output-dir", "p/out", "--json", "p/all.json"]) == 1
        assert capsys.readouterr().out == "1 pair: 1 differ, 0 do not, 0 bad\n"
    assert os.path.exists("p/out/1_x_before.png")


def test_a_pattern(two, capsys):
    picture("p/1_temp.png"), picture("p/1_test.png", (5, 5, 4, 4)), picture("p/2_was.png"), picture("p/2_is.png")
    assert main(["--pairs", "p", "--pair-pattern", "{id}_was", "{id}_is"]) == 0
    assert "1 pair: 0 differ, 1 do not, 0 bad; 2 left out" in capsys.readouterr().out


def test_names_that_cannot_be_printed_are_escaped(two, capsys):
    for name in ("old", "new"):
        shutil.rmtree(name)
        picture(f"{name}/same.png")
    picture("new/two\nlines.png")
    with open(b"new/\xff.png", "w"):
        pass
    assert main(["old", "new", "--output-dir", "out"]) == 2
    assert main(["old", "new"]) == 2
    assert "added new/two\\nlines.png" in capsys.readouterr().out.splitlines()
    with open("out/results.jsonl", encoding="utf-8") as file:
        assert "\\ud" not in file.read().replace("\\\\ud", "")


@pytest.mark.process
def test_two_folders_on_a_cluster(two, capsys):
    assert main(["old", "new", "--output-dir", "out", "--workers", "1"]) == 2
    assert SUMMARY in capsys.readouterr().out
    assert [one["state"] for one in lines_of("out/unpaired.jsonl")] == ["added", "removed", "renamed", "left out"]


def test_a_report_has_a_page_a_pair_and_one_over_all(two, monkeypatch, capsys):
    pytest.importorskip("whatchanged.report")
    assert main(["old", "new", "--report", "whole.html"]) == 2
    stopped_after(2, monkeypatch, ["old", "new", "--report", "all &.html"])
    assert not os.path.exists("all &.html")
    assert main(["old", "new", "--report", "all &.html"]) == 2
    assert "1 by an earlier run" in capsys.readouterr().out
    assert sorted(os.listdir("all &")) == sorted(os.listdir("whole")) == ["3_other.html", "7_same.html"]
    index, whole = (Path(name).read_text(encoding="utf-8") for name in ("all &.html", "whole.html"))
    assert index.replace("all%20%26/", "whole/") == whole, "with the small pictures of the earlier run"
    assert index.count("data:image/") >= 8
    assert "all%20%26/3_other.html" in index
    assert "../all%20%26.html" in Path("all &/3_other.html").read_text(encoding="utf-8")
    for name in ("come.png", "gone.png", "is.png", "notes.txt", "broken.png"):
        assert name in index
    assert not [name for name in os.listdir(".") if name.endswith((".journal", ".part"))]
