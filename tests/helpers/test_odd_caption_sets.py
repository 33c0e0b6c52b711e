"""Caption sets as people have them on their disks: captions stay with their own pictures, and what is left out is told.

Many of these folders are rebuilt from public reports of how such data was misread.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from published import write_published
from support import save_picture

from course.registry import REGISTRY, read_registry
from helpers.caption_sets import CAPTION_SETS, captioned_parts, clevr_change, coco_captions, nlvr2, spot_the_diff, vist
from whatchanged.annotations import AnnotationError

COLORS = {"train": (255, 0, 0), "val": (0, 255, 0), "test": (0, 0, 255)}


def picture(path, color=(120, 120, 120), size=(40, 32)):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_picture(path, np.full((size[1], size[0], 3), color, np.uint8))


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def spot(folder, part, *names):
    write(folder / f"{part}.json", [{"img_id": name, "sentences": [f"told of {part}"]} for name in names])


# Spot-the-Diff


def test_each_part_in_a_folder_of_its_own_numbered_anew(tmp_path):
    for part, color in COLORS.items():
        spot(tmp_path, part, "1")
        for name in ("1.png", "1_2.png"):
            picture(tmp_path / part / name, color)
    for part, color in COLORS.items():
        (pair,) = spot_the_diff(tmp_path, part)
        assert pair.captions == (f"told of {part}",)
        assert [tuple(one[0, 0]) for one in pair.read()] == [color, color]


def test_a_picture_that_is_missing_in_its_part_is_not_taken_from_another(tmp_path):
    for part, color in COLORS.items():
        spot(tmp_path, part, "1", "2")
        for name in ("1.png", "1_2.png", "2.png", "2_2.png"):
            picture(tmp_path / part / name, color)
    (tmp_path / "train" / "2_2.png").unlink()
    pairs = spot_the_diff(tmp_path, "train", strict=False)
    assert [pair.name for pair in pairs] == ["1"]
    (why,) = pairs.skipped
    reason = "there is no picture '2_2.png'; test/2_2.png lies in the folder of another part"
    assert why == f"{tmp_path / 'train.json'}, record 2: {reason}"
    with pytest.raises(AnnotationError, match="there is no picture '2_2.png'; .*: mend it, or pass strict=False"):
        spot_the_diff(tmp_path, "train")


def test_folders_that_tell_nothing_are_refused_where_names_come_twice(tmp_path):
    spot(tmp_path, "train", "1")
    for folder, part in (("one", "train"), ("two", "val")):
        for name in ("1.png", "1_2.png"):
            picture(tmp_path / folder / name, COLORS[part])
    message = r"record 1: '1\.png' is there twice, as one/1\.png and two/1\.png, which differ"
    with pytest.raises(AnnotationError, match=message):
        spot_the_diff(tmp_path, "train")
    with pytest.raises(AnnotationError, match=rf"train\.json holds no pair, for .*{message}"):
        spot_the_diff(tmp_path, "train", strict=False)


def test_small_previews_are_not_the_pictures(tmp_path):
    spot(tmp_path, "test", "1")
    for name in ("1.png", "1_2.png"):
        picture(tmp_path / "images" / name, size=(64, 64))
        picture(tmp_path / "thumbnails" / name, size=(8, 8))
    (pair,) = spot_the_diff(tmp_path, "test")
    assert pair.read()[0].shape == pair.read()[1].shape == (64, 64, 3)


@pytest.mark.parametrize("ending", [".jpg", ".PNG", ".jpeg", ".gif", ".webp", ".tif"])
def test_pictures_may_end_otherwise_than_the_format_says(tmp_path, ending):
    write(tmp_path / "train.json", [{"img_id": 17, "sentences": ["a"]}])
    for name in ("17", "17_2"):
        picture(tmp_path / f"{name}{ending}")
    for strict in (True, False):
        (pair,) = spot_the_diff(tmp_path, "train", strict=strict)
        assert (pair.before.name, pair.after.name) == (f"17{ending}", f"17_2{ending}")


def test_ids_as_number_and_text_and_records_that_are_none(tmp_path):
    records = [
        {"img_id": 17, "sentences": ["a ", " ", "b"]},
        {"img_id": "17", "sentences": ["c"]},
        {"img_id": "18", "sentences": []},
        {"img_id": "19", "sentences": "text"},
        {"img_id": None, "sentences": ["a"]},
        {"img_id": 1.5, "sentences": ["a"]},
        {"img_id": True, "sentences": ["a"]},
        {"img_id": "20"},
        "no record",
        None,
    ]
    write(tmp_path / "train.json", records)
    for name in (17, 18, 19):
        picture(tmp_path / f"{name}.png")
        picture(tmp_path / f"{name}_2.png")
    pairs = spot_the_diff(tmp_path, "train", strict=False)
    assert [(pair.name, pair.captions) for pair in pairs] == [("17", ("a", "b", "c"))]
    told = [why.removeprefix(f"{tmp_path / 'train.json'}, record ") for why in pairs.skipped]
    assert told == [
        "3 has no sentence",
        "4: the sentences are 'text', they must be a list of text",
        "5: img_id is None, it must be text or a whole number",
        "6: img_id is 1.5, it must be text or a whole number",
        "7: img_id is True, it must be text or a whole number",
        "8 has no 'sentences': it needs img_id, sentences",
        "9 has no 'img_id': it needs img_id, sentences",
        "10 has no 'img_id': it needs img_id, sentences",
    ]


def test_the_files_that_there_are_are_told(tmp_path):
    spot(tmp_path, "valid", "1")
    picture(tmp_path / "1.png")
    with pytest.raises(AnnotationError, match=r"holds no val\.json, nor does a folder of it; there is valid\.json"):
        spot_the_diff(tmp_path, "val")
    with pytest.raises(AnnotationError, match=r"holds no None\.json"):
        spot_the_diff(tmp_path, None)
    with pytest.raises(AnnotationError, match="nowhere"):
        spot_the_diff(tmp_path / "nowhere", "val")


# NLVR2


def sentence(number, said, label="True"):
    return json.dumps({"identifier": f"dev-{number}-0-0", "sentence": said, "label": label}, ensure_ascii=False)


def lines(*said, end="\n"):
    return "".join(sentence(number, one) + end for number, one in enumerate(said, start=1))


BOTH = ["two dogs", "a cat"]


@pytest.mark.parametrize(
    ("data", "captions"),
    [
        (lines(*BOTH).encode(), BOTH),
        (lines("two\u2028dogs", "a cat").encode(), ["two\u2028dogs", "a cat"]),
        (lines("two\x85dogs", "a cat").encode(), ["two\x85dogs", "a cat"]),
        (lines(*BOTH, end="\n\n \n").encode(), BOTH),
        (("\n" + lines(*BOTH)).encode("utf-8-sig"), BOTH),
        (lines(*BOTH, end="\r\n").encode(), BOTH),
        (lines(*BOTH, end="\r").encode(), BOTH),
        (lines(*BOTH).replace('"True"', "true").encode(), BOTH),
        (lines(*BOTH).replace('"True"', '"true"').encode(), BOTH),
        (lines("un caf\xe9").encode("cp1252"), ["un caf\xe9"]),
        (lines("un caf\xe9").encode("utf-16"), ["un caf\xe9"]),
    ],
)
def test_lines_of_nlvr2(tmp_path, data, captions):
    (tmp_path / "dev.json").write_bytes(data)
    for number in (1, 2):
        for side in (0, 1):
            picture(tmp_path / "images" / "dev" / str(number) / f"dev-{number}-0-img{side}.png")
    assert [pair.captions[0] for pair in nlvr2(tmp_path, "dev")] == captions


def test_a_line_that_breaks_off_and_a_label_that_is_none(tmp_path):
    lines = [sentence(1, "two dogs"), sentence(2, "a cat", "maybe"), sentence(2, "a cat", None), sentence(2, "x")[:40]]
    (tmp_path / "dev.json").write_text("\n".join(lines))
    for side in (0, 1):
        picture(tmp_path / f"dev-1-0-img{side}.png")
    pairs = nlvr2(tmp_path, "dev", strict=False)
    assert len(pairs) == 1
    told = [why.split(", ", 1)[1] for why in pairs.skipped]
    assert told[:2] == [
        "line 2: label is 'maybe', it must be True or False",
        "line 3: label is None, it must be True or False",
    ]
    assert told[2].startswith("line 4 is not valid JSON: ")
    with pytest.raises(AnnotationError, match="line 2: label is 'maybe', it must be True or False: mend it"):
        nlvr2(tmp_path, "dev")


# COCO


def coco(folder, images, annotations, split="val2014"):
    write(folder / "annotations" / f"captions_{split}.json", {"images": images, "annotations": annotations})


def test_coco_with_folders_in_its_names_and_ids_as_text(tmp_path):
    images = [{"id": "4", "file_name": "val2014/a.jpg"}, {"id": 9, "file_name": "train2014\\a.jpg"}]
    coco(tmp_path, images, [{"image_id": 4, "caption": "val"}, {"image_id": "9", "caption": "train"}])
    for part in ("val", "train"):
        picture(tmp_path / "pictures" / f"{part}2014" / "a.jpg", COLORS[part])
    pairs = coco_captions(tmp_path, "val2014")
    assert [(pair.name, pair.captions[0]) for pair in pairs] == [("4", "val"), ("9", "train")]
    for pair in pairs:
        assert np.abs(pair.read()[0].astype(int) - COLORS[pair.captions[0]]).max() < 8


def test_a_subset_of_coco(tmp_path):
    """Photographs without a caption, and captions of photographs that are not in the subset."""
    images = [{"id": one, "file_name": f"{one}.jpg"} for one in (1, 2, 3)]
    told = [{"image_id": one, "caption": f"of {one}"} for one in (1, 3, 7)]
    coco(tmp_path, images, told)
    for one in (1, 2, 3):
        picture(tmp_path / "val2014" / f"{one}.jpg")
    pairs = coco_captions(tmp_path, "val2014", strict=False)
    assert [pair.captions[0] for pair in pairs] == ["of 1", "of 3"]
    assert [why.split(", ", 1)[1] for why in pairs.skipped] == [
        "annotation 3: there is no image with the id 7",
        "image 2 has no sentence",
    ]
    with pytest.raises(AnnotationError, match="there is no image with the id 7: mend it"):
        coco_captions(tmp_path, "val2014")


def test_two_photographs_of_one_id_have_nobody_s_captions(tmp_path):
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": "1", "file_name": "b.jpg"}, {"id": 2, "file_name": "c.jpg"}]
    coco(tmp_path, images, [{"image_id": 1, "caption": "of whom"}, {"image_id": 2, "caption": "of c"}])
    for name in "abc":
        picture(tmp_path / f"{name}.jpg")
    pairs = coco_captions(tmp_path, "val2014", strict=False)
    assert [pair.captions[0] for pair in pairs] == ["of c"]
    assert pairs.skipped[0].endswith("'1' comes twice")
    assert coco_captions(tmp_path, "val2014", strict=False, other=True)[0].before.name == "c.jpg"


# VIST


def story(name, photographs):
    keys = ("story_id", "photo_flickr_id", "worker_arranged_photo_order", "text")
    return [[dict(zip(keys, (name, one, i, f"s{name} {i}"), strict=True))] for i, one in enumerate(photographs)]


@pytest.fixture
def stories(tmp_path):
    write(tmp_path / "val.story-in-sequence.json", {"annotations": story("1", "12345") + story("2", "6789a")})
    for one in "123456789a":
        picture(tmp_path / f"{one}.jpg")
    return tmp_path


def test_a_photograph_of_a_story_is_gone_from_its_address(stories):
    (stories / "3.jpg").unlink()
    pairs = vist(stories, "val", strict=False)
    assert [pair.name for pair in pairs] == ["1 1", "1 3", "1 4", "2 1", "2 2", "2 3", "2 4"]
    assert (pairs[1].before.name, pairs[1].after.name, pairs[1].captions) == ("2.jpg", "4.jpg", ("s1 3",))
    assert [why.split(", ", 1)[1] for why in pairs.skipped] == ["annotation 3: there is no picture '3'"]
    with pytest.raises(AnnotationError, match="annotation 3: there is no picture '3': mend it"):
        vist(stories, "val")


def test_a_photograph_may_be_a_gif(stories):
    (stories / "3.jpg").unlink()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(stories / "3.gif")
    assert len(vist(stories, "val")) == 8


def test_steps_of_a_story_that_cannot_be_put_in_order(stories):
    path = stories / "val.story-in-sequence.json"
    content = json.loads(path.read_text())
    for index, order in ((1, "second"), (2, None), (3, 0), (8, True)):
        content["annotations"][index][0]["worker_arranged_photo_order"] = order
    content["annotations"].append([])
    write(path, content)
    pairs = vist(stories, "val", strict=False)
    assert [pair.name for pair in pairs] == ["1 4", "2 1", "2 2", "2 4"]
    assert [why.split(", ", 1)[1].split(":")[0] for why in pairs.skipped] == [
        "annotation 11 has no 'story_id'",
        "annotation 2",
        "annotation 3",
        "annotation 4",
        "annotation 9",
    ]


# CLEVR-Change


def test_clevr_change_where_its_archive_unpacks(tmp_path):
    """Everything lies below data/, as the registry says; the folder of the download and data/ are both taken."""
    write_published("clevr-change", tmp_path, train=1, validation=1, test=1)
    (source,) = read_registry(REGISTRY)["clevr-change"].sources
    assert all((tmp_path / path).exists() for path in source.unpacks_to)
    pairs = clevr_change(tmp_path, "train")
    assert [pair.name for pair in pairs] == ["000000 change", "000000 no change"]
    assert clevr_change(tmp_path / "data", "train") == pairs


@pytest.mark.parametrize("numbers", [None, "0", {"0": 1}, [None], ["0"], [0.0], [True]])
def test_parts_of_clevr_change_that_are_none(tmp_path, numbers):
    write_published("clevr-change", tmp_path, train=1, validation=1, test=1)
    write(tmp_path / "data" / "splits.json", {"train": numbers})
    with pytest.raises(AnnotationError, match=r"splits\.json: train .*must (be a list of|hold) whole numbers"):
        clevr_change(tmp_path, "train")
    with pytest.raises(AnnotationError, match=r"splits\.json has no split None: choose from 'train'"):
        clevr_change(tmp_path, None)


def test_a_number_that_comes_twice_is_told_and_read_once(tmp_path):
    write_published("clevr-change", tmp_path, train=1, validation=1, test=1)
    write(tmp_path / "data" / "splits.json", {"train": [0, 0, "x"]})
    pairs = clevr_change(tmp_path, "train", strict=False)
    assert [pair.name for pair in pairs] == ["000000 change", "000000 no change"]
    assert len(pairs.skipped) == 3


# All of them


@pytest.mark.parametrize("name", CAPTION_SETS)
@pytest.mark.parametrize("damage", ["cut", "empty", "text"])
def test_a_picture_that_cannot_be_read_is_left_out_and_told(tmp_path, name, damage):
    write_published(name, tmp_path, train=4, validation=2, test=2)
    whole = captioned_parts(name, tmp_path)
    path = whole["train"][1].after
    data = path.read_bytes()
    path.write_bytes({"cut": data[: len(data) * 2 // 3], "empty": b"", "text": b"gone"}[damage])
    left = captioned_parts(name, tmp_path)
    assert path not in {one for pair in left["train"] for one in (pair.before, pair.after)}
    kept = [pair for pair in whole["train"] if path not in (pair.before, pair.after)]
    assert [pair for pair in left["train"] if pair in kept] == kept
    assert len(left["train"].skipped) == 1
    assert path.name in left["train"].skipped[0]
    assert "\n" not in left["train"].skipped[0]
    for part in ("validation", "test"):
        assert left[part] == whole[part]
    with pytest.raises(AnnotationError, match=rf"{path.name} is .*: mend it, or pass strict=False"):
        CAPTION_SETS[name].read(tmp_path, CAPTION_SETS[name].splits[0])
