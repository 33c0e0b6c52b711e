"""Features of a network that ImageNet taught, of a ResNet50 with a checkpoint and without, and without a network."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from helpers.photographs import photo_pair, photograph
from whatchanged import detect
from whatchanged.features import feature_similarity

PHOTO = photograph("coffee")


@pytest.mark.parametrize("weights", ["lite0", "random"])
def test_the_map_shows_the_edit_and_nothing_of_the_same(weights):
    pair = photo_pair(2, name="coffee", edits=(1, 1))
    found = feature_similarity(pair.before, pair.after, weights=weights)
    assert found.similarity < 1
    assert found.map.shape == pair.before.shape[:2]
    assert found.map.dtype == np.float32
    assert feature_similarity(pair.before, pair.before.copy(), weights=weights).map.max() < 1e-3
    x, y, width, height = pair.boxes[0]
    row, column = np.unravel_index(found.map.argmax(), found.map.shape)
    assert x - 12 <= column <= x + width + 12
    assert y - 12 <= row <= y + height + 12


def test_features_know_what_pixels_do_not():
    """Another picture of the same thing is nearer than one of another thing; to the pixels it is not."""
    cat = cv2.resize(data.chelsea(), (320, 224))
    mirrored, cup = np.ascontiguousarray(cat[:, ::-1]), cv2.resize(data.coffee(), (320, 224))
    alike, other = (feature_similarity(cat, one).similarity for one in (mirrored, cup))
    assert alike > 0.8
    assert other < 0.4
    assert np.abs(cat.astype(int) - mirrored).mean() > 0.5 * np.abs(cat.astype(int) - cup).mean()
    random = [feature_similarity(cat, one, weights="random").similarity for one in (mirrored, cup)]
    assert min(random) > 0.8, "to random filters all pictures are alike"


def test_detect_by_features_boxes_the_edits():
    pair = photo_pair(3, name="coffee", edits=(2, 2))
    found = detect(pair.before, pair.after, method="features")
    for x, y, width, height in pair.boxes:
        assert any(one.box[0] < x + width and x < one.box[0] + one.box[2] for one in found.regions)
        assert any(one.box[1] < y + height and y < one.box[1] + one.box[3] for one in found.regions)
    assert not detect(pair.before, pair.before.copy(), method="features").regions


def test_a_checkpoint_is_that_of_a_resnet50(tmp_path):
    torch = pytest.importorskip("torch")
    from torchvision.models import resnet50

    pair = photo_pair(2, name="coffee", edits=(1, 1))
    torch.manual_seed(5)
    torch.save(resnet50().state_dict(), tmp_path / "resnet50.pth")
    trained = feature_similarity(pair.before, pair.after, weights=str(tmp_path / "resnet50.pth"))
    assert "resnet50.pth" in trained.note
    random = feature_similarity(pair.before, pair.after, weights="random")
    assert "random" in random.note
    assert not np.allclose(trained.map, random.map)
    assert "Lite0" in feature_similarity(pair.before, pair.after).note
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
