"""Captions say exactly what changed."""

from __future__ import annotations

from helpers import scenes
from helpers.sentences import change_tuples


def truth_of(change):
    """(object, attribute, what became of it) of each part of a change, from what was drawn."""
    if change.kinds[0] in ("added", "removed", "moved"):
        return {(str(change.before or change.after), "", change.kinds[0])}
    return {(str(change.before), kind, getattr(change.after, kind)) for kind in change.kinds}


def test_captions_say_exactly_what_changed():
    """Each of the three wordings, of one change, of two, and of none."""
    told = 0
    for seed in range(60):
        pair = scenes.scene_pair(seed, changes=(0, 2))
        expected = {claim for change in pair.changes for claim in truth_of(change)}
        assert all(change_tuples(caption) == expected for caption in pair.captions)
        told += len(expected)
    assert told > 60


def test_what_no_scene_is_described_with_is_a_claim_that_is_never_true():
    assert change_tuples("the red ball moved") == {("", "", "the red ball moved")}
    assert change_tuples("") == {("", "", "")}
    both = change_tuples("the red plain ring became a red striped ring and and")
    assert both == {("red plain ring", "texture", "striped"), ("", "", "and")}


def test_captions_are_several_and_grammatical():
    seen = set()
    for seed in range(200):
        captions = scenes.scene_pair(seed).captions
        assert len(set(captions)) == 3
        seen |= set(captions)
    assert not [caption for caption in seen if " a orange" in caption or caption.startswith("a orange")]
    assert [caption for caption in seen if "an orange" in caption]


def test_changes_are_told_from_left_to_right():
    told = 0
    for index in range(30):
        pair = scenes.scene_pair(11, index, changes=(2, 2), kinds=("color", "removed"))
        left, right = sorted(pair.changes, key=lambda change: change.before.x)
        for caption in pair.captions:
            first, second = caption.split(" and ")
            assert str(left.before) in first
            assert str(right.before) in second
            told += 1
    assert told == 90
