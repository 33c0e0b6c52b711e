"""Make more pairs of the ones there are, without making any label wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from whatchanged.weights import IMAGENET_MEAN, IMAGENET_STD


@dataclass(frozen=True)
class PairAugmentation:
    """Turns and mirrors both pictures of a pair alike, and exposes and grains each on its own.

    Geometry that both pictures share is no change, so it must be the same. Light and noise that differ are what two
    exposures have, so they are drawn twice. The gain is one number for all three colors: hue and saturation stay as
    they were, because color is a label.

    Attributes
    ----------
    turn : draw one of the eight mirror images and quarter turns, for the whole batch.
    gain : a picture gets brighter or darker by up to this factor; 1.1 gives 1 / 1.1 to 1.1. 1 leaves it as it is.
    noise : standard deviation of what is added to each value, in gray levels of 255.
    """

    turn: bool = True
    gain: float = 1.1
    noise: float = 2.0

    def __post_init__(self) -> None:
        if self.gain < 1:
            raise ValueError(f"gain is {self.gain}: give the largest factor, 1 or more")
        if self.noise < 0:
            raise ValueError(f"noise is {self.noise}: give a standard deviation, 0 or more")

    def __call__(self, batch: tuple[Tensor, Any]) -> tuple[Tensor, Any]:
        """A batch of (pairs float32 (n, 2, 3, H, W), normalized as `weights.to_tensor` does; labels)."""
        pairs, labels = batch
        pairs = dihedral(pairs, int(torch.randint(8, ()))) if self.turn else pairs
        mean, deviation = (
            torch.from_numpy(values)[:, None, None].to(pairs, non_blocking=True)  # a GPU is not waited for
            for values in (IMAGENET_MEAN, IMAGENET_STD)
        )
        if self.gain > 1:  # gain * (x * deviation + mean), normalized again
            gain = self.gain ** (2 * torch.rand(*pairs.shape[:2], 1, 1, 1, device=pairs.device) - 1)
            pairs = pairs * gain + (gain - 1) * mean / deviation
        if self.noise:
            pairs = pairs + torch.randn_like(pairs) * (self.noise / 255 / deviation)
        return pairs, labels


def dihedral(images: Tensor, which: int) -> Tensor:
    """One of the eight mirror images and quarter turns of square images (..., H, W); 0 is the image itself."""
    images = images.transpose(-2, -1) if which & 4 else images
    return images.flip([axis for bit, axis in ((1, -1), (2, -2)) if which & bit])
