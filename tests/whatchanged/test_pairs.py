"""Pairs are found by their names, or in a CSV file; what is in none has its reason."""

from __future__ import annotations

import os
import zipfile

import numpy as np
import pytest
from support import save_picture

from helpers.photographs import photograph
from whatchanged.images import SUFFIXES, read_image
from whatchanged.pairs import each, find_pairs, pairs_and_rest, searched

PHOTO = photograph("coffee")[:60, :80]


def put(folder, *names):
    """Files of these names; nothing is read of them."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def sorted_out(folder, pattern=None):
    """The pairs by their names below the folder, and the reason of each other file."""
    with searched(folder, pattern) as items:
        pairs, alone = [], {}
        for item in items:
            names = [os.path.relpath(file.name, folder) for file in item.files]
            if item.state == "compared":
                pairs.append(tuple(names))
            else:
                assert item.state == "left out"
                (alone[names[0]],) = filter(None, (item.note, item.error))
        return pairs, alone


def test_pairs_by_name(tmp_path):
    for name in ["x_before.png", "x_after.png", "7.png", "7_2.png", "alone.png"]:
        save_picture(tmp_path / name, PHOTO)
    for side in ("before", "after"):
        (tmp_path / side).mkdir()
        save_picture(tmp_path / side / "k.png", PHOTO)
    found = [(a.relative_to(tmp_path).as_posix(), b.name) for a, b in find_pairs(tmp_path)]
    assert found == [("7.png", "7_2.png"), ("before/k.png", "k.png"), ("x_before.png", "x_after.png")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x_before.png", "x_after.png"),
        ("X_BEFORE.PNG", "x_After.png"),
        ("x-before.png", "x-after.png"),
        ("x before.png", "x after.png"),
        ("before.png", "after.png"),
        ("deep/er/before.png", "deep/er/after.png"),
        ("x_1.png", "x_2.png"),
        ("x-1.png", "x-2.png"),
        ("x.png", "x_2.png"),
        ("x-a.png", "x-b.png"),
        ("x_A.png", "x_B.png"),
        ("1a.png", "1b.png"),
        ("shot12A.png", "shot12B.png"),
        ("x_temp.jpg", "x_test.jpg"),
        ("before/x.png", "after/x.png"),
        ("Before/x.png", "AFTER/X.png"),
        ("run/before/deep/x.png", "run/after/deep/x.png"),
        ("A/x.png", "B/x.png"),
        ("run/a/x.png", "run/b/x.png"),
        ("before/a/x.png", "after/a/x.png"),
        ("before/x_1.png", "after/x_1.png"),
        ("a/x_before.png", "a/x_after.png"),
        ("straße_before.png", "STRASSE_after.png"),
        ("x_2_before.png", "x_2_after.png"),
    ],
)
def test_each_usual_way_to_name_a_pair(tmp_path, before, after):
    put(tmp_path, before, after)
    assert sorted_out(tmp_path) == ([(before, after)], {})


def test_folders_say_it_before_names_do(tmp_path):
    put(tmp_path, *(f"{side}/{name}" for side in ("before", "after") for name in ("x.png", "x_2.png", "a/y.png")))
    put(tmp_path, "before/b/y.png", "after/b/y.png")
    names = ["a/y.png", "b/y.png", "x.png", "x_2.png"]
    assert sorted_out(tmp_path) == ([(f"before/{name}", f"after/{name}") for name in names], {})


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["alone.png"], {"alone.png": "its name matches no rule"}),
        (["x_before.png"], {"x_before.png": "there is no x_after.png"}),
        (["B/x.png", "A/y.png"], {"B/x.png": "there is no A/x.png", "A/y.png": "there is no B/y.png"}),
        (
            ["x_before.png", "x_after.jpg"],
            {
                "x_before.png": "there is no x_after.png; x_after.jpg ends otherwise",
                "x_after.jpg": "there is no x_before.jpg; x_before.png ends otherwise",
            },
        ),
        (["x.png", "x_2.jpg"], {"x.png": "x_2.jpg ends otherwise", "x_2.jpg": "x.png ends otherwise"}),
        (
            ["x.png", "x_1.png", "x_2.png"],
            {
                "x.png": "x_2.png may go with it and with x_1.png",
                "x_1.png": "x_2.png may go with it and with x.png",
                "x_2.png": "it may go with x.png and with x_1.png",
            },
        ),
        (
            ["x_before.png", "x_after.png", "X_after.png"],
            {
                "x_before.png": "it may go with X_after.png and with x_after.png",
                "x_after.png": "x_before.png may go with it and with X_after.png",
                "X_after.png": "x_before.png may go with it and with x_after.png",
            },
        ),
        (["x1.png", "x2.png"], {"x1.png": "its name matches no rule", "x2.png": "its name matches no rule"}),
        (["xa.png", "xb.png"], {"xa.png": "its name matches no rule", "xb.png": "its name matches no rule"}),
        (["a.png", "b.png"], {"a.png": "its name matches no rule", "b.png": "its name matches no rule"}),
        (["p/x_before.png", "q/x_after.png"], {"p/x_before.png": "no p/x_after", "q/x_after.png": "no q/x_before"}),
    ],
)
def test_what_is_in_no_pair_has_its_reason(tmp_path, names, told):
    put(tmp_path, *names, "ok_before.png", "ok_after.png")
    pairs, alone = sorted_out(tmp_path)
    assert pairs == [("ok_before.png", "ok_after.png")]
    assert alone.keys() == told.keys()
    for name, reason in told.items():
        assert reason in alone[name]


def test_a_partner_that_a_name_asks_for_is_missed_and_another_is_not(tmp_path):
    put(tmp_path, "ok_before.png", "ok_after.png", "alone.png", "x_before.png")
    with searched(tmp_path) as items:
        assert {item.name: bool(item.error) for item in items if item.state != "compared"} == {
            "alone.png": False,
            "x_before.png": True,
        }


def test_an_empty_folder_after_is_one_of_two(tmp_path):
    put(tmp_path, "before/x.png")
    (tmp_path / "after").mkdir()
    with pytest.raises(ValueError, match=r"holds no pairs; before/x.png: there is no after/x.png"):
        find_pairs(tmp_path)


def test_what_systems_leave_is_not_even_listed(tmp_path):
    put(tmp_path, "x_before.png", "x_after.png", "._x_before.png", ".hidden.png", "__MACOSX/x_before.png", ".DS_Store")
    put(tmp_path, "Thumbs.db", ".git/x.png", "desktop.ini", "notes.txt")
    assert sorted_out(tmp_path) == (
        [("x_before.png", "x_after.png")],
        {"notes.txt": "no picture: its name ends with .txt"},
    )


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        ("{id}_temp", "{id}_test", ("00041000_temp.jpg", "00041000_test.jpg")),
        ("{id}_temp", "{id}_test", ("deep/1_TEMP.jpg", "deep/1_test.JPG")),
        ("{id}/old.png", "{id}/new.png", ("case 7/old.png", "case 7/new.png")),
        ("{id}/old", "{id}/new", ("x/7/old.png", "x/7/new.png")),
        ("was/{id}", "is/{id}", ("was/deep/7.png", "is/deep/7.png")),
        ("was/{id}", "is/{id}", ("run/was/7.png", "run/is/7.png")),
        ("{case}-{id}.old.png", "{id}-{case}.new.png", ("a-7.old.png", "7-a.new.png")),
        ("{id}_was.png", "{id}_is.jpg", ("7_was.png", "7_is.jpg")),
        ("{id}.{kind}", "{id} (copy).{kind}", ("7.png", "7 (copy).png")),
        ("{id}[1]+", "{id}[2]+", ("7[1]+.png", "7[2]+.png")),
        ("{id}_{id}_old", "{id}_new", ("7_7_old.png", "7_new.png")),
    ],
)
def test_a_pattern_of_ones_own(tmp_path, before, after, names):
    put(tmp_path, *names, "other_before.png")
    pairs, alone = sorted_out(tmp_path, (before, after))
    assert pairs == [names]
    assert list(alone) == ["other_before.png"]


def test_by_a_pattern_no_file_is_in_two_pairs(tmp_path):
    put(tmp_path, "1_old.png", "1_new.png", "1_NEW.png", "2_old.png", "3_old.png", "3_new.png")
    pairs, alone = sorted_out(tmp_path, ("{id}_old", "{id}_new"))
    assert pairs == [("3_old.png", "3_new.png")]
    assert "it may go with 1_NEW.png and with 1_new.png" in alone["1_old.png"]
    assert "there is no 2_new.png" in alone["2_old.png"]
    assert sorted(alone) == ["1_NEW.png", "1_new.png", "1_old.png", "2_old.png"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (("old", "new"), "--pair-pattern old: give a part of the name in braces, as {id}_temp"),
        (("{id}_old", "{no}_new"), "--pair-pattern {id}_old {no}_new: {id}, {no} stands in one of them alone"),
        (("{id}", "{ID}"), "stands in one of them alone"),
        (("{id}_x", "{id}_X"), "both are the same"),
        (("{id", "{id}"), "give a part of the name in braces"),
        (("{}_a", "{}_b"), "give a part of the name in braces"),
        (("{id}_{_a", "{id}_b"), "give a part of the name in braces"),
        (("{id}_nix", "{id}_nox"), "holds no pairs: name them as {id}_nix and {id}_nox"),
    ],
)
def test_a_pattern_that_says_nothing_is_refused(tmp_path, pattern, message):
    put(tmp_path, "1_old.png", "1_new.png")
    with pytest.raises(ValueError) as told:  # noqa: PT011
        find_pairs(tmp_path, pattern)
    assert message in str(told.value)


def test_an_archive_is_looked_into_by_names_inside_it(tmp_path):
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for name in ("shots/x_before.png", "shots/x_after.png", "__MACOSX/shots/._x_after.png", "shots/readme.md"):
            archive.writestr(name, b"")
    source = str(tmp_path / "p.zip")
    with searched(source) as items:
        assert [(item.state, item.names) for item in items] == [
            ("left out", (f"{source}/shots/readme.md", None)),
            ("compared", (f"{source}/shots/x_before.png", f"{source}/shots/x_after.png")),
        ]
        path = items[1].files[0].path
        assert path.is_file()
        assert path.stat().st_mtime_ns == os.stat(source).st_mtime_ns
    assert not path.exists()
    with pytest.raises(ValueError, match=r"p.zip is an archive: unpack it first"):
        find_pairs(source)
    (tmp_path / "no.zip").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"no.zip is not an archive"), searched(tmp_path / "no.zip"):
        pass


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_every_suffix_is_found_and_read(tmp_path, suffix):
    for name in ("x_before", "x_after"):
        save_picture(tmp_path / f"{name}{suffix}", PHOTO)
    ((before, after),) = find_pairs(tmp_path)
    assert (before.name, after.name) == (f"x_before{suffix}", f"x_after{suffix}")
    assert np.abs(read_image(before).astype(int) - PHOTO).mean() < 12


def test_pairs_in_a_csv(tmp_path):
    table = tmp_path / "pairs.csv"
    table.write_text("before,after\na.png,b.png\n")
    assert find_pairs(table) == [(tmp_path / "a.png", tmp_path / "b.png")]
    table.write_text("before,next\na.png,b.png\n")
    with pytest.raises(ValueError, match=r"pairs.csv has no column after"):
        find_pairs(table)
    table.write_text("before,after\na.png,b.png\nc.png,\n")
    with pytest.raises(ValueError, match=r"pairs.csv, line 3: give both"):
        find_pairs(table)
    with pytest.raises(ValueError, match=r"nothing.csv does not exist"):
        find_pairs(tmp_path / "nothing.csv")
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match="holds no pairs"):
        find_pairs(tmp_path / "none")
    with pytest.raises(ValueError, match=r"--pair-pattern goes with a folder"):
        find_pairs(table, ("{id}_a", "{id}_b"))


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("before,after\nä.png,ö b.png\n", "utf-8"),
        ("before,after\nä.png,ö b.png\n", "utf-8-sig"),
        ("before,after\nä.png,ö b.png\n", "utf-16"),
        ("before,after\nä.png,ö b.png\n", "utf-16-le"),
        ("before,after\nä.png,ö b.png\n", "utf-16-be"),
        ("before,after\nä.png,ö b.png\n", "utf-32"),
        ("before;after\r\nä.png;ö b.png\r\n", "cp1252"),
        ("Before\tAFTER\nä.png\tö b.png\n", "utf-16"),
        (" Before ; After \nä.png ; ö b.png\n", "utf-8"),
        ('"before", "after"\n"ä.png", "ö b.png"\n', "utf-8"),
        ("sep=;\nbefore;after\nä.png;ö b.png\n", "utf-8"),
        ("id,after,what, before\n7,ö b.png,a dog,ä.png\n", "utf-8"),
        ("before|after\nä.png|ö b.png", "utf-8"),
        ("\n\n;;\nbefore;after;\n;;\n\nä.png;ö b.png;\n;\n", "utf-8"),
    ],
)
def test_a_csv_as_spreadsheets_write_it(tmp_path, text, encoding):
    table = tmp_path / "pairs.csv"
    table.write_bytes(text.encode(encoding))
    assert find_pairs(table) == [(tmp_path / "ä.png", tmp_path / "ö b.png")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "pairs.csv has no column after and no column before"),
        (b"a.png,b.png\n", "pairs.csv has no column after and no column before"),
        (b"before,after,Before\na,b,c\n", "pairs.csv has two columns before: give one"),
        (b"before,after\n\x81\x8d.png,b.png\n", "pairs.csv is no text in UTF-8, UTF-16 or cp1252"),
        (b"before,after\na\0.png,b.png\n", "pairs.csv is no text"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01", "pairs.csv is no text"),
        (b'before,after\n"a.png,b.png\n', "pairs.csv, line 2: unexpected end of data"),
        (b"before,after\n,\n", "pairs.csv holds no pairs"),
        (b"before,after\na,b.png,c.png\n", "pairs.csv, line 2: it has 3 cells and the head 2"),
        ("before,after\nä.png,é.png\n".encode() + b"\xe9", "pairs.csv is UTF-8 with damaged bytes at 27"),
    ],
)
def test_a_csv_that_says_nothing_sure_is_refused_by_its_name(tmp_path, data, message):
    table = tmp_path / "pairs.csv"
    table.write_bytes(data)
    with pytest.raises(ValueError) as told:  # noqa: PT011
        find_pairs(table)
    assert message in str(told.value)


def test_a_row_of_one_name_is_told_and_the_rest_goes_on(tmp_path):
    table = tmp_path / "pairs.csv"
    table.write_text("before,after\na.png,b.png\nc.png\n,d.png\ne.png,f.png\n")
    with searched(table) as items:
        assert [(item.state, item.error) for item in items] == [
            ("compared", ""),
            ("left out", f"{table}, line 3: give both a before and an after image"),
            ("left out", f"{table}, line 4: give both a before and an after image"),
            ("compared", ""),
        ]
        assert items[2].names == (None, str(tmp_path / "d.png"))


def test_of_many_a_bad_one_gets_its_reason():
    def halved(number):
        if number == 2:
            raise ValueError("2 is bad")
        if number == 3:
            raise FileNotFoundError(2, "No such file", "3.png")
        return {}[number] if number == 4 else number / 2

    assert list(each([1, 2, 3, 4, 5], halved)) == [
        (1, 0.5, ""),
        (2, None, "2 is bad"),
        (3, None, "[Errno 2] No such file: '3.png'"),
        (4, None, "KeyError: 4"),
        (5, 2.5, ""),
    ]


def test_what_is_not_installed_is_no_fault_of_one_of_them():
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        list(each([1, 2], lambda number: __import__("no_such_module")))


def test_what_has_no_partner_is_told_where_only_pairs_are_given(tmp_path):
    for name in ("before/x.png", "after/x.png", "before/y.png", "before/z.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"1")
    with pytest.warns(UserWarning, match=r"left out is before/y.png: there is no after/y.png, and 1 more"):
        found = find_pairs(tmp_path)
    assert found == [(tmp_path / "before" / "x.png", tmp_path / "after" / "x.png")]
    pairs, rest = pairs_and_rest(tmp_path)
    assert pairs == found
    assert [item.row() for item in rest] == [
        {"before": f"{name}.png", "after": "", "error": f"there is no after/{name}.png"} for name in "yz"
    ]
