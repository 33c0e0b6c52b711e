"""What T-BLIP2 takes and what it gives: pictures or prepared pairs, the visual prefix, logits and losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from whatchanged.models.detector import Detected
from whatchanged.models.matching import Matched

# The pictures of one side: arrays (H, W, 3), RGB, or tensors (3, H, W), of any sizes; or all of one size in one array
# (n, H, W, 3) or tensor (n, 3, H, W); or a single picture. Whole numbers are 0 to 255, floats 0 to 1.
Side: TypeAlias = Sequence[np.ndarray | Tensor] | np.ndarray | Tensor

# Pairs as `EnhancedDiffBLIP2.prepare` gives them, each value stacked, on the model's device.
Prepared: TypeAlias = dict[str, Tensor]


def paired(before: Side, after: Side) -> list[tuple[np.ndarray, np.ndarray]]:
    """Both sides as pairs of uint8 arrays (H, W, 3); ValueError where one side has more pictures."""
    first, second = pictures_of(before, "img1"), pictures_of(after, "img2")
    if len(first) != len(second):
        raise ValueError(f"there are {len(first)} pictures before and {len(second)} after: give as many of each")
    return list(zip(first, second, strict=True))


def pictures_of(side: Side, name: str) -> list[np.ndarray]:
    """The pictures of one side as uint8 arrays (H, W, 3); ValueError, with the argument's name, where one is none."""
    if isinstance(side, list | tuple):
        return [one for part in side for one in pictures_of(part, name)]
    given = side.detach().cpu() if isinstance(side, Tensor) else np.asarray(side)
    last = -3 if isinstance(given, Tensor) else -1
    if given.ndim not in (3, 4) or given.shape[last] != 3:
        raise ValueError(
            f"{name} has the shape {tuple(given.shape)}: give arrays (H, W, 3) or tensors (3, H, W), one or several"
        )
    if isinstance(given, Tensor):
        given = (given.float() if given.is_floating_point() else given).movedim(-3, -1).numpy()
    if given.dtype.kind == "f":
        given = _from_floats(given, name)
    if given.dtype != np.uint8:
        raise ValueError(f"{name} is {given.dtype}: give uint8, 0 to 255, or floats, 0 to 1")
    return list(given) if given.ndim == 4 else [given]


def _from_floats(values: np.ndarray, name: str) -> np.ndarray:
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if not (low >= -0.01 and high <= 1.01):  # NaN, too
        raise ValueError(f"{name} has floats from {low:.3g} to {high:.3g}: give 0 to 1, or uint8")
    return np.rint(values.clip(0, 1) * 255).astype(np.uint8)


@dataclass(frozen=True)
class Visual:
    """What the language model and the heads get of a batch of pairs.

    Attributes
    ----------
    tokens : float tensor (n, k, d): global, difference and cluster tokens after the fusion. As many for each pair: one
        that was learned stands where there is no cluster.
    prefix : float tensor (n, k, language model's d): the tokens in its space.
    detected : the clusters among them.
    """

    tokens: Tensor
    prefix: Tensor
    detected: Detected


class Loss(Tensor):
    """The loss of a batch: a number to go back from, and what it is made of. What is computed of it is a plain tensor.

    Attributes
    ----------
    parts : the losses "lm", "itm", "itc" and, with clusters, "words", numbers, before they are weighed.
    """

    parts: dict[str, Tensor]

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]  # as torch's Parameter

    def __format__(self, form: str) -> str:
        return format(self.item(), form)

    @classmethod
    def of(cls, parts: Mapping[str, Tensor], weights: Mapping[str, float]) -> Loss:
        """The sum of the parts, each by its weight."""
        loss = sum(weights[name] * value for name, value in parts.items())
        assert isinstance(loss, Tensor)
        told = loss.as_subclass(cls)
        told.parts = dict(parts)
        return told


@dataclass(frozen=True)
class CaptionOutput:
    """What `EnhancedDiffBLIP2` says of a batch.

    Attributes
    ----------
    visual : the prefix and what it is made of.
    logits : float tensor (n, t, vocabulary) of the caption's tokens; None without captions.
    parts : the losses "lm", "itm", "itc" and, with clusters, "words", numbers; empty unless `return_loss`.
    matched : what the heads say; None unless `return_loss`.
    """

    visual: Visual
    logits: Tensor | None
    parts: dict[str, Tensor]
    matched: Matched | None
