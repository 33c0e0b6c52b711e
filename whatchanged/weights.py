"""Weights as people publish them, on disk or by name; and pictures as networks trained on ImageNet want them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from whatchanged.formats import ImageError

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32)
CHECKPOINTS = "checkpoints"  # the folder that a training keeps unless told another
BEST_WEIGHTS = "best.safetensors"  # in it: the weights of the best epoch


def to_tensor(picture: np.ndarray) -> Any:
    """float32 tensor (..., 3, H, W) of a uint8 array (..., H, W, 3): divided by 255, then ImageNet's mean and deviation
    taken."""
    import torch

    return torch.from_numpy((picture / np.float32(255) - IMAGENET_MEAN) / IMAGENET_STD).movedim(-1, -3)


def to_picture(tensor: Any) -> np.ndarray:
    """uint8 array (H, W, 3) of a tensor that `to_tensor` made."""
    values = tensor.permute(1, 2, 0).float().cpu().numpy() * IMAGENET_STD + IMAGENET_MEAN
    return np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)


def read_tensor(path: str | Path) -> Any:
    """One image from a tensor file: float32 (3, H, W), normalized as `to_tensor` does.

    It is read with `weights_only=True`: a `.pt` file is a pickle, and a hostile one would run its own code.

    Raises
    ------
    ImageError
        The file is absent, holds anything but one tensor, or the tensor is not an image of three channels.
    """
    import torch

    if not Path(path).is_file():
        raise ImageError(f"{path} does not exist")
    try:
        tensor = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what torch raises depends on how the file is broken
        raise ImageError(f"{path} is not a tensor file: only files that torch.save wrote of one tensor are") from error
    if not isinstance(tensor, torch.Tensor):
        raise ImageError(f"{path} holds a {type(tensor).__name__}: it must hold one tensor")
    if tensor.ndim != 3 or tensor.shape[0] != 3:
        raise ImageError(f"{path} holds a tensor of shape {tuple(tensor.shape)}: it must be (3, H, W)")
    return to_tensor(tensor.permute(1, 2, 0).numpy()) if tensor.dtype == torch.uint8 else tensor.float()


def model_weights(weights: str | Path, architecture: str) -> dict[str, Any]:
    """The state dict of a pretrained model.

    Parameters
    ----------
    weights : "imagenet" for torchvision's best (downloaded once), or the path of a `.pt` or `.safetensors` checkpoint.
    architecture : torchvision's name, as "resnet18".

    Raises
    ------
    ConnectionError
        The ImageNet weights are neither on disk nor to be had.
    FileNotFoundError, ValueError
        There is no such checkpoint, or it holds no weights.
    """
    import torch

    if str(weights) == "imagenet":
        from torchvision.models import get_model_weights

        try:
            return get_model_weights(architecture).DEFAULT.get_state_dict(progress=False, check_hash=True)
        except OSError as error:
            raise ConnectionError(
                f"the ImageNet weights of {architecture} are not on this machine and could not be downloaded: connect"
                " to the network once, or give the path of a checkpoint as weights, or None"
            ) from error
    path = Path(weights)
    if not path.is_file():
        raise FileNotFoundError(f"weights is {str(weights)!r}: use 'imagenet', None, or a checkpoint that exists")
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        with whole_weights(path):
            return load_file(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what torch raises depends on how the file is broken
        raise ValueError(f"{path} is not a checkpoint: save one with torch.save(model.state_dict(), path)") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ValueError(f"{path} holds no state dict: save one with torch.save(model.state_dict(), path)")
    return state


@contextlib.contextmanager
def whole_weights(path: str | Path) -> Iterator[None]:
    """Within it a file of safetensors is read; one that is cut off or no such file is refused with a ValueError."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged, copy it again or train again: {error}") from error


def load_backbone(model: Any, weights: Any, architecture: str) -> None:
    """Load pretrained weights into a ResNet of torchvision's making, all but its last layer `fc`.

    Parameters
    ----------
    model : the network; its last layer stays as it is.
    weights : "imagenet", the path of a checkpoint, or a state dict.
    architecture : torchvision's name, as "resnet18".

    Raises
    ------
    ConnectionError
        The ImageNet weights are neither on disk nor to be had. It never falls back to random weights.
    FileNotFoundError, ValueError
        There is no such checkpoint, or it is not one of this architecture.
    """
    given = weights if isinstance(weights, dict) else model_weights(weights, architecture)
    own = model.state_dict()
    state = {name: value for name, value in given.items() if not name.startswith("fc.")}
    odd = [name for name in own if not name.startswith("fc.") and name not in state]
    odd += [name for name, value in state.items() if name not in own or value.shape != own[name].shape]
    if odd:
        raise ValueError(f"the weights are not those of a {architecture}: {odd[0]} does not fit")
    model.load_state_dict(state, strict=False)
