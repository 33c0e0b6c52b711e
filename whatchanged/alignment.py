"""Find where each pixel of one picture lies in another one, and say how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from whatchanged import images

MOTIONS = {
    "translation": cv2.MOTION_TRANSLATION,
    "euclidean": cv2.MOTION_EUCLIDEAN,
    "affine": cv2.MOTION_AFFINE,
    "perspective": cv2.MOTION_HOMOGRAPHY,
}
_COARSE = 320  # pixels along the longer side at which the search begins
_FINE = 1024  # and at which it ends; beyond, precision is no longer what limits a comparison
_ROUGH, _PRECISE = 1e-3, 1e-5  # correlation that an iteration must gain: in the search for a start, and at the end
_SURE = 0.75  # confidence below which `align` looks for another start


@dataclass(frozen=True)
class Alignment:
    """How the after picture lies under the before picture.

    Attributes
    ----------
    matrix : float array (3, 3): pixels (x, y, 1) of the before image to pixels of the after image.
    valid : bool array (H, W): the pixels of the before image that the after image shows.
    confidence : correlation of the two pictures' local structure after alignment, -1 to 1; below about 0.3 they
        hardly show the same thing.
    method : what found it: "none" (the pictures already lie on each other), "ecc", "phase+ecc" or "orb+ecc".
    """

    matrix: np.ndarray
    valid: np.ndarray
    confidence: float
    method: str

    @property
    def is_identity(self) -> bool:
        return self.method == "none"

    def warp(self, after: np.ndarray) -> np.ndarray:
        """The after image as seen from where the before image was taken: (H, W[, 3]), same dtype."""
        if self.is_identity:
            return after
        height, width = self.valid.shape
        flags, border = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, cv2.BORDER_REPLICATE
        if np.allclose(self.matrix[2], (0, 0, 1)):
            return cv2.warpAffine(after, self.matrix[:2], (width, height), flags=flags, borderMode=border)
        return cv2.warpPerspective(after, self.matrix, (width, height), flags=flags, borderMode=border)


def align(before: np.ndarray, after: np.ndarray, motion: str = "affine") -> Alignment:
    """Register the after image to the before image, from coarse to fine.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3) or (H, W) of the same size.
    motion : "translation", "euclidean" (and rotation), "affine" (and scale and shear) or "perspective".

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
    if motion not in MOTIONS:
        raise ValueError(f"motion is {motion!r}: choose one of {', '.join(MOTIONS)}")
    if before.shape[:2] != after.shape[:2]:
        raise ValueError(
            f"before is {images.size(before)} and after is {images.size(after)}: align takes images of one size"
        )
    shape = before.shape[:2]
    fine = _structures(before, after, _FINE)
    coarse = fine if max(shape) <= _COARSE else _structures(before, after, _COARSE)
    still = Alignment(np.eye(3), np.ones(shape, bool), _correlation(*fine, np.eye(3)), "none")
    if min(shape) < 16 or not all(image.any() for image in fine) or still.confidence > 0.9999:
        return still
    matrix, method = _search(coarse, motion)
    matrix = _resized(matrix, coarse[0].shape, fine[0].shape)
    for _ in range(2):
        matrix = _ecc(*fine, matrix, motion, _agreeing(*fine, matrix))
    if _disagreement(*fine, matrix) > 0.98 * _disagreement(*fine, np.eye(3)):
        return still
    confidence = _correlation(*fine, matrix)
    matrix = _resized(matrix, fine[0].shape, shape)
    if _displacement(matrix, shape) < 0.1:
        return still
    return Alignment(matrix, _valid(matrix, shape), confidence, method)


def aligned(before: np.ndarray, after: np.ndarray, motion: str = "euclidean") -> tuple[np.ndarray, np.ndarray]:
    """The pair with the after image laid under the before image, as `align` finds it: uint8 arrays (H, W, 3)."""
    return before, align(before, after, motion).warp(after)


