"""Near-duplicates are found, and no fold has them on both sides."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from helpers import splits, surfaces
from helpers.photographs import photograph

PHOTO = photograph("astronaut")[:300, :300]


def compressed(image, quality=30):
    data = io.BytesIO()
    Image.fromarray(image).save(data, "jpeg", quality=quality)
    return np.array(Image.open(data))


def resized(image, size):
    return np.array(Image.fromarray(image).resize((size, size)))


COPIES = {
    "repeated": PHOTO,
    "compressed": compressed(PHOTO),
    "smaller": resized(PHOTO, 120),
    "brighter": np.clip(PHOTO * 1.15, 0, 255).astype(np.uint8),
    "mirrored": PHOTO[:, ::-1],
    "turned": np.rot90(PHOTO).copy(),
    "cropped": PHOTO[4:296, 6:298],
}


@pytest.mark.parametrize("name", COPIES)
def test_copies_of_a_photograph_are_found(name):
    others = [photograph(other)[:300, :300] for other in ("coffee", "chelsea")]
    groups = splits.near_duplicates([others[0], PHOTO, others[1], COPIES[name]])
    assert [part.tolist() for part in groups.repeated] == [[1, 3]]
    assert str(groups) == "1 group of near-duplicates holds 2 of 4 images"


def test_different_pictures_are_left_apart():
    made = surfaces.surfaces(0, 150, size=64)
    groups = splits.near_duplicates(made.images)
    assert sum(map(len, groups.repeated)) <= 4


def test_what_is_near_to_a_near_one_belongs_too():
    """A chain of crops, each a little further: the ends differ, and all are one group."""
    crops = [PHOTO[2 * step : 260 + 2 * step, 2 * step : 260 + 2 * step] for step in range(20)]
    ends = splits.near_duplicates([crops[0], crops[-1]])
    assert ends.repeated == []
    assert len(set(splits.near_duplicates(crops).of.tolist())) == 1


def test_conflicting_labels_are_told():
    groups = splits.near_duplicates([PHOTO, PHOTO, photograph("coffee")])
    assert groups.conflicts(np.array([0, 0, 1])) == []
    assert [part.tolist() for part in groups.conflicts(np.array([0, 1, 1]))] == [[0, 1]]


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
    with pytest.raises(ValueError, match="near is 64"):
        splits.near_duplicates([PHOTO], 64)
    with pytest.raises(ValueError, match="no pictures"):
        splits.near_duplicates([])
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
