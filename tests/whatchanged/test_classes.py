"""The layouts that labeled pictures come in: of each file its class and its split, and why another is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from whatchanged.classes import by_class, why_left_out


def lay(root, *names):
    """Empty files; what they hold is not looked at."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def read(root):
    """What is found: of each file its class and its split."""
    found = by_class(root)
    files = [path.relative_to(root).as_posix() for path in found.files]
    told = [(found.names[label], split) for label, split in zip(found.labels, found.splits, strict=True)]
    return found, dict(zip(files, told, strict=True))


LAYOUTS = {
    "course": ({"Positive/1.jpg": ("Positive", ""), "Negative/1.jpg": ("Negative", "")}, ("Negative", "Positive")),
    "small letters": (
        {"positive/1.jpg": ("positive", ""), "negative/1.jpg": ("negative", "")},
        ("negative", "positive"),
    ),
    "tensors": (
        {"x/Positive_tensors/1.pt": ("Positive_tensors", ""), "x/Negative_tensors/1.pt": ("Negative_tensors", "")},
        ("Negative_tensors", "Positive_tensors"),
    ),
    "sound first, not by the alphabet": (
        {"cracked/1.jfif": ("cracked", ""), "uncracked/1.GIF": ("uncracked", "")},
        ("uncracked", "cracked"),
    ),
    "deeper": (
        {"Positive/a/b/1.jpg": ("Positive", ""), "Negative/2/1.jpg": ("Negative", "")},
        ("Negative", "Positive"),
    ),
    "two folders down": (
        {"a/b/Positive/1.jpg": ("Positive", ""), "a/b/Negative/1.jpg": ("Negative", "")},
        ("Negative", "Positive"),
    ),
    "in two places": (
        {f"{site}/{kind}/1.jpg": (kind, "") for site in ("north", "south") for kind in ("Positive", "Negative")},
        ("Negative", "Positive"),
    ),
    "SDNET2018": (
        {f"{one}/C{one}/1.jpg": ("defective", "") for one in "DPW"}
        | {f"{one}/U{one}/1.jpg": ("sound", "") for one in "DPW"},
        ("sound", "defective"),
    ),
    "castings of Kaggle": (
        {
            f"casting_data/{part}/{kind}/a.jpeg": (kind, part)
            for part in ("train", "test")
            for kind in ("ok_front", "def_front")
        },
        ("ok_front", "def_front"),
    ),
    "splits in capitals, a class missing in one": (
        {
            "TRAIN/cat/1.png": ("cat", "train"),
            "TRAIN/dog/1.png": ("dog", "train"),
            "valid/dog/1.png": ("dog", "validation"),
            "Testing/Cat/1.png": ("cat", "test"),
        },
        ("cat", "dog"),
    ),
    "splits in the folders of the classes": (
        {
            "cat/train/1.png": ("cat", "train"),
            "cat/val/1.png": ("cat", "validation"),
            "dog/training/1.png": ("dog", "train"),
        },
        ("cat", "dog"),
    ),
    "a folder in each split, called otherwise": (
        {
            "train/seg_train/sea/1.jpg": ("sea", "train"),
            "train/seg_train/town/1.jpg": ("town", "train"),
            "test/seg_test/sea/1.jpg": ("sea", "test"),
        },
        ("sea", "town"),
    ),
    "many classes, a sound one among them": (
        {f"{name}/1.png": (name, "") for name in ("crazing", "good", "scratch")},
        ("good", "crazing", "scratch"),
    ),
    "classes called as splits": (
        {f"{name}/1.png": (name, "") for name in ("bus", "car", "train")},
        ("bus", "car", "train"),
    ),
    "classes called as splits, with splits in them": (
        {
            "valid/train/1.png": ("valid", "train"),
            "valid/test/1.png": ("valid", "test"),
            "void/train/1.png": ("void", "train"),
        },
        ("valid", "void"),
    ),
    "a class called as a split, with the folders of the others": (
        {f"{name}/{day}/1.png": (name, "") for name in ("bus", "train") for day in ("monday", "friday")},
        ("bus", "train"),
    ),
    "letters composed in two ways": (
        {"train/\u00dcber/1.png": ("U\u0308ber", "train"), "train/Unter/1.png": ("Unter", "train")}
        | {"test/U\u0308ber/1.png": ("U\u0308ber", "test")},
        ("Unter", "U\u0308ber"),
    ),
    "one name everywhere": (
        {
            f"{part}/{kind}/0.jpg": (kind, split)
            for part, split in (("train", "train"), ("val", "validation"), ("test", "test"))
            for kind in ("a", "b")
        },
        ("a", "b"),
    ),
}


