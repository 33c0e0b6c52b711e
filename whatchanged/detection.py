"""Where do two pictures differ? Pixel difference, SSIM, deep features, and the course's own tolerant difference."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import lru_cache, reduce
from typing import Any

import cv2
import numpy as np

from helpers.alignment import Alignment, align
from helpers.images import color as _color
from helpers.images import gray as _gray
from helpers.images import shrink as _shrink
from helpers.images import size as _size
from helpers.loading import model_weights

__all__ = [
    "BOARD_INSPECTION",
    "METHODS",
    "Alignment",
    "Difference",
    "Region",
    "align",
    "change_map",
    "detect",
    "feature_similarity",
    "normalize_illumination",
    "pixel_difference",
    "regions",
    "structural_difference",
    "tolerant_difference",
]


@dataclass(frozen=True)
class Region:
    """One place where the pictures differ, in pixels of the before image.

    Attributes
    ----------
    x, y, width, height : the box.
    area : number of changed pixels in it.
    strength : the strongest difference in it, 0 to 1.
    """

    x: int
    y: int
    width: int
    height: int
    area: int
    strength: float

    @property
    def box(self) -> tuple[int, int, int, int]:
        return self.x, self.y, self.width, self.height


@dataclass(frozen=True)
class Difference:
    """What `detect` found.

    Attributes
    ----------
    method : the name of the method.
    similarity : 1 for identical pictures, otherwise less, each method on its own scale; "ssim" and "features" may fall
        below 0.
    regions : strongest first.
    map : float32 array (H, W), 0 to 1: how much each pixel of the compared pictures differs.
    mask : bool array (H, W): the pixels counted as changed.
    alignment : how the after image lies under the before image; None where nobody asked.
    """

    method: str
    similarity: float
    regions: list[Region]
    map: np.ndarray = field(repr=False)
    mask: np.ndarray = field(repr=False)
    alignment: Alignment | None = field(default=None, repr=False)

    @property
    def boxes(self) -> np.ndarray:
        """int array (n, 4): x, y, width, height."""
        return np.array([region.box for region in self.regions], dtype=int).reshape(-1, 4)

    def summary(self) -> dict[str, Any]:
        """ "method", "similarity" and "regions", as they stand in a JSON file."""
        regions = [asdict(region) | {"strength": round(region.strength, 4)} for region in self.regions]
        return {"method": self.method, "similarity": round(self.similarity, 6), "regions": regions}


# ---------------------------------------------------------------------------------------------------------------------
# Pixel difference


def pixel_difference(
    before: np.ndarray,
    after: np.ndarray,
    *,
    threshold: str | float = "otsu",
    percentile: float = 98.5,
    opening: int = 3,
    closing: int = 7,
) -> Difference:
    """The classic: gray absolute difference, threshold, opening, contours, boxes.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3) or (H, W) of the same size.
    threshold : "otsu", "percentile", or a number of gray levels from 0 to 255; a pixel counts where it differs by more.
    percentile : the percentile of the difference that `threshold="percentile"` uses, 0 to 100.
    opening, closing : sides of the squares, in pixels, that clear away specks and fill gaps; 0 or 1 does nothing.

    Returns
    -------
    Difference
        Its `similarity` is the share of pixels that did not change.
    """
    import imutils

    gray, mask = pixel_mask(before, after, threshold, percentile, opening, closing)
    contours = imutils.grab_contours(cv2.findContours(mask.copy(), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE))
    strength = gray.astype(np.float32) / 255
    found = [_region(cv2.boundingRect(contour), mask > 0, strength) for contour in contours]
    return Difference("pixel", _unchanged(mask), _strongest_first(found), strength, mask > 0)


def pixel_mask(
    before: np.ndarray,
    after: np.ndarray,
    threshold: str | float = "otsu",
    percentile: float = 98.5,
    opening: int = 3,
    closing: int = 7,
) -> tuple[np.ndarray, np.ndarray]:
    """How much each pixel differs, in gray levels, and which count as changed, 1 or 0: uint8 arrays (H, W).

    Arguments as in `pixel_difference`, which puts them into boxes.
    """
    gray = cv2.absdiff(*(_gray(image) for image in _same_size(before, after)))
    mask = (gray > _threshold(gray, threshold, percentile)).astype(np.uint8)
    for side, operation in ((opening, cv2.MORPH_OPEN), (closing, cv2.MORPH_CLOSE)):
        if side > 1:
            mask = cv2.morphologyEx(mask, operation, np.ones((side, side), np.uint8))
    return gray, mask


def _unchanged(mask: np.ndarray) -> float:
    """The share of pixels that did not change."""
    return 1 - np.count_nonzero(mask) / mask.size


def _threshold(gray: np.ndarray, threshold: str | float, percentile: float) -> float:
    if threshold == "otsu":
        return cv2.threshold(gray, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[0]
    if threshold == "percentile":
        return float(np.percentile(gray, percentile))
    if isinstance(threshold, str) or not 0 <= threshold <= 255:
        raise ValueError(f"threshold is {threshold!r}: use 'otsu', 'percentile' or a number from 0 to 255")
    return float(threshold)


# ---------------------------------------------------------------------------------------------------------------------
# Structural similarity

_WINDOW = 7
_PAD = _WINDOW // 2
_TILE = (64, 512)  # rows, columns: what one step works on stays in the processor's second-level cache


def structural_difference(before: np.ndarray, after: np.ndarray) -> tuple[float, np.ndarray]:
    """The structural similarity of two pictures and its map.

    Parameters
    ----------
    before, after : uint8 arrays (H, W) or (H, W, C) of the same size.

    Returns
    -------
    score : float
        Mean of the map, less a border of 3 pixels (where the window looks past the edge); 1 for identical pictures.
    ssim_map : float32 array of the shape of the images, -1 to 1; colors are compared channel by channel.

    Notes
    -----
    Equal to `skimage.metrics.structural_similarity(before, after, full=True)` with its defaults (7x7 uniform window,
    sample covariance, K1 = 0.01, K2 = 0.03) [1]_ within float32. It is faster for two reasons: it works tile by tile,
    so that no intermediate image leaves the cache, and it skips tiles that are identical. With s = x + y and
    d = x - y, the four local means of s, d, s² and d² hold all five moments that SSIM needs.

    References
    ----------
    .. [1] Wang, Bovik, Sheikh and Simoncelli, Image quality assessment: From error visibility to structural
       similarity, IEEE TIP 13(4), 2004.
    """
    before, after = _same_size(before, after)
    ssim_map = np.empty(before.shape, np.float32)
    height, width = before.shape[:2]
    for y in range(0, height, _TILE[0]):
        for x in range(0, width, _TILE[1]):
            _ssim_tile(before, after, ssim_map, slice(y, min(y + _TILE[0], height)), slice(x, min(x + _TILE[1], width)))
    inner = ssim_map[_PAD:-_PAD, _PAD:-_PAD] if min(height, width) >= _WINDOW else ssim_map
    return float(inner.mean(dtype=np.float64)), ssim_map


def _ssim_tile(before: np.ndarray, after: np.ndarray, out: np.ndarray, rows: slice, columns: slice) -> None:
    """Fill one tile of the map; the tile is read with the border that its windows need."""
    y0, x0 = max(0, rows.start - _PAD), max(0, columns.start - _PAD)
    source = np.s_[y0 : rows.stop + _PAD, x0 : columns.stop + _PAD]
    x, y = before[source], after[source]
    if np.array_equal(x, y):
        out[rows, columns] = 1
        return
    x, y = x.astype(np.float32), y.astype(np.float32)
    total, apart = x + y, x - y
    total -= 256  # small numbers keep float32 precise
    inner = np.s_[rows.start - y0 : rows.stop - y0, columns.start - x0 : columns.stop - x0]
    mean_total, mean_apart, square_total, square_apart = (
        _box_mean(values)[inner] for values in (total, apart, total * total, apart * apart)
    )
    unbiased = _WINDOW**2 / (_WINDOW**2 - 1)
    spread_total = (square_total - mean_total * mean_total) * unbiased
    spread_apart = (square_apart - mean_apart * mean_apart) * unbiased
    mean_total = mean_total + 256
    mean_total *= mean_total
    mean_apart = mean_apart * mean_apart
    c1, c2 = 2 * (0.01 * 255) ** 2, 2 * (0.03 * 255) ** 2
    result = (mean_total - mean_apart + c1) * (spread_total - spread_apart + c2)
    result /= (mean_total + mean_apart + c1) * (spread_total + spread_apart + c2)
    out[rows, columns] = result


_BOX = np.full(_WINDOW, 1 / _WINDOW, np.float32)


def _box_mean(values: np.ndarray) -> np.ndarray:
    return cv2.sepFilter2D(values, cv2.CV_32F, _BOX, _BOX, borderType=cv2.BORDER_REFLECT)


# ---------------------------------------------------------------------------------------------------------------------
# Deep features


@dataclass(frozen=True)
class FeatureSimilarity:
    """Result of `feature_similarity`.

    Attributes
    ----------
    similarity : cosine of the two pooled feature vectors, -1 to 1.
    map : float32 array (H, W), 0 to 1: 1 - cosine of the features at each place, at the images' resolution.
    weights : "imagenet", a checkpoint's path, or "random".
    """

    similarity: float
    map: np.ndarray
    weights: str

    @property
    def note(self) -> str:
        if self.weights == "random":
            return "the features are random: this ResNet50 was never trained (WEIGHTS = None)"
        return f"the features are those of a ResNet50 trained on {self.weights}"


def feature_similarity(
    before: np.ndarray, after: np.ndarray, *, weights: str | None = None, resolution: int = 256
) -> FeatureSimilarity:
    """Compare two pictures by the features of a ResNet50 [1]_.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3) or (H, W) of the same size, at least 32 pixels a side.
    weights : "imagenet" (a download of 98 MB, once), the path of a checkpoint (`state_dict`), or None for random
        weights, drawn from a fixed seed. Random features still react to edges and colors, but know no objects.
    resolution : pixels along the longer side at which larger pictures are compared; ResNet50 was trained at 224.

    Raises
    ------
    ConnectionError
        The weights are neither on disk nor to be had. It never falls back to random weights.

    References
    ----------
    .. [1] He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, CVPR 2016.
    """
    before, after = _same_size(before, after)
    if min(before.shape[:2]) < 32:
        raise ValueError(f"the images are {_size(before)}: features need at least 32 pixels a side")
    import torch

    from helpers.runtime import autocast, device

    network, on = _resnet50(weights), device()
    images = np.stack([_shrink(_color(image), resolution) for image in (before, after)])
    batch = torch.from_numpy(images).to(on).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(v, device=on).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode(), autocast(on):
        local, pooled = network(((batch - mean) / std).contiguous(memory_format=torch.channels_last))
    vectors = pooled.float().cpu()
    similarity = float(torch.nn.functional.cosine_similarity(vectors[:1], vectors[1:])[0])
    apart = 1 - torch.nn.functional.cosine_similarity(local[:1].float(), local[1:].float())
    size = before.shape[1::-1]
    return FeatureSimilarity(
        min(similarity, 1.0),
        np.clip(cv2.resize(apart[0].cpu().numpy(), size, interpolation=cv2.INTER_LINEAR), 0, 1),
        weights or "random",
    )


_building = threading.Lock()  # `lru_cache` alone would let two threads build the network at once


def _resnet50(weights: str | None) -> Callable[[Any], Any]:
    """A function of a batch (n, 3, H, W): its features at stride 4, and its pooled ones."""
    with _building:
        return _build_resnet50(weights)


@lru_cache(maxsize=2)
def _build_resnet50(weights: str | None) -> Callable[[Any], Any]:
    import torch
    from torchvision.models import resnet50

    from helpers.runtime import device

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = resnet50(weights=None)
    if weights is not None:
        network.load_state_dict(model_weights(weights, "resnet50"))
    network = network.eval().to(device(), memory_format=torch.channels_last)
    layers = list(network.children())  # conv1, bn1, relu, maxpool, layer1 to layer4, avgpool, fc
    local, rest = torch.nn.Sequential(*layers[:5]), torch.nn.Sequential(*layers[5:-1], torch.nn.Flatten())

    def features(batch: Any) -> tuple[Any, Any]:
        at_stride_4 = local(batch)
        return at_stride_4, rest(at_stride_4)

    return features


# ---------------------------------------------------------------------------------------------------------------------
# Illumination


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


# ---------------------------------------------------------------------------------------------------------------------
# The tolerant difference

NOISE, SURE = 0.3, 0.9  # of the threshold: where a change begins to be likely, and where it is certain


def tolerant_difference(
    before: np.ndarray,
    after: np.ndarray,
    *,
    tolerance: int = 1,
    one_sided: bool = False,
    floor: float = 10.0,
    noise_factor: float = 4.0,
) -> tuple[np.ndarray, float]:
    """How far each pixel lies outside of what the other picture shows within a few pixels.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3) or (H, W) of the same size, aligned, in the same light.
    tolerance : how far, in pixels, an edge may lie off without counting.
    one_sided : count a pixel that leaves the range of the other picture on either side, rather than on both. It finds
        spurs and gaps thinner than the tolerance, and needs pictures with little noise.
    floor : gray levels that never count, however clean the pictures.
    noise_factor : how many standard deviations of the measured noise never count.

    Returns
    -------
    excess : float32 array (H, W), gray levels outside the envelope; symmetric in the two images.
    threshold : what an excess must exceed to be a change: the noise of this pair, or the floor.
    """
    before, after = _same_size(before, after)
    noise = _noise(before, after)
    a, b = (_denoise(image, noise) for image in (before, after))
    combine = np.maximum if one_sided else np.minimum
    excess = combine(_outside(a, b, tolerance), _outside(b, a, tolerance))
    excess = reduce(np.maximum, cv2.split(excess)).reshape(excess.shape[:2]).astype(np.float32)
    return cv2.blur(excess, (3, 3)).reshape(excess.shape), max(floor, noise_factor * noise)


def change_map(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How surely each pixel shows a change, after alignment and in one light: for finding clusters of changed pixels.

    The excess of `tolerant_difference` is cut off where it is sure. So a faint change stands beside a strong one as
    high, and one threshold for the whole map, as Otsu's, parts changes from noise rather than strong ones from faint.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3) of the same size.

    Returns
    -------
    before, after : uint8 arrays (H, W, 3): aligned, in the same light.
    certainty : float32 array (H, W), from 0 (noise, or not in both pictures) to 1 (a change).
    """
    found = align(before, after, "euclidean")
    before, after = normalize_illumination(before, found.warp(after), found.valid, grid=32)
    excess, threshold = tolerant_difference(before, after)
    certainty = np.clip((excess / threshold - NOISE) / (SURE - NOISE), 0, 1)
    return before, after, np.where(_inside(found.valid), certainty, 0).astype(np.float32)


