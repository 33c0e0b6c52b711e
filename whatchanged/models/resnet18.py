"""ResNet18 for transfer learning: built with or without pretrained weights, frozen or not, and its features cached."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval
from torch.utils.data import TensorDataset
from torchvision.models.resnet import BasicBlock, ResNet

from whatchanged.devices import device
from whatchanged.images import resized
from whatchanged.models.likeness import HELD_OUT, LEARNED, Likeness, Sample, evenly
from whatchanged.pictures import PictureBatches
from whatchanged.training.predict import predict
from whatchanged.weights import load_backbone, read_network, to_tensor, whole_weights, write_network

_LIKENESS = "likeness."  # before the names of its tensors in a file


class ResNet18(ResNet):
    """The ResNet of 18 layers [1]_, whose frozen BatchNorm layers stay in evaluation mode.

    Input: float32 (n, 3, H, W), normalized by ImageNet's mean and deviation. Output: logits, float32 (n, num_classes).

    A BatchNorm layer has two kinds of memory: weights, which freezing stops, and running means and variances, which
    every batch in training mode moves. Unless the second stop too, a "frozen" backbone drifts.

    References
    ----------
    .. [1] He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, 2016.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(BasicBlock, [2, 2, 2, 2], num_classes=num_classes)

    def train(self, mode: bool = True) -> ResNet18:
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d) and not module.weight.requires_grad:
                module.eval()
        return self


def build(num_classes: int, weights: Any = None, *, freeze: bool = False) -> ResNet18:
    """A ResNet18 with a new last layer.

    Parameters
    ----------
    num_classes : outputs, at least 1.
    weights : "imagenet" (a download of 45 MB, once), the path of a checkpoint (`.pt` or `.safetensors`), a state dict,
        or None for random weights. The last layer is always new; whatever `weights` holds for it is left out.
    freeze : leave only the new last layer to train.

    Raises
    ------
    ConnectionError
        The ImageNet weights are neither on disk nor to be had. It never falls back to random weights.
    FileNotFoundError, ValueError
        There is no such checkpoint, or it is not one of a ResNet18.
    """
    if num_classes < 1:
        raise ValueError(f"num_classes is {num_classes}: give at least 1")
    model = ResNet18(num_classes)
    if weights is not None:
        load_backbone(model, weights, "resnet18")
    if freeze:
        model.requires_grad_(False)
        model.fc.requires_grad_(True)
    return model


def cache_features(
    model: ResNet18, dataset: Any, *, batch_size: int = 100, precision: str | None = None, workers: int | None = 0
) -> TensorDataset:
    """Run a frozen backbone over the data once; its head `model.fc` then trains on what came out.

    Training `model.fc` on the cached features gives what training the whole model on the images would, because the
    frozen part answers the same in every epoch. That holds without augmentation only: an image that is flipped has
    other features.

    Parameters
    ----------
    model : built with `freeze=True`. It stays as it is.
    dataset : items of (image, label), image float32 (3, H, W).
    precision : "fp32", "bf16", or None for the best of the device, as in `training.fit`.
    workers : processes that load data; None chooses, as in `training.fit`.

    Returns
    -------
    TensorDataset
        Items of (features float32 (512,), label), in the order of the dataset.

    Raises
    ------
    ValueError
        The backbone is not frozen, so that its features would be out of date after one step.
    """
    loose = [name for name, one in model.named_parameters() if one.requires_grad and not name.startswith("fc.")]
    if loose:
        raise ValueError(f"{loose[0]} is not frozen: cached features need a model built with freeze=True")
    backbone = _without_batch_norm(model).to(device(), memory_format=torch.channels_last)
    options: dict[str, Any] = {"batch_size": batch_size, "precision": precision, "workers": workers}
    return TensorDataset(*map(torch.from_numpy, predict(backbone, dataset, **options)))


