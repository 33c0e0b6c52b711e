"""`detect`: every condition, exact ground truth, circuit boards, properties."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from helpers import evaluation
from helpers.nuisances import CONDITIONS
from helpers.photographs import photo_pair, photograph
from tests.deep_pcb import deep_pcb
from whatchanged import detection
from whatchanged.options import PRESETS, SIZES
from whatchanged.pixels import pixel_difference

PHOTO = photograph("coffee")


@pytest.mark.process
@pytest.mark.real
def test_circuit_boards(real_data):
    boards = list(deep_pcb(real_data / "deep-pcb"))
    assert len(boards) == 60
    detect = partial(detection.detect, **PRESETS["board"])
    best = evaluation.score_boxes([(detect(b.before, b.after).boxes, b.boxes) for b in boards])
    plain = evaluation.score_boxes([(pixel_difference(b.before, b.after).boxes, b.boxes) for b in boards])
    print(f"DeepPCB F1 {best.f1:.3f}, plain pixel difference {plain.f1:.3f}")
    assert best.f1 >= 0.85
    assert plain.f1 < 0.1


def test_clipped_white_is_no_change():
    before = np.tile(np.linspace(40, 250, 200).astype(np.uint8), (120, 1))
    before = np.repeat(before[..., None], 3, 2)
    after = np.clip(before * 1.25, 0, 255).astype(np.uint8)
    assert detection.detect(before, after, align=False).regions == []
    assert detection.detect(after, before, align=False).regions == []


@pytest.mark.process
@pytest.mark.parametrize("condition", list(CONDITIONS))
def test_best_configuration_in_every_condition(condition):
    def photo(seed, index, *, nuisance, changed):
        return photo_pair(seed, index, nuisance=nuisance, edits=(1, 3) if changed else (0, 0))

    methods = {"tolerant": partial(detection.detect, size="scale")}
    conditions = {condition: CONDITIONS[condition]}
    (result,) = evaluation.compare_methods(methods, conditions, photo, pairs=16, seed=77)
    assert result.score.f1 >= 0.90
    assert result.false_boxes <= 0.05


def test_a_picture_of_another_resolution_and_boxes_in_pixels_of_each_picture():
    pair = photo_pair(2, size=(360, 480), name="coffee", edits=(2, 2))
    smaller = cv2.resize(pair.after, (240, 180), interpolation=cv2.INTER_AREA)
    for before, after, scale in ((pair.before, smaller, 1), (smaller, pair.before, 0.5)):
        found = detection.detect(before, after, size="scale")
        assert found.map.shape == (180, 240)
        assert evaluation.score_boxes([(found.boxes, pair.boxes * scale)], iou=0.4).f1 == 1
        there = np.array([one.after for one in found.regions if one.what != "moved"])
        assert len(there) == 2
        assert evaluation.score_boxes([(there, pair.boxes * (1.5 - scale))], iou=0.4).f1 == 1


@pytest.mark.parametrize("condition", ["noise", "JPEG 75", "rotation"])
def test_photographs_of_two_sizes_are_photographs(condition):
    """What only the larger one has is no sign that each pixel counts."""
    pair = photo_pair(5, size=(360, 480), name="coffee", edits=(1, 1), nuisance=CONDITIONS[condition])
    for before, after in ((pair.before, pair.after[:290, :400]), (pair.before[:290, :400], pair.after)):
        assert detection.detect(before, after).kind == "camera"


@pytest.mark.parametrize("method", ["tolerant", "pixel", "ssim"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 3), (6, 50), (1, 1, 3), (17, 16, 3)])
def test_tiny_and_flat_images(method, shape):
    black, white = np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)
    same = detection.detect(black, black.copy(), method=method)
    assert same.regions == []
    assert same.similarity == 1
    for region in detection.detect(black, white, method=method).regions:
        assert 0 <= region.x <= region.x + region.width <= shape[1]
        assert 0 <= region.y <= region.y + region.height <= shape[0]


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="method is 'magic': choose one of tolerant, pixel, ssim, features"):
        detection.detect(PHOTO, PHOTO, method="magic")
    with pytest.raises(ValueError, match="sensitivity is 0"):
        detection.detect(PHOTO, PHOTO, sensitivity=0)


images = arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3)))


@settings(max_examples=60)
@given(image=images, method=st.sampled_from(["tolerant", "pixel", "ssim"]))
def test_identical_images_have_no_difference(image, method):
    found = detection.detect(image, image.copy(), method=method)
    assert found.similarity == 1
    assert found.regions == []


@settings(max_examples=60)
@given(
    data=st.data(),
    method=st.sampled_from(["tolerant", "pixel", "ssim"]),
    align=st.sampled_from([None, True, False]),
    size=st.sampled_from(SIZES),
)
def test_no_input_crashes_and_every_box_lies_in_the_picture(data, method, align, size):
    before = data.draw(images)
    after = data.draw(images)
    found = detection.detect(before, after, method=method, align=align, size=size)
    assert 0 <= found.similarity <= 1 or method == "ssim"
    if found.kind != "camera" and size == "pad":  # there each pixel counts
        assert (found.similarity == 1) == np.array_equal(before, after)
    for region in found.regions:
        width, height = before.shape[1::-1]
        if region.what == "added" and found.kind == "layout":  # its place may lie beyond what it was put beside
            width, height = width + after.shape[1], height + after.shape[0]
        assert 0 <= region.x < region.x + region.width <= width
        assert 0 <= region.y < region.y + region.height <= height
        x, y, wide, high = region.after
        if region.what != "removed":
            assert 0 <= x < x + wide <= after.shape[1]
            assert 0 <= y < y + high <= after.shape[0]


@pytest.mark.process
@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    method=st.sampled_from(["tolerant", "pixel", "ssim"]),
    nuisance=st.sampled_from(["clean", "noise", "JPEG 75", "brighter"]),
)
def test_swapping_the_images_swaps_the_boxes(seed, method, nuisance):
    pair = photo_pair(seed, size=(96, 128), name="coffee", nuisance=CONDITIONS[nuisance])
    there = detection.detect(pair.before, pair.after, method=method, align=False)
    back = detection.detect(pair.after, pair.before, method=method, align=False)
    assert sorted((one.box, one.after) for one in there.regions) == sorted((one.after, one.box) for one in back.regions)
    assert there.similarity == pytest.approx(back.similarity)


def test_a_camera_pair_that_differs_without_a_region_says_so():
    noise = np.random.default_rng(0).normal(0, 3, PHOTO.shape)
    after = np.clip(PHOTO + noise, 0, 255).astype(np.uint8)
    after[100:106, 100:106] = 255 - after[100:106, 100:106]
    found = detection.detect(PHOTO, after, min_area=5000)
    assert found.kind == "camera"
    assert found.regions == []
    assert found.similarity < 1
    assert found.note == detection.WITHIN_NOISE
