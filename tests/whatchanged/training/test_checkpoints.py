"""Killed and resumed, a training ends bit for bit as the undisturbed one; another run is refused."""

from __future__ import annotations

import json
import signal

import pytest
import torch
from safetensors.torch import load_file
from training_runs import Points, fit, linear, run, same_bits

from whatchanged import training
from whatchanged.models.describer import load_best_model


@pytest.mark.process
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
        recipe, keep = training.Recipe(loss=loss), training.Keeping(tmp_path)
        options = {"epochs": 1, "batch_size": 4, "progress": False}
        return training.fit(torch.nn.Linear(4, 2), data, recipe=recipe, keep=keep, **options)

    def meanwhile(model, batch):
        with pytest.raises(ValueError, match="is being written by another run: wait for it, or choose another place"):
            fit()
        return training.classification(model, batch)

    assert len(fit(meanwhile).epochs) == 1
    assert len(fit().epochs) == 1


@pytest.mark.process
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


@pytest.mark.process
def test_resuming_a_finished_run_changes_nothing(tmp_path):
    first = run(tmp_path, "first", folder=tmp_path / "run")
    again = run(tmp_path, "again", "--resume", folder=tmp_path / "run")
    assert same_bits(first, again)
    assert first["history"] == again["history"]


@pytest.mark.process
def test_resume_on_another_number_of_processes(tmp_path):
    folder = tmp_path / "run"
    whole = run(tmp_path, "whole", "--plain", "--epochs", "2")
    run(tmp_path, "first", "--plain", "--epochs", "1", folder=folder, processes=2)
    resumed = run(tmp_path, "second", "--plain", "--epochs", "2", "--resume", folder=folder)
    for name, value in whole["weights"].items():
        torch.testing.assert_close(resumed["weights"][name], value, atol=1e-5, rtol=1e-4)


def test_resume_refuses_another_run(tmp_path):
    anew, on = training.Keeping(tmp_path), training.Keeping(tmp_path, resume=True)
    fit(keep=anew)
    with pytest.raises(training.TrainingError, match="had batch_size=16 and this one has batch_size=8: resume it with"):
        fit(keep=on, batch_size=8)
    with pytest.raises(training.TrainingError, match="had samples=64 and this one has samples=32"):
        fit(keep=on, train=Points(32))
    model, history = fit(keep=on, epochs=3)
    assert len(history.epochs) == 3, "more epochs are welcome where no schedule depends on their number"
    assert len(list(tmp_path.glob("checkpoint-*"))) == training.KEPT_CHECKPOINTS
    _, history = fit(keep=anew, epochs=1)
    assert len(history.epochs) == 1, "without resume a run starts anew"
    assert len(list(tmp_path.glob("checkpoint-*"))) == 1


def turned():
    """Validation data whose labels are turned around: it gets worse from the first epoch on."""
    data = Points(32, seed=1)
    data.y = 1 - data.y
    return data


def test_a_run_that_stopped_early_goes_on_with_more_patience(tmp_path):
    """To the same bits as if it had had that patience from the start; with the same it stays where it is."""
    options = {"validation": turned(), "learning_rate": 0.05, "epochs": 9}
    on = training.Keeping(tmp_path / "run", resume=True)
    _, first = fit(keep=training.Keeping(tmp_path / "run"), patience=2, **options)
    _, same = fit(keep=on, patience=2, **options)
    assert len(first.epochs) == len(same.epochs) == 3
    assert first.stopped_early
    assert same.stopped_early
    ends = {}
    for name, keep in (("whole", training.Keeping(tmp_path / "whole")), ("run", on)):
        _, history = fit(keep=keep, patience=5, **options)
        assert (len(history.epochs), history.stopped_early, history.best_epoch) == (6, True, 1)
        newest = sorted((tmp_path / name).glob("checkpoint-*"))[-1] / "model.safetensors"
        ends[name] = load_file(newest)["weight"], history.step_loss
    assert torch.equal(ends["run"][0], ends["whole"][0])
    assert ends["run"][1] == ends["whole"][1]
    _, history = fit(keep=on, **options)
    assert (len(history.epochs), history.stopped_early) == (9, False)


def test_resume_refuses_what_another_best_or_another_model_would_break(tmp_path):
    fit(validation=turned(), keep=training.Keeping(tmp_path))
    on = training.Keeping(tmp_path, resume=True)
    with pytest.raises(training.TrainingError, match="had monitor=loss and this one has monitor=accuracy"):
        fit(validation=turned(), keep=on, monitor="accuracy", epochs=3)
    for model in (torch.nn.Sequential(linear()), torch.nn.Linear(3, 4)):
        with pytest.raises(
            ValueError, match=r"checkpoint-\d+ holds the weights of another network: [0-9.]*(weight|bias) does"
        ):
            fit(model, validation=turned(), keep=on, epochs=3)


def test_a_folder_may_be_given_from_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    model, _ = fit(validation=Points(16, seed=1), keep=training.Keeping("~/run"))
    assert (tmp_path / "run" / "best.safetensors").is_file()
    assert torch.equal(load_best_model(linear(), "~/run").weight, model.weight)


def test_the_default_folder_is_where_the_best_weights_are_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, _ = fit(validation=Points(16, seed=1), keep=training.Keeping())
    other = linear()
    assert not torch.equal(other.weight, model.weight)
    assert torch.equal(load_best_model(other).weight, model.weight)
