"""Find where each pixel of one picture lies in another one, and say how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import cv2
import numpy as np

from whatchanged import geometry, images
from whatchanged.geometry import at_size, displacement, shown
from whatchanged.keypoints import homography
from whatchanged.options import MOTIONS
from whatchanged.structure import (
    ROUGH,
    agreeing,
    correlation,
    disagreement,
    flow,
    plausible,
    refined,
    structure,
    structures,
)

_COARSE = 320  # pixels along the longer side at which the search begins
_FINE = 1024  # and at which it ends; beyond, precision is no longer what limits a comparison
_KEYPOINTS = 800  # pixels along the longer side in which keypoints are looked for
_SURE = 0.75  # confidence below which `align` looks for another start
_UNSURE = 0.6  # confidence below which it looks for another view altogether
_ASTRAY = 0.3  # pixels that parts of the pictures may lie off before a perspective is tried


@dataclass(frozen=True)
class Alignment:
    """How the after picture lies under the before picture.

    Attributes
    ----------
    matrix : float array (3, 3): pixels (x, y, 1) of the before image to pixels of the after image.
    valid : bool array (H, W): the pixels of the before image that the after image shows.
    confidence : correlation of the two pictures' local structure after alignment, -1 to 1; below about 0.3 they
        hardly show the same thing.
    method : what found it: "none" (the pictures already lie on each other), "ecc", "phase+ecc", "orb+ecc" or
        "sift+ecc".
    """

    matrix: np.ndarray
    valid: np.ndarray
    confidence: float
    method: str

    @property
    def is_identity(self) -> bool:
        return self.method == "none"

    def record(self) -> dict[str, Any]:
        """As it stands in a JSON file."""
        rows = [[round(float(value), 9) for value in row] for row in self.matrix]
        return {"matrix": rows, "confidence": round(float(self.confidence), 4), "method": self.method}

    def warp(self, after: np.ndarray) -> np.ndarray:
        """The after image as seen from where the before image was taken: (H, W[, 3]), same dtype."""
        return after if self.is_identity else geometry.warp(after, self.matrix, smooth=self.zoom)

    @cached_property
    def zoom(self) -> float:
        """How many pixels of the after image show one of the before image, along a line."""
        return 1.0 if self.is_identity else geometry.zoom(self.matrix, self.valid.shape)


def align(before: np.ndarray, after: np.ndarray, motion: str | None = "affine") -> Alignment:
    """Register the after image to the before image, from coarse to fine.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3) or (H, W) of the same size.
    motion : "translation", "euclidean" (and rotation), "affine" (and scale and shear) or "perspective". None: affine,
        and where that is not enough, a perspective, also of a picture taken from up to two and a half times nearer or
        farther.

    Returns
    -------
    Alignment
        The identity, with `method` "none", where the pictures already lie on each other to a tenth of a pixel, or
        where no transform makes them agree noticeably better than they do as they are.

    Notes
    -----
    What is correlated is local structure (the image less its blur, over its local contrast), which lighting does not
    reach. ECC [1]_ refines a start to sub-pixel precision. It starts from where the pictures are; where that gives no
    sure result, from the phase correlation [2]_ and from ORB features with RANSAC [3]_. Pixels that disagree most are
    then left out, so that the changes themselves do not pull the pictures apart.

    References
    ----------
    .. [1] Evangelidis and Psarakis, Parametric Image Alignment Using Enhanced Correlation Coefficient Maximization,
       IEEE TPAMI 30(10), 2008.
    .. [2] Kuglin and Hines, The phase correlation image alignment method, 1975.
    .. [3] Rublee et al., ORB: an efficient alternative to SIFT or SURF, ICCV 2011.
    """
    if motion is not None and motion not in MOTIONS:
        raise ValueError(f"motion is {motion!r}: choose one of {', '.join(MOTIONS)}")
    if before.shape[:2] != after.shape[:2]:
        raise ValueError(
            f"before is {images.size(before)} and after is {images.size(after)}: align takes images of one size"
        )
    shape, small = before.shape[:2], [images.shrink(images.gray(image), _FINE) for image in (before, after)]
    fine = structure(small[0]), structure(small[1])
    coarse = fine if max(shape) <= _COARSE else structures(before, after, _COARSE)
    found = _aligned(fine, coarse, shape, motion or "affine")
    return found if motion else _widened(small, fine, found)


def _aligned(
    fine: tuple[np.ndarray, np.ndarray], coarse: tuple[np.ndarray, np.ndarray], shape: tuple[int, int], motion: str
) -> Alignment:
    """The best transform of one motion between two pictures of that shape, from their structures."""
    still = Alignment(np.eye(3), np.ones(shape, bool), correlation(*fine, np.eye(3)), "none")
    if min(shape) < 16 or not all(image.any() for image in fine) or still.confidence > 0.9999:
        return still
    matrix, method = _search(coarse, motion)
    matrix = at_size(matrix, coarse[0].shape, fine[0].shape)
    for _ in range(2):
        matrix = refined(*fine, matrix, motion, agreeing(*fine, matrix))
    if disagreement(*fine, matrix) > 0.98 * disagreement(*fine, np.eye(3)):
        return still
    confidence = correlation(*fine, matrix)
    matrix = at_size(matrix, fine[0].shape, shape)
    if displacement(matrix, shape) < 0.1:
        return still
    return Alignment(matrix, shown(matrix, shape), confidence, method)


def _widened(small: list[np.ndarray], fine: tuple[np.ndarray, np.ndarray], narrow: Alignment) -> Alignment:
    """A perspective where one lays the pictures on each other better than the affine alignment does, otherwise that.

    It costs time, so it is tried where parts of the pictures still lie apart, or where they hardly agree at all; and
    keypoints are looked for where what the affine alignment grows into is not sure either.
    """
    shape = narrow.valid.shape
    if narrow.confidence > 0.9999 or min(shape) < 32:
        return narrow
    matrix, least = at_size(narrow.matrix, shape, small[0].shape), _ASTRAY * max(0.3, small[0].shape[0] / shape[0])
    if narrow.confidence > _SURE and _roughly_astray(*fine, matrix) < 0.8 * least:
        return narrow
    first, second = _seen_alike(small[0], small[1], matrix)
    astray = _astray(first, second) > least
    if not astray and narrow.confidence >= _UNSURE:
        return narrow
    best, apart = narrow, 0.95 * disagreement(first, second, np.eye(3))
    methods = ["ecc", "sift+ecc"] if astray else ["sift+ecc"]
    for method in methods if narrow.confidence > _SURE else methods[::-1]:
        view = _refined_view(small, matrix if method == "ecc" else _by_keypoints(small))
        if view is not None and view.disagreement < apart and view.confidence > 0.3:
            wide = at_size(view.matrix, small[0].shape, shape)
            best, apart = Alignment(wide, shown(wide, shape), view.confidence, method), view.disagreement
            if best.confidence > _SURE and view.astray < least:
                break
    return best


class _View(NamedTuple):
    """A perspective; correlation and disagreement of the structures it lays on each other, and how far their parts
    still lie off.
    """

    matrix: np.ndarray
    confidence: float
    disagreement: float
    astray: float


def _by_keypoints(small: list[np.ndarray]) -> np.ndarray | None:
    shrunk = [images.shrink(image, _KEYPOINTS) for image in small]
    view = homography(*shrunk)
    return None if view is None else at_size(view, shrunk[0].shape, small[0].shape)


def _refined_view(small: list[np.ndarray], start: np.ndarray | None) -> _View | None:
    """A perspective refined by what its view of the after image still lies off."""
    if start is None:
        return None
    shape = small[0].shape
    for _ in range(2):
        if not geometry.sane(start, shape):
            return None
        first, second = _seen_alike(small[0], small[1], start)
        if not (first.any() and second.any()):
            return None
        valid = shown(start, shape)
        seen = agreeing(first, second, np.eye(3)) & (inside(valid).view(np.uint8) * 255)
        start = start @ refined(first, second, np.eye(3), "perspective", seen)
    first, second = _seen_alike(small[0], small[1], start)
    valid = inside(shown(start, shape))
    a, b = first[valid][None], second[valid][None]
    astray = _astray(first * valid, second * valid)
    return _View(start, correlation(a, b, np.eye(3)), disagreement(a, b, np.eye(3)), astray)


def _seen_alike(before: np.ndarray, after: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The structure of both gray images as from the first view, each blurred to what both resolve."""
    if np.array_equal(matrix, np.eye(3)):
        return structure(before), structure(after)
    zoom, valid = geometry.zoom(matrix, before.shape), shown(matrix, before.shape)
    laid = geometry.warp(after, matrix, smooth=zoom)
    first, second = (structure(image) for image in (geometry.blurred(before, 1 / zoom), laid))
    return first * valid, second * valid


