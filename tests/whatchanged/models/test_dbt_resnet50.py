"""DBTResNet50: both forms, what they look at, and what they must not care about."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
import torchvision
from scipy.ndimage import gaussian_filter1d
from support import SCRIPTS

from helpers import evaluation, scenes
from helpers.changes import write_dataset
from whatchanged import alignment
from whatchanged.features import _build_resnet50, feature_similarity
from whatchanged.models import dbt_resnet50 as dbt
from whatchanged.models import resnet18
from whatchanged.weights import to_tensor


def seeded(*arguments, **options):
    torch.manual_seed(0)
    return dbt.build(*arguments, **options)


@pytest.fixture(scope="module")
def made():
    return [scenes.subtle_pair(0, index) for index in range(60)]


@pytest.fixture(scope="module")
def batch(made):
    """Aligned pairs: float32 (60, 2, 3, 96, 96)."""
    return torch.stack([to_tensor(np.stack(alignment.aligned(one.before, one.after))) for one in made])


def randomized(model):
    """Running statistics and scales that are not those of a fresh network."""
    torch.manual_seed(1)
    for name, value in model.state_dict().items():
        if "running_mean" in name or name.endswith("bias"):
            value.normal_(0, 0.1)
        elif "running_var" in name or value.ndim == 1 and value.is_floating_point():
            value.uniform_(0.5, 1.5)
    return model.eval()


def test_the_backbone_is_the_resnet50_of_torchvision(tmp_path, batch):
    source = randomized(torchvision.models.resnet50())
    torch.save(source.state_dict(), tmp_path / "weights.pt")
    model = dbt.build("original", strides=(4, 8, 16, 32), weights=tmp_path / "weights.pt").eval()
    with torch.inference_mode():
        found = model.feature_maps(batch[:2])
        x = batch[:2].flatten(0, 1).contiguous()
        x = source.maxpool(source.relu(source.bn1(source.conv1(x))))
        for stride, features in zip((4, 8, 16, 32), found, strict=True):
            x = getattr(source, dbt._STAGES[stride][0])(x)
            assert features.shape == (2, 2, dbt._STAGES[stride][1], 96 // stride, 96 // stride)
            torch.testing.assert_close(features.flatten(0, 1), x, rtol=1e-4, atol=1e-4)


def test_a_saved_classifier_answers_the_same(tmp_path, batch):
    model = randomized(seeded()).eval()
    saved = dbt.ChangeClassifier(model, 96, ("color", "shape", "texture"), (0.25, 0.5, 0.75))
    loaded = dbt.ChangeClassifier.load(saved.save(tmp_path / "model.safetensors"))
    assert (loaded.size, loaded.names, loaded.thresholds) == (saved.size, saved.names, saved.thresholds)
    with torch.inference_mode():
        torch.testing.assert_close(loaded.model.cpu()(batch[:4]), model(batch[:4]))
    assert not list(tmp_path.glob("*.part"))


def test_what_is_no_classifier_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(ValueError, match="no trained model in .*: give the file that ChangeClassifier.save wrote"):
        dbt.ChangeClassifier.load(path)
    resnet18.Classifier(resnet18.build(2), 48, ("a", "b")).save(path)
    with pytest.raises(ValueError, match="holds no dbt_resnet50 that judges: give the file that ChangeClassifier"):
        dbt.ChangeClassifier.load(path)
    dbt.ChangeClassifier(seeded(), 96, ("color", "shape", "texture"), (0.5,) * 3).save(path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match="is damaged"):
        dbt.ChangeClassifier.load(path)


def test_the_published_imagenet_weights_load_from_torchs_cache(tmp_path, monkeypatch):
    """ResNet50's, for this network and for the features of `detect`, which stay those of torchvision's network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    source = randomized(torchvision.models.resnet50())
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    old = {name: value for name, value in source.state_dict().items() if "num_batches" not in name}
    assert len(old) == 267
    torch.save(old, tmp_path / "hub" / "checkpoints" / "resnet50-11ad3fa6.pth")
    model = dbt.build("original", weights="imagenet")
    assert torch.equal(model.backbone.layer4[2].conv3.weight, source.layer4[2].conv3.weight)
    assert torch.equal(model.backbone.bn1.running_var, source.bn1.running_var)
    before, after = (np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8) for seed in (0, 1))
    _build_resnet50.cache_clear()
    found = feature_similarity(before, after, weights="imagenet").similarity
    with torch.inference_mode():
        source.fc = torch.nn.Identity()
        vectors = source(torch.stack([to_tensor(before), to_tensor(after)]))
    assert found == pytest.approx(torch.cosine_similarity(vectors[:1], vectors[1:]).item(), abs=0.02)
    _build_resnet50.cache_clear()


