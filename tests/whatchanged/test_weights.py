"""Pictures as tensors, and back."""

from __future__ import annotations

import numpy as np

from helpers.photographs import photograph
from whatchanged.weights import IMAGENET_MEAN, IMAGENET_STD, to_picture, to_tensor

PHOTO = photograph("coffee")[:60, :80]


def test_tensor_is_normalized_as_torchvision_does():
    import torch
    from torchvision.transforms import v2

    steps = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    steps.append(v2.Normalize(IMAGENET_MEAN.tolist(), IMAGENET_STD.tolist()))
    tensor = to_tensor(PHOTO)
    torch.testing.assert_close(tensor, v2.Compose(steps)(PHOTO.copy()).as_subclass(torch.Tensor), atol=1e-5, rtol=0)
    assert np.array_equal(to_picture(tensor), PHOTO)
