"""The figure of a classifier: the corner of its ROC curve, and the interval of each bin."""

from __future__ import annotations

import numpy as np

from helpers import evaluation, plotting


def wilson(hits, count, z=1.959963985):
    """By the formula of 1927."""
    share, spread = hits / count, z * z / count
    half = z * np.sqrt(share * (1 - share) / count + spread / (4 * count))
    return (share + spread / 2 - half) / (1 + spread), (share + spread / 2 + half) / (1 + spread)


def test_the_corner_is_enlarged_and_each_bin_has_its_interval():
    labels, given = np.repeat([0, 1, 0, 1], [6, 2, 3, 30]), np.repeat([0.1, 0.2, 0.6, 0.99], [6, 2, 3, 30])
    reliable = evaluation.reliability(labels, given)
    score = evaluation.binary_score(labels, given)
    _, roc, bins = plotting.classification_report(labels, given, score, ["no", "yes"], reliable).axes[:3]
    (corner,) = roc.child_axes
    assert corner.get_xlim()[1] == 0.1
    assert np.array_equal(corner.lines[0].get_xydata(), roc.lines[0].get_xydata())
    drawn = [segment[:, 1] for segment in bins.collections[0].get_segments()]
    assert np.allclose(drawn, [wilson(0, 3), wilson(0, 2), wilson(6, 6), wilson(30, 30)])
