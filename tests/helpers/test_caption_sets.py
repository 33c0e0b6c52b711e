"""Tiny data sets in exactly the published formats, read, trained on; and each fault in them, named."""

from __future__ import annotations

import json
import re
from itertools import chain

import cv2
import numpy as np
import pytest
import tiny_tblip2
import torch
from published import write_published
from support import ROOT

from helpers.caption_sets import (
    CAPTION_SETS,
    captioned_parts,
    clevr_change,
    coco_captions,
    nlvr2,
    spot_the_diff,
    vist,
)
from whatchanged import training
from whatchanged.annotations import AnnotationError
from whatchanged.files import read_json
from whatchanged.models import caption_loss, finetuning
from whatchanged.models.prepared import PreparedPairs

PARTS = ("train", "validation", "test")
FEW = {"train": 4, "validation": 2, "test": 2}
PAIRS_A_RECORD = {"clevr-change": 2, "vist": 4}
every_set = pytest.mark.parametrize("name", CAPTION_SETS)


def picture(path, value=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((6, 8, 3), value, np.uint8))


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.fixture
def spot(tmp_path):
    records = [
        {"img_id": "256", "sentences": ["the man is gone", "a car has arrived "]},
        {"img_id": "3", "sentences": ["nobody is there now"]},
    ]
    write(tmp_path / "val.json", records)
    for name in ("256.png", "256_2.png", "3.png", "3_2.png", "3_diff.jpg"):
        picture(tmp_path / "resized_images" / name, 200 if "_2" in name else 100)
    return tmp_path


def test_spot_the_diff(spot):
    first, second = spot_the_diff(spot, "val")
    assert (first.name, first.captions) == ("256", ("the man is gone", "a car has arrived"))
    assert (second.before.name, second.after.name, second.source) == ("3.png", "3_2.png", "spot-the-diff")
    before, after = first.read()
    assert (before.shape, before.mean(), after.mean()) == ((6, 8, 3), 100, 200)
    assert spot_the_diff(spot, "val", together=True)[0].captions == ("the man is gone a car has arrived",)


@pytest.mark.real
def test_the_published_annotations_of_spot_the_diff(real_data, tmp_path):
    """All of val and test, with pictures of one pixel in place of the download."""
    picture(tmp_path / "pixel.png")
    pixel = (tmp_path / "pixel.png").read_bytes()
    for split in ("val", "test"):
        folder = tmp_path / split
        records = json.loads((real_data / "spot-the-diff" / f"{split}.json").read_text())
        write(folder / f"{split}.json", records)
        for record in records:
            for name in (f"{record['img_id']}.png", f"{record['img_id']}_2.png"):
                (folder / name).write_bytes(pixel)
        pairs = spot_the_diff(folder, split, strict=False)
        told = [record["img_id"] for record in records if "".join(record["sentences"]).strip()]
        assert len(pairs) == len(set(told))
        assert len(pairs.skipped) == len(records) - len(told) > 0
        written = [sentence for record in records for sentence in record["sentences"] if sentence.strip()]
        assert sum(len(pair.captions) for pair in pairs) == len(written)
        with pytest.raises(AnnotationError, match="has no sentence: mend it, or pass strict=False"):
            spot_the_diff(folder, split)