def _structures(before: np.ndarray, after: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """The structure of both images, each with at most `longest` pixels along its longer side."""
    first, second = (_structure(images.shrink(images.gray(image), longest)) for image in (before, after))
    return first, second


def _structure(gray: np.ndarray) -> np.ndarray:
    """The image less its blur, over its local contrast: float32 (H, W), about -3 to 3."""
    image = cv2.GaussianBlur(gray.astype(np.float32), (0, 0), 0.8)
    detail = image - cv2.GaussianBlur(image, (0, 0), 6)
    contrast = cv2.GaussianBlur(detail * detail, (0, 0), 6)
    return detail / np.sqrt(contrast + 16)


def _search(images: tuple[np.ndarray, np.ndarray], motion: str) -> tuple[np.ndarray, str]:
    """The best start among: as they are, phase correlation, ORB; each refined by ECC."""
    best, name = np.eye(3), "ecc"
    least = _disagreement(*images, best)
    for candidate, start in (("ecc", lambda *_: np.eye(3)), ("phase+ecc", _phase), ("orb+ecc", _orb)):
        matrix = start(*images)
        if matrix is None or not _plausible(matrix, images[0].shape):
            continue
        matrix = _ecc(*images, matrix, motion, None, _ROUGH)
        matrix = _ecc(*images, matrix, motion, _agreeing(*images, matrix), _ROUGH)
        disagreement = _disagreement(*images, matrix)
        if disagreement < least:
            best, least, name = matrix, disagreement, candidate
        if _correlation(*images, best) > _SURE:
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


def _ecc(
    before: np.ndarray,
    after: np.ndarray,
    matrix: np.ndarray,
    motion: str,
    mask: np.ndarray | None,
    gain: float = _PRECISE,
) -> np.ndarray:
    """Refine a transform until an iteration gains less than `gain` in correlation; where ECC does not converge it stays
    as it was.
    """
    rows = 3 if motion == "perspective" else 2
    start = matrix[:rows].astype(np.float32)
    if motion in ("translation", "euclidean"):
        start[:, :2] = _rotation(start) if motion == "euclidean" else np.eye(2)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, gain)
    try:
        # its stubs do not know that the mask may be None
        _, found = cv2.findTransformECC(before, after, start, MOTIONS[motion], stop, mask, 1)  # type: ignore[arg-type]
    except cv2.error:
        return matrix
    found = found.astype(float)
    found = found if rows == 3 else np.vstack([found, [0, 0, 1]])
    return found if _plausible(found, before.shape) else matrix


def _rotation(matrix: np.ndarray) -> np.ndarray:
    angle = np.arctan2(matrix[1, 0], matrix[0, 0])
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _plausible(matrix: np.ndarray, shape: tuple[int, int]) -> bool:
    """Whether the picture stays a picture: not mirrored, within a factor of 3 in size, at least half in view."""
    area = np.linalg.det(matrix[:2, :2])
    return bool(np.isfinite(matrix).all() and 1 / 9 < area < 9 and _valid(matrix, shape).mean() > 0.4)


def _agreeing(before: np.ndarray, after: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A mask (uint8, of the after image) that leaves out the tenth of the pixels that disagree most."""
    height, width = after.shape
    back = cv2.warpPerspective(before, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    error = cv2.blur(cv2.absdiff(back, after), (9, 9))
    return (error <= np.quantile(error, 0.9)).astype(np.uint8) * 255


def _correlation(before: np.ndarray, after: np.ndarray, matrix: np.ndarray) -> float:
    """Normalized correlation over the pixels both images show; 0 where there is nothing to correlate."""
    a, b = _overlapping(before, after, matrix)
    if a.size < 16:
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    norm = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / norm) if norm > 0 else 0.0


def _disagreement(before: np.ndarray, after: np.ndarray, matrix: np.ndarray) -> float:
    """Mean difference over the pixels both images show, none counting for more than 1: a change is not made worse by
    being strong, so a transform that smears it out gains nothing.
    """
    a, b = _overlapping(before, after, matrix)
    return float(np.minimum(np.abs(a - b), 1).mean()) if a.size >= 16 else 1.0


def _overlapping(before: np.ndarray, after: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values of both images where they show the same place: two float32 arrays (n,)."""
    if np.array_equal(matrix, np.eye(3)):
        return before.ravel(), after.ravel()
    size, flags = (before.shape[1], before.shape[0]), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpPerspective(after, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    valid = _valid(matrix, before.shape)
    return before[valid], warped[valid]


def _valid(matrix: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Which pixels of the before image fall inside the after image: bool (H, W)."""
    height, width = shape
    inside = cv2.warpPerspective(
        np.full((height, width), 255, np.uint8), matrix, (width, height), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    )
    return inside > 0


def _resized(matrix: np.ndarray, old: tuple[int, ...], new: tuple[int, ...]) -> np.ndarray:
    """The same transform in the pixels of another resolution (pixel centers lie at whole numbers)."""
    sx, sy = new[1] / old[1], new[0] / old[0]
    up = np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2], [0, 0, 1.0]])
    return up @ matrix @ np.linalg.inv(up)


def _displacement(matrix: np.ndarray, shape: tuple[int, ...]) -> float:
    """The farthest that a corner moves, in pixels."""
    height, width = shape[:2]
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]], float)
    moved = cv2.perspectiveTransform(corners[None], matrix)[0]
    return float(np.abs(moved - corners).max())


def inside(valid: np.ndarray) -> np.ndarray:
    """The valid pixels less a border of two, where interpolation still mixes in what lies outside."""
    eroded = cv2.erode(valid.view(np.uint8), np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return eroded > 0
