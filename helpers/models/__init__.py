"""One file a model; and what they share: published weights in a backbone, or a sentence that says why not."""

from __future__ import annotations

from typing import Any

from helpers.loading import model_weights


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
