"""A small training run in its own process, for the tests that kill it, resume it or launch it twice.

usage: train_script.py FOLDER OUTPUT [--resume] [--die step|save] [--epochs N] [--plain] [--seen FOLDER]
                       [--samples N] [--batch N]
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from whatchanged import training
from whatchanged.training import checkpoints

parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("output")
parser.add_argument("--resume", action="store_true")
parser.add_argument("--die", choices=("step", "save"))
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--plain", action="store_true", help="without dropout, BatchNorm, augmentation and schedule")
parser.add_argument("--samples", type=int, default=130)
parser.add_argument("--batch", type=int, default=16)
parser.add_argument("--seen", help="note here which samples each process read")
options = parser.parse_args()


def die():
    os.kill(os.getpid(), signal.SIGKILL)


class Noted:
    """Two clouds of points as 1x4x4 images; it can note what is read and kill the process on the way."""

    def __init__(self, count, seed, note=None):
        generator = torch.Generator().manual_seed(seed)
        self.labels = torch.arange(count) % 2
        self.images = torch.randn(count, 1, 4, 4, generator=generator) + (self.labels * 1.2 - 0.6)[:, None, None, None]
        self.note, self.reads = note, 0

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        self.reads += 1
        if self.note:
            with open(self.note, "a") as file:
                print(index, file=file)
        if options.die == "step" and self.reads == 300:  # in the middle of the third epoch
            die()
        return self.images[index], self.labels[index]


torch.manual_seed(0)
convolution = torch.nn.Conv2d(1, 6, 3, padding=1)
head = torch.nn.Linear(96, 2)
if options.plain:
    model = torch.nn.Sequential(convolution, torch.nn.ReLU(), torch.nn.Flatten(), head)
else:
    extra = (torch.nn.BatchNorm2d(6), torch.nn.ReLU(), torch.nn.Dropout(0.3))
    model = torch.nn.Sequential(convolution, *extra, torch.nn.Flatten(), head)

if options.die == "save":
    written, write = [], checkpoints.write_json

    def write_and_die(path, value):
        written.append(path)
        if len(written) == 5:  # two files a checkpoint: the third one stays half written
            die()
        return write(path, value)

    checkpoints.write_json = write_and_die


def jitter(batch):
    images, labels = batch
    return images + 0.3 * torch.randn_like(images), labels


rank = int(os.environ.get("RANK", 0))
train = Noted(options.samples, 1, options.seen and Path(options.seen) / f"{rank}.txt")
options.plain or torch.manual_seed(rank)
history = training.fit(
    model,
    train,
    Noted(64, 2),
    training.Recipe(
        learning_rate=0.01,
        scheduler=None if options.plain else training.one_cycle,
        precision="fp32",
        accumulate=2 if options.plain else 1,
        clip=1.0,
        augment=None if options.plain else jitter,
    ),
    epochs=options.epochs,
    batch_size=options.batch,
    keep=training.Keeping(options.folder, checkpoint_every=2, resume=options.resume),
    seed=3,
    progress=False,
)
if rank == 0:
    torch.save(
        {"weights": model.state_dict(), "history": vars(history), "processes": int(os.environ.get("WORLD_SIZE", 1))},
        options.output,
    )
