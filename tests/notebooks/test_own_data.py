"""Notebooks on other data than their own, executed."""

from __future__ import annotations

import json
import shutil
from collections import OrderedDict

import nbformat
import numpy as np
import pandas
import pytest
import torch
import torchvision
from PIL import Image
from published import write_published
from support import ROOT, read_notebook, run_offline

from course import opening
from helpers import scenes, surfaces
from helpers.changes import SubtleDiffDataset, write_dataset
from helpers.datasets import Pictures, defect_images
from whatchanged import alignment, training
from whatchanged.models import dbt_resnet50, dual_attention, resnet18


@pytest.mark.slow
@pytest.mark.own_data
@pytest.mark.real
def test_resnet18_on_real_photographs(real_data, tmp_path):
    """Cracks in brickwork: the notebook runs as it is, and compares both starts over five folds, with intervals."""
    folder = real_data / "brickwork-cracks"
    process = run_offline(ROOT / "notebooks" / "02_resnet18_defects.ipynb", tmp_path, "-p", "DATA_DIR", str(folder))
    assert process.returncode == 0, process.stdout + process.stderr
    output = tmp_path / "02_resnet18_defects"
    assert json.loads((output / "metrics.json").read_text())["ROC AUC, upper end"]["passed"]
    measured = json.loads((output / "cross_validation.json").read_text())
    assert measured.keys() == {"from textures", "from scratch"}
    printed = nbformat.writes(read_notebook(tmp_path / "02_resnet18_defects.ipynb"))
    for name, interval in measured.items():
        assert interval["low"] < interval["value"] < interval["high"]
        assert interval["low"] > 0.85, "either start learns real cracks from 316 photographs"
        assert f"{name:<14} {interval['value']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]" in printed


def judged_by(folder, name, data):
    """Execute the notebook again in MODE "test", on other data; what it left out is told, and nothing is trained."""
    process = run_offline(
        ROOT / "notebooks" / f"{name}.ipynb", folder, "-p", "MODE", "test", "-p", "DATA_DIR", str(data)
    )
    assert process.returncode == 0, process.stdout + process.stderr
    cells = [cell for cell in read_notebook(folder / f"{name}.ipynb").cells if cell.source.startswith(opening.LEFT_OUT)]
    told = ["".join(output.get("text", "") for output in cell.outputs) for cell in cells]
    assert set(told) == {'left out: MODE is "test"\n'}
    assert len(told) > 3


def uneven(folder, seed, sound, cracked, size=48):
    """Surfaces in Negative/ and Positive/, of which few are cracked."""
    made = surfaces.surfaces(seed, 2 * sound, size=size)
    some = np.concatenate([np.flatnonzero(made.labels == 0)[:sound], np.flatnonzero(made.labels == 1)[:cracked]])
    return surfaces.write_folder(folder, Pictures(made.images[some], made.labels[some], made.names))


