"""ResNet18: built, frozen, loaded from checkpoints; its cached features train the same head as the plain loop."""

from __future__ import annotations

import argparse
from collections import OrderedDict

import numpy as np
import pytest
import safetensors.torch
import torch
import torchvision

from helpers import datasets, surfaces
from whatchanged import training
from whatchanged.images import resized
from whatchanged.models import resnet18
from whatchanged.weights import to_tensor


@pytest.fixture(scope="module")
def data():
    made = surfaces.surfaces(0, 48, size=48)
    return datasets.Pictures(made.images, made.labels, made.names)


def seeded(*arguments, **options):
    torch.manual_seed(0)
    return resnet18.build(*arguments, **options)


def test_it_is_the_resnet18_of_torchvision():
    reference = torchvision.models.resnet18(num_classes=2).eval()
    model = resnet18.build(2)
    model.load_state_dict(reference.state_dict())
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(model.eval()(images), reference(images))


def test_frozen_layers_do_not_move(data):
    model = seeded(2, freeze=True)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    training.fit(model, data, recipe=training.Recipe(precision="fp32"), epochs=1, batch_size=16, progress=False)
    after = model.state_dict()
    assert not torch.equal(after["fc.weight"], before["fc.weight"])
    for name, value in before.items():
        if not name.startswith("fc."):
            assert torch.equal(after[name], value), name


def test_without_the_guard_batch_norm_drifts(data):
    """What `ResNet18.train` is for: torchvision's own network moves its running means though all is frozen."""
    model = torchvision.models.resnet18(num_classes=2).requires_grad_(False).train()
    before = model.bn1.running_mean.clone()
    model(torch.stack([data[index][0] for index in range(8)]))
    assert not torch.equal(model.bn1.running_mean, before)


def test_a_trainable_network_trains_its_batch_norm():
    model = resnet18.build(2).train()
    assert model.bn1.training
    assert not resnet18.build(2, freeze=True).train().bn1.training


def test_cached_features_train_the_same_head(data):
    plain, cached = seeded(2, freeze=True), seeded(2, freeze=True)
    recipe = training.Recipe(learning_rate=1e-2, precision="fp32")
    options = {"recipe": recipe, "epochs": 5, "batch_size": 12, "progress": False}
    history = training.fit(plain, data, **options)
    features = resnet18.cache_features(cached, data, precision="fp32")
    assert len(features) == len(data)
    assert features[0][0].shape == (512,)
    on_features = training.fit(cached.fc, features, **options)
    torch.testing.assert_close(cached.fc.weight, plain.fc.weight, atol=1e-3, rtol=1e-3)
    assert on_features.step_loss == pytest.approx(history.step_loss, abs=1e-3)
    ours, labels = training.predict(cached, data, precision="fp32")
    theirs, _ = training.predict(plain, data, precision="fp32")
    assert np.abs(ours - theirs).max() < 1e-3
    assert np.array_equal(labels, data.labels)


def test_folding_batch_norm_keeps_the_features(data):
    model = seeded(2, freeze=True)
    for module in model.modules():  # statistics as after training, so that folding has something to do
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    features = resnet18.cache_features(model, data, precision="fp32").tensors[0]
    layers = torch.nn.Sequential(*list(model.eval().children())[:-1], torch.nn.Flatten())
    with torch.no_grad():
        expected = layers(torch.stack([data[index][0] for index in range(len(data))]))
    torch.testing.assert_close(features, expected, atol=1e-4, rtol=1e-4)


def test_caching_a_network_that_learns_is_refused(data):
    with pytest.raises(ValueError, match="conv1.weight is not frozen: cached features need"):
        resnet18.cache_features(resnet18.build(2), data)


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_checkpoints_of_other_classes_give_the_backbone(tmp_path, suffix):
    from safetensors.torch import save_file

    source = torchvision.models.resnet18(num_classes=1000)
    path = tmp_path / f"weights.{suffix}"
    save_file(source.state_dict(), path) if suffix == "safetensors" else torch.save(source.state_dict(), path)
    model = resnet18.build(2, path)
    assert torch.equal(model.layer4[1].conv2.weight, source.layer4[1].conv2.weight)
    assert torch.equal(model.bn1.running_var, source.bn1.running_var)
    assert model.fc.out_features == 2


