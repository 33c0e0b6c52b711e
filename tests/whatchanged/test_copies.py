"""Near-duplicates are found; photographs by a camera that stands still are none."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from helpers import surfaces
from helpers.photographs import photograph
from whatchanged.copies import copies_among, near_duplicates

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
    groups = near_duplicates([others[0], PHOTO, others[1], COPIES[name]])
    assert [part.tolist() for part in groups.repeated] == [[1, 3]]
    assert str(groups) == "1 group of near-duplicates holds 2 of 4 images"


def test_different_pictures_are_left_apart():
    made = surfaces.surfaces(0, 150, size=64)
    groups = near_duplicates(made.images)
    assert sum(map(len, groups.repeated)) <= 4


def test_what_is_near_to_a_near_one_belongs_too():
    """A chain of crops, each a little further: the ends differ, and all are one group."""
    crops = [PHOTO[2 * step : 260 + 2 * step, 2 * step : 260 + 2 * step] for step in range(20)]
    ends = near_duplicates([crops[0], crops[-1]])
    assert ends.repeated == []
    assert len(set(near_duplicates(crops).of.tolist())) == 1


def test_conflicting_labels_are_told():
    groups = near_duplicates([PHOTO, PHOTO, photograph("coffee")])
    assert groups.conflicts(np.array([0, 0, 1])) == []
    assert [part.tolist() for part in groups.conflicts(np.array([0, 1, 1]))] == [[0, 1]]


def test_what_is_no_number_of_bits_is_named():
    with pytest.raises(ValueError, match="near is 64"):
        near_duplicates([PHOTO], 64)
    with pytest.raises(ValueError, match="no pictures"):
        near_duplicates([])


def of_one_part(count, seed, *, noise=4.0, light=0.0, shift=0.0):
    """Photographs of a round part that lies before a camera; every second one has a dent somewhere."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:96, :96].astype(float)
    taken = []
    for number in range(count):
        down, right = rng.normal(0, shift, 2)
        seen = (np.hypot(y + down - 48, x + right - 48) < 36) * 110 + 70 + 20 * np.sin((x + right) / 5)
        gray = seen * (1 + rng.normal(0, light)) + rng.normal(0, noise, seen.shape)
        if number % 2:
            top, left = rng.integers(25, 65, 2)
            gray[top : top + 6, left : left + 6] = 10
        taken.append(np.repeat(gray.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2))
    return taken


ONE_PLACE = {
    "as case 06": {},
    "little noise": {"noise": 1},
    "much noise": {"noise": 8},
    "lamps that flicker": {"light": 0.1},
    "a stand that trembles": {"shift": 0.3},
}


@pytest.mark.parametrize("options", ONE_PLACE.values(), ids=ONE_PLACE)
def test_photographs_of_one_place_are_no_copies_but_copies_of_them_are(options):
    taken = of_one_part(60, 3, **options)
    alone = near_duplicates(taken)
    assert sum(map(len, alone.repeated)) <= 3, str(alone)
    copies = [
        taken[4],
        taken[7][:, ::-1],
        np.rot90(taken[10]).copy(),
        compressed(taken[13], 95),
        resized(taken[16], 80),
    ]
    of = near_duplicates([*taken, *copies]).of
    found = [of[number] == of[60 + place] for place, number in enumerate((4, 7, 10, 13, 16))]
    assert all(found[:3])
    assert (
        found[3:] == [True, True] or options.get("noise") == 1
    )  # what compression leaves of so little noise is its own


def test_places_that_are_each_photographed_a_few_times_stay_groups():
    """Five photographs of each of twelve places: none is a tenth of all, so what shows one place is kept together."""
    corners = ((0, 0), (0, 100), (100, 0), (100, 100))
    places = [photograph(name)[:200, :200] for name in ("coffee", "chelsea", "astronaut")]
    cuts = [place[y : y + 90, x : x + 90] for place in places for y, x in corners]
    rng = np.random.default_rng(0)
    taken = [np.clip(cut + rng.normal(0, 2, cut.shape), 0, 255).astype(np.uint8) for cut in cuts for _ in range(5)]
    of = near_duplicates(taken).of.reshape(-1, 5)
    assert (of == of[:, :1]).all()
    assert len(set(of[:, 0].tolist())) == 12


def test_one_picture_many_times_is_one_group():
    assert len(set(near_duplicates([PHOTO] * 12).of.tolist())) == 1
    flat = np.full((12, 40, 40, 3), 90, np.uint8)
    assert len(set(near_duplicates(flat).of.tolist())) == 1


def test_copies_among_photographs_are_pairs_of_places():
    rng = np.random.default_rng(1)
    views = 100 + 40 * np.sin(np.arange(32) / 3) + rng.normal(0, 2, (9, 32, 32))
    views[6] = views[2] * 1.1 + 5
    assert copies_among(views).tolist() == [[2, 6]]
