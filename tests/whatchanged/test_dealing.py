"""Groups of labeled things dealt into parts: whole, each class in each part, in proportion."""

from __future__ import annotations

import numpy as np
import pytest

from whatchanged.dealing import dealt, trouble_in


@pytest.mark.parametrize("seed", range(4))
def test_each_part_has_its_share_of_each_class_and_whole_groups(seed):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(60), rng.integers(1, 9, 60))
    labels = (groups % 10 == 0).astype(int)  # six groups
    shares = (0.7, 0.15, 0.15)
    parts = dealt(labels, groups, shares, seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    held = [set(groups[part].tolist()) for part in parts]
    assert sum(map(len, held)) == 60
    for part, share in zip(parts, shares, strict=True):
        assert len(part) == pytest.approx(share * len(labels), abs=8)
        assert set(labels[part].tolist()) == {0, 1}
    assert all(np.array_equal(a, b) for a, b in zip(parts, dealt(labels, groups, shares, seed), strict=True))


def test_a_large_group_goes_where_there_is_room():
    groups = np.array([0] * 50 + list(range(1, 51)))
    parts = dealt(np.arange(100) % 2, groups, (0.7, 0.15, 0.15), 0)
    assert [len(part) for part in parts] == [70, 15, 15]
    assert 0 in parts[0]


def test_a_class_in_fewer_groups_than_parts_is_named():
    labels, groups = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 2, 3, 3, 4])
    with pytest.raises(ValueError, match="2 of class 1 are too few for 3 parts"):
        dealt(labels, groups, (0.5, 0.3, 0.2), 0)
    assert [len(part) for part in dealt(labels, groups, (0.5, 0.5), 0)] == [3, 3]


def test_trouble_is_a_part_without_a_class_or_with_too_little():
    labels = np.arange(100) % 2
    assert trouble_in([np.arange(80), np.arange(80, 100)], labels, (0.8, 0.2)) == ""
    odd = np.arange(1, 40, 2)
    assert (
        trouble_in([np.setdiff1d(np.arange(100), odd), odd], labels, (0.8, 0.2))
        == "a part of 20 images has none of class 0"
    )
    assert trouble_in([np.arange(91), np.arange(91, 100)], labels, (0.8, 0.2)) == "a part has 9 of 100 images"
    assert trouble_in([np.arange(95), np.arange(95, 100)], labels, (13 / 14, 1 / 14)) == ""
