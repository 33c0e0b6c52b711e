"""Known transforms are recovered, and what needs no alignment is left alone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from helpers import scenes
from helpers.nuisances import CONDITIONS, Nuisance, describe_nuisance
from helpers.photographs import photo_pair, photograph
from helpers.things import SHAPES, TEXTURES
from whatchanged.alignment import align

PHOTO = photograph("coffee")


@pytest.mark.parametrize(
    "nuisance",
    [
        Nuisance(shift_x=2, shift_y=-3),
        Nuisance(shift_x=0.6, shift_y=-0.4),
        Nuisance(rotation=0.5),
        Nuisance(rotation=-2, scale=1.03),
        Nuisance(rotation=1, shift_x=4, gain=1.1, noise=3, jpeg=75, vignette=0.3),
        Nuisance(shift_x=8, shift_y=6, rotation=3),
    ],
    ids=describe_nuisance,
)
@pytest.mark.parametrize("name", ["coffee", "astronaut", "camera", "coins"])
def test_known_transforms_are_recovered(name, nuisance):
    pair = photo_pair(3, 1, name=name, edits=(1, 2), nuisance=nuisance)
    found = align(pair.before, pair.after)
    height, width = pair.before.shape[:2]
    corners = np.array([[0, 0, 1], [width - 1, 0, 1], [0, height - 1, 1], [width - 1, height - 1, 1]]).T
    middle = np.array([(width - 1) / 2, (height - 1) / 2, 1])
    assert np.abs(found.matrix @ middle - pair.transform @ middle).max() < 0.25
    turned, true = (np.degrees(np.arctan2(m[1, 0], m[0, 0])) for m in (found.matrix, pair.transform))
    assert turned == pytest.approx(true, abs=0.05)
    assert np.abs(found.matrix @ corners - pair.transform @ corners).max() < 0.5
    assert found.confidence > 0.75
    assert 0.7 < found.valid.mean() <= 1


def test_perspective_is_recovered():
    true = np.array([[1.01, 0.012, 3], [-0.01, 0.99, 2], [3e-5, -2e-5, 1]])
    after = cv2.warpPerspective(PHOTO, true, PHOTO.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    found = align(PHOTO, after, "perspective").matrix
    corners = np.array([[[0, 0], [599, 0], [0, 399], [599, 399]]], float)
    assert np.abs(cv2.perspectiveTransform(corners, found) - cv2.perspectiveTransform(corners, true)).max() < 0.5


@pytest.mark.parametrize("motion", ["translation", "euclidean", "affine", "perspective"])
def test_every_motion_finds_a_shift(motion):
    pair = photo_pair(3, 1, name="coffee", edits=(0, 0), nuisance=Nuisance(shift_x=3, shift_y=2))
    found = align(pair.before, pair.after, motion)
    assert found.matrix[:2, 2] == pytest.approx([3, 2], abs=0.25)


@pytest.mark.parametrize("name", ["clean", "noise", "JPEG 75", "brighter", "vignette"])
def test_images_that_need_no_alignment_are_left_alone(name):
    for index in range(8):
        pair = photo_pair(4, index, nuisance=CONDITIONS[name])
        found = align(pair.before, pair.after)
        assert found.is_identity
        assert found.warp(pair.after) is pair.after


def test_a_changed_object_does_not_pull_a_scene_apart():
    for index in range(40):
        pair = scenes.scene_pair(7000, index, size=(288, 384), kinds=("color", "shape", "texture"))
        assert align(pair.before, pair.after).is_identity


def test_a_start_that_leaves_nothing_to_compare_is_not_taken():
    """Phase correlation suggests a shift of 80 pixels here: the tenth that still overlaps is empty and agrees well."""
    few = {(shape, texture) for s, shape in enumerate(SHAPES) for t, texture in enumerate(TEXTURES)
           if (s + t) % len(TEXTURES) >= 2}  # fmt: skip
    pair = scenes.subtle_pair(2000, 126, combinations=few)
    found = align(pair.before, pair.after, "euclidean")
    corners = np.array([[10, 10, 1], [86, 10, 1], [10, 86, 1], [86, 86, 1.0]]).T
    assert found.valid.mean() > 0.9
    assert np.abs((found.matrix - pair.transform) @ corners).max() < 0.5


def test_alignment_of_other_pictures_is_not_sure():
    other = photograph("astronaut")[:400]
    assert align(PHOTO[:, :512], other).confidence < 0.3
    flat = np.full((64, 64, 3), 128, np.uint8)
    assert align(flat, flat).is_identity
    with pytest.raises(ValueError, match="motion is 'spin'"):
        align(PHOTO, PHOTO, "spin")
    with pytest.raises(ValueError, match="600x400 and after is 512x512"):
        align(PHOTO, photograph("astronaut"))


def _view(kind: str, amount: float) -> np.ndarray:
    """A tilt whose corners move by a share `amount` of the picture, or a zoom about a place beside the middle."""
    height, width = PHOTO.shape[:2]
    if kind == "tilt":
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        off = np.array([[1, 1], [-1, 0.5], [0.3, -1], [-0.6, -0.7]]) * (amount * width, amount * height)
        return cv2.getPerspectiveTransform(corners, corners + off.astype(np.float32))
    matrix = cv2.getRotationMatrix2D((width * 0.45, height * 0.55), 1.0, amount)
    return np.vstack([matrix, [0, 0, 1]])


@pytest.mark.parametrize(
    ("kind", "amount"), [("tilt", 0.02), ("tilt", 0.05), ("zoom", 0.4), ("zoom", 2.0), ("zoom", 2.5)]
)
def test_without_a_motion_it_finds_out_that_it_needs_a_tilt_or_a_zoom(kind, amount):
    true = _view(kind, amount)
    edited = PHOTO.copy()
    edited[150:190, 250:310] = (20, 120, 220)
    after = cv2.warpPerspective(edited, true, PHOTO.shape[1::-1], flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    found = align(PHOTO, after, None)
    y, x = np.nonzero(found.valid)
    points = np.stack([x, y], axis=1)[::997].astype(float)[None]
    apart = cv2.perspectiveTransform(points, found.matrix) - cv2.perspectiveTransform(points, true)
    assert np.abs(apart).max() < 0.3 * max(1, amount)
    assert found.confidence > 0.75
    assert kind == "tilt" or found.zoom == pytest.approx(amount, rel=0.01)


def test_noise_and_edits_are_no_tilt():
    noisy = PHOTO + np.random.default_rng(0).normal(0, 15, PHOTO.shape)
    noisy[100:220, 200:400] = 40
    assert align(PHOTO, np.clip(noisy, 0, 255).astype(np.uint8), None).is_identity
