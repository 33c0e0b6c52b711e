"""Many pairs as the page takes them: laid out, paired, compared and written; no path of the server is told."""

from __future__ import annotations

import csv
import json
import zipfile

import numpy as np
import pytest
import tiny_models
from support import save_picture

from helpers import scenes
from whatchanged.detection import detect
from whatchanged.page import batch
from whatchanged.page.comparing import Models, Settings
from whatchanged.report import index_fragment

NO_MODELS = Models("nowhere", "nowhere")


def plain(path):
    return save_picture(path, np.zeros((8, 8, 3), np.uint8))


def test_uploads_are_laid_out(tmp_path, monkeypatch):
    one = plain(tmp_path / "a" / "x.png")
    two = plain(tmp_path / "b" / "x.png")
    three = plain(tmp_path / "c" / "x_2.png")
    assert {path.name for path in batch.lay_out([one, three], tmp_path / "1").iterdir()} == {"x.png", "x_2.png"}
    with pytest.raises(ValueError, match=r"two files are called x.png"):
        batch.lay_out([one, two], tmp_path / "2")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(one, "mine/before/x.png")
        archive.write(two, "mine/after/x.png")
        archive.writestr("__MACOSX/mine/x", "")
    folder = batch.lay_out([tmp_path / "all.zip"], tmp_path / "3")
    assert folder == tmp_path / "3" / "mine"
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("../outside.png", "x")
    with pytest.raises(ValueError, match="would leave the folder"):
        batch.lay_out([tmp_path / "bad.zip"], tmp_path / "4")
    assert not (tmp_path / "outside.png").exists()
    (tmp_path / "no.zip").write_text("no zip")
    with pytest.raises(ValueError, match=r"^no.zip is not an archive"):
        batch.lay_out([tmp_path / "no.zip"], tmp_path / "5")
    monkeypatch.setattr(batch, "MAX_ARCHIVE", 10)
    with pytest.raises(ValueError, match="unpacks to more than"):
        batch.lay_out([tmp_path / "all.zip"], tmp_path / "6")


def archive(path, *names, source):
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as packed:
        for name in names:
            packed.write(source, name)
    return path


def test_archives_are_laid_into_one_folder_and_nothing_is_written_over(tmp_path):
    """As the parts of a large folder, or the folders before and after, put in one after the other."""
    one = plain(tmp_path / "x.png")
    first = archive(tmp_path / "1" / "before.zip", "before/x.png", "before/deep/y.png", source=one)
    second = archive(tmp_path / "2" / "after.zip", "after/x.png", "after/deep/y.png", source=one)
    folder = batch.lay_out([first, second, first], tmp_path / "in")
    assert [item.name for item in batch.found_in(folder, None)] == ["before/deep/y.png", "before/x.png"]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("in ")], "nothing stays beside"
    again = archive(tmp_path / "3" / "again.zip", "before/x.png", source=one)
    for number, given in enumerate(([first, again], [again, archive(tmp_path / "4" / "a.zip", "before", source=one)])):
        with pytest.raises(ValueError, match="two files are called before") as told:
            batch.lay_out(given, tmp_path / f"twice {number}")
        assert str(tmp_path) not in str(told.value)


def names_of(items):
    return [tuple(file and file.path.name for file in (item.before, item.after)) for item in items]


def test_in_order_a_name_that_says_after_is_after(tmp_path):
    for name in ("01_after.png", "01_before.png", "2/after.jpg", "2/before.png", "x.png", "x_2.png"):
        plain(tmp_path / "in" / name)
    ordered = batch.found_in(tmp_path / "in", batch.IN_ORDER)
    assert names_of(ordered) == [
        ("01_before.png", "01_after.png"),
        ("before.png", "after.jpg"),
        ("x.png", "x_2.png"),
    ]


def test_the_ways_out_are_those_of_the_page(tmp_path):
    for name in ("a_before.png", "a_after.jpg", "b.png", "b_2.png", "b_1.png", "c_1.png", "c_2.png"):
        plain(tmp_path / "in" / name)
    rows = batch.batch(batch.found_in(tmp_path / "in", None), tmp_path / "in", Settings(), Models(), tmp_path / "pages")
    why = {row.record["name"]: row.entry.reason for row in rows}
    assert why["a_before.png"] == (
        "there is no a_after.png; a_after.jpg ends otherwise: compare them under “Two pictures”, or choose"
        " “In their order”"
    )
    assert "choose “By a pattern” or “In their order”" in why["b.png"]
    assert "CSV" not in "".join(why.values())


