"""Pictures unlike those that a model learned from: the distance and the limit by other hands, rates, files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import betabinom, binom
from sklearn.neighbors import NearestNeighbors
from tiny_tblip2 import small

from helpers import scenes
from helpers.nuisances import Nuisance
from helpers.photographs import PHOTOGRAPHS, photo_pair, photograph
from helpers.surfaces import surfaces
from whatchanged import lite0
from whatchanged.images import read_image, resized
from whatchanged.models import resnet18
from whatchanged.models.describer import Describer, remember_likeness
from whatchanged.models.likeness import FILE, Likeness, evenly, limit_rank, seen_in
from whatchanged.models.prepared import PreparedPairs
from whatchanged.weights import to_tensor

HAND = Nuisance(rotation=2, shift_x=1.5, shift_y=1.5, gain=1.12, noise=4)


def scene(number):
    pair = scenes.scene_pair(31, number, nuisance=HAND)
    return pair.before, pair.after


@pytest.fixture(scope="module")
def knows():
    return Likeness.of([scene(number) for number in range(100)], [scene(1000 + number) for number in range(120)])


def test_what_is_seen_is_the_mean_of_two_stages():
    pictures = surfaces(3, 3, size=64).images
    with torch.no_grad():
        stages = lite0.pretrained().stages(to_tensor(pictures))
    expected = torch.cat([stages[2].mean(dim=(2, 3)), stages[3].mean(dim=(2, 3))], dim=1)
    np.testing.assert_allclose(seen_in(list(pictures)), expected, atol=1e-4)


def test_the_distance_is_that_to_the_fifth_neighbor_of_the_farther_picture(knows):
    known = seen_in([one for number in range(100) for one in scene(number)])
    center, spread = known.mean(axis=0), known.std(axis=0)
    nearest = NearestNeighbors(n_neighbors=5).fit((known - center) / spread)
    pairs = [scene(5000 + number) for number in range(7)]
    each = [nearest.kneighbors((seen_in(list(pair)) - center) / spread)[0][:, 4].max() for pair in pairs]
    np.testing.assert_allclose(knows.distances(pairs), each, rtol=2e-3)
    lone = [[pair[0]] for pair in pairs]
    assert (knows.distances(pairs) >= knows.distances(lone) - 1e-4).all()


@pytest.mark.parametrize("count", [59, 93, 200, 500])
def test_the_limit_is_such_that_few_others_lie_beyond_it(count):
    """The k-th of n holds 95 % of all others unless k or more of n fall among the 95 %, in a binomial draw."""
    sure = [binom.cdf(place - 1, count, 0.95) for place in range(1, count + 1)]
    assert limit_rank(count) == 1 + next(index for index, one in enumerate(sure) if one >= 0.95)
    draws = np.sort(np.random.default_rng(count).random((4000, count)), axis=1)
    assert (draws[:, limit_rank(count) - 1] >= 0.95).mean() == pytest.approx(0.965, abs=0.025)


def test_with_too_few_nothing_is_known(knows):
    assert [limit_rank(count) for count in (0, 1, 58)] == [None] * 3
    few = [[photograph("coffee")[:64, :64]]] * 58
    assert Likeness.of(few, few) is None
    assert Likeness.of([], few * 2) is None
    assert evenly(0, 5) == []
    assert evenly(3, 5) == [0, 1, 2]
    assert evenly(1000, 5) == [0, 249, 499, 749, 999]


def test_the_pictures_that_it_is_calibrated_on_lie_within_but_for_few(knows):
    held_out = [scene(1000 + number) for number in range(120)]
    beyond = sum(knows.unlike(*pair) for pair in held_out)
    assert beyond == 120 - limit_rank(120)


def test_other_scenes_are_like_photographs_are_not(knows):
    """Of further scenes at most 5 % are warned, but for the luck of this draw; of edited photographs at least 95 %."""
    scenes_warned = sum(knows.unlike(*scene(2000 + number)) for number in range(100))
    assert scenes_warned <= betabinom(100, 121 - limit_rank(120), limit_rank(120)).ppf(0.99)
    pairs = [photo_pair(4, number, name=PHOTOGRAPHS[number % 8]) for number in range(24)]
    small_ones = [[resized(side, 96) for side in (pair.before, pair.after)] for pair in pairs]
    assert sum(knows.unlike(*pair) for pair in small_ones) >= 0.95 * len(small_ones)
    mixed = [resized(pairs[0].before, 96), scene(2000)[0]]
    assert knows.unlike(*mixed), "one of the two is enough"
    assert knows.unlike(*mixed[::-1])


@pytest.mark.real
def test_real_screenshots_are_not_like_scenes(real_data, knows):
    files = [
        [real_data / "screens" / f"{number:03}_{side}.png" for side in ("before", "after")] for number in range(110)
    ]
    warned = [knows.unlike(*(resized(read_image(path), 96) for path in pair)) for pair in files]
    assert np.mean(warned) >= 0.95


def test_a_folder_keeps_it_and_one_without_tells_nothing(tmp_path, knows):
    pairs = [scenes.scene_pair(31, number, size=48) for number in range(4)]
    model = small(pairs)
    describe = Describer(model.save_pretrained(tmp_path), max_new_tokens=3)
    assert describe.say(pairs[0].before, pairs[0].after) == (describe(pairs[0].before, pairs[0].after), None)

    def read(number):
        pair = scenes.scene_pair(31, number, size=48)
        return pair.before, pair.after, pair.captions

    learned = PreparedPairs.in_memory(60, read, model.prepare)
    held_out = PreparedPairs.in_memory(80, lambda number: read(100 + number), model.prepare)
    found = remember_likeness(tmp_path, learned, held_out)
    assert (tmp_path / FILE).stat().st_size < 100_000
    describe = Describer(tmp_path, max_new_tokens=3)
    photo = photo_pair(4, name="coffee")
    assert describe.say(photo.before, photo.after)[1] is True
    assert describe.say(pairs[0].before, pairs[0].after)[1] is False
    large = [scenes.scene_pair(31, 7000 + number, size=192) for number in range(8)]
    assert sum(describe.say(pair.before, pair.after)[1] for pair in large) <= 1, "larger pictures have less grain"
    sample = [photo.before, photo.after]
    assert describe.likeness.distances([sample]) == found.distances([sample])
    assert describe.likeness.limit == found.limit
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:-9])
    with pytest.raises(ValueError, match=f"{FILE} is damaged"):
        Describer(tmp_path)
    model.save_pretrained(tmp_path)
    assert Describer(tmp_path).likeness is None, "it was said of other weights"
    assert remember_likeness(tmp_path, learned, PreparedPairs([], [])) is None
    assert not (tmp_path / FILE).exists()


def test_the_file_of_a_network_keeps_it(tmp_path):
    torch.manual_seed(0)
    judge = resnet18.Classifier(resnet18.build(2), 64, ("sound", "cracked"))
    without = resnet18.Classifier.load(judge.save(tmp_path / "without.safetensors"))
    walls = surfaces(9, 40, size=96).images
    assert without.unlike(walls[0]) is None
    judge.likeness = resnet18.likeness_to(surfaces(0, 400, size=64), surfaces(1, 300, size=96), 64)
    loaded = resnet18.Classifier.load(judge.save(tmp_path / "model.safetensors"))
    larger = (tmp_path / "model.safetensors").stat().st_size - (tmp_path / "without.safetensors").stat().st_size
    assert 90_000 < larger < 200_000
    assert loaded(walls[0])[0] == without(walls[0])[0]
    beyond = sum(loaded.unlike(wall) for wall in walls)
    assert beyond <= betabinom(40, 301 - limit_rank(300), limit_rank(300)).ppf(0.99)
    odd = [loaded.unlike(photograph(name)) for name in ("astronaut", "chelsea", "coffee", "rocket", "camera", "coins")]
    assert odd == [True] * 6
    assert replace(judge.likeness, limit=np.inf).unlike(resized(photograph("astronaut"), 64)) is False
