"""DBTResNet50: what kind of change lies between two pictures, in the original form and in the course's."""

# mypy: disable-error-code="arg-type, union-attr"
# torch calls whatever a module holds, weights too, a `Tensor | Module`; and mypy does not see that there is a stride.

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet

from whatchanged.devices import device
from whatchanged.weights import load_backbone, read_network, whole_weights, write_network

_STAGES = {4: ("layer1", 256), 8: ("layer2", 512), 16: ("layer3", 1024), 32: ("layer4", 2048)}
FORMS: dict[str, dict[str, Any]] = {
    "original": {"strides": (32,), "compare": "concatenate", "window": None, "dropout": 0.5},
    "course": {"strides": (4, 8), "compare": "maps", "window": 1 / 3, "dropout": 0.2},
}
COMPARISONS = ("concatenate", "pooled", "maps")


class DBTBlock(nn.Module):
    """Dynamic Batch Transformation: features normalized over the batch, then scaled and shifted as the sample asks.

    BatchNorm puts every feature on one scale; scale and shift are then not two learned numbers, the same for all
    samples, but a function of the sample (as in FiLM [1]_). The project that named the block [2]_ published its name
    only; this is the course's reading of it.

    Input: float (n, inputs). Output: float (n, outputs), 0 or more.

    References
    ----------
    .. [1] Perez et al., FiLM: Visual Reasoning with a General Conditioning Layer, AAAI 2018.
    .. [2] DBRestNet502, Deep Learning for Image Difference Detection, GitHub.
    """

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.norm = nn.BatchNorm1d(outputs, affine=False)
        self.dynamic = nn.Sequential(nn.Linear(inputs, 32), nn.ReLU(), nn.Linear(32, 2 * outputs))
        nn.init.zeros_(self.dynamic[-1].weight)  # it begins as a plain BatchNorm
        nn.init.zeros_(self.dynamic[-1].bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        scale, shift = self.dynamic(features).chunk(2, dim=1)
        return self.dropout(F.relu(self.norm(self.linear(features)) * (1 + scale) + shift))


class DBTResNet50(nn.Module):
    """A Siamese ResNet50 [1]_ that says of a pair of pictures which kinds of change it shows.

    Input: float32 (n, 2, 3, H, W): before and after, normalized as `weights.to_tensor` does; for the course's form the
    after picture lies on the before picture (`alignment.aligned`). Output: logits, float32 (n, labels).

    The original form runs both pictures through the whole network, averages each one's last feature map (stride 32)
    to one vector, and lays the two vectors end to end. The course's form differs in three ways:

    - it looks where the pictures differ most: `difference_map` says where, and only a window there, the same in both
      pictures, is looked at closely;
    - it takes early features (strides 4 and 8), where an object still spans several values;
    - it compares before it pools: the features' sum and absolute difference at every place go through convolutions,
      and only what these find is averaged. Sum and absolute difference are the same for (before, after) as for
      (after, before), hence so are the logits.

    Parameters
    ----------
    labels : outputs.
    strides : of the feature maps that are compared: 4, 8, 16, 32, each the double of the one before. The network ends
        at the last one.
    compare : "maps" (as above), "pooled" (sum and absolute difference of the averaged features) or "concatenate" (the
        averaged features of both).
    window : side of the window, as a share of the pictures' side; None is the whole picture.
    dropout : 0 to 1, before the last layer.
    weights : "imagenet" (a download of 98 MB, once), the path of a checkpoint of a ResNet50, a state dict, or None.

    References
    ----------
    .. [1] He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, 2016.
    """

    def __init__(
        self,
        labels: int = 3,
        *,
        strides: tuple[int, ...] = (4, 8),
        compare: str = "maps",
        window: float | None = 1 / 3,
        dropout: float = 0.2,
        weights: Any = None,
    ) -> None:
        super().__init__()
        _hold_options(strides, compare, window)
        self.strides, self.compare, self.window = tuple(strides), compare, window
        self.backbone = _backbone(strides[-1], weights)
        channels = [_STAGES[stride][1] for stride in strides]
        if compare == "maps":
            outputs = [128 * (place + 1) for place in range(len(channels))]
            # each comparison also gets what the one before it found
            stages = zip(channels, [0, *outputs], outputs, strict=False)
            self.comparisons = nn.ModuleList([Comparison(*stage) for stage in stages])
            features = 2 * outputs[-1]
        else:
            features = 2 * sum(channels)
        self.block = DBTBlock(features, 256, dropout)
        self.head = nn.Linear(256, labels)

    def forward(self, pairs: Tensor) -> Tensor:
        if self.window:
            pairs = windows(pairs, smoothed(difference_map(pairs)), self.window)
        maps = self.feature_maps(pairs)
        if self.compare == "maps":
            found = None
            for comparison, features in zip(self.comparisons, maps, strict=True):
                found = comparison(features, found)
            vector = torch.cat([found.mean((2, 3)), found.amax((2, 3))], dim=1)
        else:
            before, after = torch.cat([features.mean((3, 4)) for features in maps], dim=2).unbind(1)
            both = (before, after) if self.compare == "concatenate" else (before + after, (before - after).abs())
            vector = torch.cat(both, dim=1)
        return self.head(self.block(vector))

    @torch.no_grad()
    def attention(self, pairs: Tensor) -> Tensor:
        """Where it looks: float32 (n, H / 2, W / 2), 0 or more; the window's center is at the highest value."""
        return smoothed(difference_map(pairs))

    def feature_maps(self, pairs: Tensor) -> list[Tensor]:
        """The features of both pictures at each stride: float (n, 2, channels, h, w)."""
        net, found = self.backbone, []
        images = pairs.flatten(0, 1).contiguous(memory_format=_layout(net.conv1.weight))
        features = net.maxpool(net.relu(net.bn1(net.conv1(images))))
        for stride, (name, _) in _STAGES.items():
            # stages beyond the last stride are not there
            if stride <= self.strides[-1]:
                features = getattr(net, name)(features)
            if stride in self.strides:
                found.append(features.unflatten(0, (-1, 2)))
        return found


class Comparison(nn.Module):
    """Compares the features of two pictures at every place, whichever comes first.

    Input: features (n, 2, inputs, h, w), and what the comparison at half the stride found, (n, carried, h, w).
    Output: (n, outputs, h / 2, w / 2), 0 or more.
    """

    def __init__(self, inputs: int, carried: int, outputs: int, width: int = 96) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width))
        self.judge = nn.Sequential(
            nn.Conv2d(2 * width + carried, outputs, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )

    def forward(self, features: Tensor, found: Tensor | None) -> Tensor:
        before, after = self.project(features.flatten(0, 1)).unflatten(0, (-1, 2)).unbind(1)
        parts = [before + after, (before - after).abs()] + ([] if found is None else [found])
        return self.judge(torch.cat(parts, dim=1).contiguous(memory_format=_layout(self.judge[0].weight)))


def build(form: str = "course", **changes: Any) -> DBTResNet50:
    """The network in one of the `FORMS`, "original" or "course", with some of its options changed."""
    if form not in FORMS:
        raise ValueError(f"form is {form!r}: choose from {', '.join(FORMS)}")
    return DBTResNet50(**FORMS[form] | changes)


@dataclass(frozen=True)
class ChangeClassifier:
    """A trained network of the course's form, and what its answers need.

    Attributes
    ----------
    model : with as many outputs as `names`.
    size : side of the pictures that it was trained on, pixels.
    names : of the labels.
    thresholds : one a label: the probability from which on it applies.
    """

    model: DBTResNet50
    size: int
    names: tuple[str, ...]
    thresholds: tuple[float, ...]

    def save(self, path: str | Path) -> Path:
        """Write all of it into one file of safetensors, whole or not at all."""
        about = {"size": self.size, "names": self.names, "thresholds": [float(one) for one in self.thresholds]}
        return write_network(path, self.model, "dbt_resnet50", **about)

    @classmethod
    def load(cls, path: str | Path) -> ChangeClassifier:
        """What `save` wrote; ValueError where there is no such file."""
        weights, about = read_network(path, "dbt_resnet50", "ChangeClassifier.save")
        model = build("course", labels=len(about["names"]))
        with whole_weights(path):
            model.load_state_dict(weights)
        return cls(model.to(device()).eval(), about["size"], tuple(about["names"]), tuple(about["thresholds"]))


@torch.no_grad()
def difference_map(pairs: Tensor) -> Tensor:
    """How much two pictures differ around each place, whatever the light: float32 (n, H / 2, W / 2), 0 or more.

    Each picture gets mean 0 and deviation 1 in every channel, which takes a difference of exposure away, and is blurred
    a little, which takes noise away. What remains is the squared distance of the colors.

    Parameters
    ----------
    pairs : float32 (n, 2, 3, H, W).
    """
    pairs = pairs.float()
    centered = pairs - pairs.mean((3, 4), keepdim=True)
    deviation = centered.square().mean((3, 4), keepdim=True).sqrt()
    before, after = (centered / deviation.clamp(min=1e-3)).unbind(1)
    return _blurred_half(before - after).square().sum(1)


def _blurred_half(images: Tensor) -> Tensor:
    """Images (n, c, H, W) under a Gaussian of one pixel, then averaged over squares of 2 x 2: (n, c, H / 2, W / 2).

    Both are linear, so one pass along each axis does both: with the Gaussian's seven taps averaged with themselves, one
    further, in steps of two.
    """
    taps = np.exp(-(np.arange(-3, 4) ** 2) / 2)
    taps = np.convolve(taps / taps.sum(), [0.5, 0.5]).tolist()
    images = F.pad(images, (3, 3, 3, 3), mode="reflect")
    for _ in range(2):  # along the rows; turned, along the columns; turned back
        last = 2 * (images.shape[2] // 2) - 7
        images = sum(tap * images[:, :, k : k + last : 2] for k, tap in enumerate(taps)).transpose(2, 3)
    return images


def smoothed(maps: Tensor, share: float = 0.2) -> Tensor:
    """A map (n, h, w) averaged over squares of that share of its side, three times, so that it peaks where most is."""
    side = max(1, round(share * min(maps.shape[1:])) // 2 * 2 - 1)
    for _ in range(3):
        for across in (True, False):  # a square's average is the average of its rows' averages
            kernel, padding = ((1, side), (0, side // 2)) if across else ((side, 1), (side // 2, 0))
            maps = F.avg_pool2d(maps, kernel, stride=1, padding=padding)
    return maps


def windows(pairs: Tensor, maps: Tensor, share: float) -> Tensor:
    """From both pictures of each pair the square around the map's highest value, moved inside where it sticks out.

    Parameters
    ----------
    pairs : (n, 2, 3, H, W).
    maps : (n, h, w).
    share : side of the square as a share of the pictures' smaller side.

    Returns
    -------
    (n, 2, 3, s, s), s a multiple of 8.
    """
    height, width = pairs.shape[3:]
    side = max(8, round(share * min(height, width) / 8) * 8)
    best = maps.flatten(1).argmax(dim=1)
    rows, columns = best // maps.shape[2], best % maps.shape[2]
    top = ((rows + 0.5) * height / maps.shape[1] - side / 2).round().clamp(0, height - side).int().tolist()
    left = ((columns + 0.5) * width / maps.shape[2] - side / 2).round().clamp(0, width - side).int().tolist()
    cut = [pair[:, :, y : y + side, x : x + side] for pair, y, x in zip(pairs, top, left, strict=True)]
    return torch.stack(cut)


def _layout(weight: Tensor) -> torch.memory_format:
    """The memory format of a convolution's weights, which its images should have, too."""
    by_place = weight.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if by_place else torch.contiguous_format


def _backbone(deepest: int, weights: Any) -> ResNet:
    """A ResNet50 without the stages beyond the deepest stride, and without its last layer.

    `zero_init_residual`: each block begins as the identity. From random weights that saves most of the training.
    """
    net = ResNet(Bottleneck, [3, 4, 6, 3], zero_init_residual=True)
    if weights is not None:
        load_backbone(net, weights, "resnet50")
    del net.fc, net.avgpool
    for stride, (name, _) in _STAGES.items():
        if stride > deepest:
            delattr(net, name)
    return net


def _hold_options(strides: tuple[int, ...], compare: str, window: float | None) -> None:
    doubled = all(b == 2 * a for a, b in zip(strides, strides[1:], strict=False))
    if not strides or not set(strides) <= set(_STAGES) or not doubled:
        raise ValueError(f"strides is {strides}: choose from {', '.join(map(str, _STAGES))}, each twice the one before")
    if compare not in COMPARISONS:
        raise ValueError(f"compare is {compare!r}: choose from {', '.join(COMPARISONS)}")
    if window is not None and not 0 < window <= 1:
        raise ValueError(f"window is {window}: give a share of the side from 0 to 1, or None for the whole picture")