def test_a_pair_has_the_sentences_of_all_who_told_of_it(spot):
    write(spot / "val.json", [{"img_id": "3", "sentences": one} for one in (["a", "b"], ["c"], [])])
    (pair,) = spot_the_diff(spot, "val", strict=False)
    assert pair.captions == ("a", "b", "c")
    pairs = spot_the_diff(spot, "val", together=True, strict=False)
    assert pairs[0].captions == ("a b", "c")
    assert pairs.skipped == [f"{spot / 'val.json'}, record 3 has no sentence"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[{", r"val\.json is not valid JSON"),
        ({}, r"val\.json holds a dict, it must hold a list"),
        ([], r"val\.json holds no pair"),
        ([{"img_id": "3"}], r"record 1 has no 'sentences': it needs img_id, sentences"),
        ([{"img_id": "3", "sentences": []}], "record 1 has no sentence"),
        ([{"img_id": "3", "sentences": [" "]}], "record 1 has no sentence"),
        ([{"img_id": "3", "sentences": "gone"}], "record 1: the sentences are 'gone'"),
        ([{"img_id": "9", "sentences": ["gone"]}], r"record 1: there is no picture '9\.png'"),
    ],
)
def test_faults_of_spot_the_diff_are_named(spot, content, message):
    write(spot / "val.json", content)
    with pytest.raises(AnnotationError, match=message):
        spot_the_diff(spot, "val")
    with pytest.raises(AnnotationError, match=r"holds no test\.json"):
        spot_the_diff(spot, "test")


@pytest.fixture
def clevr(tmp_path):
    write(tmp_path / "splits.json", {"train": [1], "val": [], "test": [0]})
    told = {"CLEVR_default_000000.png": ["the cube moved", "the block is elsewhere"], "CLEVR_default_000001.png": ["x"]}
    write(tmp_path / "change_captions.json", told)
    write(tmp_path / "no_change_captions.json", {name: ["no change was made"] for name in told})
    for number in (0, 1):
        for place, word in (("images", "default"), ("sc_images", "semantic"), ("nsc_images", "nonsemantic")):
            picture(tmp_path / place / f"CLEVR_{word}_{number:06}.png")
    return tmp_path


def test_clevr_change(clevr):
    changed, same = clevr_change(clevr, "test")
    assert (changed.name, changed.captions) == ("000000 change", ("the cube moved", "the block is elsewhere"))
    assert changed.after == clevr / "sc_images" / "CLEVR_semantic_000000.png"
    assert (same.name, same.captions) == ("000000 no change", ("no change was made",))
    assert same.after == clevr / "nsc_images" / "CLEVR_nonsemantic_000000.png"
    assert same.before == changed.before == clevr / "images" / "CLEVR_default_000000.png"


def test_faults_of_clevr_change_are_named(clevr):
    with pytest.raises(AnnotationError, match="has no split 'dev': choose from 'train', 'val', 'test'"):
        clevr_change(clevr, "dev")
    (clevr / "nsc_images" / "CLEVR_nonsemantic_000000.png").unlink()
    with pytest.raises(AnnotationError, match=r"no_change_captions\.json, CLEVR_default_000000\.png: there is no"):
        clevr_change(clevr, "test")
    write(clevr / "change_captions.json", {})
    with pytest.raises(AnnotationError, match=r"change_captions\.json, CLEVR_default_000000\.png has no sentence"):
        clevr_change(clevr, "test")


def test_nlvr2_keeps_what_is_true(tmp_path):
    records = [
        {"identifier": "dev-850-0-0", "sentence": "Both dogs sleep.", "label": "True", "left_url": "..."},
        {"identifier": "dev-850-0-1", "sentence": "A cat is there.", "label": "False"},
    ]
    write(tmp_path / "dev.json", "\n".join(json.dumps(one) for one in records) + "\n")
    for side in (0, 1):
        picture(tmp_path / "dev" / f"dev-850-0-img{side}.png")
    (pair,) = nlvr2(tmp_path, "dev")
    assert (pair.name, pair.captions) == ("dev-850-0-0", ("Both dogs sleep.",))
    assert (pair.before.name, pair.after.name) == ("dev-850-0-img0.png", "dev-850-0-img1.png")
    write(tmp_path / "dev.json", "\n".join([json.dumps(records[0])] * 2))
    with pytest.raises(AnnotationError, match="'dev-850-0-0' comes twice"):
        nlvr2(tmp_path, "dev")
    write(tmp_path / "dev.json", json.dumps(records[0]) + "\n{")
    with pytest.raises(AnnotationError, match=r"dev\.json, line 2 is not valid JSON"):
        nlvr2(tmp_path, "dev")


def test_coco_captions_as_pairs_of_one_or_of_two(tmp_path):
    images = [{"id": 9, "file_name": "COCO_9.jpg"}, {"id": 4, "file_name": "COCO_4.jpg"}]
    told = [{"image_id": 4, "id": 1, "caption": "A dog."}, {"image_id": 9, "id": 2, "caption": "A cat."}]
    told.append({"image_id": 4, "id": 3, "caption": "A brown dog."})
    write(tmp_path / "annotations" / "captions_val2014.json", {"images": images, "annotations": told})
    for one in images:
        picture(tmp_path / "val2014" / one["file_name"])
    cat, dog = coco_captions(tmp_path, "val2014")
    assert (cat.name, cat.captions, dog.captions) == ("9", ("A cat.",), ("A dog.", "A brown dog."))
    assert dog.before == dog.after
    cat, dog = coco_captions(tmp_path, "val2014", other=True)
    assert (dog.before, cat.before) == (cat.after, dog.after)
    write(tmp_path / "annotations" / "captions_val2014.json", {"images": images, "annotations": told[:1]})
    with pytest.raises(AnnotationError, match="image 1 has no sentence"):
        coco_captions(tmp_path, "val2014")


def test_vist_pairs_each_photograph_with_the_one_before(tmp_path):
    def step(order, text):
        record = {"story_id": "7", "photo_flickr_id": f"55{order}", "worker_arranged_photo_order": order, "text": text}
        return [record]

    content = {"annotations": [step(1, "then we ate ."), step(0, "we met ."), step(2, "it was late .")]}
    write(tmp_path / "sis" / "val.story-in-sequence.json", content)
    for order in range(3):
        picture(tmp_path / "images" / f"55{order}.jpg")
    first, second = vist(tmp_path, "val")
    assert (first.before.name, first.after.name, first.captions) == ("550.jpg", "551.jpg", ("then we ate .",))
    assert (second.name, second.before, second.captions) == ("7 2", first.after, ("it was late .",))
    (tmp_path / "images" / "552.jpg").unlink()
    with pytest.raises(AnnotationError, match="annotation 3: there is no picture '552'"):
        vist(tmp_path, "val")


@pytest.fixture
def folder(name, tmp_path):
    return write_published(name, tmp_path / "set", **FEW)


@every_set
def test_all_parts_are_read(name, folder):
    parts = captioned_parts(name, folder)
    assert tuple(parts) == PARTS
    assert {part: len(own) // PAIRS_A_RECORD.get(name, 1) for part, own in parts.items()} == FEW
    pairs = list(chain(*parts.values()))
    assert {pair.source for pair in pairs} == {name}
    assert len({pair.name for pair in pairs}) == len(pairs), "a pair is in two parts"
    shown = [{path for pair in own for path in (pair.before, pair.after)} for own in parts.values()]
    assert len(set.union(*shown)) == sum(map(len, shown)), "a picture is in two parts"
    assert all(not own.skipped for own in parts.values())
    before, after = pairs[0].read()
    assert before.shape == (48, 48, 3)
    assert after.shape == ((36, 48, 3) if name == "nlvr2" else (48, 48, 3))


@every_set
def test_t_blip2_trains_two_steps(name, folder):
    parts = captioned_parts(name, folder)
    model = tiny_tblip2.small(chain(*parts.values()))

    def prepared(part, count):
        def read(number):
            pair = parts[part][number]
            return (*pair.read(), pair.captions)

        return PreparedPairs.in_memory(count, read, model.prepare, draw=part == "train")

    start = {key: value.clone() for key, value in model.named_parameters()}
    optimizer = torch.optim.AdamW(finetuning.parameter_groups(model, 1e-3))
    recipe = training.Recipe(caption_loss.CaptionLoss(), {}, optimizer, precision="fp32")
    data = prepared("train", 4), prepared("validation", 2)
    history = training.fit(model, *data, recipe, epochs=1, batch_size=2, progress=False)
    assert len(history.step_loss) == 2
    assert all(0 < loss < 100 for loss in [*history.step_loss, history.epochs[0]["val_lm"]])
    assert any(not torch.equal(value, start[key]) for key, value in model.named_parameters())
    (said,) = model.eval().generate(*([picture] for picture in parts["test"][0].read()), max_new_tokens=5)
    words = " ".join(caption for own in parts.values() for pair in own for caption in pair.captions)
    assert set(said.split()) <= set(re.findall(r"\w+|[^\w\s]", words.lower()))


def test_the_halves_of_val2014(tmp_path):
    """Every second photograph in the order of the file, the same ones in each run."""
    parts = captioned_parts("coco-captions", write_published("coco-captions", tmp_path, **FEW))
    assert [[pair.name for pair in parts[part]] for part in PARTS[1:]] == [["1000", "2000"], ["1001", "2001"]]
    write_published("coco-captions", tmp_path, train=1, validation=1, test=0)
    with pytest.raises(AnnotationError, match="holds one pair of val2014: validation and test need one each"):
        captioned_parts("coco-captions", tmp_path)


def test_an_unknown_name_is_told_the_choices(tmp_path):
    message = (
        r"'relation': choose from 'spot-the-diff' \(diff\), 'clevr-change' \(diff\), 'nlvr2' \(relation\), 'coco-c"
    )
    with pytest.raises(AnnotationError, match=message):
        captioned_parts("relation", tmp_path)


@every_set
def test_a_missing_picture_leaves_its_pairs_out(name, folder):
    """Of what they published, some is no longer to be had: 5 % of NLVR2 by its addresses, photographs at Flickr."""
    whole = captioned_parts(name, folder)
    gone = whole["train"][1].after
    gone.unlink()
    left = captioned_parts(name, folder)
    lost = [pair.name for pair in whole["train"] if gone in (pair.before, pair.after)]
    same = [pair.name for pair in left["train"] if pair in whole["train"]]
    assert same == [pair.name for pair in whole["train"] if pair.name not in lost]
    (why, *_) = left["train"].skipped
    assert gone.stem in why
    assert "\n" not in why
    assert left["test"] == whole["test"]
    with pytest.raises(AnnotationError, match="mend it, or pass strict=False to leave it out"):
        CAPTION_SETS[name].read(folder, CAPTION_SETS[name].splits[0])


def test_a_story_goes_on_over_a_missing_photograph(tmp_path):
    write_published("vist", tmp_path, train=1, validation=1, test=1)
    (tmp_path / "images" / "train" / "2600000002.jpg").unlink()
    pairs = captioned_parts("vist", tmp_path)["train"]
    stems = [(pair.before.stem[-1], pair.after.stem[-1]) for pair in pairs]
    assert stems == [("0", "1"), ("1", "3"), ("3", "4")]


@every_set
def test_missing_pictures_are_told_where_they_are_had(name, folder):
    """All gone, or all of a part: in the words of the registry, so that its list and the reader say the same."""
    registered = read_json(ROOT / "course" / "datasets.json")[name]
    by_hand = registered.get("by_hand", "download_and_unzip.py")
    where = re.search(r"https\S+|download_and_unzip.py", CAPTION_SETS[name].pictures)[0]
    assert where in by_hand
    train = captioned_parts(name, folder)["train"]
    for pair in train:
        pair.after.unlink(missing_ok=True)
    with pytest.raises(AnnotationError, match=rf"holds no pair, for .*{re.escape(where)}"):
        captioned_parts(name, folder)
    for path in [*folder.rglob("*.png"), *folder.rglob("*.jpg")]:
        path.unlink()
    message = rf"{folder} holds no picture of {name}, nor does a folder of it: .*{re.escape(where)}.*put them there"
    with pytest.raises(AnnotationError, match=message):
        captioned_parts(name, folder)


@every_set
def test_what_the_download_brings_is_what_is_read(name, folder):
    """The paths that the registry holds an archive to are there in the published layout."""
    sources = read_json(ROOT / "course" / "datasets.json")[name]["sources"]
    for path in chain(*(source["unpacks_to"] for source in sources)):
        assert (folder / path).exists(), path


def test_clevr_change_lies_in_data_as_its_archive_unpacks(tmp_path):
    write_published("clevr-change", tmp_path, **FEW)
    assert clevr_change(tmp_path, "test") == clevr_change(tmp_path / "data", "test")
