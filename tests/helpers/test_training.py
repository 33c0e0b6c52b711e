"""The training loop: it learns, stops, resumes bit for bit, runs on several processes, and says what went wrong."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from support import SCRIPTS

from course import running
from helpers import training

SCRIPT = SCRIPTS / "train_script.py"


def run(tmp_path, name, *options, folder=None, processes=1, expect=0):
    """Run the script; returns what it saved, or None where it was killed."""
    output = tmp_path / f"{name}.pt"
    launcher = running.launcher(processes) if processes > 1 else [sys.executable]
    command = [*launcher, str(SCRIPT), str(folder or tmp_path / name), str(output), *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    if not output.is_file():
        return None
    saved = torch.load(output, weights_only=False)
    assert saved["processes"] == processes
    return saved


def same_bits(a, b):
    return all(torch.equal(a["weights"][name], b["weights"][name]) for name in a["weights"])


@pytest.mark.parametrize("moment", ["step", "save"])
def test_killed_and_resumed_is_bit_for_bit_the_same(tmp_path, moment):
    whole = run(tmp_path, "whole")
    folder = tmp_path / "killed"
    assert run(tmp_path, "killed", "--die", moment, folder=folder, expect=-signal.SIGKILL) is None
    left = sorted(path.name for path in folder.glob("checkpoint-*"))
    assert left
    assert any(name.endswith(".part") for name in left) == (moment == "save"), left
    resumed = run(tmp_path, "resumed", "--resume", folder=folder)
    assert same_bits(whole, resumed)
    assert whole["history"] == resumed["history"]
    assert not list(folder.glob("*.part"))


def test_two_runs_at_once_in_one_folder_are_refused(tmp_path):
    data = torch.utils.data.TensorDataset(torch.randn(8, 4), torch.arange(8) % 2)

    def fit(loss=training.classification):
        return training.fit(
            torch.nn.Linear(4, 2), data, epochs=1, batch_size=4, folder=tmp_path, loss=loss, progress=False
        )

    def meanwhile(model, batch):
        with pytest.raises(ValueError, match="is being written by another run: wait for it, or choose another place"):
            fit()
        return training.classification(model, batch)

    assert len(fit(meanwhile).epochs) == 1
    assert len(fit().epochs) == 1


def test_resume_replays_no_sample_and_continues_the_random_state(tmp_path):
    """The killed run stopped in the middle of an epoch: only the samples after its checkpoint are read again."""
    folder, seen = tmp_path / "killed", tmp_path / "seen"
    seen.mkdir()
    run(tmp_path, "killed", "--die", "step", folder=folder, expect=-signal.SIGKILL)
    progress = json.loads((sorted(folder.glob("checkpoint-*"))[-1] / "progress.json").read_text())
    assert progress["epoch"] == 2
    assert 0 < progress["step"] < 9
    run(tmp_path, "resumed", "--resume", "--seen", str(seen), folder=folder)
    read = (seen / "0.txt").read_text().split()
    assert len(read) == len(set(read)) < 130


def test_resuming_a_finished_run_changes_nothing(tmp_path):
    first = run(tmp_path, "first", folder=tmp_path / "run")
    again = run(tmp_path, "again", "--resume", folder=tmp_path / "run")
    assert same_bits(first, again)
    assert first["history"] == again["history"]


def test_two_processes_train_the_same_model(tmp_path):
    seen = tmp_path / "seen"
    seen.mkdir()
    one = run(tmp_path, "one", "--plain")
    two = run(tmp_path, "two", "--plain", "--seen", str(seen), processes=2)
    for name, value in one["weights"].items():
        torch.testing.assert_close(two["weights"][name], value, atol=1e-5, rtol=1e-4)
    read = [(seen / f"{rank}.txt").read_text().split() for rank in (0, 1)]
    assert sorted(map(int, read[0] + read[1])) == sorted(3 * list(range(130))), "each sample once an epoch"
    for ours, theirs in zip(one["history"]["epochs"], two["history"]["epochs"], strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)
    assert two["history"]["epochs"][-1]["val_accuracy"] >= 0.9


def test_two_processes_reach_the_same_quality_with_batch_norm_and_dropout(tmp_path):
    one, two = run(tmp_path, "one"), run(tmp_path, "two", processes=2)
    best = [max(epoch["val_accuracy"] for epoch in done["history"]["epochs"]) for done in (one, two)]
    assert min(best) >= 0.9
    assert abs(best[0] - best[1]) <= 0.08


def test_resume_on_another_number_of_processes(tmp_path):
    folder = tmp_path / "run"
    whole = run(tmp_path, "whole", "--plain", "--epochs", "2")
    run(tmp_path, "first", "--plain", "--epochs", "1", folder=folder, processes=2)
    resumed = run(tmp_path, "second", "--plain", "--epochs", "2", "--resume", folder=folder)
    for name, value in whole["weights"].items():
        torch.testing.assert_close(resumed["weights"][name], value, atol=1e-5, rtol=1e-4)


# In this process: a line y = 1 where x > 0, and what happens on the way.


class Points(torch.utils.data.Dataset):
    def __init__(self, count=64, seed=0, bad=None):
        self.x = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))
        self.y = (self.x.sum(1) > 0).long()
        if bad is not None:
            self.x[bad] = math.nan

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index], self.y[index]


def linear():
    torch.manual_seed(0)
    return torch.nn.Linear(3, 2)


def fit(model=None, train=None, validation=None, **options):
    options = {"epochs": 2, "batch_size": 16, "precision": "fp32", "progress": False} | options
    model = model or linear()
    return model, training.fit(model, Points() if train is None else train, validation, **options)


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


def test_accumulated_batches_are_one_large_batch():
    """Also where the samples do not divide: 50 samples are batches of 13, 13, 12, 12."""
    small, _ = fit(train=Points(50), batch_size=13, accumulate=4)
    large, _ = fit(train=Points(50), batch_size=50)
    torch.testing.assert_close(small.weight, large.weight, atol=1e-6, rtol=0)


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
    for folder in (None, tmp_path):
        model, history = fit(
            validation=turned, epochs=9, patience=2, learning_rate=0.05, folder=folder, monitor="accuracy"
        )
        assert history.stopped_early
        assert history.best_epoch == 1
        assert len(history.epochs) == 3
        logits, labels = training.predict(model, turned)
        assert (logits.argmax(1) == labels).mean() == pytest.approx(history.epochs[0]["val_accuracy"])
    saved = json.loads((tmp_path / "history.json").read_text())
    assert saved["best_epoch"] == 1
    assert saved["epochs"] == history.epochs


def test_predict_is_the_model_in_evaluation_mode():
    model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Dropout(0.9), torch.nn.Linear(8, 2)).train()
    data = Points(10)
    logits, labels = training.predict(model, data, batch_size=3, precision="fp32")
    assert model.training
    assert np.array_equal(labels, data.y.numpy())
    with torch.no_grad():
        assert np.abs(logits - model.eval()(data.x).numpy()).max() < 1e-6


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


def test_resume_refuses_another_run(tmp_path):
    fit(folder=tmp_path)
    with pytest.raises(training.TrainingError, match="had batch_size=16 and this one has batch_size=8: resume it with"):
        fit(folder=tmp_path, resume=True, batch_size=8)
    with pytest.raises(training.TrainingError, match="had samples=64 and this one has samples=32"):
        fit(folder=tmp_path, resume=True, train=Points(32))
    model, history = fit(folder=tmp_path, resume=True, epochs=3)
    assert len(history.epochs) == 3, "more epochs are welcome where no schedule depends on their number"
    assert len(list(tmp_path.glob("checkpoint-*"))) == training.KEPT_CHECKPOINTS
    _, history = fit(folder=tmp_path, epochs=1)
    assert len(history.epochs) == 1, "without resume a run starts anew"
    assert len(list(tmp_path.glob("checkpoint-*"))) == 1


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
        ({"resume": True}, "resume needs the folder"),
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


class Rows(torch.nn.Module):
    """Reads many rows of a small table, so that several threads add to the same gradient."""

    def __init__(self):
        super().__init__()
        self.table, self.out = torch.nn.Embedding(8, 64), torch.nn.Linear(64, 2)

    def forward(self, places):
        return self.out(self.table.weight[places].tanh().cumsum(dim=1).mean(dim=1))


def test_two_trainings_are_bit_for_bit_the_same():
    drawn = torch.Generator().manual_seed(0)
    data = [(torch.randint(8, (2000,), generator=drawn), place % 2) for place in range(64)]
    ends = []
    for _ in range(4):
        torch.manual_seed(0)
        model = Rows()
        training.fit(model, data, epochs=2, batch_size=16, precision="fp32", progress=False)
        ends.append(model.table.weight.detach().clone())
    assert all(torch.equal(ends[0], one) for one in ends[1:])
    assert not torch.are_deterministic_algorithms_enabled()  # as the caller had it


def test_the_random_state_of_the_caller_decides_nothing_but_augmentation():
    def run_after(seed):
        model = linear()
        torch.manual_seed(seed)
        return fit(model)[0].weight

    assert torch.equal(run_after(1), run_after(2))


def test_a_folder_is_classified_into_a_csv(tmp_path):
    """A network that says "bright" where the mean is above a half; a file that is no image gets its reason."""
    from PIL import Image

    class Bright(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(5.0))

        def forward(self, images):
            mean = images.mean(dim=(1, 2, 3)) * self.scale
            return torch.stack([-mean, mean], dim=1)

    folder = tmp_path / "in"
    folder.mkdir()
    for name, value in (("b.png", 250), ("a.jpg", 5)):
        Image.fromarray(np.full((20, 30, 3), value, np.uint8)).save(folder / name)
    (folder / "c.png").write_text("no image")
    (folder / "notes.txt").write_text("ignored")
    names = ("dark", "bright")
    table = training.predict_folder(Bright(), folder, size=16, names=names, csv=tmp_path / "out.csv")
    assert table.file.tolist() == ["a.jpg", "b.png", "c.png"]
    assert table.prediction.tolist()[:2] == ["dark", "bright"]
    assert table.probability[:2].min() > 0.9
    assert "c.png is not an image" in table.error[2]
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "file,prediction,probability,error"
    assert lines[1].startswith("a.jpg,dark,")
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match="none holds no file with one of"):
        training.predict_folder(Bright(), tmp_path / "none", size=16, names=names)
    with pytest.raises(ValueError, match="nowhere is no folder"):
        training.predict_folder(Bright(), tmp_path / "nowhere", size=16, names=names)


def test_softmax_is_the_formula():
    logits = np.array([[0.0, 1.0, 2.0], [1000.0, 0.0, 0.0]])
    expected = np.exp(logits[0]) / np.exp(logits[0]).sum()
    assert training.softmax(logits) == pytest.approx(np.stack([expected, [1, 0, 0]]))


def test_after_training_the_model_computes_in_its_own_precision():
    model, _ = fit(precision="bf16")
    assert model(Points().x).dtype == torch.float32
    bias, weight = model.bias.detach(), model.weight.detach()
    assert torch.equal(model(Points().x), torch.nn.functional.linear(Points().x, weight, bias))


def test_multi_label_loss_and_accuracy_are_their_formulas():
    torch.manual_seed(0)
    logits, labels = torch.randn(6, 3), torch.randint(2, (6, 3)).float()
    value, given = training.multi_label(lambda inputs: inputs, (logits, labels))
    p = 1 / (1 + torch.exp(-logits))
    torch.testing.assert_close(value, -(labels * p.log() + (1 - labels) * (1 - p).log()).mean())
    assert given is logits
    assert training.label_accuracy(logits, labels) == pytest.approx(((p > 0.5) == (labels == 1)).float().mean())
    assert training.sigmoid(logits.numpy()) == pytest.approx(p.numpy(), abs=1e-6)


class Brighter(torch.nn.Module):
    """Says yes to the first label where the second picture is brighter; the second label is always 0.6."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(20.0))

    def forward(self, pairs):
        before, after = pairs.mean(dim=(2, 3, 4)).unbind(1)
        return torch.stack([self.scale * (after - before), torch.full_like(after, 0.405)], dim=1)


