"""The loss of captions: its schedule, and pairs that are flipped with their clusters."""

from __future__ import annotations

import pytest
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


def test_the_weight_of_the_contrast_follows_the_schedule(pairs):
    loss, seen = CaptionLoss(itc=caption_loss.ITC_SCHEDULE), []
    model = small(pairs)
    model.aln_weight_itc = 5.0
    for epoch in range(10):
        loss.start_epoch(epoch)
        seen.append(loss.weights(model)["itc"])
    assert seen == [1.5] * 4 + [1.0] * 4 + [0.7] * 2, "a schedule that was given counts"


def batch_of(model, pairs):
    rows = [model.prepare(pair.before, pair.after) for pair in pairs]
    batch = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
    return batch | {"caption": [pair.captions[0] for pair in pairs]}


def test_the_models_own_weights_are_read_at_each_step(pairs):
    model, loss = small(pairs), CaptionLoss(words=0.0)
    batch = batch_of(model, pairs)
    for itm, itc in ((1.0, 1.0), (0.0, 0.5), (2.0, 0.0)):
        model.aln_weight_itm, model.aln_weight_itc = itm, itc
        value, _, parts = loss(model, batch)
        parts = {name: one.item() for name, one in parts.items()}
        assert value.item() == pytest.approx(parts["lm"] + itm * parts["itm"] + itc * parts["itc"], rel=1e-5)


def test_pairs_without_a_meaning_are_alike_where_their_captions_are(pairs):
    model, loss = small(pairs), CaptionLoss()
    batch = batch_of(model, pairs) | {"caption": ["a", "b", "a", "c"]}
    meant = batch | {"meaning": torch.tensor([7, 1, 7, 2])}
    other = batch | {"meaning": torch.tensor([7, 1, 3, 2])}
    values = [loss(model, one)[0].item() for one in (batch, meant, other)]
    assert values[0] == values[1] != values[2]


def test_pairs_whose_detector_looks_for_itself_are_flipped_too(pairs):
    batch = batch_of(small(pairs, feature_weight=0.5), pairs)
    torch.manual_seed(0)
    assert not torch.equal(caption_loss.flipped(batch)["map"], batch["map"])
