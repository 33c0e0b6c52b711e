"""The numbers of an epoch, over all samples, whichever process had them."""

from __future__ import annotations

from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn

from helpers.training.feeding import data_loader, to_device
from helpers.training.history import Progress
from helpers.training.recipe import Recipe


def means(accelerator: Accelerator, state: Progress) -> dict[str, float]:
    """What was counted in the epoch as means over its samples, as "train_loss"."""
    parts = gather_object([(state.sums, state.seen)])
    seen = sum(count for _, count in parts)
    return {f"train_{name}": sum(sums[name] for sums, _ in parts) / seen for name in state.sums}


@torch.no_grad()
def validate(
    accelerator: Accelerator, model: nn.Module, dataset: Any, recipe: Recipe, batch_size: int
) -> dict[str, float]:
    """Loss and metrics over the whole validation data, as "val_loss"; each process takes its share of it."""
    model.eval()
    mine = range(accelerator.process_index, len(dataset), accelerator.num_processes)
    batches = [list(mine[i : i + batch_size]) for i in range(0, len(mine), batch_size)]
    totals: dict[str, float] = {}
    kept: list[tuple[Tensor, Tensor]] = []
    for indices, batch in zip(batches, data_loader(dataset, batches, 0, 0), strict=True):
        batch = to_device(batch, accelerator.device)
        value, outputs, parts = recipe.losses(model, batch)
        for name, one in {"loss": value.item(), **parts}.items():
            totals[name] = totals.get(name, 0.0) + one * len(indices)
        if recipe.metrics and outputs is not None:
            kept.append((outputs.float().cpu(), batch[1].cpu()))
    everywhere = gather_object([totals])
    names = dict.fromkeys(name for one in everywhere for name in one)  # a process may have had no batch
    values = {f"val_{name}": sum(one.get(name, 0.0) for one in everywhere) / len(dataset) for name in names}
    kept = gather_object(kept)
    if kept:
        outputs, labels = (torch.cat(column) for column in zip(*kept, strict=True))
        values |= {f"val_{name}": metric(outputs, labels) for name, metric in recipe.metrics.items()}
    return values
