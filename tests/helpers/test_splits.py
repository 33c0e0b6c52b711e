"""Parts of data: each has every class, near-duplicates are on one side, the notebooks' own are what they were."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from helpers import datasets, splits, surfaces


def test_folds_keep_groups_whole_and_classes_in_proportion():
    rng = np.random.default_rng(0)
    of, labels = np.repeat(np.arange(60), 2), np.repeat(rng.integers(0, 2, 60), 2)
    found = splits.folds(labels, splits.Groups(of), 5, seed=0)
    assert sorted(np.concatenate([test for _, test in found]).tolist()) == list(range(120))
    for train, test in found:
        assert not set(of[train]) & set(of[test])
        assert abs(labels[test].mean() - labels.mean()) < 0.1
    again = splits.folds(labels, splits.Groups(of), 5, seed=0)
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(found, again, strict=True))
    other = splits.folds(labels, splits.Groups(of), 5, seed=1)
    assert not all(np.array_equal(a[1], b[1]) for a, b in zip(found, other, strict=True))


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="3 folds: give from 2 to 2, the size of the smallest class"):
        splits.folds(np.array([0, 0, 0, 1, 1]), splits.Groups(np.arange(5)), 3, 0)


def test_stratified_parts_are_disjoint_whole_and_in_proportion():
    labels = np.repeat([0, 1], [300, 100])
    parts = splits.stratified(labels, seed=0)
    assert sorted(np.concatenate(parts).tolist()) == list(range(400))
    assert [len(part) for part in parts] == [280, 60, 60]
    assert [labels[part].sum() for part in parts] == [70, 15, 15]
    assert all(np.array_equal(a, b) for a, b in zip(parts, splits.stratified(labels, seed=0), strict=True))
    assert not np.array_equal(parts[0], splits.stratified(labels, seed=1)[0])
    with pytest.raises(ValueError, match=r"shares is \(0\.5, 0\.2\)"):
        splits.stratified(labels, 0, (0.5, 0.2))
    with pytest.raises(ValueError, match="1 of class 1 are too few for 3 parts"):
        splits.stratified(np.repeat([0, 1], [9, 1]), 0)


def test_stratified_parts_keep_groups_together():
    labels = np.repeat([0, 1], [200, 200])
    groups = splits.Groups(np.arange(400) // 4)
    parts = splits.stratified(labels, seed=0, groups=groups)
    assert sorted(np.concatenate(parts).tolist()) == list(range(400))
    assert [len(part) for part in parts] == [280, 60, 60]
    assert [labels[part].mean() for part in parts] == pytest.approx([0.5, 0.5, 0.5], abs=0.04)
    held = [set(groups.of[part].tolist()) for part in parts]
    assert not held[0] & held[1] | held[0] & held[2] | held[1] & held[2]


def digest(parts):
    return hashlib.sha256(np.concatenate(parts).astype("<i8").tobytes()).hexdigest()[:16]


def test_the_parts_of_the_notebooks_own_data_are_what_they_were():
    """The numbers are of the code before it took groups and few pictures of a class in another way."""
    labels = np.random.default_rng(2800).integers(0, 2, 2800)
    assert digest(splits.stratified(labels, 0, (4 / 7, 1 / 14, 5 / 14))) == "0f1c356a90666eec"
    labels = np.random.default_rng(400).integers(0, 2, 400)
    assert digest(splits.stratified(labels, 0)) == "29fb7755866bb287"
    made = surfaces.surfaces(1000, 200, size=64)
    groups = splits.near_duplicates(made.images)
    assert digest([groups.of]) == "de663cfb3b82787e"
    assert digest([test for _, test in splits.folds(made.labels, groups, 5, 0)]) == "fa6b2d91eb527756"


def grainy(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 3)).astype(np.uint8)


def data(*sizes, splits_of=None, images=None):
    """Pictures of so many a class, the classes in turn as far as they go."""
    labels = np.concatenate([np.full(size, label) for label, size in enumerate(sizes)])
    made = datasets.Pictures(
        grainy(len(labels)) if images is None else images, labels, [f"c{n}" for n in range(len(sizes))]
    )
    made.splits = {part: np.array(places, int) for part, places in (splits_of or {}).items()}
    return made


def classes(part):
    return np.bincount(part.labels, minlength=len(part.names)).tolist()


def test_all_parts_hold_every_class_however_few_there_are():
    parts = splits.divided(data(48, 2), 0)  # 4 % of 50
    assert (classes(parts.train), classes(parts.validation), parts.test) == ([38, 1], [10, 1], None)
    parts = splits.divided(data(37, 3), 0, (0.7, 0.15, 0.15))
    assert [classes(part)[1] for part in (parts.train, parts.validation, parts.test)] == [1, 1, 1]
    parts = splits.divided(data(20, 20, 4), 0, (0.7, 0.15, 0.15))
    assert min(min(classes(part)) for part in (parts.train, parts.validation, parts.test)) == 1
    assert parts.note == "0 groups of near-duplicates hold 0 of 44 images, each in one part"
    with pytest.raises(ValueError, match="2 images of 'c1' are too few: 3 parts need one each at least"):
        splits.divided(data(48, 2), 0, (0.7, 0.15, 0.15))
    with pytest.raises(ValueError, match="1 images of 'c0' are too few"):
        splits.divided(data(1, 20), 0)


def test_the_parts_of_a_folder_are_taken_as_they_are():
    own = {"train": range(0, 20), "validation": range(20, 26), "test": range(26, 30)}
    given = data(10, 10, 10, splits_of=own)
    given.labels[:] = np.arange(30) % 3
    parts = splits.divided(given, 0, (0.7, 0.15, 0.15))
    for part, name in ((parts.train, "train"), (parts.validation, "validation"), (parts.test, "test")):
        assert np.array_equal(part.indices, own[name])
    assert parts.note == "parts as the folder has them: train 20, validation 6, test 4"
    assert np.array_equal(splits.divided(given, 1).test.indices, own["test"])


def test_what_a_folder_has_no_part_for_is_drawn_from_train():
    given = data(15, 15, splits_of={"train": range(5, 30), "test": range(5)})
    given.labels[:] = np.arange(30) % 2
    parts = splits.divided(given, 0, (0.7, 0.15, 0.15))
    assert parts.test.indices.tolist() == list(range(5))
    drawn = [*parts.train.indices, *parts.validation.indices]
    assert sorted(drawn) == list(range(5, 30))
    assert len(parts.validation) == 4  # of 25, 0.15 / 0.85
    assert "drawn from train: validation; 0 groups" in parts.note
    again = splits.divided(given, 0, (0.7, 0.15, 0.15))
    assert np.array_equal(parts.validation.indices, again.validation.indices)


def test_a_part_without_a_class_is_named():
    given = data(
        15, 5, splits_of={"train": [*range(10), *range(15, 18)], "validation": range(10, 15), "test": range(18, 20)}
    )
    with pytest.raises(ValueError, match="validation has no image of 'c1': put some there, or take the folder away"):
        splits.divided(given, 0)
    given.splits["validation"] = np.array([10, 19])
    given.splits["test"] = np.array([18])
    assert splits.divided(given, 0).note.endswith("test has no image of 'c0'")
    with pytest.raises(ValueError, match="test has no image of 'c0'"):
        splits.divided(given, 0, (0.7, 0.15, 0.15))
    given.splits = {"test": np.arange(20)}
    with pytest.raises(ValueError, match="the images are all in test: put those to train on into train/"):
        splits.divided(given, 0)


class Counted(datasets.LabeledImages):
    """More than one would read to compare them."""

    def picture(self, index):
        raise AssertionError("no picture is read")


@pytest.mark.parametrize("few", [4_500, 40, 3])
def test_more_than_thirty_thousand_with_few_of_a_class(tmp_path, few):
    """Case 02: the course's split of uneven classes."""
    for kind, count in (("Negative", 31_500 - few), ("Positive", few)):
        (tmp_path / kind).mkdir()
        for number in range(count):
            (tmp_path / kind / f"{number:06}.jpg").touch()
    found = datasets.defect_images(tmp_path, 64)
    parts = splits.divided(Counted(found.labels, found.names), 0)
    assert len(parts.train) + len(parts.validation) == 31_500
    assert len(parts.validation) == pytest.approx(31_500 / 5, rel=0.3)
    assert classes(parts.train)[1] + classes(parts.validation)[1] == few
    assert 1 <= classes(parts.validation)[1] <= few / 2
    assert parts.note == "more than 30,000 images: near-duplicates are not looked for"
    three = splits.divided(Counted(found.labels, found.names), 0, (0.7, 0.15, 0.15))
    assert min(classes(three.test)) >= 1