@pytest.mark.parametrize(("files", "names"), LAYOUTS.values(), ids=LAYOUTS)
def test_layouts(tmp_path, files, names):
    found, told = read(lay(tmp_path, *files))
    assert found.names == names
    assert told == files
    assert found.left_out == {}
    assert found.files == sorted(found.files)


BESIDE = {
    "train/a/thumbs/1.jpg": "a preview",
    "train/a/1_thumb.jpg": "a preview",
    "overview.jpg": "it lies beside the folders of the splits, in none",
    "extra/1.jpg": "it lies beside the folders of the splits, in none",
    "train/loose.jpg": "it lies in no folder of a class",
    "readme.txt": "no picture: its name ends with .txt",
    "train/a/1.pt": "pictures and tensor files are not mixed",
    "later/": "the folder is empty",
}


def test_what_is_left_out_is_told_and_junk_is_not(tmp_path):
    files = ["train/a/1.jpg", "train/a/2.jpg", "train/b/1.jpg", "test/a/1.jpg", "test/b/1.jpg"]
    (tmp_path / "later").mkdir()
    junk = ["train/a/._1.jpg", "train/a/.DS_Store", "__MACOSX/train/a/._1.jpg", "train/b/Thumbs.db", ".cache/x/1.jpg"]
    found, told = read(lay(tmp_path, *files, *junk, *(name for name in BESIDE if not name.endswith("/"))))
    assert sorted(told) == sorted(files)
    assert found.left_out == BESIDE


def test_folders_beside_the_courses_are_no_classes(tmp_path):
    found, told = read(lay(tmp_path, "Positive/1.jpg", "Negative/1.jpg", "figures/1.jpg"))
    assert sorted(told) == ["Negative/1.jpg", "Positive/1.jpg"]
    assert found.left_out == {"figures/1.jpg": "it lies in no folder of a class"}


def test_tensors_go_before_pictures_where_there_are_as_many(tmp_path):
    both = [f"{kind}{end}" for kind in ("Positive", "Negative") for end in ("/1.jpg", "_tensors/1.pt")]
    found, _ = read(lay(tmp_path, *both))
    assert {path.suffix for path in found.files} == {".pt"}
    found, _ = read(lay(tmp_path, "Positive/2.jpg"))
    assert {path.suffix for path in found.files} == {".jpg"}
    assert len(found.left_out) == 2


REFUSED = {
    "nothing": ([], "holds no picture in the folder of a class: put the pictures of each class into a folder"),
    "one class": (["Positive/1.jpg", "notes.txt"], "holds pictures in Positive/ alone: put the pictures of each class"),
    "no folders": (["1.jpg", "2.jpg"], "holds no picture in the folder of a class"),
    "splits without classes": (["train/1.jpg", "test/1.jpg"], "holds no picture in the folder of a class"),
    "one class in splits": (["train/a/1.jpg", "test/a/1.jpg"], "holds pictures in a/ alone"),
}


@pytest.mark.parametrize(("files", "why"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_two_classes_is_refused(tmp_path, files, why):
    with pytest.raises(ValueError, match=f"{tmp_path.name} {why}"):
        by_class(lay(tmp_path, *files))


def test_no_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match="nowhere is no folder"):
        by_class(Path(tmp_path, "nowhere"))


def test_classes_are_spread_evenly(tmp_path):
    lay(tmp_path, *(f"Negative/{n:02}.jpg" for n in range(12)), *(f"Positive/{n:02}.jpg" for n in range(4)))
    found = by_class(tmp_path)
    order = found.spread()
    assert sorted(order) == list(range(16))
    assert [found.labels[place] for place in order] == [0, 1, 0, 0] * 4
    of_a_class = [found.files[place].name for place in order if found.labels[place]]
    assert of_a_class == sorted(of_a_class)


def test_what_was_left_out_is_told_by_reason():
    told = ["a.txt: no picture", "b.txt: no picture", "c.jpg: it is cut", "d.txt: no picture"]
    assert why_left_out(told) == "left out 4: a.txt and 2 more (no picture), c.jpg (it is cut)"
    assert why_left_out([f"{n}: {n}" for n in range(7)], most=2) == "left out 7: 0 (0), 1 (1), and for 5 other reasons"
