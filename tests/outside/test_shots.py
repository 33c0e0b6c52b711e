"""Photographs taken twice, in another tone or from another place: silent where nothing changed; an edit is found."""

from __future__ import annotations

import numpy as np
import pytest

from tests.outside import cameras
from tests.outside.cameras import ALL, PHOTOGRAPHS, Shot, scene, take
from tests.outside.claims import found, quiet
from whatchanged.detection import detect

SIZE, BOX = (480, 360), (200, 150, 52, 40)
FAST = ("motorcycle",)


UNMET = pytest.mark.xfail(reason="not right yet: zooms of smooth pictures, and tones of dark and noisy ones")
NOT_YET = {
    ("cell", "zoom .4"),
    ("cell", "zoom 1.6"),
    ("cell", "zoom 2.5"),
    ("cell", "gamma 1.5"),
    ("retina", "zoom 1.6"),
    ("retina", "zoom 2.5"),
    ("brick", "zoom 2.5"),
    ("hubble_deep_field", "gamma .7"),
}


def shots(fast=FAST):
    """Every photograph in every shot; those that fail without or with an edit are known to."""
    for name in PHOTOGRAPHS:
        for shot in ALL:
            marks = [*([] if name in fast else [pytest.mark.process]), *([UNMET] if (name, shot) in NOT_YET else [])]
            yield pytest.param(name, shot, marks=marks, id=f"{name}-{shot}")


@pytest.mark.parametrize(("name", "shot"), shots())
def test_taken_again(name, shot):
    wide = scene(name, (1300, 1000))
    before = take(wide, Shot(), SIZE)
    assert quiet(before, take(wide, ALL[shot], SIZE)).kind == "camera"


@pytest.mark.parametrize(("name", "shot"), shots())
def test_taken_again_with_an_edit(name, shot):
    wide = scene(name, (1300, 1000))
    after = take(cameras.patched(wide, BOX, SIZE), ALL[shot], SIZE)
    found(take(wide, Shot(), SIZE), after, BOX, slack=16)


@pytest.mark.parametrize("index", range(8))
def test_all_at_once(index):
    rng, wide = np.random.default_rng((9, index)), scene(cameras.OTHERS[index], (640, 480))
    shot, before = cameras.random_shot(rng), take(wide, Shot(), SIZE)
    quiet(before, take(wide, shot, SIZE, index))
    found(before, take(cameras.patched(wide, BOX, SIZE), shot, SIZE, index), BOX, slack=16)


@pytest.mark.parametrize(("one", "other"), [("retina", "china"), ("astronaut", "coffee"), ("flower", "gravel")])
def test_pictures_that_cannot_be_laid_on_each_other(one, other):
    result = detect(scene(one, SIZE), scene(other, SIZE))
    assert len(result.regions) <= 1
    assert result.note
    assert result.similarity < 1


@pytest.mark.parametrize("shot", ["zoom 1.6", "tilt of 3 %", "gamma 1.5", "noise 8"])
def test_what_was_laid_needs_no_note(shot):
    wide = scene("astronaut", (1300, 1000))
    assert not detect(take(wide, Shot(), SIZE), take(wide, ALL[shot], SIZE)).note
