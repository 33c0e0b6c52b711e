"""What T-BLIP2 takes and what it gives: pictures or prepared pairs, the visual prefix, logits and losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from torch import Tensor

from whatchanged.models.detector import Detected
from whatchanged.models.matching import Matched

# The pictures of one side: arrays, uint8 (H, W, 3), RGB, of any sizes; or tensors, float (3, H, W), 0 to 1; or all of
# one size in one array (n, H, W, 3) or tensor (n, 3, H, W).
Side: TypeAlias = Sequence[np.ndarray | Tensor] | np.ndarray | Tensor

# Pairs as `EnhancedDiffBLIP2.prepare` gives them, each value stacked, on the model's device.
Prepared: TypeAlias = dict[str, Tensor]


def paired(before: Side, after: Side) -> list[tuple[np.ndarray, np.ndarray]]:
    """Both sides as pairs of uint8 arrays (H, W, 3); ValueError where one side has more pictures."""
    if len(before) != len(after):
        raise ValueError(f"there are {len(before)} pictures before and {len(after)} after: give as many of each")
    return [(_as_array(one), _as_array(other)) for one, other in zip(before, after, strict=True)]


def _as_array(picture: np.ndarray | Tensor) -> np.ndarray:
    if isinstance(picture, Tensor):
        return (picture.detach().cpu().float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return np.asarray(picture)


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
