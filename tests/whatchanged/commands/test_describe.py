"""`whatchanged describe` as a user types it: exit status, files, sentences."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tiny_models

from helpers import scenes
from helpers.changes import write_dataset
from whatchanged.__main__ import main
from whatchanged.images import read_image


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_models.describer(tmp_path_factory.mktemp("model"))


@pytest.fixture
def pairs(tmp_path):
    return write_dataset(tmp_path / "pairs", (scenes.scene_pair(3, index) for index in range(4)))


def said(model, folder, name):
    from whatchanged.models.tblip2 import EnhancedDiffBLIP2

    pictures = [[read_image(folder / side / name)] for side in ("before", "after")]
    return EnhancedDiffBLIP2.from_pretrained(model).generate(*pictures)[0]


def test_one_pair_is_described(model, pairs, capsys):
    images = ["--image1", str(pairs / "before" / "000001.png"), "--image2", str(pairs / "after" / "000001.png")]
    assert main(["describe", *images, "--model-path", str(model)]) == 0
    assert capsys.readouterr().out == said(model, pairs, "000001.png") + "\n"


def test_many_pairs_are_described_and_a_second_run_goes_on(model, pairs, tmp_path, capsys):
    (pairs / "after" / "000002.png").write_text("no image")
    output = tmp_path / "results.json"
    command = ["describe", "--input-dir", str(pairs), "--output-file", str(output), "--model-path", str(model)]
    assert main(command) == 2
    assert "4 pairs: 3 described, 1 bad" in capsys.readouterr().out
    content = json.loads(output.read_text())
    assert content["model"] == str(model)
    assert [Path(record["before"]).name for record in content["pairs"]] == [f"00000{i}.png" for i in range(4)]
    assert content["pairs"][3]["caption"] == said(model, pairs, "000003.png")
    assert "000002.png is not an image" in content["pairs"][2]["error"]
    shutil.copyfile(pairs / "after" / "000001.png", pairs / "after" / "000002.png")
    assert main(command) == 0
    assert "4 pairs: 4 described (3 by an earlier run), 0 bad" in capsys.readouterr().out
    assert main([*command, "--num-beams", "2"]) == 2
    assert "begun with num_beams 1, not 2: choose another file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --image1 and --image2, or --input-dir and --output-file"),
        (["--image1", "a.png"], "give --image1 and --image2"),
        (["--image1", "a.png", "--image2", "b.png", "--output-file", "x"], "give --image1 and --image2"),
        (["--image1", "a.png", "--image2", "b.png"], "a.png does not exist"),
        (["--input-dir", "absent", "--output-file", "x.json"], "absent does not exist"),
        (["--input-dir", "pairs", "--output-file", "x.json"], "there is no trained model in no"),
    ],
)
def test_describe_says_what_is_wrong(pairs, tmp_path, arguments, message, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["describe", "--model-path", "no", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "x.json").exists()


def test_describe_needs_a_model(capsys):
    assert main(["describe", "--image1", "a.png", "--image2", "b.png"]) == 2
    assert "give --model-path, the folder of a trained model" in capsys.readouterr().err