def _outside(image: np.ndarray, other: np.ndarray, tolerance: int) -> np.ndarray:
    """How far each pixel of `image` leaves the range of `other` within the tolerance: uint8."""
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (2 * tolerance + 1, 2 * tolerance + 1))
    high, low = (operation(other, kernel).reshape(other.shape) for operation in (cv2.dilate, cv2.erode))
    return (np.maximum(image, high) - high) + (low - np.minimum(image, low))  # at most one of the two is not 0


def _noise(before: np.ndarray, after: np.ndarray) -> float:
    """Standard deviation of the pixel noise of the difference, in gray levels, whatever its low frequencies."""
    difference = _gray(before).astype(np.int16) - _gray(after)
    fine = difference[1:, 1:] - difference[:-1, 1:] - difference[1:, :-1] + difference[:-1, :-1]
    return float(1.4826 * np.median(np.abs(fine)) / 2) if fine.size else 0.0


def _denoise(image: np.ndarray, noise: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), 0.7 if noise < 1 else 1.0).reshape(image.shape)


# ---------------------------------------------------------------------------------------------------------------------
# Regions


def regions(mask: np.ndarray, strength: np.ndarray, *, merge: int = 0, min_area: int = 1, pad: int = 0) -> list[Region]:
    """The boxes of a mask, fragments that lie close together as one.

    Parameters
    ----------
    mask : bool array (H, W).
    strength : float32 array (H, W), 0 to 1.
    merge : fragments up to this many pixels apart become one region.
    min_area : regions with fewer changed pixels are dropped.
    pad : pixels that each box grows on every side, within the picture.

    Returns
    -------
    list of Region
        Strongest first.
    """
    if mask.shape != strength.shape:
        raise ValueError(f"mask is {mask.shape} and strength is {strength.shape}: give both the same shape")
    x0, y0, width, height = cv2.boundingRect(np.ascontiguousarray(mask).view(np.uint8))
    reach = merge // 2 + 2  # the rest of the picture cannot matter
    x0, y0, width, height = _padded((x0, y0, width, height), reach, mask.shape)
    there = np.s_[y0 : y0 + height, x0 : x0 + width]
    near = mask[there].astype(np.uint8)
    if merge:
        near = (cv2.distanceTransform(1 - near, cv2.DIST_L2, 5) <= merge / 2).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    found = []
    for label in range(1, count):
        x, y, width, height = stats[label, :4]
        window = np.s_[y : y + height, x : x + width]
        part = (labels[window] == label) & mask[there][window]
        if np.count_nonzero(part) < max(1, min_area):
            continue
        bx, by, bw, bh = cv2.boundingRect(part.view(np.uint8))
        box = _padded((x0 + x + bx, y0 + y + by, bw, bh), pad, mask.shape)
        found.append(Region(*box, int(np.count_nonzero(part)), float(strength[there][window][part].max())))
    return _strongest_first(found)


