"""The training loop: it learns as a plain one, stops early, and says what went wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from training_runs import Points, fit, linear

from whatchanged import training


def test_a_step_is_that_of_a_plain_loop():
    """Two epochs of Adam against a loop written out, over the same batches."""
    model, history = fit(learning_rate=0.05)
    plain, data = linear(), Points()
    adam = torch.optim.Adam(plain.parameters(), lr=0.05)
    losses = []
    for epoch in range(2):
        for batch in np.array_split(np.random.default_rng([0, epoch]).permutation(64), 4):
            loss = torch.nn.functional.cross_entropy(plain(data.x[batch]), data.y[batch])
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses.append(loss.item())
    assert history.step_loss == pytest.approx(losses, abs=1e-6)
    torch.testing.assert_close(model.weight, plain.weight, atol=1e-6, rtol=0)
    assert history.column("train_loss") == pytest.approx([np.mean(losses[:4]), np.mean(losses[4:])], abs=1e-6)


def test_clipping_bounds_the_step():
    sgd = lambda parameters: torch.optim.SGD(parameters, lr=1.0)  # noqa: E731
    model, _ = fit(optimizer=sgd, clip=1e-3, epochs=1, batch_size=64)
    start = linear()
    moved = torch.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(model.parameters(), start.parameters(), strict=True)))
    assert moved.item() == pytest.approx(1e-3, rel=1e-3)


def test_schedules_by_step_and_by_epoch():
    def halve(optimizer, steps):
        return torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)

    _, by_step = fit(scheduler=halve, learning_rate=0.08)
    assert by_step.learning_rate == pytest.approx([0.08 / 2**i for i in range(8)])
    _, by_epoch = fit(scheduler=halve, schedule="epoch", learning_rate=0.08)
    assert by_epoch.learning_rate == pytest.approx([0.08] * 4 + [0.04] * 4)
    _, cycle = fit(scheduler=training.one_cycle, learning_rate=0.08)
    assert max(cycle.learning_rate) <= 0.08
    assert cycle.learning_rate[-1] < 0.001


def test_plateau_gets_the_validation_loss():
    def plateau(optimizer, epochs):
        return torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=10.0, threshold_mode="abs")

    _, history = fit(validation=Points(seed=1), scheduler=plateau, schedule="epoch", learning_rate=0.1, epochs=3)
    assert history.learning_rate[::4] == pytest.approx([0.1, 0.1, 0.01])


def test_early_stopping_keeps_the_best(tmp_path):
    """Labels of the validation data are turned around: it gets worse from the first epoch on."""
    turned = Points(seed=1)
    turned.y = 1 - turned.y
    for keep in (None, training.Keeping(tmp_path)):
        model, history = fit(validation=turned, epochs=9, patience=2, learning_rate=0.05, keep=keep, monitor="accuracy")
        assert history.stopped_early
        assert history.best_epoch == 1
        assert len(history.epochs) == 3
        logits, labels = training.predict(model, turned)
        assert (logits.argmax(1) == labels).mean() == pytest.approx(history.epochs[0]["val_accuracy"])
    saved = json.loads((tmp_path / "history.json").read_text())
    assert saved["best_epoch"] == 1
    assert saved["epochs"] == history.epochs


def test_a_loss_that_becomes_nan_names_the_step_and_the_samples():
    order = np.array_split(np.random.default_rng([0, 0]).permutation(64), 4)
    bad = int(order[2][5])
    with pytest.raises(
        training.TrainingError, match="became nan in epoch 1, step 3, on the batch of samples"
    ) as caught:
        fit(train=Points(bad=bad), batch_size=16)
    for sample in order[2][:8]:
        assert str(sample) in str(caught.value)
    assert "lower learning_rate" in str(caught.value)


def test_out_of_memory_says_what_to_lower():
    class Hungry(torch.nn.Linear):
        def forward(self, x):
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(training.TrainingError, match="out of memory at batch_size=16: lower batch_size, and raise acc"):
        fit(Hungry(3, 2))


def test_metrics_over_all_of_the_validation_data():
    from sklearn.metrics import f1_score

    def f1(logits, labels):
        return f1_score(labels, logits.argmax(1))

    data = Points(50, seed=1)
    model, history = fit(validation=data, metrics={"f1": f1}, monitor="f1", batch_size=16, epochs=1)
    logits, labels = training.predict(model, data, precision="fp32")
    assert history.epochs[-1]["val_f1"] == pytest.approx(f1_score(labels, logits.argmax(1)), abs=1e-6)
    assert history.epochs[-1].keys() == {"epoch", "train_loss", "train_f1", "val_loss", "val_f1"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"accumulate": 0}, "accumulate is 0"),
        ({"precision": "half"}, "precision is 'half': choose from fp32, bf16, fp16"),
        ({"schedule": "batch"}, "schedule is 'batch'"),
        ({"patience": 2}, "patience and monitor need validation data"),
        ({"monitor": "accuracy"}, "patience and monitor need validation data"),
        ({"validation": Points(), "monitor": "auc"}, "monitor is 'auc': choose from loss, accuracy"),
        ({"train": Points(0)}, "the training data is empty"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        fit(**options)


def test_a_frozen_model_is_refused():
    with pytest.raises(ValueError, match="there is nothing to train"):
        fit(linear().requires_grad_(False))


def test_the_random_state_of_the_caller_decides_nothing_but_augmentation():
    def run_after(seed):
        model = linear()
        torch.manual_seed(seed)
        return fit(model)[0].weight

    assert torch.equal(run_after(1), run_after(2))


def test_after_training_the_model_computes_in_its_own_precision():
    model, _ = fit(precision="bf16")
    assert model(Points().x).dtype == torch.float32
    bias, weight = model.bias.detach(), model.weight.detach()
    assert torch.equal(model(Points().x), torch.nn.functional.linear(Points().x, weight, bias))
