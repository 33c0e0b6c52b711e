"""Deep features: how alike two pictures are to a ResNet50, as a whole and place by place."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from whatchanged import images
from whatchanged.images import same_size
from whatchanged.weights import IMAGENET_MEAN, IMAGENET_STD, load_backbone


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
    before, after = same_size(before, after)
    if min(before.shape[:2]) < 32:
        raise ValueError(f"the images are {images.size(before)}: features need at least 32 pixels a side")
    import torch

    from whatchanged.devices import autocast, device

    network, on = _resnet50(weights), device()
    pictures = np.stack([images.shrink(images.color(image), resolution) for image in (before, after)])
    batch = torch.from_numpy(pictures).to(on).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.from_numpy(values).to(on).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
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

    from whatchanged.devices import device

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = resnet50(weights=None)
    if weights is not None:
        load_backbone(network, weights, "resnet50")
    network = network.eval().to(device(), memory_format=torch.channels_last)
    layers = list(network.children())  # conv1, bn1, relu, maxpool, layer1 to layer4, avgpool, fc
    local, rest = torch.nn.Sequential(*layers[:5]), torch.nn.Sequential(*layers[5:-1], torch.nn.Flatten())

    def features(batch: Any) -> tuple[Any, Any]:
        at_stride_4 = local(batch)
        return at_stride_4, rest(at_stride_4)

    return features
