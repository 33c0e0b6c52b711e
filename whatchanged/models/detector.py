"""Clusters of differing pixels in a difference map, each as two vectors: how it looks before and after."""

# mypy: allow-redefinition
# `forward` calls the crops of both pictures by the same name before and after they are one tensor.

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import roi_align

from whatchanged.clusters import Cluster, clusters_of, difference_mask


@dataclass(frozen=True)
class Detected:
    """What `DifferenceDetector` made of a batch.

    Attributes
    ----------
    tokens : float tensor (n, max_clusters, 2, cluster_embed_dim): of each cluster, from left to right, its view before
        and after; zero where there is no cluster.
    present : bool tensor (n, max_clusters), which tokens stand for a cluster.
    clusters : of each pair, the strongest first; perhaps none. None where they were located before.
    """

    tokens: Tensor
    present: Tensor
    clusters: list[list[Cluster]] | None


class DifferenceDetector(nn.Module):
    """Finds clusters of differing pixels and turns each into a vector.

    A small CNN looks at the cluster's surroundings in either picture, with the difference map as a fourth channel and
    how far each pixel stands out from the color around as a fifth; the
    same CNN for both, so that what it learns of one side it knows of the other. A cluster gives two vectors, its view
    before and after; to each is added where it lies, how large it is and how strong, its place from left to right, and
    whether the same is seen in another cluster of the other picture, as of a thing that moved.

    Parameters
    ----------
    cluster_embed_dim : length of a cluster's vector.
    max_clusters : the strongest ones that are kept, 1 or more.
    eps, min_samples : of `clusters.dbscan`, in pixels of the difference map.
    threshold_percentile : of `clusters.difference_mask`.
    crop : side of what the CNN sees, pixels, a multiple of 16. No smaller square is enlarged to it.
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
        margin: float = 0.1,
    ) -> None:
        super().__init__()
        if max_clusters < 1:
            raise ValueError(f"max_clusters is {max_clusters}: give 1 or more")
        if crop < 16 or crop % 16:
            raise ValueError(f"crop is {crop}: give a multiple of 16")
        self.max_clusters, self.eps, self.min_samples = max_clusters, eps, min_samples
        self.threshold_percentile, self.crop, self.margin = threshold_percentile, crop, margin
        layers: list[nn.Module] = []
        for before, after in ((5, 24), (24, 48), (48, 96), (96, 128)):
            # Pooling, not strides: these would skip every second line of a fine texture.
            layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.MaxPool2d(2)]
            layers += [nn.BatchNorm2d(after), nn.ReLU()]
        self.cnn = nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * (crop // 16) ** 2, cluster_embed_dim))
        self.sides = nn.Parameter(torch.randn(2, cluster_embed_dim))
        self.geometry = nn.Sequential(
            nn.Linear(self.GEOMETRY, cluster_embed_dim), nn.GELU(), nn.Linear(cluster_embed_dim, cluster_embed_dim)
        )
        self.identity = nn.Linear(cluster_embed_dim, cluster_embed_dim)
        self.again = nn.Sequential(nn.Linear(1, 16), nn.GELU(), nn.Linear(16, cluster_embed_dim))
        self.norm = nn.LayerNorm(cluster_embed_dim)
        self.order = nn.Parameter(torch.zeros(max_clusters, 1, cluster_embed_dim))  # from left to right

    def compute_clusters(self, binary_map: np.ndarray, strength: np.ndarray | None = None) -> list[Cluster]:
        """The clusters of a mask, the strongest first.

        Parameters
        ----------
        binary_map : bool array (H, W).
        strength : float array (H, W), how much each pixel differs; None counts pixels.
        """
        values = np.ones(np.shape(binary_map), np.float32) if strength is None else strength
        return clusters_of(
            np.asarray(binary_map, bool),
            values,
            max_clusters=self.max_clusters,
            eps=self.eps,
            min_samples=self.min_samples,
        )

    def forward(
        self,
        diff_map: Tensor,
        before: Tensor | None = None,
        after: Tensor | None = None,
        located: dict[str, Tensor] | None = None,
    ) -> Detected:
        """Clusters and their vectors.

        Parameters
        ----------
        diff_map : float tensor (n, H, W), 0 or more.
        before, after : float tensors (n, 3, H, W); None leaves them blank.
        located : what `locate` said of these maps, if it was asked before.
        """
        clusters = None
        if located is None:
            clusters = [self.clusters(one) for one in diff_map.detach().float().cpu().numpy()]
            located = {name: value.to(diff_map.device) for name, value in self.table(clusters, diff_map).items()}
        present, places = located["present"], self.places(located["present"])
        tokens = diff_map.new_zeros(*present.shape, 2, self.norm.normalized_shape[0])
        if len(places):
            crops = self._crops(located, places, diff_map, before, after)
            crops = torch.cat(crops).contiguous(memory_format=torch.channels_last)  # twice as fast on a CPU
            views = torch.stack(self.cnn(crops).chunk(2), dim=1)
            again = self.again(self._elsewhere(views, present, places)[..., None])
            where = self.geometry(located["geometry"].flatten(0, 1)[places])[:, None]
            vectors = self.norm(views + self.sides + where + again) + self.order[places % self.max_clusters]
            tokens = _put(vectors, present, places)
        return Detected(tokens, present, clusters)

    @staticmethod
    def places(present: Tensor) -> Tensor:
        """Which of the table's places are looked at, int (k,): those with a cluster; but on a GPU all, since to count
        those with a cluster is to wait for it, and the same shapes in each step are worth more there.
        """
        flat = present.flatten()
        return flat.nonzero()[:, 0] if flat.device.type == "cpu" else torch.arange(len(flat), device=flat.device)

    def _elsewhere(self, views: Tensor, present: Tensor, places: Tensor) -> Tensor:
        """Whether what is seen of a cluster is seen of another one in the other picture, as of a thing that moved.

        Parameters
        ----------
        views : float tensor (k, 2, d), before and after.
        present : bool tensor (n, max_clusters), where there is a cluster.
        places : int tensor (k,), where the views belong.

        Returns
        -------
        Tensor
            Float (k, 2): the largest cosine; 0 where there is no other cluster, and where none is alike.
        """
        looks = F.normalize(self.identity(views).float(), dim=2)
        table = _put(looks, present, places)
        alike = torch.einsum("nisd,njtd->nstij", table, table)
        alike = alike.masked_fill(torch.eye(self.max_clusters, dtype=torch.bool, device=alike.device), 0)
        best = torch.stack([alike[:, 0, 1], alike[:, 1, 0]], dim=1).amax(dim=3).clamp_min(0)
        return best.transpose(1, 2).flatten(0, 1)[places].to(views.dtype)

    def clusters(self, values: np.ndarray) -> list[Cluster]:
        """The clusters of a difference map, float array (H, W), 0 or more; the strongest first."""
        mask = difference_mask(values, threshold_percentile=self.threshold_percentile)
        return self.compute_clusters(mask, values)

    def table(self, clusters: Sequence[Sequence[Cluster]], diff_map: Tensor) -> dict[str, Tensor]:
        """Clusters from left to right as tensors, zero where there is none: all that `forward` needs to know of them.

        A sentence is written in this order more easily than in that of strength.

        Returns
        -------
        dict
            "present", bool (n, max_clusters); "squares", float (n, max_clusters, 4): x1, y1, x2, y2 of what the CNN
            sees, pixels; "geometry", float (n, max_clusters, 6): center, size and area as shares of the picture, and
            the share of the whole difference.
        """
        n, height, width = diff_map.shape
        totals = diff_map.detach().float().sum(dim=(1, 2)).clamp_min(1e-6).tolist()
        present = torch.zeros(n, self.max_clusters, dtype=torch.bool)
        squares, geometry = torch.zeros(n, self.max_clusters, 4), torch.zeros(n, self.max_clusters, self.GEOMETRY)
        for row, (found, total) in enumerate(zip(clusters, totals, strict=True)):
            for place, one in enumerate(
                sorted(found[: self.max_clusters], key=lambda one: one.box[0] + one.box[2] / 2)
            ):
                x, y, w, h = one.box
                present[row, place] = True
                squares[row, place] = torch.tensor(_square(one, self.margin, self.crop))
                shares = (x + w / 2) / width, (y + h / 2) / height, w / width, h / height, one.area / (height * width)
                geometry[row, place] = torch.tensor((*shares, one.strength / total))
        return {"present": present, "squares": squares, "geometry": geometry}

    def _crops(
        self, located: dict[str, Tensor], places: Tensor, diff_map: Tensor, *pictures: Tensor | None
    ) -> list[Tensor]:
        """Squares around what is at places, of each picture, with map and `_standing_out`: float (k, 5, crop, crop)."""
        blank = diff_map.new_zeros(len(diff_map), 3, *diff_map.shape[1:])
        values = (diff_map / diff_map.amax(dim=(1, 2), keepdim=True).clamp_min(1e-6))[:, None]
        rows = (places // self.max_clusters)[:, None]
        boxes = torch.cat([rows.float(), located["squares"].flatten(0, 1)[places].float()], dim=1)
        layers = (torch.cat([blank if one is None else one, values], dim=1).float() for one in pictures)
        return [_standing_out(roi_align(one, boxes, self.crop, aligned=True)) for one in layers]


def _standing_out(crops: Tensor) -> Tensor:
    """Crops (k, 4, side, side) with one more channel: how far a pixel's color is from the median along the border."""
    colors = crops[:, :3]
    border = torch.cat([colors[:, :, 0], colors[:, :, -1], colors[..., 0], colors[..., -1]], dim=2)
    far = (colors - border.median(dim=2).values[..., None, None]).abs().amax(dim=1, keepdim=True)
    return torch.cat([crops, far], dim=1)


def _put(values: Tensor, present: Tensor, places: Tensor) -> Tensor:
    """Values (k, ...) at their places of a table (n, max_clusters, ...), and zero where there is no cluster."""
    table = (
        values.new_zeros(present.numel(), *values.shape[1:]).index_copy(0, places, values).unflatten(0, present.shape)
    )
    return table.where(present.reshape(*present.shape, *(1 for _ in values.shape[1:])), 0)


def _square(cluster: Cluster, margin: float, least: int) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 of the square around a cluster's box, with a margin; its side is `least` pixels or more.

    In whole pixels: a square that fits is cut out as it is, and fine textures stay sharp.
    """
    x, y, width, height = cluster.box
    side = max(math.ceil(max(width, height) * (1 + 2 * margin)), least)
    left, top = round(x + (width - side) / 2), round(y + (height - side) / 2)
    return left, top, left + side, top + side
