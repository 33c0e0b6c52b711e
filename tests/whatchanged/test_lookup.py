"""Which picture a name in an annotation file means: its own, or none, never another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import save_picture

from whatchanged.listing import listed
from whatchanged.lookup import Lookup, file_named, looked_up

GRAY = np.full((4, 5, 3), 120, np.uint8)


def laid(root, *files):
    """Empty pictures, each of other content."""
    for number, name in enumerate(files):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x" * number)
    return listed(root, str(root))


def meant(root, name, *files, part="train", annotations="train.json", others=()):
    """The path below the root, or the words of the refusal."""
    try:
        found = Lookup(laid(root, *files), root / annotations, part, [name, *others]).find(name)
    except ValueError as error:
        return str(error)
    return found.relative_to(root).as_posix()


@pytest.mark.parametrize(
    ("files", "part", "right"),
    [
        (["train/1.png", "val/1.png", "test/1.png"], "val", "val/1.png"),
        (["training/1.png", "validation/1.png"], "val", "validation/1.png"),
        (["data/train/x/1.png", "data/valid/x/1.png"], "train", "data/train/x/1.png"),
        (["Images_Train/1.png", "images_dev/1.png"], "dev", "images_dev/1.png"),
        (["val2014/1.png", "val2017/1.png"], "val2017", "val2017/1.png"),
        (["test1/1.png", "test2/1.png"], "test2", "test2/1.png"),
        (["images/1.png", "thumbnails/1.png"], "test", "images/1.png"),
        (["1.png", "previews/small/1.png"], "test", "1.png"),
        (["thumbs/1.png", "thumbs/2.png"], "test", "thumbs/1.png"),
        (["17/1.jpg"], "train", "17/1.jpg"),
        (["1.PNG"], "train", "1.PNG"),
        (["1.jpg", "1.png"], "train", "1.png"),
        (["val/1.png"], "mine", "val/1.png"),
    ],
)
def test_of_one_name_in_several_folders_the_part_s_own_is_meant(tmp_path, files, part, right):
    assert meant(tmp_path, "1.png", *files, part=part) == right


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (["val/1.png"], "there is no picture '1.png'; val/1.png lies in the folder of another part"),
        (["train/2.png", "val/1.png"], "no picture '1.png'; val/1.png lies in the folder of another part"),
        (["train/2.png", "more/1.png"], "no picture '1.png'; more/1.png lies in another folder"),
        (["a/2.png", "thumbs/1.png"], "no picture '1.png'; thumbs/1.png lies among previews"),
        (["a/1.png", "b/1.png"], "'1.png' is there twice, as a/1.png and b/1.png, which differ: leave one there"),
        (["a/2.png", "b/2.png", "b/1.png"], "'1.png' may mean b/1.png, but b/2.png and a/2.png differ"),
        (["a/2.png", "val/2.png", "a/1.png"], "'1.png' may mean a/1.png, but a/2.png and val/2.png differ"),
        (["1.gif", "1.jpg"], "'1.png' is there twice, as 1.gif and 1.jpg"),
        (["11.png"], "there is no picture '1.png'"),
        ([], "there is no picture '1.png'"),
    ],
)
def test_what_is_not_sure_is_told(tmp_path, files, told):
    assert told in meant(tmp_path, "1.png", *files)


@pytest.mark.parametrize(
    ("name", "files", "told"),
    [
        ("val2014/1.png", ["val2014/1.png", "train2014/1.png"], "val2014/1.png"),
        ("val2014\\1.png", ["val2014/1.png", "train2014/1.png"], "val2014/1.png"),
        ("images/val2014/1.png", ["val2014/1.png"], "val2014/1.png"),
        ("../images/1.png", ["images/1.png", "other/1.png"], "images/1.png"),
        ("C:\\data\\images\\1.png", ["images/1.png", "other/1.png"], "images/1.png"),
        ("/home/me/images/1.png", ["images/1.png", "other/1.png"], "images/1.png"),
        ("set/1.png", ["1.png", "x/1.png"], "1.png"),
        ("a/1.png", ["b/1.png"], "there is no picture 'a/1.png'; b/1.png lies in another folder"),
        ("a/images/1.png", ["b/images/1.png"], "no picture 'a/images/1.png'"),
        ("images/1.png", ["val/images/1.png"], "lies in the folder of another part"),
        ("images/1.png", ["train/images/1.png", "val/images/1.png"], "train/images/1.png"),
        ("images/1.png", ["thumbs/images/1.png", "images/1.png"], "images/1.png"),
        ("../../outside.png", ["1.png"], "there is no picture '../../outside.png'"),
        ("", ["1.png"], "there is no picture ''"),
    ],
)
def test_a_name_may_tell_its_folder(tmp_path, name, files, told):
    found = meant(tmp_path / "set", name, *files)
    assert found == told or (" " in told and told in found)


def test_names_that_differ_little_mean_files_of_exactly_these_names(tmp_path):
    assert meant(tmp_path, "A.png", "a.png", others=["a.png"]).startswith("there is no picture 'A.png'")
    assert meant(tmp_path, "a.jpg", "a.png", others=["a.png"]).startswith("there is no picture 'a.jpg'")
    assert meant(tmp_path, "x/a.png", "y/a.png", others=["y/a.png"]).startswith("there is no picture")
    assert meant(tmp_path, "x/a.png", "y/a.png", "x/a.png", others=["y/a.png"]) == "x/a.png"


def test_a_name_of_another_form_of_unicode_and_without_an_ending(tmp_path):
    assert meant(tmp_path, "e\u0301t\u00e9.png", "\u00e9te\u0301.png") == "\u00e9te\u0301.png"
    assert meant(tmp_path / "b", "26000", "26000.jpg") == "26000.jpg"
    assert meant(tmp_path / "c", "26.1", "26.1.jpg", "26.png") == "26.1.jpg"


def test_copies_mean_the_same(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for name in ("1.png", "2.png"):
            (tmp_path / folder / name).write_bytes(name.encode())
    (tmp_path / "b" / "3.png").write_bytes(b"3")
    lookup = Lookup(listed(tmp_path, "x"), tmp_path / "train.json", "train", ["1.png", "3.png"])
    assert lookup.find("1.png") == tmp_path / "a" / "1.png"
    assert lookup.find("3.png") == tmp_path / "b" / "3.png"


def test_pictures_beside_their_annotations_before_others(tmp_path):
    assert meant(tmp_path, "1.png", "one/1.png", "two/1.png", part="mine", annotations="two/mine.json") == "two/1.png"
    told = meant(tmp_path / "b", "2.png", "one/1.png", "one/2.png", "two/1.png", annotations="two/train.json")
    assert "'2.png' may mean one/2.png, but one/1.png and two/1.png differ" in told


def test_names_of_val2014_may_be_used_in_another_part(tmp_path):
    """A subset that somebody made for tests, of photographs whose names tell where they come from."""
    file = "val2014/COCO_val2014_1.jpg"
    assert meant(tmp_path, "COCO_val2014_1.jpg", file, part="test") == file


def test_all_are_read_to_their_end(tmp_path):
    whole = save_picture(tmp_path / "1.png", GRAY).read_bytes()
    (tmp_path / "2.png").write_bytes(whole[:-30])
    (tmp_path / "3.png").write_bytes(b"")
    found, wrong = looked_up(listed(tmp_path, "x"), tmp_path / "a.json", "a", ["1.png", "2.png", "3.png", "4.png"])
    assert found == {"1.png": tmp_path / "1.png"}
    assert wrong.keys() == {"2.png", "3.png", "4.png"}
    assert "2.png is damaged" in wrong["2.png"]
    assert "3.png is empty" in wrong["3.png"]


def test_the_annotation_file_is_the_only_one_or_lies_on_top(tmp_path):
    def named(*files):
        for name in files:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(name)
        return file_named(listed(tmp_path, "set"), "train.json")

    with pytest.raises(ValueError, match=r"set holds no train\.json, nor does a folder of it; there is val\.json"):
        named("val.json", ".hidden/train.json")
    assert named("a/train.json") == tmp_path / "a" / "train.json"
    with pytest.raises(ValueError, match=r"set holds a/train\.json and b/train\.json, which differ: name the folder"):
        named("b/train.json")
    (tmp_path / "b" / "train.json").write_text("a/train.json")
    assert file_named(listed(tmp_path, "set"), "train.json") == Path(tmp_path / "a" / "train.json")
    assert named("train.json") == tmp_path / "train.json"
