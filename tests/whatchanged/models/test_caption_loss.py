"""The loss of captions: its schedule, and pairs that are flipped with their clusters."""

from __future__ import annotations

import torch
from tiny_tblip2 import small

from whatchanged.models import caption_loss
from whatchanged.models.caption_loss import CaptionLoss


def test_flipped_pairs_have_the_clusters_of_the_flipped_map(pairs):
    model = small(pairs)
    pair = model.prepare(pairs[2].before, pairs[2].after)
    batch = {name: value.expand(32, *value.shape) for name, value in pair.items()}
    torch.manual_seed(0)
    out = caption_loss.flipped(batch)
    over = [bool((one != pair["before"]).any()) for one in out["before"]]
    assert 4 < sum(over) < 28
    detector = model.diff_detector
    for row, yes in enumerate(over):
        for name in ("before", "after", "map"):
            assert torch.equal(out[name][row], pair[name].flip(-2) if yes else pair[name])
        table = detector.table([detector.clusters(out["map"][row].float().numpy())], out["map"][row : row + 1])
        assert torch.equal(out["present"][row], table["present"][0])
        assert torch.allclose(out["squares"][row], table["squares"][0], atol=1e-3)
        assert torch.allclose(out["geometry"][row], table["geometry"][0], atol=1e-5)


def test_the_weight_of_the_contrast_follows_the_schedule():
    loss = CaptionLoss()
    seen = []
    for epoch in range(10):
        loss.start_epoch(epoch)
        seen.append(loss.weights()["itc"])
    assert seen == [1.5] * 4 + [1.0] * 4 + [0.7] * 2
