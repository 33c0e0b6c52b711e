"""How a model learns: what is minimized, how steps are taken, in which precision."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate.utils import convert_outputs_to_fp32
from torch import Tensor, nn

from whatchanged.devices import device
from whatchanged.training.losses import accuracy, classification

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Recipe:
    """How a model learns; of another with one thing changed, `dataclasses.replace(recipe, clip=1.0)`.

    Attributes
    ----------
    loss : function of (model, batch) that returns the mean loss of the batch, its outputs (or None) and, if it likes,
        a dict of what the loss is made of. If it has a method `start_epoch`, that is called with the epoch, counted
        from 0, before each one.
    metrics : name -> function of (outputs, labels), higher is better. They need items of (input, label) and a loss that
        returns outputs; {} takes none. What they return, and what a loss is made of, are tensors of one value, which a
        GPU is not waited for, or numbers.
    optimizer : a function of the list of trainable parameters, or an optimizer; None is Adam at `learning_rate`. A
        fused one leaves out the step of a loss that is no number without waiting for it.
    scheduler : function of (optimizer, how often it will be stepped), as `one_cycle`.
    schedule : "step" or "epoch": when the scheduler is stepped. `ReduceLROnPlateau` gets the validation loss.
    augment : function of a batch on the device, for training only. Randomness belongs here (or into a dataset read
        with `workers=0`): its state is in the checkpoints.
    evaluate : function of (model, epoch) after each epoch, counted from 1, with the model in evaluation mode: a dict of
        numbers, which the epoch's line has as "val_<name>", and each of which can be the `monitor` of `fit`; {} for
        none. Of several processes the first one calls it.
    accumulate : batches an optimizer step; the gradient is that of their samples taken together.
    clip : largest norm of the gradient.
    precision : "fp32", "bf16", "fp16" (GPU), or None for the best of the device.
    compile : let `torch.compile` make faster code of the model first. It takes up to minutes and a C++ compiler, and
        pays for long trainings on a GPU.
    """

    loss: Callable[[nn.Module, Any], tuple[Any, ...]] = classification
    metrics: dict[str, Callable[[Tensor, Tensor], Any]] = field(default_factory=lambda: {"accuracy": accuracy})
    optimizer: Callable[[list], torch.optim.Optimizer] | torch.optim.Optimizer | None = None
    learning_rate: float = 1e-3
    scheduler: Callable[[torch.optim.Optimizer, int], Any] | None = None
    schedule: str = "step"
    augment: Callable[[Any], Any] | None = None
    evaluate: Callable[[Any, int], dict[str, float]] | None = None
    accumulate: int = 1
    clip: float | None = None
    precision: str | None = None
    compile: bool = False

    def optimizer_of(self, model: nn.Module) -> torch.optim.Optimizer:
        """The optimizer of the model's trainable parameters, or a ValueError where there are none."""
        if isinstance(self.optimizer, torch.optim.Optimizer):
            return self.optimizer
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if not trainable:
            raise ValueError("no parameter of the model needs a gradient: there is nothing to train")
        if self.optimizer:
            return self.optimizer(trainable)
        return torch.optim.Adam(trainable, lr=self.learning_rate, fused=device().type == "cuda" or None)

    def losses(self, model: nn.Module, batch: Any) -> tuple[Tensor, Any, dict[str, Any]]:
        """Mean loss of the batch, its outputs, and what the loss is made of, {} where it does not tell."""
        value, outputs, *parts = self.loss(model, batch)
        return value, outputs, dict(*parts)


@contextlib.contextmanager
def computing_in(precision: str, model: nn.Module, on: torch.device) -> Iterator[None]:
    """Within it the model computes in "fp32", "bf16" or "fp16", and its outputs are fp32."""
    own = vars(model).get("forward")
    if precision != "fp32":
        autocast = torch.autocast(on.type, PRECISIONS[precision])
        model.forward = convert_outputs_to_fp32(autocast(model.forward))
    try:
        yield
    finally:
        vars(model).pop("forward", None)
        if own is not None:
            model.forward = own


@contextlib.contextmanager
def compiled(model: nn.Module, wanted: bool) -> Iterator[None]:
    """Within it a model that is called is compiled first, if `wanted`."""
    own = model._compiled_call_impl
    if wanted:
        model.compile()
    try:
        yield
    finally:
        model._compiled_call_impl = own