def test_pairs_by_name_by_pattern_and_in_order(tmp_path):
    for name in ("x9.png", "x10.png", "x11.png", "y_temp.png", "y_test.png"):
        plain(tmp_path / "in" / name)
    (tmp_path / "in" / "notes.txt").write_text("x")
    found = batch.found_in(tmp_path / "in", None)
    assert ("y_temp.png", "y_test.png") in names_of(found)
    ordered = batch.found_in(tmp_path / "in", batch.IN_ORDER)
    assert names_of(ordered[:2]) == [("x9.png", "x10.png"), ("x11.png", "y_temp.png")]
    assert [(one.name, one.error or one.note) for one in ordered[2:]] == [
        ("y_test.png", "it is the last one, and has no partner"),
        ("notes.txt", "no picture: its name ends with .txt"),
    ]
    assert ("x9.png", "x10.png") in names_of(batch.found_in(tmp_path / "in", ("{id}9", "{id}10")))
    for pattern, said in (
        (("{id}", "{no}"), r"^the pattern \{id\} \{no\}: "),
        (("{id}_old", "{id}_new"), "^what was put in holds no pairs: name them as {id}_old and {id}_new"),
    ):
        with pytest.raises(ValueError, match=said) as told:
            batch.found_in(tmp_path / "in", pattern)
        assert str(tmp_path) not in str(told.value)
    plain(tmp_path / "one" / "x.png")
    with pytest.raises(ValueError, match="there are not two pictures"):
        batch.found_in(tmp_path / "one", batch.IN_ORDER)


def rows_of(folder, work):
    items = batch.found_in(folder, None)
    return list(batch.batch(items, folder, Settings(most=2), NO_MODELS, work / "pages"))


def test_many_pairs(pair, tmp_path, monkeypatch):
    folder = tmp_path / "in"
    for name, picture in (("a", pair.before), ("a_2", pair.after), ("b", pair.before), ("b_2", pair.before)):
        save_picture(folder / f"{name}.png", picture)
    (folder / "c.png").write_text("no image")
    save_picture(folder / "c_2.png", pair.after)
    save_picture(folder / "lone_before.png", pair.after)
    rows = rows_of(folder, tmp_path / "out")
    a, b, c, lone = [row.record for row in rows]
    expected = detect(pair.before, pair.after).summary()
    assert a == expected | {
        "number": 1, "name": "a.png", "before": "a.png", "after": "a_2.png", "state": "compared", "words": "",
        "unlike": None,
    }  # fmt: skip
    assert (b["regions"], b["kind"], b["similarity"]) == ([], "exact", 1)
    assert (c["state"], c["error"]) == ("unreadable", "c.png is not an image that can be read")
    assert (lone["state"], lone["before"], lone["after"]) == ("left out", "lone_before.png", None)
    assert lone["error"] == "there is no lone_after.png"
    assert [row.entry.state for row in rows] == ["changed", "same", "unreadable", "left out"]
    assert batch.totals(rows) == "3 pairs: 1 differ, 1 do not, 1 bad; 1 left out."

    as_json, as_csv, packed = batch.results(rows, tmp_path / "out")
    assert json.loads(as_json.read_text()) == [a, b, c, lone]
    table = list(csv.DictReader(as_csv.read_text().splitlines()))
    assert [(row["name"], row["regions"], row["error"]) for row in table] == [
        ("a.png", "3", ""),
        ("b.png", "0", ""),
        ("c.png", "", c["error"]),
        ("lone_before.png", "", lone["error"]),
    ]
    with zipfile.ZipFile(packed) as archive:
        assert sorted(archive.namelist()) == ["index.html", "pages/001.html", "pages/002.html"]
        index = archive.read("index.html").decode()
        told = index + archive.read("pages/001.html").decode() + as_json.read_text() + as_csv.read_text()
    assert 'href="pages/001.html"' in index
    assert str(tmp_path) not in told, "no path of the server"
    listed = index_fragment([row.entry for row in rows], script=False)
    assert listed.count("<img") == 4
    assert "a.png and a_2.png" in listed
    assert "<script" not in listed
    monkeypatch.setattr(batch, "MAX_PAIRS", 2)
    with pytest.raises(ValueError, match="these are 3 pairs: at most 2"):
        batch.found_in(folder, None)


def test_a_pair_unlike_the_training_set_is_told_and_its_words_are_not_listed(pair, tmp_path):
    models = Models(tiny_models.describer(tmp_path / "model", knows=True))
    scene = scenes.scene_pair(31, 2, changes=(1, 1))
    for name, made in (("photo", pair), ("scene", scene)):
        for side in ("before", "after"):
            save_picture(tmp_path / "in" / f"{name}_{side}.png", getattr(made, side))
    items = batch.found_in(tmp_path / "in", None)
    photo, drawn = rows = list(batch.batch(items, tmp_path / "in", Settings(), models, tmp_path / "out" / "pages"))
    assert [row.record["unlike"] for row in rows] == [True, False]
    assert photo.record["words"]
    assert photo.record["words"] not in photo.entry.reason
    assert "unlike the pictures that the model learned from" in photo.entry.reason
    assert drawn.entry.reason.startswith(drawn.record["words"])
    _, as_csv, _ = batch.results(rows, tmp_path / "out")
    assert [row["unlike"] for row in csv.DictReader(as_csv.read_text().splitlines())] == ["True", "False"]
