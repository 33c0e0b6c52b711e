"""Both pictures in one light: gain, white balance and lighting, learned from what did not change."""

from __future__ import annotations

import cv2
import numpy as np

SETTLED = 1e-4  # of a gain: a fortieth of a gray level at white
NEARLY_WHITE = 245  # gray levels; clipped pixels come back from JPEG and interpolation a little below 255


def normalize_illumination(
    before: np.ndarray, after: np.ndarray, valid: np.ndarray | None = None, *, grid: int = 96
) -> tuple[np.ndarray, np.ndarray]:
    """Give both pictures the same exposure, white balance and lighting.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3) of the same size, aligned.
    valid : bool array (H, W): the pixels to learn from. None: all.
    grid : points along the longer side that it is learned from; 32 takes a ninth of the time of 96.

    Returns
    -------
    before, after : uint8 arrays (H, W, 3). The brighter picture is brought down to the darker one, so that nothing is
        pushed past white. Pictures that agree already come back as they are.

    Notes
    -----
    The light of one picture is a gain, a bias and, across the picture, a quadratic surface times the other's values.
    It is fitted by least squares with Tukey's weights, which give pixels that do not fit (the changes) no say. Clipped
    pixels have none either.
    """
    points = _samples(before, after, valid, grid)
    if len(points[0]) < 64:
        return before, after
    swap = points[0].mean() < points[1].mean()
    bright, dark, x, y, channel = (points[1], points[0], *points[2:]) if swap else points
    surface = _fit_light(bright, dark, x, y, channel)
    if surface is None:
        return before, after
    if swap:
        return before, _relight(after, surface, before)
    return _relight(before, surface, after), after


def _samples(before: np.ndarray, after: np.ndarray, valid: np.ndarray | None, grid: int) -> tuple[np.ndarray, ...]:
    """Values of both images on a coarse grid, with position (-1 to 1) and channel; clipped ones are left out."""
    height, width = before.shape[:2]
    factor = min(1.0, grid / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    a, b = (cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32) for image in (before, after))
    usable = (np.maximum(a, b) < 245) & (np.minimum(a, b) > 4)
    for image in (before, after):
        clipped = ((image >= 253) | (image <= 1)).astype(np.uint8) * 255
        usable &= cv2.resize(clipped, size, interpolation=cv2.INTER_AREA) < 25
    if valid is not None:
        usable &= cv2.resize(valid.view(np.uint8) * 255, size, interpolation=cv2.INTER_AREA)[..., None] > 250
    y, x, channel = np.nonzero(usable)
    return a[usable], b[usable], 2 * (x + 0.5) / size[0] - 1, 2 * (y + 0.5) / size[1] - 1, channel


def _basis(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    return [x, y, x * x - 1 / 3, x * y, y * y - 1 / 3]


def _fit_light(bright, dark, x, y, channel) -> np.ndarray | None:
    """Coefficients (11,) of `dark = gain[channel] bright + surface(x, y) bright + bias[channel]`; None: no need."""
    own = np.eye(3)[channel]
    design = np.column_stack([own * bright[:, None], *(term * bright for term in _basis(x, y)), own * 128])
    nothing = np.array([1, 1, 1, *[0] * 8], float)
    ridge = np.diag([1.0] * 3 + [1.0] * 5 + [4.0] * 3) * 1e-4 * len(bright) * 128**2
    found, weight = nothing, _tukey(dark - bright)
    for _ in range(12):
        weighted, last = design * weight[:, None], found
        found = np.linalg.solve(weighted.T @ design + ridge, weighted.T @ dark + ridge @ nothing)
        weight = _tukey(dark - design @ found)
        if np.abs(found - last).max() < SETTLED:
            break
    gain = np.median(np.abs(dark - bright)) - np.median(np.abs(dark - design @ found))
    worth_it = np.abs(design @ found - bright).mean() > 0.75 and gain > 0.25
    return found if worth_it else None


def _tukey(residual: np.ndarray) -> np.ndarray:
    """Tukey's biweight: 1 where the residual is small, 0 where it is an outlier."""
    scale = max(1.0, 1.4826 * float(np.median(np.abs(residual))))
    return np.clip(1 - (residual / (4.685 * scale)) ** 2, 0, None) ** 2


def _relight(image: np.ndarray, surface: np.ndarray, darker: np.ndarray) -> np.ndarray:
    """The image in the light of the darker one. A pixel near white may have been cut off there: all it says is "at
    least white", so where the darker picture shows more than it would have, that is believed.
    """
    height, width = image.shape[:2]
    x = (2 * (np.arange(width, dtype=np.float32) + 0.5) / width - 1)[None, :]
    y = (2 * (np.arange(height, dtype=np.float32) + 0.5) / height - 1)[:, None]
    c = surface.astype(np.float32)
    across = sum(coefficient * term for coefficient, term in zip(c[3:8], _basis(x, y), strict=True))
    lit = image * (across[..., None] + c[:3]) + (128 * c[8:] + 0.5)
    lit = np.clip(lit, 0, 255).astype(np.uint8)
    return np.where(image >= NEARLY_WHITE, np.maximum(lit, darker), lit)
