"""Seeds, profiles, checks, folders."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support import ROOT

from helpers import runtime


def test_everything_is_seeded():
    import random

    import torch

    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()

    runtime.seed_everything(3)
    first = draw()
    runtime.seed_everything(3)
    assert draw() == first
    runtime.seed_everything(4)
    assert draw() != first
    for seed in (-1, 2**32, 1.5, "1"):
        with pytest.raises(ValueError, match="SEED is"):
            runtime.seed_everything(seed)


def test_check_passes_fails_and_records(tmp_path, capsys):
    runtime.start(tmp_path, 0)
    runtime.check("accuracy", 0.97, at_least=0.95)
    runtime.check("loss", np.float32(0.5), at_most=0.6)
    runtime.check("both", 1, at_least=0, at_most=1)
    assert capsys.readouterr().out.splitlines() == [
        "accuracy >= 0.95: passed",
        "loss <= 0.6: passed",
        "both >= 0 and <= 1: passed",
    ]
    for value in (0.94, float("nan")):
        with pytest.raises(runtime.CheckFailed, match="accuracy >= 0.95: failed with"):
            runtime.check("accuracy", value, at_least=0.95)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["accuracy"] == {"value": None, "bound": ">= 0.95", "passed": False}
    assert metrics["loss"] == {"value": 0.5, "bound": "<= 0.6", "passed": True}
    with pytest.raises(ValueError, match="has no bound"):
        runtime.check("nothing", 1)
    runtime.start(tmp_path, 0)
    assert not (tmp_path / "metrics.json").exists(), "an earlier run's checks must not be taken for this one's"


def test_check_without_start_is_refused(monkeypatch):
    monkeypatch.setattr(runtime, "_output_folder", None)
    with pytest.raises(RuntimeError, match=r"call runtime.start"):
        runtime.check("x", 1, at_least=0)


def test_profile():
    quick, full = {"PAIRS": 10, "WEIGHTS": None}, {"PAIRS": 100, "WEIGHTS": "imagenet"}
    assert vars(runtime.profile("quick", quick=quick, full=full)) == quick
    chosen = runtime.profile("full", quick=quick, full=full, PAIRS=3, WEIGHTS=None)
    assert (chosen.PAIRS, chosen.WEIGHTS) == (3, "imagenet")
    with pytest.raises(ValueError, match="PROFILE is 'fast': choose one of quick, full"):
        runtime.profile("fast", quick=quick, full=full)
    with pytest.raises(ValueError, match="PAIRS"):
        runtime.profile("quick", quick={}, full={"PAIRS": 1})


def test_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert runtime.start("../build/test_folders", 0) == ROOT / "build" / "test_folders"


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert runtime.start("~/out", 0) == tmp_path / "out"


def test_show_source_is_the_code():
    assert "def check(" in runtime.show_source(runtime.check).data
