"""Where two pictures differ, as a few clusters: threshold, clean-up, DBSCAN; the strongest first."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

MOST = 0.25  # of a picture, beyond which Otsu's threshold is not believed


@dataclass(frozen=True)
class Cluster:
    """Pixels that differ and lie close together.

    Attributes
    ----------
    mask : bool array (H, W).
    box : x, y, width, height, in pixels.
    strength : sum of the difference over its pixels.
    """

    mask: np.ndarray
    box: tuple[int, int, int, int]
    strength: float

    @property
    def area(self) -> int:
        """Number of its pixels."""
        return int(self.mask.sum())

    @property
    def density(self) -> float:
        """Share of its box that it fills, above 0 and at most 1."""
        return self.area / (self.box[2] * self.box[3])


def find_clusters(
    values: np.ndarray,
    *,
    max_clusters: int | None = 5,
    eps: float = 3.5,
    min_samples: int = 20,
    threshold_percentile: float = 98.5,
) -> list[Cluster]:
    """The clusters of a difference map, the strongest first; none where nothing differs.

    Parameters
    ----------
    values : float array (H, W), 0 or more: how much the pictures differ.
    max_clusters : how many at most, 1 or more; None for all.
    eps, min_samples : of `dbscan`.
    threshold_percentile : of `difference_mask`.
    """
    mask = difference_mask(values, threshold_percentile=threshold_percentile)
    return clusters_of(mask, values, max_clusters=max_clusters, eps=eps, min_samples=min_samples)


def clusters_of(
    mask: np.ndarray, values: np.ndarray, *, max_clusters: int | None, eps: float, min_samples: int
) -> list[Cluster]:
    """The clusters of a mask, bool array (H, W), the strongest by `values` first; see `find_clusters`."""
    if max_clusters is not None and max_clusters < 1:
        raise ValueError(f"max_clusters is {max_clusters}: give 1 or more, or None for all")
    labels = dbscan(mask, eps, min_samples)
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        own = labels == number
        box = (columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        found.append(Cluster(own, box, float(values[own].sum())))
    return sorted(found, key=lambda cluster: -cluster.strength)[:max_clusters]


def difference_mask(values: np.ndarray, *, threshold_percentile: float = 98.5) -> np.ndarray:
    """Which pixels differ: bool array (H, W); specks removed, holes filled.

    The threshold is Otsu's [1]_, which splits the values into two groups. Where nothing stands out it splits the noise;
    where more than a quarter of the picture would differ, the threshold is the percentile instead.

    Parameters
    ----------
    values : float array (H, W), 0 or more, finite.
    threshold_percentile : above 0 and below 100.

    References
    ----------
    .. [1] Otsu, A Threshold Selection Method from Gray-Level Histograms, 1979.
    """
    values = np.asarray(values, np.float32)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise ValueError(f"values has shape {values.shape}: give a map (height, width) of finite numbers")
    if not 0 < threshold_percentile < 100:
        raise ValueError(f"threshold_percentile is {threshold_percentile}: give a number between 0 and 100")
    span = float(np.ptp(values))
    if span == 0:
        return np.zeros(values.shape, bool)
    gray = np.rint((values - values.min()) / span * 255).astype(np.uint8)
    mask = gray > cv2.threshold(gray, 0, 255, cv2.THRESH_OTSU)[0]
    if mask.mean() > MOST:
        mask = values > np.percentile(values, threshold_percentile)
    mask = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return ndimage.binary_fill_holes(mask)


def dbscan(mask: np.ndarray, eps: float = 3.5, min_samples: int = 20) -> np.ndarray:
    """DBSCAN [1]_ of the pixels of a mask, exact, by counting on the grid.

    A pixel with at least `min_samples` pixels of the mask within `eps`, itself included, is a core. Cores within `eps`
    of each other are of one cluster; another pixel of the mask belongs to the first cluster that has a core within
    `eps`, or is noise. The labels are those of `sklearn.cluster.DBSCAN` on the pixels in reading order, plus one.

    Parameters
    ----------
    mask : bool array (H, W).
    eps : pixels, 1 or more, at most 50.
    min_samples : 1 or more.

    Returns
    -------
    int32 array (H, W): the number of the cluster, from 1, by its first core in reading order; 0 elsewhere.

    References
    ----------
    .. [1] Ester, Kriegel, Sander and Xu, A Density-Based Algorithm for Discovering Clusters, KDD 1996.
    """
    if not 1 <= eps <= 50:
        raise ValueError(f"eps is {eps}: give a distance from 1 to 50 pixels")
    if min_samples < 1:
        raise ValueError(f"min_samples is {min_samples}: give 1 or more")
    mask, reach = np.ascontiguousarray(mask, bool), int(eps)
    # A place is a number in a frame with a margin, so that a step in any direction is a sum. The margin on the right
    # is that on the left of the next row.
    width = mask.shape[1] + reach
    points = np.flatnonzero(mask)
    places = points + (points // mask.shape[1] + reach) * reach + reach * mask.shape[1]
    size = (mask.shape[0] + 2 * reach) * width + reach
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    steps = (y * width + x)[y**2 + x**2 <= eps**2]
    there = np.zeros(size, bool)
    there[places] = True
    near = np.zeros(len(places), np.int32)
    for step in steps:
        near += there[places + step]
    cores, others = places[near >= min_samples], places[near < min_samples]
    number = np.zeros(size, np.int32)
    number[cores] = _connected(cores, steps[steps > 0], size)
    number[others] = _first(number, others, steps)
    labels = np.zeros(mask.size, np.int32)
    labels[points] = number[places]
    return labels.reshape(mask.shape)


def _connected(cores: np.ndarray, steps: np.ndarray, size: int) -> np.ndarray:
    """The cluster of each core, from 1 in reading order. What is joined are runs: cores side by side in a row."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(cores):
        return cores
    begins_run = np.diff(cores, prepend=cores[0] - 2) != 1
    runs = np.cumsum(begins_run)
    run_at = np.zeros(size, np.int32)
    run_at[cores] = runs
    links = []
    for step in steps:
        other = run_at[cores + step]
        new = begins_run.copy()
        new[1:] |= other[1:] != other[:-1]  # along two runs one link is enough
        at = np.flatnonzero(new & (other > 0))
        links.append((runs[at], other[at]))
    first, second = (np.concatenate(side) - 1 for side in zip(*links, strict=True))
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(runs[-1],) * 2)
    joined = connected_components(graph, directed=False)[1]
    _, begins, which = np.unique(joined, return_index=True, return_inverse=True)
    return (np.argsort(np.argsort(begins)) + 1)[which][runs - 1]


def _first(number: np.ndarray, places: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The lowest number other than 0 within a step of each place; 0 where there is none."""
    none = np.iinfo(np.int32).max
    found = np.full(len(places), none, np.int32)
    for step in steps:
        there = number[places + step]
        np.minimum(found, there, out=found, where=there > 0)
    return np.where(found == none, 0, found)