def grad_cam(model: ResNet18, images: Tensor, target: int, *, layer: str = "layer3") -> np.ndarray:
    """Where in the images the network saw a class: Grad-CAM [1]_, by captum.

    Each channel of a layer is weighted by how much the class's logit would rise with it; what remains of their sum
    above zero is the map. A later layer knows more and sees less sharply.

    Parameters
    ----------
    model : its weights stay as they are.
    images : float32 tensor (n, 3, H, W), normalized.
    target : the class, 0 to num_classes - 1.
    layer : "layer1" to "layer4", at strides 4, 8, 16 and 32.

    Returns
    -------
    float32 array (n, H / stride, W / stride), 0 or more.

    References
    ----------
    .. [1] Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization, 2017.
    """
    from captum.attr import LayerGradCam

    model.eval()
    on = next(model.parameters()).device
    maps = LayerGradCam(model, getattr(model, layer)).attribute(images.to(on), target, relu_attributions=True)
    return maps[:, 0].detach().cpu().numpy()


class Classifier:
    """A trained network that judges one picture and shows why.

    Parameters
    ----------
    model : with as many outputs as `names`.
    size : side of the pictures that it was trained on, pixels.
    names : of the classes; the heat map is that of the last.
    likeness : which pictures are unlike those that it learned from; None: that is not known.
    """

    def __init__(self, model: ResNet18, size: int, names: Sequence[str], likeness: Likeness | None = None) -> None:
        self.model, self.size, self.names, self.likeness = model.eval(), size, tuple(names), likeness

    def __call__(self, picture: np.ndarray, *, layer: str = "layer3") -> tuple[dict[str, float], np.ndarray]:
        """Probabilities by name, and where a layer saw the last class (`grad_cam`); picture: uint8 (H, W, 3), RGB."""
        image = to_tensor(resized(picture, self.size))[None].to(next(self.model.parameters()).device)
        with torch.no_grad():
            probabilities = self.model(image).float().softmax(1)[0].tolist()
        heat = grad_cam(self.model, image, len(self.names) - 1, layer=layer)[0]
        return dict(zip(self.names, probabilities, strict=True)), heat

    def unlike(self, picture: np.ndarray) -> bool | None:
        """Whether a picture, uint8 (H, W, 3), is unlike those that it learned from; None where that is not known."""
        return None if self.likeness is None else self.likeness.unlike(resized(picture, self.size))

    def save(self, path: str | Path) -> Path:
        """Write weights, size, names and likeness into one file of safetensors, whole or not at all."""
        beside = None if self.likeness is None else self.likeness.tensors(_LIKENESS)
        return write_network(path, self.model, "resnet18", beside, size=self.size, names=self.names)

    @classmethod
    def load(cls, path: str | Path) -> Classifier:
        """What `save` wrote; ValueError where there is no such file."""
        found, about = read_network(path, "resnet18", "Classifier.save")
        likeness = Likeness.of_tensors(found, _LIKENESS)
        model = ResNet18(len(about["names"]))
        with whole_weights(path):
            model.load_state_dict({name: one for name, one in found.items() if not name.startswith(_LIKENESS)})
        return cls(model.to(device()), about["size"], about["names"], likeness)


def likeness_to(learned: PictureBatches, held_out: PictureBatches, size: int) -> Likeness | None:
    """What a `Classifier` needs to tell which pictures are unlike those that it learned from.

    Parameters
    ----------
    learned : pictures that it learned from.
    held_out : others of the same world; of under 59 the answer is None: too few to know.
    size : side of the pictures that it is trained on, pixels.
    """

    def some(pictures: PictureBatches, most: int) -> list[Sample]:
        return [[resized(pictures.picture(number), size)] for number in evenly(len(pictures), most)]

    return Likeness.of(some(learned, LEARNED), some(held_out, HELD_OUT))


def _without_batch_norm(model: ResNet18) -> ResNet18:
    """A copy that gives the features: each BatchNorm is folded into the convolution before it, the last layer gone."""
    copy = ResNet18(model.fc.out_features)
    copy.load_state_dict(model.state_dict())
    copy.eval()
    copy.conv1, copy.bn1, copy.fc = fuse_conv_bn_eval(copy.conv1, copy.bn1), nn.Identity(), nn.Identity()
    for block in (module for module in copy.modules() if isinstance(module, BasicBlock)):
        block.conv1, block.bn1 = fuse_conv_bn_eval(block.conv1, block.bn1), nn.Identity()
        block.conv2, block.bn2 = fuse_conv_bn_eval(block.conv2, block.bn2), nn.Identity()
        if block.downsample is not None:
            block.downsample = fuse_conv_bn_eval(*block.downsample)
    return copy