@pytest.mark.slow
@pytest.mark.own_data
def test_resnet18_where_few_are_cracked(tmp_path, monkeypatch):
    """With ImageNet weights as they are published, in torch's cache; then, without training, others in test/."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    network = torchvision.models.resnet18()
    old = {name: value for name, value in network.state_dict(keep_vars=True).items() if "num_batches" not in name}
    (tmp_path / "torch" / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(OrderedDict(old), tmp_path / "torch" / "hub" / "checkpoints" / "resnet18-f37072fd.pth")
    given = {"DATA_DIR": uneven(tmp_path / "mine", 0, 90, 10), "WEIGHTS": "imagenet"}
    given |= {"IMAGE_SIZE": 32, "EPOCHS": 1, "BATCH_SIZE": 16, "FOLDS": 2}
    arguments = [part for name, value in given.items() for part in ("-p", name, str(value))]
    process = run_offline(ROOT / "notebooks" / "02_resnet18_defects.ipynb", tmp_path, *arguments)
    assert process.returncode == 0, process.stdout + process.stderr
    output = tmp_path / "02_resnet18_defects"
    measured = json.loads((output / "results.json").read_text())
    assert len(measured["accuracy"]) == 9
    assert measured["judged"] in {name for name in measured["accuracy"] if "random" not in name and "Lite0" not in name}
    saved = (output / "model.safetensors").stat().st_mtime_ns
    other = uneven(tmp_path / "other" / "test", 7, 45, 5).parent
    judged_by(tmp_path, "02_resnet18_defects", other)
    assert (output / "model.safetensors").stat().st_mtime_ns == saved
    trained = resnet18.Classifier.load(output / "model.safetensors")
    logits, truth = training.predict(trained.model, defect_images(other / "test", 32))
    measured = json.loads((output / "results.json").read_text())
    assert measured["images"] == 50
    (interval,) = measured["accuracy"].values()
    assert interval["value"] == pytest.approx((logits.argmax(1) == truth).mean(), abs=0.021), "one may be on the fence"


@pytest.mark.slow
@pytest.mark.own_data
def test_dbt_resnet50_on_pairs_of_ones_own(tmp_path):
    """One folder without splits, a CSV file of pairs to judge, one of them broken; then, without training, others."""
    pairs = (scenes.subtle_pair(0, index, size=64, things=(1, 2), nuisance=None) for index in range(360))
    folder = write_dataset(tmp_path / "mine", pairs)
    lines = ["before,after", "mine/before/000001.png,mine/after/000001.png", "mine/before/000002.png,none.png"]
    (tmp_path / "inbox.csv").write_text("\n".join(lines))
    given = {"DATA_DIR": folder, "INBOX": tmp_path / "inbox.csv", "IMAGE_SIZE": 64, "EPOCHS": 8}
    arguments = [part for name, value in given.items() for part in ("-p", name, str(value))]
    process = run_offline(ROOT / "notebooks" / "03_dbt_resnet50.ipynb", tmp_path, *arguments)
    assert process.returncode == 0, process.stdout + process.stderr
    output = tmp_path / "03_dbt_resnet50"
    measured = json.loads((output / "metrics.json").read_text())
    assert measured["ROC AUC, mean of the upper ends"]["passed"]
    assert measured["attention over a random pixel, upper end"]["passed"]
    first, second = pandas.read_csv(output / "inbox.csv").to_dict("records")
    assert isinstance(first["changed"], str)
    assert "none.png does not exist" in second["error"]

    other = write_dataset(tmp_path / "other", (scenes.subtle_pair(1, i, size=64, things=(1, 2)) for i in range(40)))
    saved = (output / "course" / "history.json").stat().st_mtime_ns, (output / "model.safetensors").stat().st_mtime_ns
    judged_by(tmp_path, "03_dbt_resnet50", other)
    assert saved == tuple((output / name).stat().st_mtime_ns for name in ("course/history.json", "model.safetensors"))
    trained = dbt_resnet50.ChangeClassifier.load(output / "model.safetensors")
    pairs = SubtleDiffDataset(other, transform=alignment.aligned, size=64)
    logits, truth = training.predict(trained.model, pairs)
    right = ((training.sigmoid(logits) >= trained.thresholds) == truth).mean()
    measured = json.loads((output / "results.json").read_text())
    assert measured["pairs"] == 40
    assert measured["accuracy"]["test"]["value"] == pytest.approx(right, abs=0.01)


@pytest.mark.slow
@pytest.mark.own_data
@pytest.mark.real
def test_dual_attention_on_real_photographs_with_csv_files(real_data, tmp_path):
    """Cracks in brickwork, laid out as the original's pictures: the notebook runs as it is, and gives an interval.

    Without EPOCHS it would train each network for eighteen, which takes more than twice as long.
    """
    folder = tmp_path / "bricks"
    for label, name in enumerate(("Negative", "Positive")):
        (folder / str(label)).mkdir(parents=True)
        photographs = sorted((real_data / "brickwork-cracks" / name).iterdir())
        for path in photographs:
            shutil.copyfile(path, folder / str(label) / f"{name}_{path.name}")
        rows = [f"{name}_{path.name},{label}" for path in photographs]
        (folder / f"{label}.csv").write_text("\n".join(["image_name,target", *rows]))
    given = ["-p", "DATA_DIR", str(folder), "-p", "EPOCHS", "4"]
    process = run_offline(ROOT / "notebooks" / "04_keras_dual_attention.ipynb", tmp_path, *given)
    assert process.returncode == 0, process.stdout + process.stderr
    output = tmp_path / "04_keras_dual_attention"
    assert json.loads((output / "metrics.json").read_text())["ROC AUC, upper end"]["passed"]
    measured = json.loads((output / "results.json").read_text())
    printed = nbformat.writes(read_notebook(tmp_path / "04_keras_dual_attention.ipynb"))
    for interval in measured["accuracy"].values():
        assert interval["low"] <= interval["value"] <= interval["high"]
        assert f"{interval['value']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]" in printed


@pytest.mark.slow
@pytest.mark.own_data
def test_dual_attention_where_few_are_cracked(tmp_path):
    """Forty-eight pictures, of which eight are cracked; then, without training, others."""
    given = {"DATA_DIR": uneven(tmp_path / "mine", 0, 40, 8), "IMAGE_SIZE": 32, "EPOCHS": 1}
    arguments = [part for name, value in given.items() for part in ("-p", name, str(value))]
    process = run_offline(ROOT / "notebooks" / "04_keras_dual_attention.ipynb", tmp_path, *arguments)
    assert process.returncode == 0, process.stdout + process.stderr
    output, other = tmp_path / "04_keras_dual_attention", uneven(tmp_path / "other", 7, 25, 5)
    saved = (output / "model.keras").stat().st_mtime_ns
    judged_by(tmp_path, "04_keras_dual_attention", other)
    assert (output / "model.keras").stat().st_mtime_ns == saved
    measured = json.loads((output / "results.json").read_text())
    assert measured["images"] == 30
    found = defect_images(other, 32)
    pictures = np.stack([found.picture(index) for index in range(30)]).astype(np.float32)
    right = (
        (dual_attention.predict(dual_attention.load(output / "model.keras"), pictures) >= 0.5) == found.labels
    ).mean()
    (interval,) = measured["accuracy"].values()
    assert interval["value"] == pytest.approx(right, abs=0.034), "one may be on the fence"


@pytest.mark.slow
@pytest.mark.own_data
def test_t_blip2_on_pairs_of_ones_own(tmp_path):
    """A folder in Spot-the-Diff's format: trained for an epoch, then judged again from what was saved."""
    folder = tmp_path / "mine"
    for number, (part, count) in enumerate((("train", 64), ("val", 8), ("test", 8))):
        (folder / part).mkdir(parents=True)
        records = []
        for index in range(count):
            pair = scenes.scene_pair(number, index, changes=(index % 3, index % 3))
            for name, picture in ((f"{number}{index:03}", pair.before), (f"{number}{index:03}_2", pair.after)):
                Image.fromarray(picture).save(folder / part / f"{name}.png")
            records.append({"img_id": f"{number}{index:03}", "sentences": list(pair.captions)})
        (folder / f"{part}.json").write_text(json.dumps(records))
    given = ["-p", "DATA_DIR", str(folder), "-p", "EPOCHS", "1"]
    said = []

    def measured():
        found = json.loads((tmp_path / "05_t_blip2" / "results.json").read_text())
        assert found["pairs"] == 8
        return found["scores"]["T-BLIP2"]

    process = run_offline(ROOT / "notebooks" / "05_t_blip2.ipynb", tmp_path, *given)
    assert process.returncode == 0, process.stdout + process.stderr
    said.append(measured())
    weights = tmp_path / "05_t_blip2" / "model" / "model.safetensors"
    saved = weights.stat().st_mtime_ns
    judged_by(tmp_path, "05_t_blip2", folder)
    assert weights.stat().st_mtime_ns == saved
    said.append(measured())
    assert said[0] == pytest.approx(said[1]), "the model in CHECKPOINT is the one that was trained"


@pytest.mark.slow
@pytest.mark.own_data
def test_t_blip2_on_a_published_data_set(tmp_path):
    """NLVR2: photographs of any size, of which one is gone, and one sentence a pair."""
    folder = write_published("nlvr2", tmp_path / "nlvr2", size=96, train=9, validation=2, test=8)
    (folder / "images" / "train" / "0" / "train-0-0-img1.png").unlink()
    given = {"DATASET": "nlvr2", "DATA_DIR": folder, "EPOCHS": 1, "BATCH_SIZE": 4}
    arguments = [part for name, value in given.items() for part in ("-p", name, str(value))]
    process = run_offline(ROOT / "notebooks" / "05_t_blip2.ipynb", tmp_path, *arguments)
    assert process.returncode == 0, process.stdout + process.stderr
    assert json.loads((tmp_path / "05_t_blip2" / "results.json").read_text())["pairs"] == 8
    printed = nbformat.writes(read_notebook(tmp_path / "05_t_blip2.ipynb"))
    assert "train: 1 left out, as " in printed
    assert "{'train': 8, 'validation': 2, 'test': 8}" in printed
