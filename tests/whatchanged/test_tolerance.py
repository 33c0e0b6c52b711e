"""Tolerance of edges, and the change map that T-BLIP2 reads."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from helpers import scenes
from helpers.nuisances import Nuisance
from helpers.photographs import photo_pair
from whatchanged import detection
from whatchanged.alignment import align
from whatchanged.clusters import find_clusters
from whatchanged.tolerance import change_map, slope_tolerant_difference, things, tolerant_difference


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


def test_slope_tolerance_passes_over_a_small_shift_and_not_over_a_corner():
    """A disk half a pixel further left is the same; one with the corners of a square is another."""
    y, x = np.mgrid[:64, :64].astype(np.float32)

    def drawn(distance):
        return np.repeat((200 - 120 * np.clip(0.5 - distance, 0, 1))[..., None], 3, axis=2).round().astype(np.uint8)

    disk, moved = (drawn(np.hypot(x - at, y - 32) - 12) for at in (32, 31.5))
    square = drawn(np.maximum(np.abs(x - 32), np.abs(y - 32)) - 10.2)
    excess, threshold = slope_tolerant_difference(disk, moved)
    assert excess.max() < threshold
    excess, threshold = slope_tolerant_difference(disk, square)
    assert (excess > threshold).sum() > 40
    plain, least = tolerant_difference(disk, square)
    assert (plain > least).sum() < (excess > threshold).sum()


def test_things_stand_out_from_the_ground_and_touching_things_stay_apart():
    image = np.full((96, 96, 3), 170, np.uint8)
    image[20:40, 20:40], image[20:40, 43:62] = (200, 40, 40), (40, 40, 200)
    found = things(image)
    assert found[30, 30]
    assert found[30, 50]
    assert not found[30, 41], "the ground between them"
    assert not found[70:, 70:].any()


def test_what_is_torn_on_one_thing_is_one_cluster_and_two_things_stay_two():
    ground = np.full((96, 96, 3), 170, np.uint8)
    before, after = ground.copy(), ground.copy()
    before[30:52, 30:52] = after[30:52, 30:52] = (200, 40, 40)
    after[30:52, 30:36] = after[30:52, 46:52] = (40, 40, 200)  # both sides of one thing
    found = find_clusters(change_map(before, after)[2], eps=1.5, min_samples=4)
    assert len(found) == 1
    before, after = ground.copy(), ground.copy()
    after[30:52, 20:40], after[30:52, 48:68] = (200, 40, 40), (40, 40, 200)  # two things, ground between
    found = find_clusters(change_map(before, after)[2], eps=1.5, min_samples=4)
    assert len(found) == 2


def test_a_square_that_was_a_disk_is_one_cluster_though_it_differs_at_its_corners_alone():
    before, after = (np.full((96, 96, 3), 170, np.uint8) for _ in range(2))
    cv2.circle(before, (45, 45), 16, (200, 40, 40), -1, cv2.LINE_AA)
    cv2.rectangle(after, (29, 29), (61, 61), (200, 40, 40), -1)
    found = find_clusters(change_map(before, after)[2], eps=1.5, min_samples=4)
    (only,) = found
    assert np.abs(np.subtract(only.box, (29, 29, 33, 33))).max() <= 2


def test_each_thing_is_joined_for_itself():
    """Three squares in a row with five pixels of ground between them; the outer two change their color."""
    before = np.full((96, 96, 3), 170, np.uint8)
    before[40:52, 20:32] = before[40:52, 37:49] = before[40:52, 54:66] = (200, 40, 40)
    after = before.copy()
    after[40:52, 20:32] = after[40:52, 54:66] = (40, 40, 200)
    found = find_clusters(change_map(before, after)[2], eps=1.5, min_samples=4)
    assert sorted(one.box[0] for one in found) == pytest.approx([20, 54], abs=2)
    assert not any(one.mask[:, 37:49].any() for one in found), "the one between them stays as it is"


@pytest.mark.parametrize("gap", [1, 2])
def test_two_things_corner_to_corner_are_two_clusters(gap):
    """The difference is blurred, so over so little ground it runs from one thing to the other."""
    rough = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 40, (96, 96, 1)), (0, 0), 3)
    before = np.repeat(np.rint(170 + rough).astype(np.uint8)[..., None], 3, axis=2)
    after = before.copy()
    after[20:42, 20:42], after[42 + gap : 64, 42 + gap : 64] = (200, 40, 40), (40, 40, 200)
    _, _, values = change_map(before, after)
    found = sorted(one.box[0] for one in find_clusters(values, eps=1.5, min_samples=4))
    assert found == pytest.approx([20, 42 + gap], abs=2)
