"""A short training of DBTResNet50 in its own process, for the test that kills it after an epoch and resumes it.

usage: dbt_script.py PAIRS FOLDER OUTPUT [--resume] [--die]
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from helpers import augmentation
from helpers.changes import SubtleDiffDataset
from helpers.datasets import Pictures
from whatchanged import training
from whatchanged.models import dbt_resnet50

parser = argparse.ArgumentParser()
for name in ("pairs", "folder", "output"):
    parser.add_argument(name)
parser.add_argument("--resume", action="store_true")
parser.add_argument("--die", action="store_true")
options = parser.parse_args()


class Deadly(Pictures):
    """Kills the process at the first pair of the second epoch."""

    reads = 0

    def __getitem__(self, index):
        self.reads += 1
        if options.die and self.reads > len(self):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)


data = SubtleDiffDataset(options.pairs).in_memory()
torch.manual_seed(0)
model = dbt_resnet50.build("course")
history = training.fit(
    model,
    Deadly(data.images[:24], data.labels[:24], data.names),
    data.subset(range(24, 36)),
    training.Recipe(
        loss=training.multi_label,
        metrics={"accuracy": training.label_accuracy},
        scheduler=training.one_cycle,
        augment=augmentation.PairAugmentation(),
        precision="fp32",
    ),
    epochs=3,
    batch_size=8,
    keep=training.Keeping(options.folder, resume=options.resume),
    progress=False,
)
torch.save({"weights": model.state_dict(), "history": vars(history)}, options.output)
