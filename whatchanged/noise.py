"""What a pair's own noise, compression and unsteady edges make differ: measured where the pictures have structure."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from whatchanged import images

_BLOCK = 16  # pixels a side: a JPEG with halved colors smears an edge as far
_EDGE = 32  # gray levels across seven pixels, in both pictures, from which a block has structure
_FACTORS = {
    0.9: 2.0,
    0.75: 5.0,
    0.5: 10.0,
}  # how far noise exceeds these quantiles of the blocks at most; the least counts
_UNSTEADY = 0.15  # of an edge's height: what it differs by where it lies off by 0.15 pixels more than is tolerated
_BAND = 64  # rows measured at once: what they take stays near the processor
_MOST = 40.0  # gray levels; where changes are all over, they are what is measured, and are not to hide themselves


@dataclass(frozen=True)
class Noise:
    """How far two pictures differ where nothing changed.

    Attributes
    ----------
    level : gray levels that an excess (see `tolerance.tolerant_difference`) hardly reaches without a change.
    min_area : pixels that must differ together to be more than noise.
    """

    level: float
    min_area: int


def pair_noise(
    before: np.ndarray, after: np.ndarray, excess: np.ndarray, valid: np.ndarray, edges: np.ndarray
) -> Noise:
    """The noise of a pair, from what its blocks with edges differ by.

    Changes are few, so most of these blocks show noise, compression and alignment alone. The median over all pixels,
    on the other hand, is 0 on a page that was saved as JPEG: most of it is white.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3), aligned, in one light.
    excess : float32 array (H, W), gray levels.
    valid : bool array (H, W).
    edges : of `edges_of_both`.
    """
    sigma = pixel_noise(before, after)
    blocks = _blocks(excess)[(_blocks(edges).max(axis=1) > _EDGE) & _blocks(valid).all(axis=1)]
    peaks = blocks.max(axis=1) - blocks.min(axis=1)  # a block that was repainted as a whole is no noise
    if peaks.size < 8:
        return Noise(0.0, round(4 + 4 * sigma))
    level = min(_MOST, *(factor * float(np.quantile(peaks, share)) for share, factor in _FACTORS.items()))
    return Noise(float(level), round(4 + 4 * sigma + level))


def edges_of_both(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How strong an edge each pixel lies at, in both pictures: the range of the values within seven pixels, uint8
    (H, W), the lesser of both.
    """
    return np.minimum(_range(before), _range(after))


def _range(image: np.ndarray) -> np.ndarray:
    """How far the values within seven pixels lie apart: uint8 (H, W)."""
    kernel = np.ones((7, 7), np.uint8)
    high, low = (operation(image, kernel) for operation in (cv2.dilate, cv2.erode))
    return images.strongest(cv2.subtract(high, low))


def less_unsteady(excess: np.ndarray, edges: np.ndarray, threshold: float) -> np.ndarray:
    """The excess, made less where both pictures have an edge so strong that a part of a pixel makes that much of it."""
    shares = threshold / np.maximum(threshold, _UNSTEADY * np.arange(256))
    return excess * cv2.LUT(edges, shares.astype(np.float32))


def _blocks(values: np.ndarray) -> np.ndarray:
    """The values of each whole block: (blocks, pixels)."""
    height, width = (side // _BLOCK * _BLOCK for side in values.shape)
    rows = values[:height, :width].reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    return rows.swapaxes(1, 2).reshape(-1, _BLOCK * _BLOCK)


def pixel_noise(before: np.ndarray, after: np.ndarray) -> float:
    """Standard deviation of the pixel noise of the difference, in gray levels, whatever its low frequencies."""
    if min(before.shape[:2]) < 2:
        return 0.0
    counts = np.zeros(256)  # of each level: a quicker median
    for top in range(0, before.shape[0] - 1, _BAND):
        band = np.s_[top : top + _BAND + 1]
        difference = cv2.subtract(images.gray(before[band]), images.gray(after[band]), dtype=cv2.CV_16S)
        across = cv2.subtract(difference[:, 1:], difference[:, :-1])
        fine = cv2.convertScaleAbs(cv2.subtract(across[1:], across[:-1]))
        counts += cv2.calcHist([fine], [0], None, [256], [0, 256]).ravel()
    below, count = np.cumsum(counts), int(counts.sum())
    middle = np.searchsorted(below, [(count - 1) // 2, count // 2], side="right")
    return float(1.4826 * middle.mean() / 2)
