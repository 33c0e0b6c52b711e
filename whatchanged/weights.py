"""Weights as people publish them, on disk or by name; and pictures as networks trained on ImageNet want them."""

from __future__ import annotations

import argparse
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from whatchanged.files import user_path
from whatchanged.formats import ImageError

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32)
CHECKPOINTS = "checkpoints"  # the folder that a training keeps unless told another
BEST_WEIGHTS = "best.safetensors"  # in it: the weights of the best epoch
_STATES = ("state_dict", "model_state_dict", "model")  # where training scripts keep a state dict in what they save
_WRAPPERS = {"module", "_orig_mod", "model"}  # parts of names that DataParallel, torch.compile and Lightning add


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
    """The state dict of a pretrained model, its names as the network has them.

    What training scripts save around it is opened: a dict that holds it as "state_dict", "model_state_dict" or "model",
    and what DataParallel, torch.compile and Lightning put before names.

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
    if str(weights) == "imagenet":
        return _plain_names(saved_state(_published(architecture), "delete it, and it is downloaded again"))
    path = user_path(weights)
    if not path.is_file():
        raise FileNotFoundError(f"weights is {str(weights)!r}: use 'imagenet', None, or a checkpoint that exists")
    return _plain_names(saved_state(path))


def _published(architecture: str) -> Path:
    """Torchvision's best weights as a file in torch's cache, downloaded where they are not there."""
    import torch
    from torchvision.models import get_model_weights

    best = get_model_weights(architecture).DEFAULT
    path = Path(torch.hub.get_dir(), "checkpoints", best.url.rpartition("/")[2])
    if not path.is_file():
        try:
            best.get_state_dict(progress=False, check_hash=True)
        except (OSError, RuntimeError) as error:  # RuntimeError: what came is another file
            raise ConnectionError(
                f"the ImageNet weights of {architecture} are not on this machine and could not be downloaded: connect"
                f" to the network once, put {path.name} into {path.parent}, or give the path of a checkpoint as"
                " weights, or None"
            ) from error
    return path


def saved_state(path: Path, way_out: str = "save one with torch.save(model.state_dict(), path)") -> dict[str, Any]:
    """The state dict in a file of `torch.save` or safetensors, by the network's own names; ValueError, which ends with
    the way out, where there is none.

    What else the file holds, as an optimizer's state, is left out, and what DataParallel and torch.compile put before
    all names.
    """
    import torch

    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        with whole_weights(path):
            return load_file(path)
    try:
        with torch.serialization.safe_globals(_harmless()):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what torch raises depends on how the file is broken
        what = "is not a checkpoint"
        if "GLOBAL" in str(error):
            what = "holds Python objects, as a whole model, which could run code of their own; none is read"
        raise ValueError(f"{path} {what}: {way_out}") from error
    while isinstance(found, dict) and (inner := [found[one] for one in _STATES if isinstance(found.get(one), dict)]):
        found = inner[0]
    state = found if isinstance(found, dict) else {}
    if not state or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ValueError(f"{path} holds no state dict: {way_out}")
    for wrapper in ("module.", "_orig_mod."):
        if all(str(name).startswith(wrapper) for name in state):
            state = {name.removeprefix(wrapper): value for name, value in state.items()}
    return state


def _harmless() -> list[Any]:
    """What training scripts save beside weights, and what runs no code: their arguments, and NumPy's numbers."""
    scalar = np.float64(0).__reduce__()[0]  # what NumPy pickles a number by; it had another name before NumPy 2
    numbers = [type(np.dtype(code)) for code in ("f4", "f8", "i4", "i8", "?")]
    return [argparse.Namespace, np.dtype, *numbers, scalar, (scalar, "numpy.core.multiarray.scalar")]


def _plain_names(found: dict[str, Any]) -> dict[str, Any]:
    """Without the parts of names that wrappers add, wherever they stand."""
    names = {name: ".".join(part for part in str(name).split(".") if part not in _WRAPPERS) for name in found}
    if len(set(names.values())) < len(names):  # these are parts of the network's own
        return found
    return {names[name]: value for name, value in found.items()}


@contextlib.contextmanager
def whole_weights(path: str | Path) -> Iterator[None]:
    """Within it a file of safetensors is read into a network; one that is cut off, no such file, or that of another
    network is refused with a ValueError.
    """
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged, copy it again or train again: {error}") from error
    except RuntimeError as error:
        if "loading state_dict" not in str(error):
            raise
        first = re.search(r"size mismatch for ([^:\s]+)|\"([^\"]+)\"", str(error))
        odd = f": {first[1] or first[2]} does not fit" if first else ""
        raise ValueError(f"{path} holds the weights of another network{odd}; build the one that it is of") from error


def load_backbone(model: Any, weights: Any, architecture: str) -> None:
    """Load pretrained weights into a ResNet of torchvision's making, all but its last layer `fc`.

    As torch does, it takes old checkpoints, which do not count the batches that BatchNorm saw.

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
    needed = [name for name in own if not name.startswith("fc.") and not name.endswith(".num_batches_tracked")]
    odd = [name for name in needed if name not in state]
    odd += [name for name, value in state.items() if name not in own or value.shape != own[name].shape]
    if odd:
        of = _published(architecture) if str(weights) == "imagenet" else weights
        raise ValueError(
            f"the weights{'' if isinstance(weights, dict) else f' in {of}'} are not those of a {architecture}:"
            f" {odd[0]} does not fit; give a checkpoint of that network, 'imagenet', or None"
        )
    model.load_state_dict(state, strict=False)
