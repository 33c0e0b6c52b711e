"""Pairs that are prepared for a training: the same from a file as from memory, found again, and few in memory."""

from __future__ import annotations

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from support import ROOT
from tiny_tblip2 import hub, on_hub, small

from helpers.captioned import CaptionedPair
from whatchanged import kept, training
from whatchanged.models.caption_loss import CaptionLoss
from whatchanged.models.finetuning import parameter_groups
from whatchanged.models.prepared import PreparedPairs


@pytest.fixture
def files(pairs, tmp_path):
    """The pairs as picture files of two sizes."""

    def write(name, picture, number):
        path = tmp_path / f"{number}-{name}.png"
        cv2.imwrite(str(path), cv2.resize(picture, (64, 48 + number))[..., ::-1])
        return path

    return [
        CaptionedPair(f"{n}", write("before", pair.before, n), write("after", pair.after, n), pair.captions, "made")
        for n, pair in enumerate(pairs)
    ]


def same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        if torch.is_tensor(value):
            assert value.dtype == other[name].dtype, name
            assert torch.equal(value, other[name]), name
        else:
            assert value == other[name], name


def test_what_comes_from_a_file_is_what_would_be_in_memory(pairs, files, tmp_path):
    model = small(pairs)
    there = PreparedPairs.in_memory(4, lambda n: (*files[n].read(), files[n].captions), model.prepare)
    found = PreparedPairs.on_disk(tmp_path / "kept" / "train", files, model)
    assert len(found) == len(there) == 4
    for number in range(4):
        same(found[number], there[number])
    same(found.prepared[-1], there.prepared[-1])
    with pytest.raises(IndexError):
        found.prepared[4]
    assert {"present", "squares", "geometry"} < found.prepared[0].keys()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, None])
def test_features_are_kept_as_the_encoder_made_them(pairs, files, tmp_path, dtype):
    model = on_hub(hub(tmp_path / "hub", pairs), dtype)
    found = PreparedPairs.on_disk(tmp_path / "train", files, model)
    alone = [model.prepare(*pair.read())["features"] for pair in files]
    for number, one in enumerate(alone):
        features = found[number]["features"]
        assert features.dtype == (dtype or torch.float32)
        apart = (features - one).float().abs().mean() / one.float().abs().mean()
        assert apart < (0.02 if dtype else 1e-5)
    written = sum(path.stat().st_size for path in tmp_path.glob("train-features-*.npy"))
    assert written == pytest.approx(len(files) * alone[0].nbytes, abs=200)


class Counted:
    """A model that counts what it is asked."""

    def __init__(self, model):
        self.model, self.prepared, self.encoded = model, 0, 0

    def __getattr__(self, name):
        return getattr(self.model, name)

    def prepare(self, *pictures, **options):
        self.prepared += 1
        return self.model.prepare(*pictures, **options)

    def kept_features(self, before, after):
        self.encoded += len(before)
        return self.model.kept_features(before, after)


def test_a_second_run_finds_them_unless_something_changed(pairs, files, tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "LOOKED_AT", 1)
    place, folder = tmp_path / "train", hub(tmp_path / "hub", pairs)
    asked = []

    def run(**options):
        model = Counted(on_hub(folder, **options))
        PreparedPairs.on_disk(place, files, model)
        asked.append((model.prepared > len(files), model.encoded > len(files)))

    run()
    run()
    run(eps=2.0)
    path = files[1].before
    picture = cv2.imread(str(path))
    picture[:8] = 255 - picture[:8]
    cv2.imwrite(str(path), picture)
    run(eps=2.0)
    hub(folder, pairs, seed=1)  # other weights under the same name
    run(eps=2.0)
    assert asked == [(True, True), (False, False), (True, True), (True, True), (False, True)]
    assert len([*tmp_path.glob("train*.npy")]) == 2, "what was made before is gone"


def test_a_training_is_the_same_from_a_file(pairs, files, tmp_path):
    folder, past = hub(tmp_path / "hub", pairs), []
    for on_disk in (False, True):
        model = on_hub(folder)
        read = lambda n: (*files[n].read(), files[n].captions)  # noqa: E731
        data = (
            PreparedPairs.on_disk(tmp_path / "train", files, model, draw=True)
            if on_disk
            else PreparedPairs.in_memory(4, read, model.prepare, draw=True)
        )
        adam = torch.optim.AdamW(parameter_groups(model, 1e-3))
        recipe = training.Recipe(loss=CaptionLoss(), metrics={}, optimizer=adam, precision="fp32")
        torch.manual_seed(0)
        past.append(training.fit(model, data, None, recipe, epochs=2, batch_size=2, progress=False).step_loss)
    assert past[0] == pytest.approx(past[1], rel=1e-4)


GROWS = """
import resource, sys
import numpy as np
from pathlib import Path
from types import SimpleNamespace
from helpers import scenes
from whatchanged.models.blip2 import small_blip2
from whatchanged.models.prepared import PreparedPairs
from whatchanged.models.tblip2 import EnhancedDiffBLIP2
from whatchanged.models.tblip2_options import TBLIP2Options

place, count = Path(sys.argv[1]), int(sys.argv[2])
(place / "one.png").touch()
picture = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
file = place / "one.png"
pair = SimpleNamespace(before=file, after=file, captions=("same",), read=lambda: (picture, picture))
blip2, processor = small_blip2(["same"], image_size=96)
model = EnhancedDiffBLIP2(blip2, processor, TBLIP2Options(freeze_vision=True, lora=0)).eval()
data = PreparedPairs.on_disk(place / f"kept{count}", [pair] * count, model)
for number in range(count):
    data[number]
of_a_pair = sum(one.nbytes for one in data.prepared[0].values())
print(int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize(), of_a_pair * count)
"""


@pytest.mark.process
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="only Linux tells")
def test_memory_does_not_grow_with_the_pairs(tmp_path):
    def run(count):
        command = [sys.executable, "-c", GROWS, str(tmp_path), str(count)]
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return np.array(found.stdout.split(), float) / 2**20

    (few, held), (many, holds) = run(40), run(900)
    assert holds - held > 60, "megabytes on disk"
    assert many - few < (holds - held) / 3
