"""Difference clusters as tokens for a language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.ops import roi_align

from helpers.clusters import Cluster, clusters_of, difference_mask


@dataclass(frozen=True)
class Detected:
    """What `DifferenceDetector` found in a batch.

    Attributes
    ----------
    tokens : float tensor (n, max_clusters, cluster_embed_dim), zero where there is no cluster.
    present : bool tensor (n, max_clusters), which tokens stand for a cluster.
    clusters : of each pair, the strongest first; perhaps none.
    """

    tokens: Tensor
    present: Tensor
    clusters: list[list[Cluster]]


class DifferenceDetector(nn.Module):
    """Finds clusters of differing pixels and turns each into a vector.

    A small CNN sees the cluster's surroundings in both pictures and in the difference map; where it lies, how large it
    is and how strong is added.

    Parameters
    ----------
    cluster_embed_dim : length of a cluster's vector.
    max_clusters : the strongest ones that are kept, 1 or more.
    eps, min_samples : of `clusters.dbscan`, in pixels of the difference map.
    threshold_percentile : of `clusters.difference_mask`.
    crop : side of what the CNN sees, pixels, a multiple of 8.
    margin : how much of a cluster's larger side is added around it.
    """

    GEOMETRY = 6  # center x and y, width, height, area, strength

    def __init__(
        self,
        cluster_embed_dim: int,
        max_clusters: int = 5,
        eps: float = 3.5,
        min_samples: int = 20,
        threshold_percentile: float = 98.5,
        *,
        crop: int = 32,
        margin: float = 0.25,
    ) -> None:
        super().__init__()
        if max_clusters < 1:
            raise ValueError(f"max_clusters is {max_clusters}: give 1 or more")
        if crop < 8 or crop % 8:
            raise ValueError(f"crop is {crop}: give a multiple of 8")
        self.max_clusters, self.eps, self.min_samples = max_clusters, eps, min_samples
        self.threshold_percentile, self.crop, self.margin = threshold_percentile, crop, margin
        layers: list[nn.Module] = []
        for before, after in ((7, 32), (32, 64), (64, 128)):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(8, after), nn.GELU()]
        self.cnn = nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * (crop // 8) ** 2, cluster_embed_dim))
        self.geometry = nn.Sequential(
            nn.Linear(self.GEOMETRY, cluster_embed_dim), nn.GELU(), nn.Linear(cluster_embed_dim, cluster_embed_dim)
        )
        self.norm = nn.LayerNorm(cluster_embed_dim)

    def compute_clusters(self, binary_map: np.ndarray, strength: np.ndarray | None = None) -> list[Cluster]:
        """The clusters of a mask, the strongest first.

        Parameters
        ----------
        binary_map : bool array (H, W).
        strength : float array (H, W), how much each pixel differs; None counts pixels.
        """
        values = np.ones(np.shape(binary_map), np.float32) if strength is None else strength
        options = {"eps": self.eps, "min_samples": self.min_samples, "max_clusters": self.max_clusters}
        return clusters_of(np.asarray(binary_map, bool), values, **options)

    def forward(self, diff_map: Tensor, before: Tensor | None = None, after: Tensor | None = None) -> Detected:
        """Clusters and their vectors.

        Parameters
        ----------
        diff_map : float tensor (n, H, W), 0 or more.
        before, after : float tensors (n, 3, H, W); None leaves them blank.
        """
        maps = diff_map.detach().float().cpu().numpy()
        clusters = [self._clusters(one) for one in maps]
        tokens = diff_map.new_zeros(len(maps), self.max_clusters, self.norm.normalized_shape[0])
        present = torch.zeros(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        for row, found in enumerate(clusters):
            present[row, : len(found)] = True
        if present.any():
            crops = self._crops(clusters, diff_map, before, after)
            geometry = torch.as_tensor(_geometry(clusters, maps), dtype=crops.dtype, device=crops.device)
            vectors = self.norm(self.cnn(crops) + self.geometry(geometry))
            tokens = tokens.to(vectors.dtype).masked_scatter(present[..., None], vectors)
        return Detected(tokens, present, clusters)

    def _clusters(self, values: np.ndarray) -> list[Cluster]:
        mask = difference_mask(values, threshold_percentile=self.threshold_percentile)
        return self.compute_clusters(mask, values)

    def _crops(self, clusters: Sequence[Sequence[Cluster]], diff_map: Tensor, *pictures: Tensor | None) -> Tensor:
        """Squares around all clusters, from both pictures and the map: float tensor (clusters, 7, crop, crop)."""
        blank = diff_map.new_zeros(len(diff_map), 3, *diff_map.shape[1:])
        top = diff_map.amax(dim=(1, 2), keepdim=True).clamp_min(1e-6)
        stacked = torch.cat([*(blank if one is None else one for one in pictures), (diff_map / top)[:, None]], dim=1)
        squares = [(row, *_square(one, self.margin)) for row, found in enumerate(clusters) for one in found]
        boxes = torch.tensor(squares, dtype=stacked.dtype, device=stacked.device)
        return roi_align(stacked, boxes, self.crop, sampling_ratio=2, aligned=True)


def _square(cluster: Cluster, margin: float) -> tuple[float, float, float, float]:
    """x1, y1, x2, y2 of the square around a cluster's box, with a margin."""
    x, y, width, height = cluster.box
    half = max(width, height) * (0.5 + margin)
    return x + width / 2 - half, y + height / 2 - half, x + width / 2 + half, y + height / 2 + half


def _geometry(clusters: Sequence[Sequence[Cluster]], maps: np.ndarray) -> np.ndarray:
    """Of each cluster: center, size and area as shares of the picture, and its share of the whole difference."""
    rows = []
    for found, values in zip(clusters, maps, strict=True):
        height, width = values.shape
        total = max(float(values.sum()), 1e-6)
        for one in found:
            x, y, w, h = one.box
            place = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
            rows.append((*place, one.area / values.size, one.strength / total))
    return np.array(rows, np.float32)
