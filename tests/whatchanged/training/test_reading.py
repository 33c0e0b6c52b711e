"""Losses that are read later: the same numbers, and a loss that is none spoils nothing that is kept."""

from __future__ import annotations

import importlib
import math
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.utils.data import DataLoader
from training_runs import Points, fit, linear

from helpers.augmentation import PairAugmentation
from helpers.datasets import Pictures
from whatchanged import training
from whatchanged.models import dbt_resnet50

FUSED = partial(torch.optim.Adam, lr=0.05, fused=True)
SGD = partial(torch.optim.SGD, lr=0.05)


def test_the_numbers_are_bit_for_bit_those_of_a_loop_that_waits_for_each():
    """As it was before batches: items stacked by PyTorch, `.item()` in every step, two batches a step."""
    drawn = np.random.default_rng(0).integers(0, 256, (23, 2, 32, 32, 3), dtype=np.uint8)
    data = Pictures(drawn, np.random.default_rng(1).integers(0, 2, (23, 3)), ("color", "shape", "texture"))
    adam, varied = partial(torch.optim.AdamW, lr=1e-3, fused=True), PairAugmentation()

    def start():
        torch.manual_seed(0)
        return dbt_resnet50.build("course")

    options = {"loss": training.multi_label, "metrics": {"right": training.label_accuracy}, "optimizer": adam}
    options |= {"augment": varied, "accumulate": 2, "batch_size": 4, "scheduler": training.one_cycle}
    model, past = fit(start(), data, **options)
    state = torch.get_rng_state()

    plain = start().to(memory_format=torch.channels_last).train()
    optimizer = adam(plain.parameters())
    rates = training.one_cycle(optimizer, 6)
    losses, means = [], []
    for epoch in range(2):
        order = np.array_split(np.random.default_rng([0, epoch]).permutation(23), 6)
        batches, sums = iter(DataLoader(data, batch_sampler=order, generator=torch.Generator())), np.zeros(2)
        for number in (0, 2, 4):
            size, step = sum(map(len, order[number : number + 2])), 0.0
            for own in map(len, order[number : number + 2]):
                pairs, labels = varied(next(batches))
                logits = plain(pairs)
                value = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
                (value * (own / size)).backward()
                step += value.item() * own
                right = ((logits > 0) == (labels > 0.5)).float().mean().item()
                sums += np.array([value.item(), right]) * own
            losses.append(step / size)
            optimizer.step()
            optimizer.zero_grad()
            rates.step()
        means.append((sums / 23).tolist())
    assert past.step_loss == losses
    assert [[one["train_loss"], one["train_right"]] for one in past.epochs] == means
    assert all(torch.equal(one, plain.state_dict()[name]) for name, one in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("every", [1, 3, 1000])
def test_how_often_is_read_changes_nothing(monkeypatch, every):
    options = {"train": Points(50), "validation": Points(20, seed=1), "batch_size": 7, "optimizer": FUSED}
    expected = fit(**options)
    monkeypatch.setattr(importlib.import_module("whatchanged.training.fit"), "PARTS_EVERY", every)
    model, past = fit(**options)
    assert torch.equal(model.weight, expected[0].weight)
    assert past == expected[1]


def test_a_part_is_what_it_was_in_its_step():
    """A weight is one, too, which the next steps change in place."""
    seen = []

    def loss(model, batch):
        value, outputs = training.classification(model, batch)
        seen.append(model.weight[0, 0].item()) if model.training else None
        return value, outputs, {"weight": model.weight[0, 0], "two": 2}

    _, past = fit(train=Points(80), loss=loss, batch_size=4, epochs=1)
    assert [one["weight"] for one in past.parts] == [seen[9], seen[19]]
    assert past.epochs[0]["train_weight"] == pytest.approx(np.mean(seen), abs=1e-7)
    assert past.epochs[0]["train_two"] == 2


@pytest.mark.parametrize("optimizer", [FUSED, SGD])
@pytest.mark.parametrize("place", [9, 10, 25])
def test_a_loss_that_is_no_number_is_named_later_and_spoils_no_weight(tmp_path, optimizer, place):
    """Of 30 steps of an epoch one is bad, the last before a reading, the first after one, or in between."""
    order = np.array_split(np.random.default_rng([0, 0]).permutation(120), 30)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2))
    keep = training.Keeping(tmp_path, checkpoint_every=2)
    told = f"loss became nan in epoch 1, step {place + 1}, on the batch of samples {', '.join(map(str, order[place]))}:"
    with pytest.raises(training.TrainingError, match=told):
        fit(model, Points(120, bad=int(order[place][1])), optimizer=optimizer, batch_size=4, keep=keep)
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    left = sorted(tmp_path.glob("checkpoint-*"))
    assert [path.name for path in left][-1] == f"checkpoint-{place // 2 * 2:08}", "the last that is not later"
    for path in left:
        assert all(torch.isfinite(value).all() for value in load_file(path / "model.safetensors").values())
    again = torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2))
    on = training.Keeping(tmp_path, resume=True)
    _, past = fit(again, Points(120), optimizer=optimizer, batch_size=4, keep=on, epochs=1)
    assert len(past.step_loss) == 30
    assert np.isfinite(past.step_loss).all()


def test_the_first_of_several_bad_batches_is_named():
    order = np.array_split(np.random.default_rng([0, 0]).permutation(64), 16)
    data = Points()
    for place in (9, 6):
        data.x[order[place][2]] = math.inf
    with pytest.raises(training.TrainingError, match=f"step 4, on the batch of samples {order[6][0]}, "):
        fit(train=data, batch_size=4, accumulate=2)


def test_the_optimizer_of_the_caller_is_as_it_was():
    model = linear()
    adam = torch.optim.Adam(model.parameters(), fused=True)
    fit(model, optimizer=adam)
    assert not hasattr(adam, "found_inf")
