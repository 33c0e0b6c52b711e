"""Weights as people publish them, on disk or by name; and pictures as networks trained on ImageNet want them."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from whatchanged.files import user_path, write_whole
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


def normalized(pictures: Any) -> Any:
    """float32 tensor (n, ..., 3, H, W) of a uint8 tensor (n, ..., H, W, 3), as `to_tensor` makes it, on its device."""
    import torch

    rows = pictures.float().flatten(-2).div_(255)  # width and color as one: each step goes through the memory in order
    for values, step in ((IMAGENET_MEAN, rows.sub_), (IMAGENET_STD, rows.div_)):
        step(torch.from_numpy(values).repeat(pictures.shape[-2]).to(rows.device, non_blocking=True))
    found = rows.unflatten(-1, pictures.shape[-2:]).movedim(-1, -3)
    # a CPU adds up single pictures in this layout, to the same bits as those that were stacked one by one
    return found.contiguous() if found.ndim == 4 and found.device.type == "cpu" else found


def to_picture(tensor: Any) -> np.ndarray:
    """uint8 array (H, W, 3) of a tensor that `to_tensor` made."""
    values = tensor.permute(1, 2, 0).float().cpu().numpy() * IMAGENET_STD + IMAGENET_MEAN
    return np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)


def read_tensor(path: str | Path) -> Any:
    """One image from a tensor file: float32 (3, H, W), normalized as `to_tensor` does.

    Whole numbers are gray levels from 0 to 255. Of other numbers the values tell what they are: normalized as
    `to_tensor` does, from 0 to 1, from -1 to 1, or from 0 to 255. The file is read with `weights_only=True`: it is a
    pickle, and a hostile one would run its own code.

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
    if tensor.ndim != 3 or tensor.shape[0] != 3 or 0 in tensor.shape:
        raise ImageError(f"{path} holds a tensor of shape {tuple(tensor.shape)}: it must be (3, H, W)")
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex() or tensor.dtype == torch.bool:
        kind = f"{tensor.dtype}, {tensor.layout}"
        raise ImageError(f"{path} holds a tensor of {kind}: save the picture as torch.uint8 or torch.float32")
    normalized = _as_whole(tensor) if not tensor.is_floating_point() else _as_shown(tensor.detach())
    if normalized is None:
        least, most = tensor.min().item(), tensor.max().item()
        raise ImageError(f"{path} holds values from {least:.4g} to {most:.4g}: save uint8, or what ToTensor gives")
    return normalized


def _as_whole(tensor: Any) -> Any:
    """Gray levels as `to_tensor` makes them; None where they are none."""
    if tensor.min().item() < 0 or tensor.max().item() > 255:
        return None
    return to_tensor(tensor.permute(1, 2, 0).numpy().astype(np.uint8))


_NONE, _ONE = np.zeros(3, np.float32), np.ones(3, np.float32)
_NORMALIZED, _AROUND, _SHARE, _LEVEL = range(4)  # how a float stands for a gray level
_SCALES = ((IMAGENET_MEAN, IMAGENET_STD), (_ONE / 2, _ONE / 2), (_NONE, _ONE), (_NONE, _ONE / 255))
"""Of each way what was taken from a value of 0 to 1, and what it was divided by then."""


def _as_shown(tensor: Any) -> Any:
    """Floats as `to_tensor` makes them; None where they are no picture.

    Pictures are made of whole gray levels, so the scale that gives such is theirs. Where none does, as after a resize
    or in bfloat16, their range tells.
    """
    values = tensor.float()
    least, most = values.min().item(), values.max().item()
    if -4 < least < -1.1 and most < 4:  # the course's, told quickly; noise may have been added
        return values
    near = 0.01 if tensor.itemsize > 2 else 0.13  # of a level, as exact as the numbers are
    for scale in range(len(_SCALES)):
        levels = _levels(values, scale)
        if levels.min() > -0.5 and levels.max() < 255.5 and (levels - levels.round()).abs().max() < near:
            return values if scale == _NORMALIZED else _as_whole(levels.round().int())
    for scale, lowest, highest in ((_SHARE, 0, 1), (_NORMALIZED, -4, 4), (_LEVEL, 0, 255.5)):
        if lowest <= least and most <= highest:  # never of NaN
            return values if scale == _NORMALIZED else _as_whole(_levels(values, scale).round().clip(0, 255).int())
    return None


def _levels(values: Any, scale: int) -> Any:
    """Gray levels, 0 to 255, of a float tensor (3, H, W)."""
    import torch

    mean, deviation = (torch.from_numpy(one)[:, None, None] for one in _SCALES[scale])
    return (values * deviation + mean) * 255


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


def write_network(
    path: str | Path, model: Any, architecture: str, beside: dict[str, Any] | None = None, **about: Any
) -> Path:
    """Write a trained network into one file of safetensors, whole or not at all, with what its answers need beside it.

    Parameters
    ----------
    architecture : by which `read_network` knows the file.
    beside : tensors that are not the network's, under names that it does not have.
    **about : what JSON can hold.
    """
    from safetensors.torch import save

    state = model.state_dict() | (beside or {})
    weights = {name: value.contiguous().cpu() for name, value in state.items()}
    told = {"architecture": architecture} | {name: json.dumps(value) for name, value in about.items()}
    return write_whole(user_path(path), save(weights, told))


def read_network(path: str | Path, architecture: str, writer: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The state dict, with what was put beside it, and the rest that `write_network` wrote.

    Raises
    ------
    ValueError
        There is no such file, or it is damaged or of something else; `writer` names what writes them.
    """
    from safetensors import safe_open

    path = user_path(path)
    if not path.is_file():
        raise ValueError(f"there is no trained model in {path}: give the file that {writer} wrote")
    with whole_weights(path), safe_open(path, "pt") as file:
        about = file.metadata() or {}
        if about.pop("architecture", None) != architecture:
            raise ValueError(f"{path} holds no {architecture} that judges: give the file that {writer} wrote")
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no dictionary
    return weights, {name: json.loads(value) for name, value in about.items()}


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
