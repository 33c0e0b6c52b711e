"""Tolerance of edges, and the change map that T-BLIP2 reads."""

from __future__ import annotations

from helpers import scenes
from helpers.nuisances import Nuisance
from helpers.photographs import photo_pair
from whatchanged import detection
from whatchanged.alignment import align
from whatchanged.tolerance import change_map, tolerant_difference


def test_the_named_settings_matter():
    """Without tolerance a turned picture is full of edges: the guard that the notebook explains."""
    pair = photo_pair(3, 7, edits=(0, 0), nuisance=Nuisance(rotation=3, noise=0, shift_x=3))
    assert detection.detect(pair.before, pair.after).regions == []
    aligned = align(pair.before, pair.after)
    back = aligned.warp(pair.after)
    share = [tolerant_difference(pair.before, back, tolerance=t, floor=5)[0].mean() for t in (0, 1)]
    assert share[0] > 3 * share[1]
    assert detection.detect(pair.before, pair.after, align=False).regions


def test_the_change_map_shows_every_kind_of_change_and_no_nuisance():
    """Scenes of 96 px, moved, brightened and grained: nothing certain without a change, and faint changes stand out."""
    hand = Nuisance(rotation=2, shift_x=1.5, shift_y=1.5, gain=1.12, noise=4)
    found = wrong = total = 0
    for index in range(60):
        changes = (index % 3, index % 3)
        pair = scenes.scene_pair(12, index, changes=changes, nuisance=hand)
        _, _, values = change_map(pair.before, pair.after)
        assert values.shape == (96, 96)
        assert 0 <= values.min() <= values.max() <= 1
        far = values >= 0.5
        for x, y, width, height in pair.boxes:
            total += 1
            found += bool(far[y : y + height, x : x + width].sum() >= 8)
            far[max(0, y - 3) : y + height + 3, max(0, x - 3) : x + width + 3] = False
        wrong += bool(far.sum() >= 8)
    assert found / total >= 0.95
    assert wrong <= 2
