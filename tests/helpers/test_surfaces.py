"""Generated surfaces: deterministic, honest masks, and distractors that do not give the answer away."""

from __future__ import annotations

import numpy as np
import pytest

from helpers import datasets, surfaces
from helpers.textures import texture, textures


def test_everything_follows_from_seed_and_index():
    many = surfaces.surfaces(5, 6, size=48)
    for index in (3, 0):  # whatever was made before
        one = surfaces.surface(5, index, size=48)
        assert np.array_equal(one.image, many.images[index])
        assert np.array_equal(one.mask, many.masks[index])
    later = surfaces.surfaces(5, 2, size=48, start=4)
    assert np.array_equal(later.images, many.images[4:])
    assert not np.array_equal(surfaces.surface(6, 0, size=48).image, many.images[0])
    image, label = texture(5, 7, size=48)
    assert np.array_equal(image, textures(5, 8, size=48).images[7])
    assert label == 7


def test_shapes_labels_and_masks():
    made = surfaces.surfaces(0, 60, size=64)
    assert made.images.shape == (60, 64, 64, 3)
    assert made.images.dtype == np.uint8
    assert made.labels.tolist() == [0, 1] * 30
    assert (made.masks.any(axis=(1, 2)) == made.labels).all()
    share = made.masks[1::2].mean(axis=(1, 2))
    assert 0.003 < share.min() < share.max() < 0.35


@pytest.mark.parametrize("material", surfaces.MATERIALS)
def test_a_crack_is_darker_than_what_is_beside_it(material):
    """The mask lies on the crack: where it is, the same surface without the crack is brighter."""
    import cv2

    darker = []
    for index in range(20):
        cracked = surfaces.surface(1, index, size=64, cracked=True, material=material)
        gray = cv2.cvtColor(cracked.image, cv2.COLOR_RGB2GRAY).astype(float)
        beside = cv2.dilate(cracked.mask.astype(np.uint8), np.ones((7, 7))).astype(bool) & ~cracked.mask
        darker.append(gray[beside].mean() - gray[cracked.mask].mean())
    assert np.mean(np.array(darker) > 10) >= 0.95


def test_a_sound_surface_differs_from_the_cracked_one_only_by_the_crack():
    """Material and distractors are drawn before the crack, so they do not depend on it."""
    for index in range(12):
        sound, cracked = (surfaces.surface(2, index, size=64, cracked=c) for c in (False, True))
        assert (sound.material, sound.distractors) == (cracked.material, cracked.distractors)
        assert not sound.cracked
        assert cracked.cracked


def test_distractors_come_as_often_with_as_without_cracks():
    made = [surfaces.surface(3, index, size=32) for index in range(400)]
    for name in surfaces.DISTRACTORS:
        rates = [np.mean([name in one.distractors for one in made if one.cracked == cracked]) for cracked in (0, 1)]
        assert min(rates) > 0.15
        assert abs(rates[0] - rates[1]) < 0.12
    assert {one.material for one in made} == set(surfaces.MATERIALS)


def test_no_simple_statistic_tells_cracked_from_sound():
    """On darkness, contrast and edges alone a linear classifier gets more than one in ten wrong."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    made = surfaces.surfaces(4, 800, size=64)
    gray = made.images.mean(axis=3)
    edges = [np.abs(np.diff(gray, axis=axis)).mean(axis=(1, 2)) for axis in (1, 2)]
    simple = np.stack([gray.mean((1, 2)), gray.std((1, 2)), gray.min((1, 2)), np.quantile(gray, 0.02, (1, 2)), *edges])
    features = StandardScaler().fit_transform(simple.T)
    model = LogisticRegression().fit(features[:400], made.labels[:400])
    assert model.score(features[400:], made.labels[400:]) < 0.9


def test_written_folder_is_read_again(tmp_path):
    made = surfaces.surfaces(0, 8, size=40)
    read = datasets.defect_images(surfaces.write_folder(tmp_path / "set", made), 40)
    assert read.labels.tolist() == [1, 0] * 4
    assert np.array_equal(read.picture(0), made.images[1])
    assert np.array_equal(read.picture(1), made.images[0])
    assert read.name(0) == "Positive/00001.png"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: surfaces.surface(0, 0, size=16), "size is 16"),
        (lambda: texture(0, 0, size=16), "size is 16"),
        (lambda: surfaces.surface(0, 0, material="glass"), "material is 'glass': choose one of concrete"),
        (lambda: surfaces.surfaces(0, 0), "count is 0"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
