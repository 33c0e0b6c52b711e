"""Pictures of a camera: laid on each other, in one light, compared by one of the methods."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import NamedTuple

import cv2
import numpy as np

from whatchanged.alignment import Alignment, align, inside
from whatchanged.areas import pasted
from whatchanged.features import feature_similarity
from whatchanged.geometry import blurred
from whatchanged.noise import edges_of_both, less_unsteady, pair_noise
from whatchanged.options import Options
from whatchanged.pixels import differences, gray_threshold, pixel_mask, unchanged_share
from whatchanged.regions import Compared, hysteresis
from whatchanged.ssim import structural_difference
from whatchanged.structure import TILE, parts_agreeing
from whatchanged.tolerance import tolerant_difference
from whatchanged.tone import is_rendered, one_tone

UNLIKE = (
    "the pictures cannot be laid on each other: they show different things, or one thing from too different a view;"
    " the whole picture counts as replaced"
)
_EDGE = 3  # pixels from the edge of the frame, where what lay beyond it may have come into view
_HARDLY = 0.5  # confidence of an alignment below which it is asked whether the pictures show the same thing at all


def compare_photographs(
    before: np.ndarray, after: np.ndarray, how: Options, area: np.ndarray | None = None
) -> Compared:
    """Which pixels of two pictures differ by more than a camera makes them differ.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3) of the same size.
    area : bool array (H, W): which pixels of before are compared; None: all.
    how : the method; whether to align and to even out the light, and the rest of `Options`.
    """
    laid = align(before, after, how.motion) if how.aligns else None
    original = after
    lit = how.normalizes and not (is_rendered(before) and is_rendered(after))  # no light falls on a rendered page
    if laid is not None:
        before, after = blurred(before, 1 / laid.zoom), laid.warp(after)
    valid = np.ones(before.shape[:2], bool) if laid is None else inside(laid.valid)
    if area is not None:
        valid &= area
    if laid is not None and laid.confidence < _HARDLY and _show_different_things(before, after, valid):
        return _replaced(before, original, np.ones(valid.shape, bool) if area is None else area, laid)
    if lit:
        before, after = one_tone(before, after, valid)
    if area is not None:
        after = pasted(before, after, area)
    measured = _COMPARE[how.method](before, after, valid, how)
    mask = measured.mask & valid
    merge = max(3, min(mask.shape) // 24)
    return Compared(measured.similarity, measured.strength, mask, valid, before, after, merge, measured.min_area, laid)


def _show_different_things(before: np.ndarray, after: np.ndarray, valid: np.ndarray) -> bool:
    """Whether hardly any part of a picture agrees with the other one, neither in its structure nor in its colors.

    A picture of which two thirds were replaced does not: the last third agrees, or is as it was.
    """
    if min(valid.shape) < 2 * TILE:
        return False
    agreement = parts_agreeing(before, after, valid)
    if len(agreement) < 12 or np.mean(agreement > 0.3) > 0.08:
        return False
    size = tuple(max(1, side // TILE) for side in valid.shape[::-1])
    a, b = (cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(int).max(axis=2) for image in (before, after))
    telling = (np.minimum(a, b) < 240) & (np.maximum(a, b) > 16)  # a dark sky is like any other dark sky
    far = np.abs(a - b)[telling] > 4
    return bool(far.size == 0 or far.mean() > 0.8)


def _replaced(before: np.ndarray, after: np.ndarray, valid: np.ndarray, laid: Alignment) -> Compared:
    """All that is compared as one change."""
    shape = before.shape[:2]
    strength = np.maximum.reduce(cv2.split(cv2.absdiff(before, after))).astype(np.float32) / 255
    still = Alignment(np.eye(3), np.ones(shape, bool), laid.confidence, "none")
    return Compared(0.0, strength, valid.copy(), valid, before, after, 0, 1, still, UNLIKE)


class Measured(NamedTuple):
    """What a method says of two pictures that lie on each other: similarity; strength, float32 (H, W), 0 to 1; changed
    pixels, bool (H, W); how many must hang together to count.
    """

    similarity: float
    strength: np.ndarray
    mask: np.ndarray
    min_area: int


def _by_pixel(before: np.ndarray, after: np.ndarray, valid: np.ndarray, how: Options) -> Measured:
    threshold: str | float = "otsu"
    if how.sensitivity != 1:
        otsu = gray_threshold(differences(before, after, "color"), threshold, 0)
        threshold = min(255.0, otsu / how.sensitivity)
    apart, mask = pixel_mask(before, after, threshold, channels="color")
    return Measured(unchanged_share(mask), apart.astype(np.float32) / 255, mask > 0, _usual_area(mask))


def _by_ssim(before: np.ndarray, after: np.ndarray, valid: np.ndarray, how: Options) -> Measured:
    score, ssim_map = structural_difference(before, after)
    apart = np.clip((1 - reduce(np.minimum, cv2.split(ssim_map))) / 2, 0, 1)  # min(axis=2) is five times slower
    return Measured(score, apart, hysteresis(apart, 0.25 / how.sensitivity), _usual_area(apart))


def _by_features(before: np.ndarray, after: np.ndarray, valid: np.ndarray, how: Options) -> Measured:
    found = feature_similarity(before, after, weights=how.weights)
    return Measured(
        found.similarity,
        found.map,
        hysteresis(found.map, found.threshold / how.sensitivity, low=0.7),
        _usual_area(found.map),
    )


def _by_tolerance(before: np.ndarray, after: np.ndarray, valid: np.ndarray, how: Options) -> Measured:
    excess, threshold = tolerant_difference(before, after, tolerance=how.tolerance, one_sided=how.one_sided)
    excess[~valid] = 0  # before the threshold: a region must not hang on what one of the pictures does not show
    edges = edges_of_both(before, after)
    noise = pair_noise(before, after, excess, valid, edges)
    threshold = max(threshold, noise.level) / how.sensitivity
    judged = excess if how.one_sided else less_unsteady(excess, edges, threshold)
    mask = hysteresis(judged, threshold)
    mask = _without_edge(mask) if how.aligns else mask
    changed = int(np.count_nonzero(mask & valid)) / max(1, int(np.count_nonzero(valid)))
    return Measured(1 - changed, np.clip(excess / 255, 0, 1), mask, noise.min_area)


def _without_edge(mask: np.ndarray) -> np.ndarray:
    """A mask, bool (H, W), without pieces that lie along the edge of the frame: after the least move they would be
    explained by what lies beyond it, which nobody knows.
    """
    within = np.s_[_EDGE:-_EDGE, _EDGE:-_EDGE]
    if min(mask.shape) < 20 * _EDGE or np.count_nonzero(mask) == np.count_nonzero(mask[within]):
        return mask
    count, pieces = cv2.connectedComponents(mask.astype(np.uint8))
    deep = np.zeros(count, bool)
    deep[np.unique(pieces[within])] = True
    return mask & deep[pieces]


def _usual_area(picture: np.ndarray) -> int:
    """What the classic methods take for a region: their maps are as rough as the picture is large."""
    return max(12, picture.size // 5000)


_COMPARE: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray, Options], Measured]] = {
    "tolerant": _by_tolerance,
    "pixel": _by_pixel,
    "ssim": _by_ssim,
    "features": _by_features,
}
