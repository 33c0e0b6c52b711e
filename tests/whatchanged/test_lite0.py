"""EfficientNet-Lite0 with the weights that its package brings."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from skimage import data

from whatchanged import lite0
from whatchanged.images import resized
from whatchanged.weights import to_tensor


def square(picture):
    side = min(picture.shape[:2])
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    return resized(picture[top : top + side, left : left + side], 224)


def test_it_names_what_it_sees():
    """The classes of ImageNet, by the package's own last layer: 285 is the Egyptian cat, 967 the espresso."""
    *_, weight, bias = lite0.published().values()
    with torch.inference_mode():
        model = lite0.pretrained()
        seen = model.stages(to_tensor(np.stack([square(data.chelsea()), square(data.coffee())])))
        named = torch.nn.functional.linear(model.pooled(seen[-1]), weight, bias).argmax(1)
    assert named.tolist() == [285, 967]


def test_it_answers_as_timms_network_does():
    other = timm.create_model("tf_efficientnet_lite0").eval()
    other.load_state_dict(dict(zip(other.state_dict(), lite0.published().values(), strict=True)))
    picture = square(data.astronaut())
    own = (torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255 - 0.5) / 0.5
    with torch.inference_mode():
        model = lite0.pretrained()
        stages = model.stages(to_tensor(picture)[None])
        torch.testing.assert_close(
            model.pooled(stages[-1]), other.forward_head(other.forward_features(own), True), rtol=1e-4, atol=1e-4
        )
        torch.testing.assert_close(model(to_tensor(picture)[None]), model.pooled(stages[-1]))
    assert [tuple(one.shape[1:]) for one in stages] == [
        (16, 112, 112), (24, 56, 56), (40, 28, 28), (80, 14, 14), (112, 14, 14), (192, 7, 7), (320, 7, 7)
    ]  # fmt: skip


def test_another_package_is_refused():
    found = lite0.published()
    name = next(iter(found))
    with pytest.raises(ValueError, match="holds another network"):
        lite0._in_order(found | {name: found[name][:3]}, lite0.Lite0().backbone.state_dict())
