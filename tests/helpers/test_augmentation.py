"""Augmentation that makes no label wrong."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
import torch

from helpers import augmentation
from helpers.things import COLORS
from whatchanged.weights import IMAGENET_MEAN, IMAGENET_STD, to_tensor


def batch(colors, size=16):
    """Pairs of flat pictures, normalized: float32 (n, 2, 3, size, size)."""
    flat = np.broadcast_to(np.array(colors, np.uint8)[:, :, None, None, :], (len(colors), 2, size, size, 3))
    return to_tensor(flat), torch.zeros(len(colors), 3)


def test_both_pictures_are_turned_alike():
    torch.manual_seed(0)
    images = torch.randn(4, 1, 3, 16, 16).expand(-1, 2, -1, -1, -1)
    seen = set()
    for _ in range(60):
        (turned, _) = augmentation.PairAugmentation(gain=1, noise=0)((images, None))
        assert torch.equal(turned[:, 0], turned[:, 1])
        seen.add(turned[0, 0, 0, :2, :2].numpy().tobytes())
    assert len(seen) == 8


def test_the_eight_turns_are_those_of_the_square():
    image = torch.arange(9.0).view(1, 3, 3)
    expected = {torch.rot90(flipped, turns, (1, 2)).numpy().tobytes() for turns in range(4) for flipped in
                (image, image.flip(2))}  # fmt: skip
    assert {augmentation.dihedral(image, which).numpy().tobytes() for which in range(8)} == expected
    assert torch.equal(augmentation.dihedral(image, 0), image)


def test_light_and_noise_differ_between_the_two():
    torch.manual_seed(0)
    images, labels = batch([[(120, 90, 60)] * 2] * 40)
    lit, _ = augmentation.PairAugmentation(turn=False, gain=1.2, noise=0)((images, labels))
    gains = ((lit * torch.from_numpy(IMAGENET_STD)[:, None, None] + torch.from_numpy(IMAGENET_MEAN)
              [:, None, None]) * 255 / torch.tensor([120.0, 90, 60])[:, None, None]).mean(dim=(2, 3, 4))  # fmt: skip
    assert gains.min() >= 1 / 1.2 - 1e-4
    assert gains.max() <= 1.2 + 1e-4
    assert abs(np.corrcoef(gains.numpy().T)[0, 1]) < 0.5
    noisy, _ = augmentation.PairAugmentation(turn=False, gain=1, noise=5)((images, labels))
    values = ((noisy - images) * torch.from_numpy(IMAGENET_STD)[:, None, None] * 255).numpy()
    assert abs(values.std() - 5) < 0.1
    assert abs(np.corrcoef(values[:, 0].ravel(), values[:, 1].ravel())[0, 1]) < 0.02


def test_no_color_becomes_another():
    """Color is a label: hue and saturation of every paint stay as they are, in both pictures."""
    torch.manual_seed(0)
    paints = list(COLORS.values())
    images, labels = batch([[paint, paint] for paint in paints])
    for _ in range(5):
        turned, given = augmentation.PairAugmentation(gain=1.3, noise=0)((images, labels))
        assert given is labels
        for paint, pair in zip(paints, turned, strict=True):
            values = pair[:, :, 0, 0].numpy() * IMAGENET_STD + IMAGENET_MEAN
            for value in values:
                assert colorsys.rgb_to_hsv(*value)[:2] == pytest.approx(colorsys.rgb_to_hsv(*paint)[:2], abs=1e-4)


def test_augmentation_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"gain is 0\.9"):
        augmentation.PairAugmentation(gain=0.9)
    with pytest.raises(ValueError, match="noise is -1"):
        augmentation.PairAugmentation(noise=-1)
