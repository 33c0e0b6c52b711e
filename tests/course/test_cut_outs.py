"""Pairs on photographs: what changed in the scene changes there, where it changed, and nothing else does."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from skimage import data

from course.cut_outs import on_photographs
from helpers import scenes
from helpers.things import COLORS

SCENES = [scenes.subtle_pair(3, index, nuisance=None) for index in range(16)]


@pytest.mark.parametrize("cut_out", [False, True])
def test_only_the_changed_things_differ(cut_out):
    for scene, pair in zip(SCENES, on_photographs(SCENES, cut_out=cut_out), strict=True):
        differs = (pair.before != pair.after).any(axis=2)
        allowed = np.zeros_like(differs)
        for x, y, width, height in scene.boxes:  # a box holds what is covered by more than half
            allowed[max(0, y - 2) : y + height + 2, max(0, x - 2) : x + width + 2] = True
        assert not differs[~allowed].any()
        assert differs.any() == bool(scene.changes)
        assert pair.labels == scene.labels


def test_the_ground_is_a_part_of_a_photograph_shrunk_by_half():
    empty = replace(SCENES[0], things=(), changes=())
    ground = next(on_photographs([empty], cut_out=False)).before
    phases = [data.astronaut()[y : y + 510, x : x + 510] for y in (0, 1) for x in (0, 1)]
    halves = [one.reshape(255, 2, 255, 2, 3).mean(axis=(1, 3)).astype(np.float32) for one in phases]
    apart = [cv2.matchTemplate(one, ground.astype(np.float32), cv2.TM_SQDIFF).min() for one in halves]
    assert min(apart) / ground.size < 1, "rounded to whole gray levels"


def test_things_are_drawn_as_in_the_scene_or_tinted_in_their_color():
    thing = next(one for one in SCENES[0].things if one.shape in ("circle", "square"))
    x, y, half = round(96 * thing.x), round(96 * thing.y), round(48 * thing.radius)
    middle = np.s_[y - half : y + half, x - half : x + half]
    drawn, cut = (next(on_photographs(SCENES, cut_out=one)).before[middle] for one in (False, True))
    assert np.abs(drawn.astype(int) - SCENES[0].before[middle]).max() <= 1
    color = np.array(COLORS[thing.color])
    assert np.abs(cut.mean(axis=(0, 1)) / cut.mean() - color / color.mean()).max() < 0.15
    assert np.abs(cut.astype(int) - drawn).mean() > 5
