"""Trainings for the tests of the loop: a script in its own process, and in this one a line y = 1 where x > 0."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import fields

import torch
from support import SCRIPTS

from course import running
from whatchanged import training

SCRIPT = SCRIPTS / "train_script.py"


def run(tmp_path, name, *options, folder=None, processes=1, expect=0):
    """Run the script; returns what it saved, or None where it was killed."""
    output = tmp_path / f"{name}.pt"
    launcher = running.launcher(processes) if processes > 1 else [sys.executable]
    command = [*launcher, str(SCRIPT), str(folder or tmp_path / name), str(output), *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    if not output.is_file():
        return None
    saved = torch.load(output, weights_only=False)
    assert saved["processes"] == processes
    return saved


def same_bits(a, b):
    return all(torch.equal(a["weights"][name], b["weights"][name]) for name in a["weights"])


class Points(torch.utils.data.Dataset):
    def __init__(self, count=64, seed=0, bad=None):
        self.x = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))
        self.y = (self.x.sum(1) > 0).long()
        if bad is not None:
            self.x[bad] = math.nan

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index], self.y[index]


def linear():
    torch.manual_seed(0)
    return torch.nn.Linear(3, 2)


def fit(model=None, train=None, validation=None, **options):
    """Two epochs in fp32 unless told otherwise; options of a recipe go into one."""
    options = {"epochs": 2, "batch_size": 16, "precision": "fp32", "progress": False} | options
    recipe = {one.name: options.pop(one.name) for one in fields(training.Recipe) if one.name in options}
    model, train = model or linear(), Points() if train is None else train
    return model, training.fit(model, train, validation, training.Recipe(**recipe), **options)
