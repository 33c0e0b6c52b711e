"""The features of two pictures, seen apart or side by side, and how they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration


def encoded(
    blip2: Blip2ForConditionalGeneration, before: Tensor, after: Tensor, *, together: bool
) -> tuple[Tensor, Tensor]:
    """What a BLIP-2's image encoder says of both: float tensors (n, 1 + patches, d), the class token first.

    Parameters
    ----------
    before, after : float tensors (n, 3, S, S), normalized.
    together : lay them side by side in one wide picture, so that each sees the other. They share its class token.
    """
    vision = blip2.vision_model
    if not together:
        first, second = vision(torch.cat([before, after])).last_hidden_state.chunk(2)
        return first, second
    wide = vision(torch.cat([before, after], dim=3), interpolate_pos_encoding=True).last_hidden_state
    side = before.shape[2] // vision.embeddings.patch_size
    both = wide[:, 1:].unflatten(1, (side, 2, side)).transpose(1, 2).flatten(2, 3)
    first, second = (torch.cat([wide[:, :1], both[:, place]], dim=1) for place in (0, 1))
    return first, second


def distance_map(first: Tensor, second: Tensor, side: int) -> Tensor:
    """Where features differ, by their cosine, the largest of each pair 1: float tensor (n, side, side), 0 to 1."""
    apart = (1 - F.cosine_similarity(first[:, 1:].float(), second[:, 1:].float(), dim=2)).clamp_min(0)
    apart = apart / apart.amax(dim=1, keepdim=True).clamp_min(1e-6)
    apart = apart.unflatten(1, (_side(first), _side(first)))
    return F.interpolate(apart[:, None], (side, side), mode="bilinear")[:, 0]


def faded_difference(first: Tensor, second: Tensor, values: Tensor, temperature: Tensor) -> Tensor:
    """The features' difference, faded out where a map shows none: float tensor (n, patches, d).

    Parameters
    ----------
    first, second : of `encoded`.
    values : float tensor (n, S, S), the map.
    temperature : how evenly all that differs counts: near 0 only the strongest place; a number.
    """
    weights = F.adaptive_max_pool2d(values[:, None], _side(first)).flatten(1)
    weights = (weights / temperature).softmax(dim=1) * weights.shape[1]
    return (second - first)[:, 1:] * weights[..., None].to(first.dtype)


def _side(features: Tensor) -> int:
    return round((features.shape[1] - 1) ** 0.5)