def test_near_duplicates_stay_in_one_part():
    images = np.repeat(grainy(30), 3, axis=0)
    parts = splits.divided(data(45, 45, images=images), 0)
    sides = [{part.picture(place).tobytes() for place in range(len(part))} for part in (parts.train, parts.validation)]
    assert not sides[0] & sides[1]
    assert sum(map(len, sides)) == 30
    assert (len(parts.train), len(parts.validation)) == (72, 18)
    assert parts.note == "30 groups of near-duplicates hold 90 of 90 images, each in one part"


def test_groups_that_leave_too_little_are_told_and_only_surer_copies_are_kept_together():
    """A film of a scene that drifts slowly: all frames belong together, few pairs are equal."""
    rng = np.random.default_rng(0)
    wide = rng.normal(0, 1, (40, 200)).cumsum(axis=1).repeat(4, axis=0)
    gray = np.clip(128 + 12 * wide, 0, 255).astype(np.uint8)
    frames = [np.repeat(gray[:, place : place + 120, None], 3, axis=2) for place in range(0, 80, 2)]
    images = np.stack([*frames, frames[3], frames[11]])
    made = data(21, 21, images=images)
    made.labels[:] = np.arange(42) % 2
    together = splits.near_duplicates(images)
    assert max(map(len, together.repeated)) > 30, "the film must be one group"
    parts = splits.divided(made, 0)
    assert "which is too much to keep together" in parts.note
    assert str(together) in parts.note
    assert min(classes(parts.validation)) >= 1
    assert len(parts.validation) >= 4


def test_what_is_the_same_all_over_is_split_all_the_same_and_told():
    parts = splits.divided(data(20, 20, images=np.repeat(grainy(1), 40, axis=0)), 0)
    assert parts.note.endswith("so copies are on both sides, and the scores flatter")
    assert "1 group of near-duplicates holds 40 of 40 images" in parts.note
    assert classes(parts.validation) == [4, 4]


def test_groups_with_several_labels_are_told():
    images = grainy(40)
    images[20] = images[0]
    assert splits.divided(data(20, 20, images=images), 0).note.endswith("groups with several labels: 1")


def test_most_folds_are_what_the_smallest_class_allows():
    labels = np.array([0] * 10 + [1] * 4)
    assert splits.most_folds(labels, splits.Groups(np.arange(14))) == 4
    assert splits.most_folds(labels, splits.Groups(np.array([*range(10), 10, 10, 10, 11]))) == 2
    with pytest.raises(ValueError, match="5 folds: give from 2 to 4, the size of the smallest class, near-duplicates"):
        splits.folds(labels, splits.Groups(np.arange(14)), 5, 0)
