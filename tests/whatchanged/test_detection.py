"""Differences against independent sources: scikit-image, exact ground truth, known transforms, properties."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.metrics import structural_similarity

from helpers import evaluation, scenes
from helpers.nuisances import CONDITIONS, Nuisance, describe_nuisance, jpeg, take
from helpers.photographs import VISIBLE, photo_pair, photograph
from helpers.things import SHAPES, TEXTURES
from tests.deep_pcb import deep_pcb
from whatchanged import detection
from whatchanged.features import feature_similarity
from whatchanged.images import read_image
from whatchanged.light import normalize_illumination
from whatchanged.pixels import pixel_difference
from whatchanged.regions import regions
from whatchanged.ssim import structural_difference
from whatchanged.tolerance import change_map, tolerant_difference

RNG = np.random.default_rng(0)
PHOTO = photograph("coffee")


def skimage_ssim(before, after):
    axis = 2 if before.ndim == 3 else None
    return structural_similarity(before, after, full=True, channel_axis=axis)


def random_pair(*shape):
    before = RNG.integers(0, 256, shape).astype(np.uint8)
    return before, np.clip(before + RNG.normal(0, 20, shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "pair",
    [
        random_pair(7, 7),
        random_pair(64, 512),
        random_pair(131, 1047),
        random_pair(90, 71, 3),
        (PHOTO, jpeg(PHOTO, 40)),
        (PHOTO[..., 1].copy(), take(PHOTO, Nuisance(rotation=1, gain=1.2))[..., 1].copy()),
        (np.full((40, 40), 255, np.uint8), np.full((40, 40), 250, np.uint8)),
        (PHOTO, np.where(np.arange(600)[:, None] < 300, PHOTO, 255 - PHOTO)),
    ],
    ids=["7x7", "tile", "tiles", "color", "jpeg", "rotated", "flat", "half"],
)
def test_ssim_equals_scikit_image(pair):
    expected_score, expected_map = skimage_ssim(*pair)
    score, ssim_map = structural_difference(*pair)
    assert score == pytest.approx(expected_score, abs=1e-4)
    assert ssim_map.shape == expected_map.shape
    assert np.abs(ssim_map - expected_map).max() < 1e-3


def test_detect_by_ssim_takes_the_weakest_channel_of_scikit_image():
    after = PHOTO.copy()
    after[40:60, 50:80, 2] //= 2  # one channel of three
    _, expected = skimage_ssim(PHOTO, after)
    found = detection.detect(PHOTO, after, method="ssim")
    assert found.map.shape == PHOTO.shape[:2]
    assert np.abs(found.map - (1 - expected.min(axis=2)) / 2).max() < 1e-3


def test_ssim_of_identical_images_is_one():
    score, ssim_map = structural_difference(PHOTO, PHOTO.copy())
    assert score == 1
    assert (ssim_map == 1).all()


@pytest.mark.real
@pytest.mark.parametrize("name", ["1", "4", "6"])
def test_real_screenshots(real_data, name):
    before, after = (read_image(real_data / "screenshots" / f"{name}{side}.png") for side in "ab")
    expected_score, expected_map = skimage_ssim(before, after)
    score, ssim_map = structural_difference(before, after)
    assert score == pytest.approx(expected_score, abs=1e-4)
    assert np.abs(ssim_map - expected_map).max() < 1e-3
    truly = np.abs(before.astype(int) - after).max(axis=2)
    gray = cv2.absdiff(*(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (before, after)))
    exact = pixel_difference(before, after, threshold=0, opening=0, closing=0)
    assert exact.similarity == pytest.approx(1 - (gray > 0).mean())
    assert detection.detect(before, after, method="ssim").regions, "the renderings differ"
    for method in ("tolerant", "pixel", "ssim"):
        found = detection.detect(before, after, method=method)
        assert 0 < found.similarity <= 1
        for x, y, width, height in found.boxes:
            assert truly[y : y + height, x : x + width].any()


@pytest.mark.real
def test_circuit_boards(real_data):
    boards = list(deep_pcb(real_data / "deep-pcb"))
    assert len(boards) == 60
    detect = partial(detection.detect, **detection.BOARD_INSPECTION)
    best = evaluation.score_boxes([(detect(b.before, b.after).boxes, b.boxes) for b in boards])
    plain = evaluation.score_boxes([(pixel_difference(b.before, b.after).boxes, b.boxes) for b in boards])
    print(f"DeepPCB F1 {best.f1:.3f}, plain pixel difference {plain.f1:.3f}")
    assert best.f1 >= 0.85
    assert plain.f1 < 0.1


@pytest.mark.parametrize("threshold", ["otsu", "percentile", 30])
def test_pixel_difference_finds_exact_boxes(threshold):
    before = np.full((100, 140, 3), 90, np.uint8)
    after = before.copy()
    after[20:40, 30:70] = 200
    after[60:90, 100:110] = 0
    found = pixel_difference(before, after, threshold=threshold, percentile=90)
    assert found.boxes.tolist() == [[30, 20, 40, 20], [100, 60, 10, 30]]
    assert found.similarity == pytest.approx(1 - (800 + 300) / 14000)
    assert [region.area for region in found.regions] == [800, 300]
    assert found.regions[0].strength == pytest.approx(110 / 255)


def test_otsu_is_opencvs():
    gray = RNG.integers(0, 200, (50, 50)).astype(np.uint8)
    expected = cv2.threshold(gray, 0, 255, cv2.THRESH_OTSU)[0]
    assert gray_threshold(gray, "otsu", 0) == expected
    assert gray_threshold(gray, "percentile", 90) == pytest.approx(np.percentile(gray, 90))


def test_pixel_threshold_is_refused():
    with pytest.raises(ValueError, match="threshold is 'high'"):
        pixel_difference(PHOTO, PHOTO, threshold="high")


def test_regions_merge_fragments_and_measure():
    mask = np.zeros((60, 80), bool)
    mask[10:20, 10:20] = mask[10:20, 23:30] = mask[40:50, 60:70] = mask[0, 0] = True
    strength = np.where(mask, 0.5, 0).astype(np.float32)
    strength[45, 65] = 0.9
    apart = regions(mask, strength, min_area=2)
    assert [r.box for r in apart] == [(60, 40, 10, 10), (10, 10, 10, 10), (23, 10, 7, 10)]
    assert apart[0].strength == pytest.approx(0.9)
    merged = regions(mask, strength, merge=6, min_area=2, pad=3)
    assert [r.box for r in merged] == [(57, 37, 16, 16), (7, 7, 26, 16)]
    assert [r.area for r in merged] == [100, 170]
    with pytest.raises(ValueError, match="same shape"):
        regions(mask, strength[1:])


@pytest.mark.parametrize("merge", [0, 1, 5, 12])
def test_regions_do_not_depend_on_where_the_rest_of_the_picture_ends(merge):
    """Only the part with changed pixels is looked at; more picture around it shifts the boxes and does nothing else."""
    rng = np.random.default_rng(merge)
    mask = rng.random((40, 50)) < 0.02
    strength = rng.random(mask.shape, np.float32)
    around = ((30, 17), (23, 11))
    found = regions(mask, strength, merge=merge)
    wider = regions(np.pad(mask, around), np.pad(strength, around), merge=merge)
    assert [(one.x + 23, one.y + 30, *one.box[2:], one.area, one.strength) for one in found] == [
        (*one.box, one.area, one.strength) for one in wider
    ]
    assert sum(one.area for one in found) == mask.sum()
    assert regions(np.zeros_like(mask), strength, merge=merge) == []


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
    found = detection.align(pair.before, pair.after)
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
    found = detection.align(PHOTO, after, "perspective").matrix
    corners = np.array([[[0, 0], [599, 0], [0, 399], [599, 399]]], float)
    assert np.abs(cv2.perspectiveTransform(corners, found) - cv2.perspectiveTransform(corners, true)).max() < 0.5


@pytest.mark.parametrize("motion", ["translation", "euclidean", "affine", "perspective"])
def test_every_motion_finds_a_shift(motion):
    pair = photo_pair(3, 1, name="coffee", edits=(0, 0), nuisance=Nuisance(shift_x=3, shift_y=2))
    found = detection.align(pair.before, pair.after, motion)
    assert found.matrix[:2, 2] == pytest.approx([3, 2], abs=0.25)


@pytest.mark.parametrize("name", ["clean", "noise", "JPEG 75", "brighter", "vignette"])
def test_images_that_need_no_alignment_are_left_alone(name):
    for index in range(8):
        pair = photo_pair(4, index, nuisance=CONDITIONS[name])
        found = detection.align(pair.before, pair.after)
        assert found.is_identity
        assert found.warp(pair.after) is pair.after


def test_a_changed_object_does_not_pull_a_scene_apart():
    for index in range(40):
        pair = scenes.scene_pair(7000, index, size=(288, 384), kinds=("color", "shape", "texture"))
        assert detection.align(pair.before, pair.after).is_identity


def test_a_start_that_leaves_nothing_to_compare_is_not_taken():
    """Phase correlation suggests a shift of 80 pixels here: the tenth that still overlaps is empty and agrees well."""
    from whatchanged import alignment

    few = {(shape, texture) for s, shape in enumerate(SHAPES) for t, texture in enumerate(TEXTURES)
           if (s + t) % len(TEXTURES) >= 2}  # fmt: skip
    pair = scenes.subtle_pair(2000, 126, combinations=few)
    found = alignment.align(pair.before, pair.after, "euclidean")
    corners = np.array([[10, 10, 1], [86, 10, 1], [10, 86, 1], [86, 86, 1.0]]).T
    assert found.valid.mean() > 0.9
    assert np.abs((found.matrix - pair.transform) @ corners).max() < 0.5


def test_alignment_of_other_pictures_is_not_sure():
    other = photograph("astronaut")[:400]
    assert detection.align(PHOTO[:, :512], other).confidence < 0.3
    flat = np.full((64, 64, 3), 128, np.uint8)
    assert detection.align(flat, flat).is_identity
    with pytest.raises(ValueError, match="motion is 'spin'"):
        detection.align(PHOTO, PHOTO, "spin")
    with pytest.raises(ValueError, match="600x400 and after is 512x512"):
        detection.align(PHOTO, photograph("astronaut"))


def test_light_is_evened_out_without_touching_the_change():
    pair = photo_pair(2, size=(360, 480), name="coffee", nuisance=Nuisance(gain=0.8, vignette=0.4))
    before, after = normalize_illumination(pair.before, pair.after)
    changed = np.logical_or.reduce([mask for change in pair.changes for mask in change.masks_before])
    apart = np.abs(before.astype(int) - after)
    assert np.median(np.abs(pair.before.astype(int) - pair.after)) > 15
    assert np.percentile(apart[~changed], 95) <= 3
    assert np.median(apart[changed].max(axis=1)) > VISIBLE / 2
    assert after is pair.after, "the darker picture stays as it is"


def test_pictures_in_the_same_light_stay_as_they_are():
    pair = photo_pair(2, size=(360, 480), name="coffee", nuisance=Nuisance(noise=3))
    before, after = normalize_illumination(pair.before, pair.after)
    assert before is pair.before
    assert after is pair.after


def test_clipped_white_is_no_change():
    before = np.tile(np.linspace(40, 250, 200).astype(np.uint8), (120, 1))
    before = np.repeat(before[..., None], 3, 2)
    after = np.clip(before * 1.25, 0, 255).astype(np.uint8)
    assert detection.detect(before, after, align=False).regions == []
    assert detection.detect(after, before, align=False).regions == []


@pytest.mark.parametrize("condition", list(CONDITIONS))
def test_best_configuration_in_every_condition(condition):
    def photo(seed, index, *, nuisance, changed):
        return photo_pair(seed, index, nuisance=nuisance, edits=(1, 3) if changed else (0, 0))

    methods = {"tolerant": partial(detection.detect, resize=True)}
    conditions = {condition: CONDITIONS[condition]}
    (result,) = evaluation.compare_methods(methods, conditions, photo, pairs=16, seed=77)
    assert result.score.f1 >= 0.90
    assert result.false_boxes <= 0.05


def test_the_named_settings_matter():
    """Without tolerance a turned picture is full of edges: the guard that the notebook explains."""
    pair = photo_pair(3, 7, edits=(0, 0), nuisance=Nuisance(rotation=3, noise=0, shift_x=3))
    assert detection.detect(pair.before, pair.after).regions == []
    aligned = detection.align(pair.before, pair.after)
    back = aligned.warp(pair.after)
    share = [tolerant_difference(pair.before, back, tolerance=t, floor=5)[0].mean() for t in (0, 1)]
    assert share[0] > 3 * share[1]
    assert detection.detect(pair.before, pair.after, align=False).regions


def test_resize_and_boxes_in_pixels_of_the_before_image():
    pair = photo_pair(2, size=(360, 480), name="coffee", edits=(2, 2))
    smaller = cv2.resize(pair.after, (240, 180), interpolation=cv2.INTER_AREA)
    message = "before is 480x360 and after is 240x180: pass resize=True .* to compare them at the smaller size"
    with pytest.raises(ValueError, match=message):
        detection.detect(pair.before, smaller)
    for before, after, scale in ((pair.before, smaller, 1), (smaller, pair.before, 0.5)):
        found = detection.detect(before, after, resize=True)
        assert found.map.shape == (180, 240)
        assert evaluation.score_boxes([(found.boxes, pair.boxes * scale)], iou=0.4).f1 == 1


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


@pytest.mark.parametrize(
    "array", [np.zeros((4, 4)), np.zeros((0, 4), np.uint8), np.zeros((2, 2, 3, 1), np.uint8), np.zeros(3, np.uint8)]
)
def test_what_is_no_image_is_refused(array):
    with pytest.raises(ValueError, match="give uint8"):
        structural_difference(array, array)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="method is 'magic': choose one of tolerant, pixel, ssim, features"):
        detection.detect(PHOTO, PHOTO, method="magic")
    with pytest.raises(ValueError, match="sensitivity is 0"):
        detection.detect(PHOTO, PHOTO, sensitivity=0)


images = arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3)))


@settings(max_examples=60, deadline=None)
@given(image=images, method=st.sampled_from(["tolerant", "pixel", "ssim"]))
def test_identical_images_have_no_difference(image, method):
    found = detection.detect(image, image.copy(), method=method)
    assert found.similarity == 1
    assert found.regions == []


@settings(max_examples=60, deadline=None)
@given(data=st.data(), method=st.sampled_from(["tolerant", "pixel", "ssim"]), align=st.booleans())
def test_no_input_crashes_and_every_box_lies_in_the_picture(data, method, align):
    before = data.draw(images)
    after = data.draw(images)
    found = detection.detect(before, after, method=method, align=align, resize=True)
    assert 0 <= found.similarity <= 1 or method == "ssim"
    for region in found.regions:
        assert 0 <= region.x < region.x + region.width <= before.shape[1]
        assert 0 <= region.y < region.y + region.height <= before.shape[0]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    method=st.sampled_from(["tolerant", "pixel", "ssim"]),
    nuisance=st.sampled_from(["clean", "noise", "JPEG 75", "brighter"]),
)
def test_swapping_the_images_gives_the_same_boxes(seed, method, nuisance):
    pair = photo_pair(seed, size=(96, 128), name="coffee", nuisance=CONDITIONS[nuisance])
    there = detection.detect(pair.before, pair.after, method=method, align=False)
    back = detection.detect(pair.after, pair.before, method=method, align=False)
    assert sorted(map(tuple, there.boxes)) == sorted(map(tuple, back.boxes))
    assert there.similarity == pytest.approx(back.similarity)


def test_features_with_a_checkpoint_and_without(tmp_path):
    torch = pytest.importorskip("torch")
    from torchvision.models import resnet50

    pair = photo_pair(2, name="coffee", edits=(1, 1))
    random = feature_similarity(pair.before, pair.after)
    assert "random" in random.note
    assert random.similarity < 1
    assert random.map.shape == pair.before.shape[:2]
    assert feature_similarity(pair.before, pair.before.copy()).map.max() < 1e-3
    x, y, width, height = pair.boxes[0]
    row, column = np.unravel_index(random.map.argmax(), random.map.shape)
    assert x - 12 <= column <= x + width + 12
    assert y - 12 <= row <= y + height + 12

    torch.manual_seed(5)
    torch.save(resnet50().state_dict(), tmp_path / "resnet50.pth")
    trained = feature_similarity(pair.before, pair.after, weights=str(tmp_path / "resnet50.pth"))
    assert "resnet50.pth" in trained.note
    assert not np.allclose(trained.map, random.map)
    with pytest.raises(FileNotFoundError, match="WEIGHTS is 'nowhere.pth'"):
        feature_similarity(pair.before, pair.after, weights="nowhere.pth")
    with pytest.raises(ValueError, match="at least 32 pixels"):
        feature_similarity(pair.before[:20], pair.after[:20])


def test_imagenet_weights_without_a_network_are_one_sentence(monkeypatch, tmp_path):
    import urllib.error
    import urllib.request

    def unreachable(*_, **__):
        raise urllib.error.URLError("unreachable")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    monkeypatch.setattr("torch.hub.urlopen", unreachable)
    with pytest.raises(ConnectionError, match="could not be downloaded: connect to the network once"):
        feature_similarity(PHOTO, PHOTO, weights="imagenet")


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
