"""A surface as the page judges it: the network's own answer, its evidence in colors, and files that say the same."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import tiny_models
from support import save_picture

from helpers import surfaces
from helpers.photographs import photograph
from whatchanged.drawing import overlay
from whatchanged.formats import ImageError
from whatchanged.images import read_image
from whatchanged.models import resnet18
from whatchanged.page import judging
from whatchanged.page.comparing import Models
from whatchanged.page.judging import Judged, Judging


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return tiny_models.classifier(tmp_path_factory.mktemp("model") / "classifier.safetensors")


@pytest.fixture(scope="module")
def wall(tmp_path_factory):
    return save_picture(tmp_path_factory.mktemp("wall") / "wall.png", surfaces.surface(21, 0, size=96).image)


@pytest.mark.parametrize(("look", "layer", "side"), [("broad", "layer3", 4), ("sharp", "layer2", 8)])
@pytest.mark.parametrize("full_scale", [False, True])
def test_it_is_the_network(network, wall, look, layer, side, full_scale):
    judged = judging.judge(wall, Judging(look=look, full_scale=full_scale), Models(classifier=network))
    probabilities, heat = resnet18.Classifier.load(network)(read_image(wall), layer=layer)
    assert heat.shape == (side, side)
    assert judged.probabilities == pytest.approx(probabilities, abs=1e-5)
    brightest = float(heat.max()) if full_scale else float(heat.max()) / probabilities["cracked"]
    assert brightest > 0
    np.testing.assert_array_equal(judged.evidence, overlay(read_image(wall), heat, highest=brightest))


def judged_as(threshold: float, *shares: float) -> Judged:
    gray = np.full((9, 16, 3), 90, np.uint8)
    names = ("sound", "stained", "cracked") if len(shares) == 3 else ("sound", "cracked")
    return Judged("wall.png", gray, gray, dict(zip(names, shares, strict=True)), Judging(threshold))


@pytest.mark.parametrize(
    ("judged", "said"),
    [
        (judged_as(0.5, 0.2, 0.8), "The answer is “cracked”, 80% sure."),
        (judged_as(0.5, 0.8, 0.2), "The answer is “sound”, 80% sure."),
        (judged_as(0.2, 0.8, 0.2), "The answer is “cracked”, 20% sure: by the settings it is “cracked” from 20% on."),
        (judged_as(0.9, 0.2, 0.8), "The answer is “sound”, 20% sure: by the settings it is “cracked” from 90% on."),
        (judged_as(0.5, 0.1, 0.6, 0.3), "The answer is “stained”, 60% sure."),
    ],
)  # fmt: skip
def test_the_threshold_decides_and_is_told(judged, said):
    assert judging.answer_in_words(judged) == said
    seen = judging.answer_view(judged)
    assert ("What spoke for “cracked”" in seen) == (judged.answer == "cracked")
    assert ("What comes closest to “cracked”, and is not" in seen) == (judged.answer != "cracked")


@pytest.mark.parametrize(("unlike", "like"), [(True, "no"), (False, "yes"), (None, "not known")])
def test_a_picture_unlike_the_training_set_is_told_everywhere(tmp_path, unlike, like):
    judged = replace(judged_as(0.5, 0.1, 0.9), unlike=unlike)
    told = "This picture is unlike the pictures that the model learned from: what it says may mean nothing. The answer"
    _, record, report = judging.answer_files(judged, tmp_path)
    assert json.loads(record.read_text())["unlike"] is unlike
    for text in (judging.answer_in_words(judged), judging.answer_view(judged), report.read_text()):
        assert (told in text) == bool(unlike)
    assert f"<dt>Like what it learned from</dt><dd>{like}</dd>" in report.read_text()


def test_an_astronaut_is_unlike_and_a_wall_is_not(tmp_path):
    wall = save_picture(tmp_path / "wall.png", surfaces.surface(21, 1, size=64).image)
    models = Models(classifier=tiny_models.classifier(tmp_path / "knows.safetensors", knows=True))
    astronaut = save_picture(tmp_path / "astronaut.png", photograph("astronaut"))
    assert judging.judge(astronaut, Judging(), models).unlike is True
    assert judging.judge(wall, Judging(), models).unlike is False


def test_files_say_the_same(tmp_path):
    judged = judged_as(0.9, 0.2, 0.8)
    picture, record, report = judging.answer_files(judged, tmp_path)
    np.testing.assert_array_equal(read_image(picture), judged.evidence)
    assert json.loads(record.read_text()) == {
        "picture": "wall.png",
        "answer": "sound",
        "probabilities": {"sound": 0.2, "cracked": 0.8},
        "unlike": None,
        "threshold": 0.9,
        "look": "broad",
        "full_scale": False,
    }
    page = report.read_text()
    for told in ("wall.png, 16 × 9 pixels", "sound 20.0%, cracked 80.0%", "90%", judging.UNKNOWN):
        assert told in page
    assert page.count("<img") == 2
    assert str(tmp_path) not in page


def test_a_bad_picture_is_named(tmp_path, network):
    (tmp_path / "letter.png").write_text("no image")
    with pytest.raises(ImageError, match=r"^letter.png is not an image"):
        judging.judge(tmp_path / "letter.png", Judging(), Models(classifier=network))
    with pytest.raises(ValueError, match="no trained model in nowhere: give the file that"):
        judging.judge(save_picture(tmp_path / "a.png", np.zeros((9, 9, 3), np.uint8)), Judging(), Models("", "nowhere"))