def test_pairs_of_a_folder_are_judged(tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    picture = rng.integers(60, 160, (40, 40, 3), np.uint8)
    for name, shift in (("a", 60), ("b", -50)):
        Image.fromarray(picture).save(tmp_path / f"{name}_before.png")
        Image.fromarray(picture + np.uint8(shift % 256)).save(tmp_path / f"{name}_after.png")
    Image.fromarray(picture).save(tmp_path / "c_before.png")
    (tmp_path / "c_after.png").write_text("no image")
    Image.fromarray(picture).save(tmp_path / "d_before.png")
    Image.fromarray(picture[:20]).save(tmp_path / "d_after.png")
    options = {"size": 32, "names": ("brighter", "other"), "thresholds": (0.5, 0.7), "csv": tmp_path / "out.csv"}
    table = training.predict_pairs(Brighter(), tmp_path, **options)
    assert table.before.tolist() == ["a_before.png", "b_before.png", "c_before.png", "d_before.png"]
    assert table.changed.tolist()[:2] == ["brighter", "nothing"]
    assert table.other[0] == pytest.approx(0.6, abs=0.01)
    assert "c_after.png is not an image" in table.error[2]
    assert "before is 40x40 and after is 40x20" in table.error[3]
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 5
    easy = training.predict_pairs(Brighter(), tmp_path, size=32, names=("brighter", "other"))
    assert easy.changed.tolist()[:2] == ["brighter, other", "other"]


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
    _, past = fit(
        train=Points(48), validation=Points(16), loss=told, epochs=4, batch_size=8, folder=tmp_path, keep_every=2
    )
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
    fit(train=Points(48), validation=Points(16), loss=again, epochs=6, batch_size=8, folder=tmp_path, resume=True)
    assert again.epochs == [4, 5], "a resumed run counts on"
    fit(train=Points(48), loss=Told(), epochs=1, batch_size=8, folder=tmp_path)
    assert not list(tmp_path.glob("epoch-*")), "a new run leaves nothing of an old one"
