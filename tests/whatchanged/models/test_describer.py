"""A trained model that describes; the best weights, where a training keeps them, whole or not at all."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny_tblip2 import small

from helpers import scenes
from whatchanged import training
from whatchanged.models.caption_loss import CaptionLoss
from whatchanged.models.describer import Describer, clusters_in, load_best_model
from whatchanged.models.prepared import PreparedPairs


def test_a_describer_reads_the_strongest_clusters(pairs, tmp_path):
    with pytest.raises(ValueError, match="no trained model in .*absent: give the folder that its save_pretrained"):
        Describer(tmp_path / "absent")
    model = small(pairs)
    describe = Describer(model.save_pretrained(tmp_path), max_new_tokens=8)
    before, after = pairs[2].before, pairs[2].after
    assert describe(before, after) == model.generate([before], [after], max_new_tokens=8)[0]
    kept = [model.prepare(before, after, most)["present"].sum().item() for most in (None, 1, 0)]
    assert kept[0] >= 2, "two changes, two clusters"
    assert kept[1:] == [1, 0]
    found = describe.difference(before, after)
    clusters = model.diff_detector.clusters(found.map * 255)
    assert [one.area for one in found.regions] == [one.area for one in clusters]
    assert found.boxes.tolist() == [list(one.box) for one in clusters]
    large = [cv2.resize(one, (96, 144), interpolation=cv2.INTER_NEAREST) for one in (before, after)]
    for region, grown in zip(found.regions, describe.difference(*large).regions, strict=True):
        assert (grown.width, grown.height) == pytest.approx((2 * region.width, 3 * region.height), rel=0.25)


def test_the_best_weights_are_loaded_whole_or_not_at_all(pairs, tmp_path):
    model, other = small(pairs), small(pairs)
    with torch.no_grad():
        other.absent.add_(1)
    with pytest.raises(ValueError, match="best.safetensors does not exist: train with validation data and keep"):
        load_best_model(model, tmp_path)
    save_file({name: value.clone() for name, value in other.state_dict().items()}, tmp_path / "best.safetensors")
    assert torch.equal(load_best_model(model, tmp_path).absent, other.absent)
    save_file({"absent": other.absent.detach().clone()}, tmp_path / "best.safetensors")
    with pytest.raises(ValueError, match="best.safetensors holds the weights of another network: .* does not fit"):
        load_best_model(model, tmp_path)


def test_the_best_weights_are_found_where_a_training_keeps_them(pairs, tmp_path, monkeypatch):
    def read(number):
        pair = scenes.scene_pair(5, number, size=48, changes=(1, 2))
        return pair.before, pair.after, pair.captions

    monkeypatch.chdir(tmp_path)
    model, other = small(pairs), small(pairs)
    optimizer = torch.optim.AdamW(model.parameters(), 0.01)
    recipe = training.Recipe(loss=CaptionLoss(), metrics={}, optimizer=optimizer, precision="fp32")
    options = {"epochs": 1, "batch_size": 4, "keep": training.Keeping(), "progress": False}
    data, judged = PreparedPairs.in_memory(8, read, model.prepare), PreparedPairs.in_memory(4, read, model.prepare)
    past = training.fit(model, data, judged, recipe, **options)
    assert len(past.step_loss) == 2
    assert not torch.equal(other.absent, model.absent)
    assert load_best_model(other) is other
    weights = other.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items()), "of the only epoch"


def overlap(first, second):
    """Intersection over union of two boxes (x, y, width, height)."""
    (x, y, w, h), (a, b, c, d) = first, second
    shared = max(0, min(x + w, a + c) - max(x, a)) * max(0, min(y + h, b + d) - max(y, b))
    return shared / (w * h + c * d - shared)


def test_boxes_lie_where_something_changed_in_a_wide_picture(pairs):
    """320 x 180: each direction has its own scale, as the model sees a square."""
    model = small(pairs)
    before = np.random.default_rng(0).integers(90, 130, (180, 320, 3)).astype(np.uint8)
    before = cv2.GaussianBlur(before, (0, 0), 8)
    after = before.copy()
    after[60:120, 220:300] = (200, 30, 30)
    values = model.prepare(before, after)["map"].float().numpy()
    (found,) = clusters_in(model, values, before.shape)
    assert overlap((found.x, found.y, found.width, found.height), (220, 60, 80, 60)) > 0.6
