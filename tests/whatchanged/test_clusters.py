"""Clusters of differing pixels: DBSCAN on the grid against scikit-learn's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from sklearn.cluster import DBSCAN

from whatchanged import clusters


def reference(mask, eps, min_samples):
    points = np.argwhere(mask)
    labels = np.zeros(mask.shape, int)
    labels[tuple(points.T)] = DBSCAN(eps=eps, min_samples=min_samples).fit(points).labels_ + 1
    return labels


@pytest.mark.parametrize("eps", [1, 1.4, 1.5, 2, 2.5, 3.5, 6.3])
@pytest.mark.parametrize("min_samples", [1, 2, 5, 20])
def test_dbscan_is_that_of_scikit_learn(eps, min_samples):
    """Also at the border of two clusters, where a pixel goes to the first."""
    rng, several = np.random.default_rng(0), 0
    for kind in range(12):
        shape = rng.integers(1, 60, 2)
        mask = rng.random(shape) < rng.uniform(0.01, 0.9) ** 2
        if kind % 3 == 0:
            mask = cv2.GaussianBlur(rng.random(shape), (0, 0), 1.5).reshape(shape) > 0.51
        mask[0, 0] = True
        expected = reference(mask, eps, min_samples)
        several += expected.max() > 1
        assert np.array_equal(clusters.dbscan(mask, eps, min_samples), expected)
    assert several or min_samples == 20


def test_dbscan_of_an_empty_mask_and_of_options_out_of_range():
    assert not clusters.dbscan(np.zeros((5, 7), bool)).any()
    with pytest.raises(ValueError, match="eps is 0: give a distance from 1 to 50 pixels"):
        clusters.dbscan(np.ones((5, 7), bool), eps=0)
    with pytest.raises(ValueError, match="min_samples is 0: give 1 or more"):
        clusters.dbscan(np.ones((5, 7), bool), min_samples=0)


def squares(*places, shape=(80, 100), side=10, strength=1.0):
    values = np.zeros(shape, np.float32)
    for row, column in places:
        values[row : row + side, column : column + side] = strength
    return values


def test_clusters_are_found_with_their_boxes_the_strongest_first():
    values = squares((10, 10), strength=0.8) + squares((50, 70), side=12)
    first, second = clusters.find_clusters(values)
    assert first.box == (70, 50, 12, 12)
    assert second.box == (10, 10, 10, 10)
    assert (first.area, second.area) == (144, 100)
    assert (first.strength, second.strength) == pytest.approx((144, 80))
    assert first.density == second.density == 1
    assert np.array_equal(second.mask, values == np.float32(0.8))
    assert [one.box for one in clusters.find_clusters(values, max_clusters=1)] == [first.box]
    with pytest.raises(ValueError, match="max_clusters is 0"):
        clusters.find_clusters(values, max_clusters=0)


def test_no_difference_is_no_cluster():
    assert clusters.find_clusters(np.zeros((40, 50))) == []
    assert clusters.find_clusters(np.full((40, 50), 3.0)) == []
    assert clusters.find_clusters(np.random.default_rng(0).random((200, 300))) == [], "noise is no change"


def test_specks_go_and_holes_are_filled():
    values = squares((20, 20), side=20)
    values[28:32, 28:32] = 0
    values[5, 5] = values[70, 90] = 1
    assert np.array_equal(clusters.difference_mask(values), squares((20, 20), side=20) == 1)


def test_the_percentile_takes_over_where_otsu_splits_the_noise():
    noise = np.random.default_rng(0).normal(1, 0.1, (200, 200)).clip(0).astype(np.float32)
    values = noise + squares((50, 50), shape=(200, 200), side=20, strength=0.5)
    gray = cv2.normalize(values, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    assert (gray > cv2.threshold(gray, 0, 255, cv2.THRESH_OTSU)[0]).mean() > clusters.MOST
    (found,) = clusters.find_clusters(values, threshold_percentile=99)
    x, y, width, height = found.box
    assert abs(np.array([x, y, x + width, y + height]) - [50, 50, 70, 70]).max() <= 3


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (np.zeros((4, 4, 3)), {}, r"values has shape \(4, 4, 3\)"),
        (np.full((4, 4), np.nan), {}, "finite numbers"),
        (np.zeros((4, 4)), {"threshold_percentile": 100}, "threshold_percentile is 100"),
    ],
)
def test_what_is_no_difference_map_is_refused(values, options, message):
    with pytest.raises(ValueError, match=message):
        clusters.difference_mask(values, **options)