def _padded(box: tuple[int, ...], pad: int, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    x, y, width, height = map(int, box)
    x0, y0 = max(0, x - pad), max(0, y - pad)
    return x0, y0, min(shape[1], x + width + pad) - x0, min(shape[0], y + height + pad) - y0


def _region(box: tuple[int, int, int, int], mask: np.ndarray, strength: np.ndarray) -> Region:
    x, y, width, height = map(int, box)
    window = np.s_[y : y + height, x : x + width]
    return Region(x, y, width, height, int(np.count_nonzero(mask[window])), float(strength[window].max()))


def _strongest_first(found: list[Region]) -> list[Region]:
    return sorted(found, key=lambda region: (-region.strength, -region.area, region.y, region.x))


def _hysteresis(values: np.ndarray, threshold: float, low: float = 0.5) -> np.ndarray:
    """Pixels over `low * threshold` that hang together with one over the threshold: bool (H, W)."""
    weak = (values > low * threshold).astype(np.uint8)
    _, labels = cv2.connectedComponents(weak, connectivity=8)
    keep = np.zeros(int(labels.max()) + 1, bool)
    keep[labels[values > threshold]] = True
    keep[0] = False
    return keep[labels]


# ---------------------------------------------------------------------------------------------------------------------
# All together


def detect(
    before: np.ndarray,
    after: np.ndarray,
    *,
    method: str = "tolerant",
    align: bool | None = None,
    normalize: bool | None = None,
    motion: str = "affine",
    resize: bool = False,
    tolerance: int = 1,
    one_sided: bool = False,
    sensitivity: float = 1.0,
    merge: int | None = None,
    min_area: int | None = None,
    pad: int = 0,
    weights: str | None = None,
) -> Difference:
    """Find the regions in which two pictures differ.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3), RGB, or (H, W).
    method : "tolerant" (the course's best), "pixel", "ssim" or "features".
    align, normalize : register the after image first; remove differences of light first. None: as the method is
        meant, which is yes for "tolerant" and no for the three classic ones.
    motion : what `align` may do: "translation", "euclidean", "affine" or "perspective".
    resize : compare pictures of different sizes at the smaller size. Boxes stay in pixels of the before image.
    tolerance, one_sided : see `tolerant_difference`.
    sensitivity : above 1 reports weaker differences, below 1 only stronger ones.
    merge, min_area : see `regions`; None: 1/24 of the smaller side; at least 12 pixels, or 1/5000 of the picture.
    pad : pixels that each box grows on every side.
    weights : of the ResNet50 for "features", see `feature_similarity`.

    Raises
    ------
    ValueError
        An unknown method, a sensitivity that is not positive, or pictures of different sizes without `resize`.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}: choose one of {', '.join(METHODS)}")
    if not sensitivity > 0:
        raise ValueError(f"sensitivity is {sensitivity}: give a number above 0 (1 is the usual)")
    original = before.shape
    before, after = _one_size(_color(before), _color(after), resize)
    ask = method == "tolerant"
    alignment = _align(before, after, motion) if (ask if align is None else align) else None
    if alignment is not None:
        after = alignment.warp(after)
    valid = np.ones(before.shape[:2], bool) if alignment is None else _inside(alignment.valid)
    if ask if normalize is None else normalize:
        before, after = normalize_illumination(before, after, valid)
    similarity, strength, mask = METHODS[method](
        before, after, valid, sensitivity=sensitivity, tolerance=tolerance, one_sided=one_sided, weights=weights
    )
    mask &= valid
    side = min(mask.shape)
    merge = max(3, side // 24) if merge is None else merge
    min_area = max(12, mask.size // 5000) if min_area is None else min_area
    found = regions(mask, strength, merge=merge, min_area=min_area, pad=pad)
    found = [_rescaled(region, mask.shape, original) for region in found]
    return Difference(method, similarity, found, strength, mask, alignment)


def _by_pixel(before, after, valid, *, sensitivity, **_) -> tuple[float, np.ndarray, np.ndarray]:
    threshold: str | float = "otsu"
    if sensitivity != 1:
        otsu = _threshold(cv2.absdiff(_gray(before), _gray(after)), threshold, 0)
        threshold = min(255.0, otsu / sensitivity)
    gray, mask = pixel_mask(before, after, threshold)
    return _unchanged(mask), gray.astype(np.float32) / 255, mask > 0


def _by_ssim(before, after, valid, *, sensitivity, **_) -> tuple[float, np.ndarray, np.ndarray]:
    score, ssim_map = structural_difference(before, after)
    apart = np.clip((1 - reduce(np.minimum, cv2.split(ssim_map))) / 2, 0, 1)  # min(axis=2) is five times slower
    return score, apart, _hysteresis(apart, 0.25 / sensitivity)


def _by_features(before, after, valid, *, sensitivity, weights, **_) -> tuple[float, np.ndarray, np.ndarray]:
    found = feature_similarity(before, after, weights=weights)
    least, top = max(0.01, 4 * float(np.median(found.map))), float(found.map.max())
    threshold = (
        max(least, 0.4 * top) / sensitivity
    )  # the fields of view of neighbors overlap: a change fades out slowly
    return found.similarity, found.map, _hysteresis(found.map, threshold, low=0.7)


def _by_tolerance(
    before, after, valid, *, sensitivity, tolerance, one_sided, **_
) -> tuple[float, np.ndarray, np.ndarray]:
    excess, threshold = tolerant_difference(before, after, tolerance=tolerance, one_sided=one_sided)
    mask = _hysteresis(excess, threshold / sensitivity)
    changed = np.count_nonzero(mask & valid) / max(1, np.count_nonzero(valid))
    return float(1 - changed), np.clip(excess / 255, 0, 1), mask


METHODS: dict[str, Callable[..., tuple[float, np.ndarray, np.ndarray]]] = {
    "tolerant": _by_tolerance,
    "pixel": _by_pixel,
    "ssim": _by_ssim,
    "features": _by_features,
}

_align = align  # `detect` has a parameter of that name


def _inside(valid: np.ndarray) -> np.ndarray:
    """The valid pixels less a border of two, where interpolation still mixes in what lies outside."""
    eroded = cv2.erode(valid.view(np.uint8), np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return eroded > 0


def _rescaled(region: Region, shape: tuple[int, ...], original: tuple[int, ...]) -> Region:
    """The region in pixels of the before image as it was given."""
    if shape[:2] == original[:2]:
        return region
    sx, sy = original[1] / shape[1], original[0] / shape[0]
    x0, y0 = round(region.x * sx), round(region.y * sy)
    x1, y1 = round((region.x + region.width) * sx), round((region.y + region.height) * sy)
    return Region(x0, y0, max(1, x1 - x0), max(1, y1 - y0), round(region.area * sx * sy), region.strength)


def _one_size(before: np.ndarray, after: np.ndarray, resize: bool) -> tuple[np.ndarray, np.ndarray]:
    if before.shape[:2] == after.shape[:2] or not resize:
        return _same_size(before, after)
    height, width = min(before.shape[:2], after.shape[:2], key=lambda shape: shape[0] * shape[1])
    return tuple(
        image
        if image.shape[:2] == (height, width)
        else cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        for image in (before, after)
    )


def _same_size(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    for name, image in (("before", before), ("after", after)):
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or 0 in image.shape:
            raise ValueError(f"{name} is a {image.dtype} array of shape {image.shape}: give uint8 (H, W) or (H, W, 3)")
    if before.shape[:2] != after.shape[:2]:
        raise ValueError(
            f"before is {_size(before)} and after is {_size(after)}: pass resize=True (--resize on the command line)"
            " to compare them at the smaller size"
        )
    if before.shape != after.shape:
        raise ValueError(f"before has shape {before.shape} and after {after.shape}: give both in color or both in gray")
    return before, after


BOARD_INSPECTION: dict[str, Any] = {
    "motion": "translation",
    "normalize": False,
    "tolerance": 3,
    "one_sided": True,
    "sensitivity": 0.15,
    "merge": 8,
    "min_area": 20,
    "pad": 10,
}
"""`detect` for high-contrast line art whose lines lie a few pixels off, as the boards of DeepPCB. Its boxes have room
around the fault, as the annotators drew them. Chosen on 60 pairs of that dataset: its score there is a fit.
"""
