"""`whatchanged describe` as a user types it: exit status, files, sentences."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
import tiny_models
from support import ROOT, save_picture

from helpers import scenes
from helpers.changes import write_dataset
from helpers.photographs import photo_pair
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


def test_a_pair_unlike_the_training_set_is_told(tmp_path, pairs, capsys):
    """On stderr, for stdout is the caption; in the JSON of each pair; a model that does not know says neither."""
    knows, plain = (tiny_models.describer(tmp_path / name, knows=name == "knows") for name in ("knows", "plain"))
    photo = photo_pair(2, name="coffee")
    for side in ("before", "after"):
        save_picture(pairs / side / "000009.png", getattr(photo, side))
    told = "this pair is unlike the pictures that the model learned from: what it says may mean nothing"
    for name, warned in (("000009.png", True), ("000001.png", False)):
        images = ["--image1", str(pairs / "before" / name), "--image2", str(pairs / "after" / name)]
        assert main(["describe", *images, "--model-path", str(knows)]) == 0
        out, error = capsys.readouterr()
        assert (out, error.strip()) == (said(knows, pairs, name) + "\n", f"whatchanged: {told}" if warned else "")
    for model, flags in ((knows, [False] * 4 + [True]), (plain, [None] * 5)):
        output = tmp_path / f"{model.name}.json"
        many = ["--input-dir", str(pairs), "--output-file", str(output), "--model-path", str(model)]
        assert main(["describe", *many]) == 0
        assert [record["unlike"] for record in json.loads(output.read_text())["pairs"]] == flags
        assert ("1 pair of them is unlike the pictures" in capsys.readouterr().out) == (True in flags)


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


def typed(model, *arguments):
    return [sys.executable, "-m", "whatchanged", "describe", "--model-path", str(model), *map(str, arguments)]


def first_pair(pairs):
    return ["--image1", pairs / "before" / "000001.png", "--image2", pairs / "after" / "000001.png"]


def seen_on_a_terminal(command):
    """What a process writes to its stderr, where that is a terminal, and to its stdout, where that is none."""
    terminal, stderr = pty.openpty()
    termios.tcsetwinsize(stderr, (24, 100))
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr) as started:
        os.close(stderr)
        told = b""
        with contextlib.suppress(OSError):  # how a terminal ends on Linux
            while read := os.read(terminal, 10_000):
                told += read
        os.close(terminal)
        out = started.stdout.read()
    return started.returncode, out.decode(), told.decode()


@pytest.mark.process
def test_describe_shows_what_takes_long(model, pairs):
    """On a terminal, on stderr, and nothing of it stays; stdout is the caption alone."""
    status, out, told = seen_on_a_terminal(typed(model, *first_pair(pairs)))
    assert (status, out) == (0, said(model, pairs, "000001.png") + "\n")
    loading, writing, rest = told.split("\r\033[K")
    assert re.fullmatch(r"(\rloading the model … \d+ s)+", loading)
    assert len({*re.findall(r"\d+", loading)}) > 1, "it takes seconds, which are counted"
    assert re.fullmatch(r"(\rwriting what changed … \d+ s)+", writing)
    assert rest == ""


@pytest.mark.process
def test_describe_shows_how_many_pairs_are_done(model, pairs, tmp_path):
    status, out, told = seen_on_a_terminal(typed(model, "--input-dir", pairs, "--output-file", tmp_path / "x.json"))
    assert (status, out) == (0, "4 pairs: 4 described, 0 bad\n")
    assert "loading the model" in told
    assert "4/4" in told


@pytest.mark.process
def test_describe_says_nothing_else_where_there_is_no_terminal(model, pairs):
    done = subprocess.run(typed(model, *first_pair(pairs)), cwd=ROOT, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (said(model, pairs, "000001.png") + "\n", "")


@pytest.mark.process
def test_a_reader_of_captions_that_has_enough_is_no_trouble(model, pairs):
    """`whatchanged describe ... | head -0`"""
    end, pipe = os.pipe()
    os.close(end)
    done = subprocess.run(typed(model, *first_pair(pairs)), cwd=ROOT, stdout=pipe, stderr=subprocess.PIPE, check=False)
    os.close(pipe)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.process
def test_describe_stopped_says_one_word_and_goes_on(model, tmp_path):
    """Ctrl-C: no file that looks whole; the same command does what is missing."""
    pairs = write_dataset(tmp_path / "many", (scenes.scene_pair(3, index) for index in range(12)))
    output = tmp_path / "results.json"
    command = typed(model, "--input-dir", pairs, "--output-file", output)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        last = time.monotonic() + 60
        while not any(b"caption" in path.read_bytes() for path in tmp_path.glob("results.json?*")):
            assert started.poll() is None
            assert time.monotonic() < last
            time.sleep(0.02)
        started.send_signal(signal.SIGINT)
        out, told = started.communicate(timeout=60)
    assert (started.returncode, out, told) == (2, "", "whatchanged: stopped\n")
    assert not output.exists()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"12 pairs: 12 described \(\d+ by an earlier run\), 0 bad\n", done.stdout)
    assert len(json.loads(output.read_text())["pairs"]) == 12
