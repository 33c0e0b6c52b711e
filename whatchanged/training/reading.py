"""What steps leave on the device until it is read: losses, metrics and parts, many steps at a time.

To read a number is to wait for the device, which then waits for the next step. So nothing is read within a step.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from whatchanged.training.history import TrainingError


class Noted:
    """What one batch gave, not read yet: its samples, how many of them count, and values by name, the loss among them.

    Values on a device are copied there, in one row: a part may be a weight, which the next step changes.
    """

    def __init__(self, samples: list[int], own: int, values: dict[str, Any]) -> None:
        self.samples, self.own = samples, own
        self.there = [name for name, value in values.items() if isinstance(value, Tensor)]
        self.row = torch.stack([values[name].detach().reshape(()).to(values["loss"].device) for name in self.there])
        self.values = values | dict.fromkeys(self.there, math.nan)  # in their order, and nothing holds the graph


def numbers(noted: list[Noted]) -> list[dict[str, float]]:
    """The values of batches as numbers; the device is waited for once."""
    found = iter(torch.cat([one.row for one in noted]).tolist()) if noted else iter(())
    return [one.values | {name: next(found) for name in one.there} for one in noted]


def hold_finite(loss: float, told: str, samples: list[int]) -> None:
    """TrainingError where a loss is no number; `told` has {} for it."""
    if not math.isfinite(loss):
        listed = ", ".join(map(str, samples[:8])) + (", ..." if len(samples) > 8 else "")
        raise TrainingError(
            f"the {told.format(loss)}, on the batch of samples {listed}: lower learning_rate, set clip, or look"
            " at those samples"
        )


@dataclass
class UnreadStep:
    """An optimizer step that is not read yet.

    Attributes
    ----------
    epoch, number : from 1.
    learning_rate : of the first parameter group.
    batches : what they gave.
    parts : names of what the loss is made of.
    """

    epoch: int
    number: int
    learning_rate: float
    batches: list[Noted]
    parts: list[str]


class Spared:
    """What a loss that is no number may spoil before it is read, as it was at the last reading.

    A fused optimizer leaves such a step out by itself, on the device: it is told by `found_inf`, as a scaler tells it.
    Then only what a model notes on its way forward, as BatchNorm's statistics, is copied; otherwise the weights, too.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler) -> None:
        self.optimizer = optimizer
        self.told = getattr(optimizer, "_step_supports_amp_scaling", False) and not scaler.is_enabled()
        held: list[Tensor] = list(model.buffers())
        if not (self.told or scaler.is_enabled()):  # a scaler leaves out the step of any such gradient
            held += [weight for weight in model.parameters() if weight.requires_grad]
        self.held = [one.detach() for one in held]
        self.kept = [one.clone() for one in self.held]

    @contextlib.contextmanager
    def leaving_out(self, loss: Tensor) -> Iterator[None]:
        """Within it the optimizer leaves out its step if this loss is NaN or infinite."""
        if self.told:
            vars(self.optimizer)["found_inf"] = torch.nan_to_num(loss.detach() * 0, nan=1.0)
        yield
        vars(self.optimizer).pop("found_inf", None)

    @torch.no_grad()
    def keep(self) -> None:
        """What is held now is good."""
        if self.held:
            torch._foreach_copy_(self.kept, self.held)

    @torch.no_grad()
    def restore(self) -> None:
        """As it was when it was last good."""
        if self.held:
            torch._foreach_copy_(self.held, self.kept)
