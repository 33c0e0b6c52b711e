"""What a run tells of itself, resumed or not."""

from __future__ import annotations

import json

import pytest
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
