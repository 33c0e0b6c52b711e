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


def test_a_validation_loss_that_becomes_nan_names_the_epoch_and_the_samples(tmp_path):
    """Whatever the batch; and a NaN of the first epoch is never kept as the best."""
    for place, told in ((5, "samples 0, 1, 2, 3, 4, 5, 6, 7"), (20, "samples 16, 17, 18, 19, 20")):
        for keep in (None, training.Keeping(tmp_path)):
            with pytest.raises(training.TrainingError, match=f"validation loss became nan after epoch 1, .*{told}"):
                fit(validation=Points(32, seed=1, bad=place), keep=keep)
            assert not (tmp_path / "best.safetensors").exists()


def scored(values):
    """A metric that has these values on the validation data, epoch by epoch; on the training data it is 1."""
    given = iter(values)
    return lambda logits, labels: next(given) if len(labels) == 32 else 1.0


def test_a_metric_that_is_nan_is_never_the_best():
    options = {"validation": Points(32, seed=1), "monitor": "auc", "epochs": 3}
    _, history = fit(metrics={"auc": scored([np.nan, 0.5, np.nan])}, **options)
    assert history.best_epoch == 2
    _, history = fit(metrics={"auc": scored([0.5, np.nan, np.nan])}, patience=2, **options)
    assert (history.best_epoch, history.stopped_early) == (1, True)
    with pytest.raises(training.TrainingError, match="validation auc was nan or not measured after each of 3 epochs"):
        fit(metrics={"auc": scored([np.nan] * 3)}, **options)


def looks(*values):
    """A look at the model that gives these scores, epoch by epoch; None: it does not look."""
    return lambda model, epoch: {} if values[epoch - 1] is None else {"score": values[epoch - 1], "seconds": 1.0}


def test_what_a_look_gives_can_decide_on_the_best_epoch(tmp_path):
    """Then the model has that epoch's weights, which another epoch has the lowest loss of."""
    options = {"validation": Points(32, seed=1), "learning_rate": 0.05}
    by_score = {**options, "monitor": "score", "epochs": 6}
    model, history = fit(evaluate=looks(None, 0.3, None, 0.9, None, 0.4), keep=training.Keeping(tmp_path), **by_score)
    assert history.best_epoch == 4
    assert np.argmin(history.column("val_loss")) == 5, "by the loss it would be the last"
    until_then, _ = fit(epochs=4, **options)
    assert torch.equal(model.weight, until_then.weight)
    again = training.Keeping(tmp_path, resume=True)
    _, history = fit(evaluate=looks(*[None] * 6, 0.2, 0.95), keep=again, **by_score | {"epochs": 8})
    assert history.best_epoch == 8, "a resumed run knows what the best was"


@pytest.mark.parametrize("resumed", [False, True])
def test_the_last_epoch_is_the_best_where_it_is_asked_for(tmp_path, resumed):
    """Also where the loss was lower before: with so high a rate it rises."""
    options = {"validation": Points(32, seed=1), "learning_rate": 40.0, "monitor": "last", "patience": 1}
    if resumed:
        fit(epochs=2, keep=training.Keeping(tmp_path), **options)
    model, history = fit(epochs=5, keep=training.Keeping(tmp_path, resume=resumed), **options)
    plain, _ = fit(epochs=5, learning_rate=40.0)
    assert (history.best_epoch, len(history.epochs), history.stopped_early) == (5, 5, False)
    assert np.argmin(history.column("val_loss")) < 4
    assert torch.equal(model.weight, plain.weight)


def test_epochs_without_a_look_are_not_waited_for():
    options = {"validation": Points(32, seed=1), "monitor": "score", "epochs": 9, "patience": 2}
    _, history = fit(evaluate=looks(0.9, None, None, 0.5, None, None, 0.4, None, None), **options)
    assert (history.best_epoch, len(history.epochs), history.stopped_early) == (1, 7, True)


def test_a_score_that_no_look_gives_is_named_after_the_first_one():
    options = {"validation": Points(32, seed=1), "epochs": 3}
    with pytest.raises(ValueError, match="monitor is 'CIDEr': choose 'loss' or what evaluate gives, score, seconds"):
        fit(evaluate=looks(None, 0.5, 0.6), monitor="CIDEr", **options)
    with pytest.raises(training.TrainingError, match="validation score was nan or not measured after each of 3"):
        fit(evaluate=looks(None, None, None), monitor="score", **options)


@pytest.mark.parametrize(("count", "batch_size"), [(5, 2), (3, 1), (1, 1), (1, 4)])
def test_a_batch_of_one_trains_batch_norm(count, batch_size):
    """Of an odd number at a batch of two one is alone, whom PyTorch's BatchNorm refuses."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    _, history = fit(model, Points(count), batch_size=batch_size, epochs=2)
    assert len(history.step_loss) == 2 * -(-count // batch_size)
    assert np.isfinite(history.step_loss).all()
    assert model[1].num_batches_tracked == 2 * (count // 2 if batch_size == 2 else 0), "one value moves no statistics"
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        model.train()(Points().x[:1])  # it is as it was


def test_a_lone_sample_is_normalized_by_the_running_statistics():
    torch.manual_seed(0)
    layer, data = torch.nn.BatchNorm1d(3), Points(1)
    layer.running_mean.uniform_(-1, 1)
    layer.running_var.uniform_(0.5, 2)
    expected = (data.x - layer.running_mean) / (layer.running_var + layer.eps).sqrt()
    seen = []

    def loss(model, batch):
        seen.append(model(batch[0]))
        return seen[0].sum(), None

    fit(layer, data, loss=loss, metrics={}, epochs=1, learning_rate=0.0)
    torch.testing.assert_close(seen[0].detach(), expected)


def test_a_batch_of_one_picture_whose_maps_are_one_place():
    """Notebook 02's network at the least of its settings: pictures of 32 pixels, one a step."""
    from whatchanged.models import resnet18

    torch.manual_seed(0)
    data = [(torch.randn(3, 32, 32), place % 2) for place in range(3)]
    assert len(fit(resnet18.build(2), data, batch_size=1, epochs=1)[1].step_loss) == 3


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
        ({"validation": Points(), "monitor": "auc"}, "monitor is 'auc': choose from loss, last, accuracy"),
        ({"train": Points(0)}, "the training data is empty"),
        ({"validation": Points(0)}, "the validation data is empty: give some, or None"),
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
