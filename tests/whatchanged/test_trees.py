"""Two folders or archives file by file: every file once, and what came, went or moved by name."""

from __future__ import annotations

import os
import tarfile
import unicodedata
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from whatchanged.trees import in_both


@pytest.fixture
def two(tmp_path):
    """An empty folder `old` and an empty folder `new`, from within which the test runs."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    here = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(here)


def put(name, content="x"):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def told(before="old", after="new"):
    """State, names, and what else is said."""
    with in_both(before, after) as items:
        found = [(item.state, *item.names, item.note or item.error) for item in items]
    counts = Counter(name for item in found for name in item[1:3] if name)
    assert max(counts.values()) == 1, "each file is in one item"
    return found


def test_by_equal_names_at_any_depth(two):
    for name in ("a.png", "deep/er/b.JPG", "gone.png"):
        put(f"old/{name}", name)
    for name in ("a.png", "deep/er/b.JPG", "come/c.tif"):
        put(f"new/{name}", name)
    assert told() == [
        ("compared", "old/a.png", "new/a.png", ""),
        ("added", None, "new/come/c.tif", ""),
        ("compared", "old/deep/er/b.JPG", "new/deep/er/b.JPG", ""),
        ("removed", "old/gone.png", None, ""),
    ]


def test_what_has_the_same_content_is_renamed(two):
    put("old/a.png", "same"), put("new/b.png", "same")
    put("old/c.png", "four"), put("new/d.png", "five")  # of one size, but not the same
    assert told() == [
        ("renamed", "old/a.png", "new/b.png", ""),
        ("removed", "old/c.png", None, ""),
        ("added", None, "new/d.png", ""),
    ]


def test_of_several_with_the_same_content_each_is_in_one_pair(two):
    for name in ("old/1.png", "old/2.png", "old/3.png", "new/x.png", "new/deep/3.png", "new/stays.png"):
        put(name, "same")
    put("old/stays.png", "same")
    assert told() == [
        ("removed", "old/2.png", None, ""),
        ("renamed", "old/3.png", "new/deep/3.png", ""),
        ("compared", "old/stays.png", "new/stays.png", ""),
        ("renamed", "old/1.png", "new/x.png", ""),
    ]


def test_empty_files_are_not_renamed(two):
    put("old/a.png", ""), put("new/b.png", "")
    assert [item[0] for item in told()] == ["removed", "added"]


def test_another_ending_is_told_and_not_compared(two):
    put("old/x.png", "1"), put("new/x.jpg", "2")
    assert told() == [
        ("added", None, "new/x.jpg", "old/x.png ends otherwise, so they are not compared"),
        ("removed", "old/x.png", None, "new/x.jpg ends otherwise, so they are not compared"),
    ]


@pytest.mark.parametrize("content", ["2", "1"])
def test_other_capitals_are_told(two, content):
    put("old/Deep/X.png", "1"), put("new/deep/x.PNG", content)
    if content == "1":
        assert told() == [("renamed", "old/Deep/X.png", "new/deep/x.PNG", "new/deep/x.PNG differs only in capitals")]
    else:
        assert told() == [
            ("removed", "old/Deep/X.png", None, "new/deep/x.PNG differs only in capitals"),
            ("added", None, "new/deep/x.PNG", "old/Deep/X.png differs only in capitals"),
        ]


def test_another_form_of_unicode_is_told(two):
    composed, apart = (unicodedata.normalize(form, "ä.png") for form in ("NFC", "NFD"))
    put(f"old/{composed}", "1"), put(f"new/{apart}", "2")
    notes = {item[3] for item in told()}
    assert notes == {f"{name} differs only in its form of Unicode" for name in (f"old/{composed}", f"new/{apart}")}


def test_what_is_no_picture_is_left_out_with_its_reason(two):
    put("old/x.png"), put("new/x.png"), put("old/notes.txt"), put("new/Makefile"), put("new/x.png.bak")
    (two / "old" / "y.png").mkdir()
    put("new/y.png")
    assert told() == [
        ("left out", None, "new/Makefile", "no picture: its name has no ending"),
        ("left out", "old/notes.txt", None, "no picture: its name ends with .txt"),
        ("compared", "old/x.png", "new/x.png", ""),
        ("left out", None, "new/x.png.bak", "no picture: its name ends with .bak"),
        ("left out", "old/y.png", None, "it is a folder, though its name ends as that of a picture"),
        ("added", None, "new/y.png", "old/y.png is a folder"),
    ]


def test_kinds_that_are_not_read_are_paired_so_that_they_are_refused_by_name(two):
    for name in ("x.heic", "x.NEF", "x.jxl", "x.dcm"):
        put(f"old/{name}"), put(f"new/{name}")
    assert [item[0] for item in told()] == ["compared"] * 4


def test_links(two):
    put("old/x.png"), put("new/x.png"), put("new/lost.png"), put("elsewhere/deep/y.png"), put("new/more/deep/y.png")
    put("old/deep/z.png"), put("new/deep/loop/z.png", "another")
    os.symlink("../elsewhere", "old/more")
    os.symlink("..", "old/deep/loop")
    os.symlink("nowhere", "old/lost.png")
    os.symlink("nowhere", "old/alone.png")
    os.symlink("self.png", "old/self.png")
    put("new/self.png")
    assert told() == [
        ("left out", "old/alone.png", None, "the link leads nowhere"),
        ("left out", "old/deep/loop", None, "the link leads to a folder that it lies in"),
        ("left out", None, "new/deep/loop/z.png", "of old/deep/loop, the link leads to a folder that it lies in"),
        ("removed", "old/deep/z.png", None, ""),
        ("compared", "old/lost.png", "new/lost.png", ""),
        ("compared", "old/more/deep/y.png", "new/more/deep/y.png", ""),
        ("compared", "old/self.png", "new/self.png", ""),
        ("compared", "old/x.png", "new/x.png", ""),
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_hides_no_file(two):
    put("old/x.png"), put("new/x.png"), put("old/closed/y.png"), put("new/closed/y.png")
    os.chmod("old/closed", 0)
    try:
        assert told()[:2] == [
            ("left out", "old/closed", None, "the folder cannot be read: Permission denied"),
            ("left out", None, "new/closed/y.png", "of old/closed, the folder cannot be read: Permission denied"),
        ]
    finally:
        os.chmod("old/closed", 0o700)


def test_a_folder_that_cannot_be_listed_hides_no_file(two, monkeypatch):
    """As one without permission, also where root runs the tests."""
    put("old/x.png"), put("new/x.png"), put("old/closed/y.png"), put("new/closed/y.png")
    scan = os.scandir

    def scandir(path):
        if str(path) == "old/closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert told() == [
        ("left out", "old/closed", None, "the folder cannot be read: Permission denied"),
        ("left out", None, "new/closed/y.png", "of old/closed, the folder cannot be read: Permission denied"),
        ("compared", "old/x.png", "new/x.png", ""),
    ]


def test_odd_names(two):
    odd = ["new\nline.png", "%20 &amp;.png", "l" * 250 + ".png", "-.png", "日本.png"]
    for name in odd:
        put(f"old/{name}"), put(f"new/{name}")
    with open(b"old/\xff\xfe.png", "w"), open(b"new/\xff\xfe.png", "w"):
        pass
    found = told()
    assert {item[1] for item in found if item[0] == "compared"} == {f"old/{name}" for name in odd}
    assert [item for item in found if item[0] != "compared"] == [
        ("left out", "old/\\udcff\\udcfe.png", None, "its name is no UTF-8: rename it"),
        ("left out", None, "new/\\udcff\\udcfe.png", "its name is no UTF-8: rename it"),
    ]


def test_folders_deeper_than_python_calls(two):
    deep = "/".join("d" * 1200)
    try:
        for side in ("old", "new"):
            folder = side
            for part in deep.split("/"):
                folder += f"/{part}"
                os.mkdir(folder)
            with open(f"{folder}/x.png", "w"):
                pass
        assert told() == [("compared", f"old/{deep}/x.png", f"new/{deep}/x.png", "")]
    finally:  # what cleans up after tests calls itself for each
        for side in ("old", "new"):
            os.remove(f"{side}/{deep}/x.png")
            os.removedirs(f"{side}/{deep}")


def zipped(name, *files):
    with zipfile.ZipFile(name, "w") as archive:
        for file in files:
            archive.writestr(file, file.split("/")[-1])
    return name


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["x.png", "y/z.png"], ["x.png", "y/z.png"]),
        (["monday/x.png", "monday/y/z.png"], ["tuesday/x.png", "tuesday/y/z.png"]),
        (["monday/x.png", "monday/y/z.png", "__MACOSX/monday/._x.png"], ["x.png", "y/z.png"]),
    ],
)
def test_archives_are_as_folders_with_or_without_one_at_the_top(two, before, after):
    zipped("1.zip", *before), zipped("2.zip", *after)
    top = [f"{name}.zip/" + names[0].removesuffix("x.png") for name, names in ((1, before), (2, after))]
    expected = [("compared", f"{top[0]}{name}", f"{top[1]}{name}", "") for name in ("x.png", "y/z.png")]
    assert told("1.zip", "2.zip") == expected


def test_a_folder_that_both_archives_have_at_the_top_is_not_taken_off_one_of_them(two):
    zipped("1.zip", "only/x.png"), zipped("2.zip", "only/x.png", "more/y.png")
    assert [item[:3] for item in told("1.zip", "2.zip")] == [
        ("added", None, "2.zip/more/y.png"),
        ("compared", "1.zip/only/x.png", "2.zip/only/x.png"),
    ]


def test_a_folder_and_an_archive(two):
    put("old/x.png")
    zipped("2.zip", "top/x.png")
    assert told("old", "2.zip") == [("compared", "old/x.png", "2.zip/top/x.png", "")]
    with tarfile.open("3.tar.gz", "w:gz") as archive:
        archive.add("old", "old")
    assert told("3.tar.gz", "2.zip") == [("compared", "3.tar.gz/old/x.png", "2.zip/top/x.png", "")]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("old", "absent", "absent does not exist"),
        ("absent.zip", "old", "absent.zip does not exist"),
        ("old", "x.png", "old is a folder and x.png is not: give two folders or archives, or two pictures"),
        ("x.png", "old", "old is a folder and x.png is not"),
        ("old", "new", "old and new hold no pictures"),
        ("more", "more/deep", "more/deep lies within more: give two folders that lie beside each other"),
        ("more/deep", "link", "more/deep lies within link"),
        ("bad.zip", "more", "bad.zip is not an archive"),
        ("evil.zip", "more", "would leave the folder: it is not unpacked"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(two, before, after, message):
    put("x.png"), put("more/deep/y.png"), put("bad.zip")
    zipped("evil.zip", "../y.png")
    os.symlink("more", "link")
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        told(before, after)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_folder_with_itself(two):
    put("old/x.png")
    with in_both("old", "old") as items:
        assert [item.state for item in items] == ["compared"]