def test_bad_weights_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="weights is 'nowhere.pt': use 'imagenet', None, or a checkpoint"):
        resnet18.build(2, "nowhere.pt")
    torch.save(torchvision.models.resnet34().state_dict(), tmp_path / "other.pt")
    with pytest.raises(ValueError, match="not those of a resnet18: layer1.2.conv1.weight does not fit"):
        resnet18.build(2, tmp_path / "other.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(ValueError, match=r"text.pt is not a checkpoint: save one with torch.save"):
        resnet18.build(2, tmp_path / "text.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ValueError, match=r"list.pt holds no state dict"):
        resnet18.build(2, tmp_path / "list.pt")
    with pytest.raises(ValueError, match="num_classes is 0"):
        resnet18.build(0)


def published(architecture, folder, monkeypatch, **format):
    """The published weights in torch's cache, of random values: what torch before 0.4.1 wrote, without
    `num_batches_tracked`, each weight a Parameter.
    """
    monkeypatch.setenv("TORCH_HOME", str(folder))
    network = torchvision.models.get_model(architecture)
    old = {name: value for name, value in network.state_dict(keep_vars=True).items() if "num_batches" not in name}
    kept = folder / "hub" / "checkpoints"
    kept.mkdir(parents=True, exist_ok=True)
    address = torchvision.models.get_model_weights(architecture).DEFAULT.url
    path = kept / address.rpartition("/")[2]
    torch.save(OrderedDict(old), path, **format)
    return network, path


@pytest.mark.parametrize("zipped", [True, False])
def test_the_published_imagenet_weights_load_from_torchs_cache(tmp_path, monkeypatch, zipped):
    source, path = published("resnet18", tmp_path, monkeypatch, _use_new_zipfile_serialization=zipped)
    assert path.name == "resnet18-f37072fd.pth"
    assert len(torch.load(path, weights_only=True)) == 102
    model = resnet18.build(2, "imagenet")
    for name, value in source.state_dict().items():
        if not name.startswith("fc."):
            assert torch.equal(model.state_dict()[name], value), name
    assert model.fc.out_features == 2


def test_a_broken_file_in_torchs_cache_is_named(tmp_path, monkeypatch):
    _, path = published("resnet18", tmp_path, monkeypatch)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(ValueError, match="resnet18-f37072fd.pth is not a checkpoint: delete it, and it is downloaded"):
        resnet18.build(2, "imagenet")
    torch.save(torchvision.models.resnet34().state_dict(), path)
    with pytest.raises(ValueError, match="in .*resnet18-f37072fd.pth are not those of a resnet18: layer1.2.conv1.wei"):
        resnet18.build(2, "imagenet")


def nested(*names):
    """A state dict below these names, beside what training scripts save with it."""

    def wrap(state):
        for name in reversed(names):
            state = {"epoch": 3, "best_acc1": np.float64(0.9), "args": argparse.Namespace(lr=0.1), name: state}
        return state

    return wrap


def renamed(before):
    return lambda state: {before(name): value for name, value in state.items()}


SAVED = {
    "state_dict": nested("state_dict"),
    "model_state_dict": nested("model_state_dict"),
    "model": nested("model"),
    "two deep": nested("model", "state_dict"),
    "DataParallel": renamed("module.{}".format),
    "torch.compile": renamed("_orig_mod.{}".format),
    "both": renamed("module._orig_mod.{}".format),
    "a compiled part": renamed(lambda name: name.replace("layer1.", "layer1._orig_mod.")),
    "Lightning": lambda state: nested("state_dict")(renamed("model.{}".format)(state)),
    "half precision": lambda state: {name: value.half() for name, value in state.items()},
    "another head": lambda state: {name.replace("fc.", "fc.1."): value for name, value in state.items()},
}


@pytest.mark.parametrize("saved", SAVED)
def test_checkpoints_load_as_training_scripts_save_them(tmp_path, monkeypatch, saved):
    source = torchvision.models.resnet18(num_classes=3).state_dict()
    torch.save(SAVED[saved](source), tmp_path / "weights.pth")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    found = resnet18.build(2, "~/weights.pth").state_dict()
    for name, value in source.items():
        if not name.startswith("fc."):
            expected = value.half().to(value.dtype) if saved == "half precision" else value
            assert torch.equal(found[name], expected), name


def test_a_whole_model_is_refused_for_the_code_that_it_could_run(tmp_path):
    torch.save(torchvision.models.resnet18(), tmp_path / "whole.pt")
    with pytest.raises(
        ValueError, match=r"whole.pt holds Python objects, .*: save one with torch.save\(model.state_di"
    ):
        resnet18.build(2, tmp_path / "whole.pt")


def test_imagenet_weights_without_a_network_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def offline(*_, **__):
        raise OSError("no route")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(ConnectionError, match="of resnet18 are not on this machine .*put resnet18-f37072fd.pth into"):
        resnet18.build(2, "imagenet")


def test_grad_cam_is_the_formula_and_finds_what_decides():
    """Against the definition: channel weights are the mean gradients of the logit, the map their positive sum."""
    model = seeded(2).eval()
    images = torch.randn(2, 3, 64, 64)
    maps = resnet18.grad_cam(model, images, 1, layer="layer2")
    kept = {}
    handle = model.layer2.register_forward_hook(lambda module, given, output: kept.update(out=output))
    logits = model(images)
    handle.remove()
    gradients = torch.autograd.grad(logits[:, 1].sum(), kept["out"])[0]
    expected = torch.relu((gradients.mean(dim=(2, 3), keepdim=True) * kept["out"]).sum(dim=1))
    assert maps.shape == (2, 8, 8)
    assert maps == pytest.approx(expected.detach().numpy(), abs=1e-6)


def test_a_saved_classifier_answers_the_same(tmp_path, monkeypatch):
    model = seeded(3)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()  # so that what is no parameter is kept, too
    saved = resnet18.Classifier(model, 48, ("a", "b", "c"))
    loaded = resnet18.Classifier.load(saved.save(tmp_path / "model.safetensors"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    at_home = resnet18.Classifier.load("~/model.safetensors")
    picture = surfaces.surface(0, 0, size=96).image
    expected = model.eval()(to_tensor(resized(picture, 48))[None]).softmax(1)[0].tolist()
    for classifier in (saved, loaded, at_home):
        probabilities, heat = classifier(picture)
        assert list(probabilities) == ["a", "b", "c"]
        assert list(probabilities.values()) == pytest.approx(expected, abs=1e-5)
        assert heat.shape == (3, 3)
    assert loaded.size == 48
    assert not list(tmp_path.glob("*.part"))


def test_what_is_no_classifier_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(ValueError, match="no trained model in .*: give the file that Classifier.save wrote"):
        resnet18.Classifier.load(path)
    safetensors.torch.save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="holds no resnet18 that judges: give the file"):
        resnet18.Classifier.load(path)
    resnet18.Classifier(seeded(2), 48, ("a", "b")).save(path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match="is damaged"):
        resnet18.Classifier.load(path)
