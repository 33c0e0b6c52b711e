"""Pictures of different sizes need no switch; what only one of them has is told as added or removed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.outside import pages
from tests.outside.cameras import scene
from tests.outside.claims import found, quiet
from tests.outside.pages import Look
from tests.outside.truths import touches
from whatchanged.detection import detect

LONG = pages.stack(pages.document(np.random.default_rng(31), Look(700, 15), 620), 620)


@pytest.mark.parametrize("what", ["added", "removed"])
@pytest.mark.parametrize("side", ["rows", "columns"])
def test_what_only_one_has(what, side):
    short = LONG[:460] if side == "rows" else LONG[:, :480]
    beyond = (0, 460, 700, 160) if side == "rows" else (480, 0, 220, 620)
    result = detect(*((short, LONG) if what == "added" else (LONG, short)))
    assert result.regions
    for one in result.regions:
        assert one.what == what
        assert touches(one.box, beyond, 2) or (one.after and touches(one.after, beyond, 2))


@pytest.mark.parametrize("what", ["added", "removed"])
def test_blank_rows_that_only_one_has(what):
    longer = np.concatenate([LONG, np.full((150, 700, 3), 255, np.uint8)])
    (region,) = detect(*((LONG, longer) if what == "added" else (longer, LONG))).regions
    assert region.what == what
    assert region.width == 700
    assert 140 <= region.height <= 160


def test_one_is_higher_and_the_other_wider():
    before, after = LONG[:500], LONG[:, :520]
    said = {one.what for one in detect(before, after).regions}
    assert said == {"added", "removed"}


@pytest.mark.parametrize("size", ["pad", "crop"])
def test_an_edit_is_found_beside_a_size_that_differs(size):
    after = LONG[:500].copy()
    after[200:216, 300:330] = (200, 40, 40)
    result = detect(LONG, after, size=size)
    assert any(touches(one.box, (300, 200, 30, 16)) for one in result.regions)
    assert any(one.what == "removed" for one in result.regions) is (size == "pad")


def test_cropped_what_only_one_has_is_no_difference():
    quiet(LONG, LONG[:500, :600], size="crop")
    quiet(LONG[:500], LONG[:, :600], size="crop")


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.5])
@pytest.mark.parametrize("kind", ["page", "china"])
def test_scaled_the_same_picture_is_silent_and_an_edit_is_found(factor, kind):
    before = LONG if kind == "page" else scene(kind, (640, 480))
    edited = before.copy()
    edited[200:240, 300:360] = (200, 40, 160)
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    smaller, other = (cv2.resize(one, None, fx=factor, fy=factor, interpolation=way) for one in (before, edited))
    quiet(before, smaller, size="scale")
    found(before, other, (300, 200, 60, 40), size="scale")


def test_an_unknown_way_is_refused():
    with pytest.raises(ValueError, match="stretch"):
        detect(LONG, LONG[:500], size="stretch")
