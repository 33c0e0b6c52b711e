"""Features of a ResNet50, with a checkpoint, without one, and without a network."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.photographs import photo_pair, photograph
from whatchanged.features import feature_similarity

PHOTO = photograph("coffee")


def test_features_with_a_checkpoint_and_without(tmp_path):
    torch = pytest.importorskip("torch")
    from torchvision.models import resnet50

    pair = photo_pair(2, name="coffee", edits=(1, 1))
    random = feature_similarity(pair.before, pair.after)
    assert "random" in random.note
    assert random.similarity < 1
    assert random.map.shape == pair.before.shape[:2]
    assert feature_similarity(pair.before, pair.before.copy()).map.max() < 1e-3
    x, y, width, height = pair.boxes[0]
    row, column = np.unravel_index(random.map.argmax(), random.map.shape)
    assert x - 12 <= column <= x + width + 12
    assert y - 12 <= row <= y + height + 12

    torch.manual_seed(5)
    torch.save(resnet50().state_dict(), tmp_path / "resnet50.pth")
    trained = feature_similarity(pair.before, pair.after, weights=str(tmp_path / "resnet50.pth"))
    assert "resnet50.pth" in trained.note
    assert not np.allclose(trained.map, random.map)
    with pytest.raises(FileNotFoundError, match="weights is 'nowhere.pth'"):
        feature_similarity(pair.before, pair.after, weights="nowhere.pth")
    with pytest.raises(ValueError, match="at least 32 pixels"):
        feature_similarity(pair.before[:20], pair.after[:20])


def test_imagenet_weights_without_a_network_are_one_sentence(monkeypatch, tmp_path):
    import urllib.error
    import urllib.request

    def unreachable(*_, **__):
        raise urllib.error.URLError("unreachable")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    monkeypatch.setattr("torch.hub.urlopen", unreachable)
    with pytest.raises(ConnectionError, match="could not be downloaded: connect to the network once"):
        feature_similarity(PHOTO, PHOTO, weights="imagenet")