def _astray(first: np.ndarray, second: np.ndarray) -> float:
    """How far the parts of two structures lie off each other, in pixels: three quarters of them by less."""
    return float(np.quantile(flow(first, second), 0.75))


def _roughly_astray(first: np.ndarray, second: np.ndarray, matrix: np.ndarray) -> float:
    """The same of structures that do not lie on each other yet, measured at half their size."""
    laid = geometry.warp(second, matrix) * shown(matrix, first.shape)
    half = [cv2.resize(one, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for one in (first, laid)]
    return 2 * _astray(half[0], half[1])


def aligned(before: np.ndarray, after: np.ndarray, motion: str = "euclidean") -> tuple[np.ndarray, np.ndarray]:
    """The pair with the after image laid under the before image, as `align` finds it: uint8 arrays (H, W, 3)."""
    return before, align(before, after, motion).warp(after)


def _search(images: tuple[np.ndarray, np.ndarray], motion: str) -> tuple[np.ndarray, str]:
    """The best start among: as they are, phase correlation, ORB; each refined by ECC."""
    best, name = np.eye(3), "ecc"
    least = disagreement(*images, best)
    for candidate, start in (("ecc", lambda *_: np.eye(3)), ("phase+ecc", _phase), ("orb+ecc", _orb)):
        matrix = start(*images)
        if matrix is None or not plausible(matrix, images[0].shape):
            continue
        matrix = refined(*images, matrix, motion, None, ROUGH)
        matrix = refined(*images, matrix, motion, agreeing(*images, matrix), ROUGH)
        apart = disagreement(*images, matrix)
        if apart < least:
            best, least, name = matrix, apart, candidate
        if correlation(*images, best) > _SURE:
            break
    return best, name


def _phase(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    (dx, dy), _ = cv2.phaseCorrelate(before, after, cv2.createHanningWindow(before.shape[::-1], cv2.CV_32F))
    return np.array([[1, 0, dx], [0, 1, dy], [0, 0, 1.0]])


def _orb(before: np.ndarray, after: np.ndarray) -> np.ndarray | None:
    """A similarity transform from matched ORB features; None where too few match."""
    orb = cv2.ORB.create(1000, fastThreshold=5)
    found = [orb.detectAndCompute(_as_uint8(image), None) for image in (before, after)]
    if any(descriptors is None or len(points) < 8 for points, descriptors in found):
        return None
    matches = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(found[0][1], found[1][1])
    if len(matches) < 8:
        return None
    source = np.array([found[0][0][m.queryIdx].pt for m in matches], np.float32)
    target = np.array([found[1][0][m.trainIdx].pt for m in matches], np.float32)
    cv2.setRNGSeed(0)  # RANSAC draws from OpenCV's generator: the same pair must give the same answer
    matrix, inliers = cv2.estimateAffinePartial2D(source, target, ransacReprojThreshold=2.0)
    if matrix is None or inliers.sum() < 8:
        return None
    return np.vstack([matrix, [0, 0, 1]])


def _as_uint8(structure: np.ndarray) -> np.ndarray:
    return np.clip(128 + 42 * structure, 0, 255).astype(np.uint8)


def inside(valid: np.ndarray) -> np.ndarray:
    """The valid pixels less a border of two, where interpolation still mixes in what lies outside."""
    eroded = cv2.erode(valid.view(np.uint8), np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return eroded > 0
