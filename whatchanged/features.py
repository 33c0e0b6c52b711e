"""Deep features: how alike two pictures are to a network that names objects, as a whole and place by place."""

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
from whatchanged.weights import load_backbone, to_tensor

LITE0, RANDOM = "lite0", "random"


@dataclass(frozen=True)
class FeatureSimilarity:
    """Result of `feature_similarity`.

    Attributes
    ----------
    similarity : cosine of the two pooled feature vectors, -1 to 1.
    map : float32 array (H, W), 0 to 1: 1 - cosine of the features at each place, at the images' resolution.
    weights : "lite0", "imagenet", "random", or a checkpoint's path.
    threshold : from where on the map tells of a change, 0 to 1.
    """

    similarity: float
    map: np.ndarray
    weights: str
    threshold: float

    @property
    def note(self) -> str:
        if self.weights == RANDOM:
            return "the features are random: this ResNet50 was never trained"
        of = "an EfficientNet-Lite0 trained on imagenet" if self.weights == LITE0 else None
        return f"the features are those of {of or f'a ResNet50 trained on {self.weights}'}"


def feature_similarity(
    before: np.ndarray, after: np.ndarray, *, weights: str = LITE0, resolution: int = 256
) -> FeatureSimilarity:
    """Compare two pictures by the features of a network trained on ImageNet.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3) or (H, W) of the same size, at least 32 pixels a side.
    weights : "lite0" for an EfficientNet-Lite0 [1]_, whose weights a package brings. Or those of a ResNet50 [2]_:
        "imagenet" (a download of 98 MB, once), the path of a checkpoint (`state_dict`), or "random", drawn from a fixed
        seed. Random features still react to edges and colors, but know no objects.
    resolution : pixels along the longer side at which larger pictures are compared; both networks were trained at 224.

    Raises
    ------
    ConnectionError
        The weights are neither on disk nor to be had. It never falls back to random weights.

    References
    ----------
    .. [1] Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019.
    .. [2] He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, CVPR 2016.
    """
    before, after = same_size(before, after)
    if min(before.shape[:2]) < 32:
        raise ValueError(f"the images are {images.size(before)}: features need at least 32 pixels a side")
    import torch

    from whatchanged.devices import autocast, device

    network, on = _network(weights), device()
    pictures = np.stack([images.shrink(images.color(image), resolution) for image in (before, after)])
    batch = to_tensor(pictures).to(on, memory_format=torch.channels_last)
    with torch.inference_mode(), autocast(on):
        local, pooled = network(batch)
    apart = [1 - torch.nn.functional.cosine_similarity(one[0].float(), one[1].float(), dim=0) for one in local]
    size = before.shape[1::-1]
    maps = [cv2.resize(one.cpu().numpy(), size, interpolation=cv2.INTER_LINEAR) for one in apart]
    vectors = pooled.float().cpu()
    similarity = float(torch.nn.functional.cosine_similarity(vectors[0], vectors[1], dim=0))
    differ = np.clip(np.mean(maps, axis=0), 0, 1)
    return FeatureSimilarity(min(similarity, 1.0), differ, weights, _threshold(differ, weights))


def _threshold(differ: np.ndarray, weights: str) -> float:
    """Above what all of the picture shows, and not far below the strongest: the fields of view of neighbors overlap, so
    that a change fades out slowly. What Lite0 sees of parts of things differs up to 0.3 by noise and light alone.
    """
    least, share = (0.3, 0.5) if weights == LITE0 else (0.01, 0.4)
    return max(least, 4 * float(np.median(differ)), share * float(differ.max()))


Network = Callable[[Any], tuple[list[Any], Any]]
"""Of a batch (n, 3, H, W): its features (n, channels, h, w) at one or more strides, and the pooled ones."""

_building = threading.Lock()  # `lru_cache` alone would let two threads build the network at once


def _network(weights: str) -> Network:
    with _building:
        return _build_lite0() if weights == LITE0 else _build_resnet50(weights)


@lru_cache(maxsize=1)
def _build_lite0() -> Network:
    """Of the stages in the middle, which know parts of things: before them it sees edges, after them not where."""
    import torch

    from whatchanged import lite0
    from whatchanged.devices import device

    model = lite0.pretrained().to(device())
    model.to(memory_format=torch.channels_last)

    def features(batch: Any) -> tuple[list[Any], Any]:
        stages = model.stages(batch)
        return stages[2:5], model.pooled(stages[-1])

    return features


@lru_cache(maxsize=2)
def _build_resnet50(weights: str) -> Network:
    import torch
    from torchvision.models import resnet50

    from whatchanged.devices import device

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = resnet50(weights=None)
    if weights != RANDOM:
        load_backbone(network, weights, "resnet50")
    network = network.eval().to(device(), memory_format=torch.channels_last)
    layers = list(network.children())  # conv1, bn1, relu, maxpool, layer1 to layer4, avgpool, fc
    local, rest = torch.nn.Sequential(*layers[:5]), torch.nn.Sequential(*layers[5:-1], torch.nn.Flatten())

    def features(batch: Any) -> tuple[list[Any], Any]:
        at_stride_4 = local(batch)
        return [at_stride_4], rest(at_stride_4)

    return features
