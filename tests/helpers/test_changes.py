"""Pairs with several labels: written, read, split, refused with their id."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch

from helpers import scenes
from helpers.changes import CHANGE_LABELS, SPLITS, RecordError, SubtleDiffDataset, parts_of, write_dataset
from helpers.things import ATTRIBUTES
from whatchanged import alignment
from whatchanged.formats import ImageError
from whatchanged.weights import to_tensor

COUNT = 12


@pytest.fixture(scope="module")
def pairs():
    return [scenes.subtle_pair(0, index, size=48) for index in range(COUNT)]


@pytest.fixture
def folder(tmp_path, pairs):
    return write_dataset(tmp_path / "pairs", pairs)


def edit(folder, change):
    """Rewrite the annotations; `change` gets the list of records and may return another one."""
    path = folder / "annotations.json"
    records = json.loads(path.read_text())
    path.write_text(json.dumps(change(records) or records))


def test_what_is_written_is_what_is_read(folder, pairs):
    data = SubtleDiffDataset(folder)
    assert len(data) == COUNT
    assert data.names == ATTRIBUTES == CHANGE_LABELS
    for index, pair in enumerate(pairs):
        assert np.array_equal(data.picture(index), np.stack([pair.before, pair.after]))
        assert data.labels[index].tolist() == [pair.labels[name] for name in data.names]
        assert np.array_equal(data.boxes[index], pair.boxes)
        assert data.records[index]["objects"] == len(pair.things)
    images, labels = data[3]
    assert images.shape == (2, 3, 48, 48)
    assert images.dtype == torch.float32
    assert labels.dtype == np.float32
    assert torch.equal(images[1], to_tensor(pairs[3].after))


def test_memory_and_subsets_hold_the_same_pairs(folder):
    data = SubtleDiffDataset(folder, transform=alignment.aligned, size=40)
    kept = data.in_memory()
    assert kept.images.shape == (COUNT, 2, 40, 40, 3)
    for small, whole in zip(data.boxes, SubtleDiffDataset(folder).boxes, strict=True):
        assert small == pytest.approx(whole * 40 / 48)
    few = kept.subset([5, 2])
    for place, index in enumerate((5, 2)):
        assert torch.equal(few[place][0], data[index][0])
        assert np.array_equal(few[place][1], data.labels[index])


def test_the_transform_sees_both_pictures(folder, pairs):
    def swap(before, after):
        return after, before

    assert np.array_equal(SubtleDiffDataset(folder, transform=swap).picture(0)[0], pairs[0].after)


def test_a_second_data_set_replaces_the_first(folder, pairs):
    write_dataset(folder, pairs[4:7])
    assert len(SubtleDiffDataset(folder)) == 3


def test_a_half_written_data_set_is_none(tmp_path, pairs):
    def breaks_off():
        yield from pairs[:3]
        raise KeyboardInterrupt

    write_dataset(tmp_path, pairs)
    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path, breaks_off())
    with pytest.raises(ValueError, match=r"holds no annotations\.json"):
        SubtleDiffDataset(tmp_path)


def test_splits_by_folder(tmp_path, pairs):
    for split, part in (("train", pairs[:8]), ("val", pairs[8:10]), ("test", pairs[10:])):
        write_dataset(tmp_path / split, part)
    assert [len(SubtleDiffDataset(tmp_path, split)) for split in SPLITS] == [8, 2, 2]
    for word in ("validation", "valid", "dev"):
        next(path for path in tmp_path.iterdir() if path.name not in SPLITS or path.name == "val").rename(
            tmp_path / word
        )
        assert len(SubtleDiffDataset(tmp_path, "val")) == 2


def test_splits_of_one_folder_are_disjoint_whole_and_lasting(folder):
    edit(folder, lambda records: [{**records[i % COUNT], "id": i} for i in range(400)])
    parts = [{r["id"] for r in SubtleDiffDataset(folder, split).records} for split in SPLITS]
    assert set.union(*parts) == set(range(400))
    assert sum(map(len, parts)) == 400
    for part, share in zip(parts, SPLITS.values(), strict=True):
        assert abs(len(part) / 400 - share) < 0.06
    edit(folder, lambda records: records[100:])  # who is gone does not move the others
    assert {r["id"] for r in SubtleDiffDataset(folder, "test").records} == {i for i in parts[2] if i >= 100}


def test_a_record_may_say_its_split(folder):
    edit(folder, lambda records: [{**record, "split": "val"} for record in records])
    assert len(SubtleDiffDataset(folder, "val")) == COUNT
    with pytest.raises(ValueError, match="no usable pair of the split 'test'"):
        SubtleDiffDataset(folder, "test")


def test_a_split_is_told_in_all_usual_words_or_left_to_the_id(folder):
    edit(folder, lambda records: [{**records[i % COUNT], "id": i} for i in range(100)])
    words = ["valid", "validation", "dev", "val"]
    edit(folder, lambda records: [{**record, "split": words[i % 4]} for i, record in enumerate(records)])
    assert len(SubtleDiffDataset(folder, "val")) == 100
    plain = [[record["id"] for record in _without_split(folder, split)] for split in SPLITS]
    edit(folder, lambda records: [{**record, "split": None} for record in records])
    assert [[record["id"] for record in SubtleDiffDataset(folder, split).records] for split in SPLITS] == plain


def _without_split(folder, split):
    edit(folder, lambda records: [{k: v for k, v in one.items() if k != "split"} for one in records])
    return SubtleDiffDataset(folder, split).records


@pytest.mark.parametrize("told", ["holdout", "", 3, ["val"], {"a": 1}])
def test_an_unknown_split_is_in_no_part_and_told_in_each(folder, told):
    edit(folder, lambda records: [{**one, "split": told if i == 7 else "val"} for i, one in enumerate(records)])
    with pytest.raises(RecordError, match=rf"record '000007': split is {re.escape(repr(told))}, not train, val, test"):
        SubtleDiffDataset(folder, "val")
    data = SubtleDiffDataset(folder, "val", strict=False)
    assert len(data) == COUNT - 1
    assert "split is" in data.skipped[0]
    assert len(SubtleDiffDataset(folder)) == COUNT


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_annotations_are_read_in_the_bytes_that_editors_write(folder, encoding):
    records = json.loads((folder / "annotations.json").read_text())
    records[0]["id"] = "café"
    (folder / "annotations.json").write_bytes(json.dumps(records, ensure_ascii=False).encode(encoding))
    assert SubtleDiffDataset(folder).name(0) == "café"


def _set(**values):
    return lambda records: records[7].update(values)


def _drop(records):
    del records[7]["shape"]


BROKEN = {
    "missing file": (_set(after="none.png"), "record '000007', after: 'none.png' does not exist in "),
    "outside": (_set(after="../before/000007.png"), "names no file in"),
    "no name": (_set(after=None), "None names no file in"),
    "no such label": (_drop, "record '000007' has no label 'shape'"),
    "unknown value": (_set(color="maybe"), "record '000007': color is 'maybe', it must be 0 or 1"),
    "boxes": (_set(boxes=[[1, 2, 3]]), "it must be a list of"),
    "twice": (_set(id="000006"), "record '000006': there are two records with this id"),
}


@pytest.mark.parametrize(("change", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_record_is_named_or_skipped(folder, change, message):
    edit(folder, change)
    with pytest.raises(RecordError, match=message):
        SubtleDiffDataset(folder)
    data = SubtleDiffDataset(folder, strict=False)
    assert len(data) == COUNT - 1
    assert len(data.skipped) == 1
    assert "000007" not in {record["id"] for record in data.records}


def test_sizes_that_differ_are_named(folder, pairs):
    from PIL import Image

    Image.fromarray(pairs[7].after[:40]).save(folder / "after" / "000007.png")
    with pytest.raises(RecordError, match="record '000007': before is 48x48 and after is 48x40"):
        SubtleDiffDataset(folder)


def test_files_that_are_no_images_are_named(folder):
    path = folder / "after" / "000007.png"
    whole = path.read_bytes()
    path.write_text("no image")
    with pytest.raises(RecordError, match="record '000007', after: .*000007.png is not an image"):
        SubtleDiffDataset(folder)
    path.write_bytes(whole[: len(whole) // 2])  # its header is good
    with pytest.raises(RecordError, match="record '000007', after: .*000007.png is damaged"):
        SubtleDiffDataset(folder)
    data = SubtleDiffDataset(folder, strict=False)
    assert "000007" not in [record["id"] for record in data.records]
    assert len(data.skipped) == 1
    path.write_bytes(whole)
    data = SubtleDiffDataset(folder)
    path.write_bytes(whole[: len(whole) // 2])  # later
    with pytest.raises(ImageError, match="record '000007': .* is damaged"):
        data.picture(7)


def test_annotations_that_are_none(folder):
    path = folder / "annotations.json"
    for text, message in (
        ("[{", "is not valid JSON"),
        ("{}", "holds a dict: it must hold a list"),
        ("[]", "no usable"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            SubtleDiffDataset(folder)
    path.write_text("[3]")
    with pytest.raises(RecordError, match="record number 0 .* has no id"):
        SubtleDiffDataset(folder)
    with pytest.raises(ValueError, match="split is 'all'"):
        SubtleDiffDataset(folder, "all")


def test_the_parts_of_a_data_set(folder, tmp_path, pairs):
    """Where no record tells its part, all is there to be judged; and a part in which a label never changes is none."""
    write_dataset(tmp_path / "apart" / "test", pairs)
    assert parts_of(tmp_path / "apart", testing=True) == {"test": (tmp_path / "apart", "test")}
    assert parts_of(folder, testing=True) == {"test": (folder, None)}
    edit(folder, lambda records: [one | {"split": ("train", "val", "test")[i % 3]} for i, one in enumerate(records)])
    edit(folder, lambda records: [one | dict.fromkeys(ATTRIBUTES, i // 3 % 2) for i, one in enumerate(records)])
    assert parts_of(folder, testing=True) == {"test": (folder, "test")}
    assert parts_of(folder) == {split: (folder, split) for split in SPLITS}
    edit(folder, lambda records: [one | {"shape": 1} if one["split"] == "val" else one for one in records])
    with pytest.raises(ValueError, match="in all 4 pairs of the part 'val' shape is the same: give pairs with it"):
        parts_of(folder)