def test_the_original_form_lays_averaged_features_end_to_end(batch):
    model = randomized(seeded("original"))
    with torch.inference_mode():
        (features,) = model.feature_maps(batch[:3])
        before, after = (features[:, side].mean(dim=(2, 3)) for side in (0, 1))
        expected = model.head(model.block(torch.cat([before, after], dim=1)))
        assert model(batch[:3]).shape == (3, 3)
        torch.testing.assert_close(model(batch[:3]), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("changes", [{}, {"compare": "pooled"}, {"strides": (8,), "window": None}])
def test_swapping_before_and_after_changes_no_logit(batch, changes):
    model = randomized(seeded("course", **changes))
    with torch.inference_mode():
        torch.testing.assert_close(model(batch[:8]), model(batch[:8].flip(1)), rtol=1e-4, atol=1e-5)


def test_the_original_form_does_care_which_comes_first(batch):
    model = randomized(seeded("original"))
    with torch.inference_mode():
        assert (model(batch[:8]) - model(batch[:8].flip(1))).abs().max() > 1e-3


def test_the_difference_map_is_its_formula(batch):
    pictures = batch[0].double().numpy()
    even = (pictures - pictures.mean(axis=(2, 3), keepdims=True)) / pictures.std(axis=(2, 3), keepdims=True, ddof=0)
    for axis in (2, 3):
        even = gaussian_filter1d(even, 1.0, axis=axis, mode="mirror", radius=3)
    small = even.reshape(2, 3, 48, 2, 48, 2).mean(axis=(3, 5))
    expected = ((small[0] - small[1]) ** 2).sum(axis=0)
    assert dbt.difference_map(batch[:1])[0].numpy() == pytest.approx(expected, abs=1e-4)


def test_exposure_is_no_difference_and_a_flat_picture_no_error(batch):
    before = batch[:1, :1]
    assert dbt.difference_map(torch.cat([before, 1.2 * before + 0.3], dim=1)).max() < 1e-6
    assert torch.isfinite(dbt.difference_map(torch.zeros(1, 2, 3, 32, 32))).all()


def test_attention_points_at_the_change(batch, made):
    maps = seeded("course").attention(batch)
    hits = evaluation.pointing_hits(maps.numpy(), [pair.boxes for pair in made], (96, 96))
    assert len(hits) == sum(len(pair.changes) for pair in made)
    assert hits.mean() > 0.9


def test_the_window_is_around_the_peak_and_inside():
    pairs = torch.arange(2 * 2 * 3 * 64 * 96.0).view(2, 2, 3, 64, 96)
    maps = torch.zeros(2, 32, 48)
    maps[0, 15, 20] = maps[1, 0, 47] = 1
    found = dbt.windows(pairs, maps, 0.25)
    assert found.shape == (2, 2, 3, 16, 16)
    assert torch.equal(found[0], pairs[0, :, :, 23:39, 33:49])  # around row 31, column 41
    assert torch.equal(found[1], pairs[1, :, :, :16, 80:])


def test_only_the_window_counts(batch):
    """What lies far from the greatest difference does not reach the logits."""
    model = seeded("course").eval()
    still = torch.zeros(1, 2, 3, 96, 96)
    still[:, 1, :, 10:30, 10:30] = 3.0
    other = still.clone()
    torch.manual_seed(0)
    other[:, :, :, 70:90, 70:90] += 0.2 * torch.randn(1, 1, 3, 20, 20)
    with torch.inference_mode():
        assert torch.equal(model(still), model(other))
        whole = seeded("course", window=None).eval()
        assert not torch.equal(whole(still), whole(other))


def test_the_block_begins_as_batch_norm_and_can_follow_the_sample():
    torch.manual_seed(0)
    block, x = dbt.DBTBlock(6, 4, 0.0), torch.randn(10, 6)
    linear = x @ block.linear.weight.T
    plain = (linear - linear.mean(0)) / (linear.var(0, unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(block(x), plain.relu())
    torch.nn.init.normal_(block.dynamic[-1].weight)
    scale, shift = block.dynamic(x).chunk(2, dim=1)
    assert scale.std(dim=0).min() > 0
    torch.testing.assert_close(block(x), (plain * (1 + scale) + shift).relu())


def test_the_course_form_ends_at_its_last_stride():
    model = dbt.build("course")
    assert not hasattr(model.backbone, "layer3")
    assert sum(value.numel() for value in model.parameters()) < 3e6
    with torch.inference_mode():
        assert dbt.build("course", labels=5).eval()(torch.randn(2, 2, 3, 64, 80)).shape == (2, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strides": (4, 16)}, r"strides is \(4, 16\)"),
        ({"strides": ()}, r"strides is \(\)"),
        ({"strides": (64,)}, "choose from 4, 8, 16, 32"),
        ({"compare": "sum"}, "compare is 'sum': choose from concatenate, pooled, maps"),
        ({"window": 2}, "window is 2: give a share"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        dbt.build("course", **options)
    with pytest.raises(ValueError, match="form is 'new': choose from original, course"):
        dbt.build("new")


def test_weights_of_another_network_are_refused():
    with pytest.raises(ValueError, match="the weights are not those of a resnet50"):
        dbt.build("course", weights=torchvision.models.resnet18().state_dict())
    with pytest.raises(FileNotFoundError, match=r"weights is 'nowhere\.pt'"):
        dbt.build("course", weights="nowhere.pt")


@pytest.mark.process
def test_killed_after_an_epoch_and_resumed_ends_with_the_same_metrics(tmp_path):
    pairs = write_dataset(tmp_path / "pairs", (scenes.subtle_pair(0, index, size=48) for index in range(36)))

    def run(name, folder, *flags, expect=0):
        output = tmp_path / f"{name}.pt"
        command = [sys.executable, SCRIPTS / "dbt_script.py", pairs, tmp_path / folder, output, *flags]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        assert done.returncode == expect, done.stderr
        return torch.load(output, weights_only=True) if output.exists() else None

    whole = run("whole", "a")
    assert run("killed", "b", "--die", expect=-signal.SIGKILL) is None
    assert len(list((tmp_path / "b").glob("checkpoint-*"))) == 1
    resumed = run("resumed", "b", "--resume")
    assert whole["history"] == resumed["history"]
    assert all(torch.equal(value, resumed["weights"][name]) for name, value in whole["weights"].items())
