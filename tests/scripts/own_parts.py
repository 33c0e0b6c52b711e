"""A detector and a fusion layer of one's own, registered by name as a user's module would."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from whatchanged.models.detector import Detected
from whatchanged.models.parts import register_detector, register_fusion


class Quarters(nn.Module):
    """Four places, one a quarter of the picture, three views each; there where its mean difference is not 0."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.look = nn.Linear(7, 3 * dim)

    def forward(self, diff_map: Tensor, before: Tensor, after: Tensor) -> Detected:
        layers = torch.cat([before, after, diff_map[:, None]], 1)
        means = nn.functional.adaptive_avg_pool2d(layers, 2).flatten(2).transpose(1, 2)
        return Detected(self.look(means).unflatten(2, (3, -1)), means[..., 6] > 0, None)


class Gate(nn.Module):
    """Each token, and as much of their mean as it asks for."""

    def __init__(self, dim: int, start: float = 0.0) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.full((dim,), start))

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens + self.share * tokens.mean(dim=1, keepdim=True)


register_detector("quarters", lambda dim, options: Quarters(dim))
register_fusion("gate", lambda dim, options: Gate(dim))
