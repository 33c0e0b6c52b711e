"""The structure of two pictures, which light does not reach, and how well a transform lays one on the other."""

from __future__ import annotations

import cv2
import numpy as np

from whatchanged import images
from whatchanged.geometry import shown

_ECC = {
    "translation": cv2.MOTION_TRANSLATION,
    "euclidean": cv2.MOTION_EUCLIDEAN,
    "affine": cv2.MOTION_AFFINE,
    "perspective": cv2.MOTION_HOMOGRAPHY,
}
TILE = 32  # pixels a side
ROUGH, PRECISE = 1e-3, 1e-5  # correlation that an iteration must gain: in the search for a start, and at the end


def structures(before: np.ndarray, after: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """The structure of both images, each with at most `longest` pixels along its longer side."""
    first, second = (structure(images.shrink(images.gray(image), longest)) for image in (before, after))
    return first, second


def structure(gray: np.ndarray) -> np.ndarray:
    """The image less its blur, over its local contrast: float32 (H, W), about -3 to 3."""
    image = cv2.GaussianBlur(gray.astype(np.float32), (0, 0), 0.8)
    detail = image - cv2.GaussianBlur(image, (0, 0), 6)
    contrast = cv2.GaussianBlur(detail * detail, (0, 0), 6)
    return detail / np.sqrt(contrast + 16)


def refined(
    before: np.ndarray,
    after: np.ndarray,
    matrix: np.ndarray,
    motion: str,
    mask: np.ndarray | None,
    gain: float = PRECISE,
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
        _, found = cv2.findTransformECC(before, after, start, _ECC[motion], stop, mask, 1)  # type: ignore[arg-type]
    except cv2.error:
        return matrix
    found = found.astype(float)
    found = found if rows == 3 else np.vstack([found, [0, 0, 1]])
    return found if plausible(found, before.shape) else matrix


def correlation(before: np.ndarray, after: np.ndarray, matrix: np.ndarray) -> float:
    """Normalized correlation over the pixels both images show; 0 where there is nothing to correlate."""
    a, b = _overlapping(before, after, matrix)
    if a.size < 16:
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    norm = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / norm) if norm > 0 else 0.0


def disagreement(before: np.ndarray, after: np.ndarray, matrix: np.ndarray) -> float:
    """Mean difference over the pixels both images show, none counting for more than 1: a change is not made worse by
    being strong, so a transform that smears it out gains nothing.
    """
    a, b = _overlapping(before, after, matrix)
    return float(np.minimum(np.abs(a - b), 1).mean()) if a.size >= 16 else 1.0


def agreeing(before: np.ndarray, after: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A mask (uint8, of the after image) that leaves out the tenth of the pixels that disagree most."""
    height, width = after.shape
    back = cv2.warpPerspective(before, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    error = cv2.blur(cv2.absdiff(back, after), (9, 9))
    return (error <= np.quantile(error, 0.9)).astype(np.uint8) * 255


def _overlapping(before: np.ndarray, after: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values of both images where they show the same place: two float32 arrays (n,)."""
    if np.array_equal(matrix, np.eye(3)):
        return before.ravel(), after.ravel()
    size, flags = (before.shape[1], before.shape[0]), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpPerspective(after, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    valid = shown(matrix, before.shape)
    return before[valid], warped[valid]


def _rotation(matrix: np.ndarray) -> np.ndarray:
    angle = np.arctan2(matrix[1, 0], matrix[0, 0])
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def plausible(matrix: np.ndarray, shape: tuple[int, int]) -> bool:
    """Whether the picture stays a picture: not mirrored, within a factor of 3 in size, at least half in view."""
    area = np.linalg.det(matrix[:2, :2])
    return bool(np.isfinite(matrix).all() and 1 / 9 < area < 9 and shown(matrix, shape).mean() > 0.4)


def flow(first: np.ndarray, second: np.ndarray, parts: int = 5) -> np.ndarray:
    """How far each part of two structures lies off the same part of the other, by its gradients: float array
    (n,), pixels, at most about two. Parts without structure are left out.

    Noise moves no part, and a change moves only its own.
    """
    mean = (first + second) / 2
    gx, gy = cv2.Sobel(mean, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(mean, cv2.CV_32F, 0, 1, scale=1 / 8)
    apart = second - first
    products = (gx * gx, gx * gy, gy * gy, gx * apart, gy * apart)
    sums = [cv2.resize(one, (parts, parts), interpolation=cv2.INTER_AREA).ravel().astype(float) for one in products]
    xx, xy, yy, xt, yt = sums
    determinant = xx * yy - xy * xy
    held = determinant > (0.1 * np.quantile(xx + yy, 0.75)) ** 2
    if not held.any():
        return np.zeros(1)
    dx, dy = (xy * yt - yy * xt)[held], (xy * xt - xx * yt)[held]
    return np.hypot(dx, dy) / determinant[held]


def parts_agreeing(before: np.ndarray, after: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """The correlation of the structure of each part (squares of `TILE` pixels) that has any in one of the pictures:
    float array (n,), -1 to 1.
    """
    first, second, seen = (
        _parts(one) for one in (structure(images.gray(before)), structure(images.gray(after)), valid)
    )
    first, second = (one - one.mean(axis=1, keepdims=True) for one in (first, second))
    energies = (first * first).mean(axis=1), (second * second).mean(axis=1)
    telling = seen.all(axis=1) & (np.maximum(*energies) > 0.25)
    return ((first * second).mean(axis=1) / np.sqrt(energies[0] * energies[1] + 1e-6))[telling]


def _parts(values: np.ndarray) -> np.ndarray:
    height, width = (side // TILE * TILE for side in values.shape)
    rows = values[:height, :width].reshape(height // TILE, TILE, width // TILE, TILE)
    return rows.swapaxes(1, 2).reshape(-1, TILE * TILE)
