"""What happened in a training, and where it stands."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field

PARTS_EVERY = 10
logging.getLogger("accelerate.checkpointing").setLevel(logging.ERROR)  # it tells of every file that it writes
logging.getLogger("accelerate.utils.other").setLevel(logging.ERROR)  # and of every weight that two layers share


class TrainingError(RuntimeError):
    """Training cannot go on; the message says where it stopped and what to change."""


@dataclass
class History:
    """What happened in training; `history.json` holds the same.

    Attributes
    ----------
    step_loss : training loss of each optimizer step, the mean over its samples (of this process's share of them).
    learning_rate : of the first parameter group, each step.
    epochs : a dict an epoch: "epoch" (from 1), "train_loss", "train_<metric>" (means over the batches as they were
        trained on), and, with validation data, "val_loss", "val_<metric>" (over all of it after the epoch).
    parts : what the loss is made of, where its function tells: every `PARTS_EVERY` steps a dict, "step" (from 1) and
        the values of that step's last batch. Their means over the epochs are in `epochs`, as "train_<part>" and
        "val_<part>".
    best_epoch : the epoch whose weights the model has now; None without validation data.
    stopped_early : whether `patience` ended it.
    """

    step_loss: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    epochs: list[dict[str, float]] = field(default_factory=list)
    parts: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int | None = None
    stopped_early: bool = False

    def column(self, name: str) -> list[float]:
        """One value of each epoch, as "val_accuracy"; NaN after those that have none, KeyError where none has."""
        if self.epochs and not any(name in epoch for epoch in self.epochs):
            raise KeyError(name)
        return [epoch.get(name, math.nan) for epoch in self.epochs]

    def told(self) -> str:
        """The last loss, and what it is made of, as noted last: four parts at most, for a line."""
        parts = list(self.parts[-1].items())[1:5] if self.parts else []
        return f"loss {self.step_loss[-1]:.3f}" + "".join(f", {name} {value:.3f}" for name, value in parts)

    def add_step(self, loss: float, learning_rate: float, parts: dict[str, float]) -> None:
        """Note what a step was; its parts only every `PARTS_EVERY` steps."""
        self.step_loss.append(loss)
        self.learning_rate.append(learning_rate)
        if parts and len(self.step_loss) % PARTS_EVERY == 0:
            self.parts.append({"step": len(self.step_loss), **parts})


@dataclass(frozen=True)
class Plan:
    """The arguments of `fit` that say what happens; a resumed run must have the same."""

    samples: int
    batch_size: int
    accumulate: int
    seed: int
    precision: str
    clip: float | None
    monitor: str
    epochs: int | None  # None where the schedule does not depend on it


@dataclass
class Progress:
    """Where training stands: with the weights, all that a resumed run needs."""

    epoch: int = 0  # finished epochs
    step: int = 0  # optimizer steps done in the epoch after those
    sums: dict[str, float] = field(default_factory=dict)  # over the samples of that epoch
    seen: int = 0
    best: float | None = None
    waited: int = 0  # epochs since the best
    history: History = field(default_factory=History)

    def count(self, values: dict[str, float], samples: int) -> None:
        """Add the means of a batch of so many samples to those of the epoch."""
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value * samples
        self.seen += samples

    def finish_epoch(self, values: dict[str, float]) -> None:
        """Write the epoch's line of the history and set the counters back."""
        self.epoch, self.step, self.sums, self.seen = self.epoch + 1, 0, {}, 0
        self.history.epochs.append({"epoch": self.epoch, **values})

    def judge(self, monitor: str, patience: int | None) -> bool:
        """Whether the last epoch is the best so far, which one whose value is NaN never is; by "last" it always is.

        After an epoch without a look by `Recipe.evaluate`, a value that only this gives is not judged, and not waited
        for.

        Raises
        ------
        ValueError
            It looked, and gave other values.
        """
        if monitor == "last":
            self.history.best_epoch = self.epoch
            return True
        last = self.history.epochs[-1]
        if (value := last.get(f"val_{monitor}")) is None:
            looked = [name[4:] for name in last if name.startswith("val_") and f"train_{name[4:]}" not in last]
            if looked:
                raise ValueError(f"monitor is {monitor!r}: choose 'loss' or what evaluate gives, {', '.join(looked)}")
            return False
        better = self.best is None or (value < self.best if monitor == "loss" else value > self.best)
        if better and not math.isnan(value):
            self.best, self.waited, self.history.best_epoch = value, 0, self.epoch
            return True
        self.waited += 1
        self.wait(patience)
        return False

    def wait(self, patience: int | None) -> None:
        """Where `patience` is at its end, the history says that training stops; with more of it, that it goes on."""
        self.history.stopped_early = patience is not None and self.waited >= patience
