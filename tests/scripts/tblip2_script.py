"""A short training of T-BLIP2 in its own process, for the test that kills it in the middle of an epoch and resumes it.

usage: tblip2_script.py FOLDER OUTPUT [--resume] [--die]
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from helpers import scenes
from whatchanged import training
from whatchanged.models import caption_loss, tblip2
from whatchanged.models.blip2 import small_blip2
from whatchanged.models.finetuning import parameter_groups
from whatchanged.models.prepared import PreparedPairs
from whatchanged.models.tblip2_options import TBLIP2Options

parser = argparse.ArgumentParser()
for name in ("folder", "output"):
    parser.add_argument(name)
parser.add_argument("--resume", action="store_true")
parser.add_argument("--die", action="store_true")
options = parser.parse_args()


def read(number):
    pair = scenes.scene_pair(5, number, size=48, changes=(number % 3, number % 3))
    return pair.before, pair.after, pair.captions


class Deadly(PreparedPairs):
    """Kills the process in the third step of the second epoch."""

    reads = 0

    def __getitem__(self, index):
        self.reads += 1
        if options.die and self.reads > len(self) * 3 // 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)


torch.manual_seed(0)
blip2, processor = small_blip2((word for i in range(16) for word in read(i)[2]), image_size=48, dim=64)
built = TBLIP2Options(min_samples=4, freeze_vision=False, lora=4, align_dim=32)
model = tblip2.EnhancedDiffBLIP2(blip2, processor, built)
history = training.fit(
    model,
    Deadly.in_memory(16, read, model.prepare, draw=True),
    PreparedPairs.in_memory(4, lambda number: read(16 + number), model.prepare),
    training.Recipe(
        loss=caption_loss.CaptionLoss(itc=((0, 1.5), (1, 1.0))),
        metrics={},
        optimizer=torch.optim.AdamW(parameter_groups(model, 1e-3)),
        scheduler=training.one_cycle,
        augment=caption_loss.flipped,
        precision="fp32",
    ),
    epochs=3,
    batch_size=4,
    keep=training.Keeping(options.folder, checkpoint_every=2, keep_every=2, resume=options.resume),
    progress=False,
)
torch.save({"weights": model.state_dict(), "history": vars(history)}, options.output)
