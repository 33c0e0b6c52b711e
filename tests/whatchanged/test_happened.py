"""What happened to each region, in small exact cases; `tests/outside/test_edits.py` measures it on many pairs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from whatchanged import happened
from whatchanged.fragments import joined
from whatchanged.regions import HAPPENED, regions

RED, BLUE, PAPER = (200, 30, 30), (30, 30, 200), (255, 255, 255)


def page(*things):
    """A white page of 320 x 240 with things: "disk" or "box", x, y, width, height, color."""
    image = np.full((240, 320, 3), PAPER, np.uint8)
    for shape, x, y, width, height, color in things:
        if shape == "disk":
            cv2.circle(image, (x + width // 2, y + height // 2), width // 2, color, cv2.FILLED)
        elif shape == "cross":
            image[y + height // 3 : y + height - height // 3, x : x + width] = color
            image[y : y + height, x + width // 3 : x + width - width // 3] = color
        else:
            image[y : y + height, x : x + width] = color
    return image


def told(before, after, merge=12):
    """(what, box, after) of each region."""
    apart = cv2.absdiff(before, after).max(axis=2)
    found = regions(apart > 0, apart / np.float32(255), merge=merge)
    return [(one.what, one.box, one.after) for one in happened.what_happened(before, after, found, apart > 0)]


STAYS = ("box", 10, 200, 60, 20, (90, 90, 90))
DISK = ("disk", 100, 60, 40, 40, RED)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((), (DISK,), ("added", (100, 60, 41, 41), (100, 60, 41, 41))),
        ((DISK,), (), ("removed", (100, 60, 41, 41), (100, 60, 41, 41))),
        ((DISK,), ((*DISK[:5], BLUE),), ("recolored", (100, 60, 41, 41), (100, 60, 41, 41))),
        ((DISK,), (("cross", 98, 58, 45, 45, BLUE),), ("replaced", (98, 58, 45, 45), (98, 58, 45, 45))),
    ],
)
def test_one_thing_that_stays_in_its_place(before, after, expected):
    assert told(page(STAYS, *before), page(STAYS, *after)) == [expected]


def test_what_moved_far_is_one_region_with_both_boxes():
    there = ("disk", 220, 120, 40, 40, RED)
    assert told(page(STAYS, DISK), page(STAYS, there)) == [("moved", (100, 60, 41, 41), (220, 120, 41, 41))]


def test_what_moved_adds_up_the_area_of_both_places():
    before, after = page(DISK), page(("disk", 220, 120, 40, 40, RED))
    apart = cv2.absdiff(before, after).max(axis=2)
    found = regions(apart > 0, apart / np.float32(255))
    (moved,) = happened.what_happened(before, after, found, apart > 0)
    assert moved.area == sum(one.area for one in found)
    assert moved.strength == max(one.strength for one in found)


@pytest.mark.parametrize(("dx", "dy"), [(6, 0), (0, 8), (20, 10), (-12, 25)])
def test_what_moved_by_less_than_its_size(dx, dy):
    """Plain things overlap their old place, where nothing differs."""
    x, y = 100, 80
    (one,) = told(page(("box", x, y, 60, 36, BLUE)), page(("box", x + dx, y + dy, 60, 36, BLUE)))
    assert one[0] == "moved"
    assert np.abs(np.subtract(one[1], (x, y, 60, 36))).max() <= 2
    assert np.abs(np.subtract(one[2], (x + dx, y + dy, 60, 36))).max() <= 2


def test_texture_that_moved_by_less_than_its_size():
    rng = np.random.default_rng(0)
    ground = cv2.GaussianBlur(rng.integers(0, 256, (240, 320, 3)).astype(np.uint8), (0, 0), 2)
    thing = rng.integers(0, 256, (40, 50, 3)).astype(np.uint8)
    before, after = ground.copy(), ground.copy()
    before[80:120, 100:150], after[90:130, 112:162] = thing, thing
    assert told(before, after) == [("moved", (100, 80, 50, 40), (112, 90, 50, 40))]


@pytest.mark.parametrize(
    ("small", "large"), [((115, 75, 30, 30), (100, 60, 60, 60)), ((90, 70, 24, 36), (80, 55, 44, 66))]
)
def test_what_was_resized_has_the_boxes_of_both_sizes(small, large):
    for first, second in ((small, large), (large, small)):
        (one,) = told(page(("box", *first, BLUE)), page(("box", *second, BLUE)))
        assert one[0] == "resized"
        assert np.abs(np.subtract(one[1], first)).max() <= 4
        assert np.abs(np.subtract(one[2], second)).max() <= 4


def test_the_corners_of_a_disk_that_became_a_cross_are_one_region():
    before, after = page(("disk", 80, 60, 100, 100, RED)), page(("cross", 80, 60, 101, 101, RED))
    apart = cv2.absdiff(before, after).max(axis=2)
    assert len(regions(apart > 0, apart / np.float32(255))) >= 4
    (one,) = told(before, after, merge=0)
    assert one[0] == "replaced"
    assert np.abs(np.subtract(one[1], (80, 60, 101, 101))).max() <= 10


def test_changes_in_one_panel_stay_apart():
    panel = ("box", 40, 40, 240, 160, (220, 220, 240))
    marks = [("box", x, y, 14, 10, (20, 20, 20)) for x in (50, 250) for y in (50, 180)]
    before, after = page(panel), page(panel, *marks)
    apart = cv2.absdiff(before, after).max(axis=2)
    found = regions(apart > 0, apart / np.float32(255), merge=12)
    assert joined(before, after, found, apart > 0) == found
    assert [one[0] for one in told(before, after)] == ["added"] * 4


def test_two_things_of_other_colors_did_not_move():
    before, after = page(DISK), page(("disk", 220, 120, 40, 40, (30, 160, 30)))
    assert sorted(one[0] for one in told(before, after)) == ["added", "removed"]


def test_text_that_gets_another_color_and_text_that_gets_another_word():
    images = [page() for _ in range(3)]
    for image, word, color in zip(
        images, ("invoice", "invoice", "payment"), ((20, 20, 20), RED, (20, 20, 20)), strict=True
    ):
        cv2.putText(image, word, (60, 100), cv2.FONT_HERSHEY_SIMPLEX, 1, color, 2, cv2.LINE_AA)
    assert [one[0] for one in told(images[0], images[1])] == ["recolored"]
    assert [one[0] for one in told(images[0], images[2])] == ["replaced"]


def test_a_page_in_dark_mode_is_recolored():
    image = page(STAYS, DISK, ("box", 180, 30, 80, 40, BLUE))
    assert [one[0] for one in told(image, 255 - image)] == ["recolored"]


def test_five_hundred_regions_are_laid_on_each_other_a_bounded_number_of_times(monkeypatch):
    """Everything is alike, so that nothing but the bound keeps pairs from being tried."""
    tried = []
    monkeypatch.setattr(happened, "_match", lambda *_: tried.append(1) or 0.0)
    before = np.full((800, 1000, 3), 255, np.uint8)
    after = before.copy()
    for i in range(500):
        x, y = 10 + 40 * (i % 25), 10 + 40 * (i // 25)
        (after if i % 2 else before)[y : y + 12, x : x + 14] = RED
    found = told(before, after, merge=4)
    assert len(found) == 500
    assert 0 < len(tried) <= happened.MATCHES
    assert {one[0] for one in found} <= set(HAPPENED)


def test_nothing_found_and_a_picture_of_two_pixels():
    white, black = np.full((2, 2, 3), 255, np.uint8), np.zeros((2, 2, 3), np.uint8)
    assert told(white, white) == []
    ((what, box, _),) = told(white, black)
    assert what in HAPPENED
    assert box == (0, 0, 2, 2)
