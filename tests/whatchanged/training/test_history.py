"""What a run tells of itself, resumed or not."""

from __future__ import annotations

import json
import math

import pytest
import torch
from training_runs import Points, fit

from whatchanged import training


class Told:
    """A loss that tells what it is made of, and notes which epochs began."""

    def __init__(self):
        self.epochs, self.values = [], []

    def start_epoch(self, epoch):
        self.epochs.append(epoch)

    def __call__(self, model, batch):
        value, outputs = training.classification(model, batch)
        if model.training:
            self.values.append((value.item(), len(batch[1])))
        return value, outputs, {"half": value.item() / 2}


def test_a_loss_may_tell_its_parts_and_is_told_the_epoch(tmp_path):
    told = Told()
    options = {"train": Points(48), "validation": Points(16), "batch_size": 8}
    _, past = fit(loss=told, epochs=4, keep=training.Keeping(tmp_path, keep_every=2), **options)
    assert told.epochs == [0, 1, 2, 3]
    assert [one["step"] for one in past.parts] == [10, 20]
    assert [one["half"] for one in past.parts] == [told.values[step - 1][0] / 2 for step in (10, 20)]
    assert past.column("train_half") == pytest.approx([one / 2 for one in past.column("train_loss")])
    assert past.column("val_half") == pytest.approx([one / 2 for one in past.column("val_loss")])
    assert json.loads((tmp_path / "history.json").read_text())["parts"] == past.parts
    assert sorted(path.name for path in tmp_path.glob("epoch-*")) == [
        "epoch-0002.safetensors",
        "epoch-0004.safetensors",
    ]
    again = Told()
    fit(loss=again, epochs=6, keep=training.Keeping(tmp_path, resume=True), **options)
    assert again.epochs == [4, 5], "a resumed run counts on"
    fit(train=Points(48), loss=Told(), epochs=1, batch_size=8, keep=training.Keeping(tmp_path))
    assert not list(tmp_path.glob("epoch-*")), "a new run leaves nothing of an old one"


def test_a_look_of_ones_own_after_epochs_is_told_and_draws_nothing_from_the_training(tmp_path):
    def noisy(model, batch):
        value, outputs = training.classification(model, batch)
        return value + torch.rand(()) * outputs.mean(), outputs

    seen = []

    def look(model, epoch):
        seen.append((model.training, epoch, torch.rand(3).shape))
        return {"score": epoch / 10} if epoch % 2 == 0 else {}

    ends = []
    for evaluate in (None, look):
        torch.manual_seed(0)
        model, history = fit(loss=noisy, metrics={}, evaluate=evaluate, epochs=4, keep=training.Keeping(tmp_path))
        ends.append((model.weight.tolist(), history.step_loss))
    assert ends[0] == ends[1]
    assert [(mode, epoch) for mode, epoch, _ in seen] == [(False, 1), (False, 2), (False, 3), (False, 4)]
    column = json.loads((tmp_path / "history.json").read_text())["epochs"]
    assert [epoch.get("val_score") for epoch in column] == [None, 0.2, None, 0.4]
    assert history.column("val_score")[1::2] == [0.2, 0.4]
    assert all(math.isnan(one) for one in history.column("val_score")[::2])
    with pytest.raises(KeyError, match="val_scores"):
        history.column("val_scores")


def test_the_line_tells_what_the_loss_is_made_of():
    history = training.History(step_loss=[2.0])
    assert history.told() == "loss 2.000"
    for step in range(2, 31):
        history.add_step(1 / step, 0.1, {"lm": step / 2, "itm": 0.5, "itc": 1.0, "words": 3.0, "itm_accuracy": 1.0})
    assert history.told() == "loss 0.033, lm 15.000, itm 0.500, itc 1.000, words 3.000", "of step 30"
