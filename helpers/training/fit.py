"""One training loop on Hugging Face Accelerate: `fit`."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, broadcast_object_list, gather_object
from torch import Tensor, nn

from helpers.runtime import progress_bar
from helpers.training.checkpoints import Checkpoints
from helpers.training.feeding import data_loader, same_sums, shares_of, to_device
from helpers.training.history import PARTS_EVERY, History, Plan, Progress, TrainingError
from helpers.training.losses import accuracy, classification
from whatchanged import devices
from whatchanged.devices import device

PRECISIONS = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


def fit(
    model: nn.Module,
    train: Any,
    validation: Any = None,
    *,
    epochs: int,
    batch_size: int,
    folder: str | Path | None = None,
    loss: Callable[[nn.Module, Any], tuple[Tensor, Tensor | None]] = classification,
    metrics: dict[str, Callable[[Tensor, Tensor], float]] | None = None,
    optimizer: Callable[[list], torch.optim.Optimizer] | torch.optim.Optimizer | None = None,
    learning_rate: float = 1e-3,
    scheduler: Callable[[torch.optim.Optimizer, int], Any] | None = None,
    schedule: str = "step",
    precision: str | None = None,
    accumulate: int = 1,
    clip: float | None = None,
    augment: Callable[[Any], Any] | None = None,
    monitor: str = "loss",
    patience: int | None = None,
    checkpoint_every: int | None = None,
    keep_every: int | None = None,
    resume: bool = False,
    seed: int = 0,
    workers: int = 0,
    progress: bool = True,
) -> History:
    """Train a model; under `accelerate launch`, on several processes or GPUs.

    Parameters
    ----------
    model : trained in place. Parameters that need no gradient stay as they are.
    train, validation : datasets with `len()` and `[index]`; an item is (input, label) or what `loss` understands.
    epochs, batch_size : 1 or more; the batch is that of all processes together.
    folder : for `history.json`, `best.safetensors` and checkpoints; None keeps everything in memory. What an earlier
        run left there is removed, unless `resume`. Of several processes the first one's counts, and all must see it.
    loss : function of (model, batch) that returns the mean loss of the batch, its outputs (or None) and, if it likes,
        a dict of numbers that tell what the loss is made of. If it has a method `start_epoch`, that is called with the
        epoch, counted from 0, before each one.
    metrics : name -> function of (outputs, labels), higher is better; None takes `accuracy`. They need items of
        (input, label) and a loss that returns outputs; {} takes none.
    optimizer : a function of the list of trainable parameters, or an optimizer; None is Adam at `learning_rate`.
    scheduler : function of (optimizer, how often it will be stepped), as `one_cycle`.
    schedule : "step" or "epoch": when the scheduler is stepped. `ReduceLROnPlateau` gets the validation loss.
    precision : "fp32", "bf16", "fp16" (GPU), or None for the best of the device.
    accumulate : batches an optimizer step; the gradient is that of their samples taken together.
    clip : largest norm of the gradient.
    augment : function of a batch on the device, for training only. Randomness belongs here (or into a dataset read
        with `workers=0`): its state is in the checkpoints.
    monitor : what decides on the best epoch: "loss" (lowest) or a metric (highest), on the validation data.
    patience : stop when that many epochs in a row were not better.
    checkpoint_every : optimizer steps between checkpoints, on top of the one after each epoch.
    keep_every : epochs between weights that are kept for good, as `epoch-0005.safetensors`.
    resume : go on from the newest checkpoint in `folder`, if there is one. On a CPU the result is bit for bit that of
        a run that was never interrupted.
    seed : decides the order of the samples.
    workers : processes that load data.
    progress : show a text bar; in a notebook it is cleared, with whatever its cell printed before.

    Returns
    -------
    History

    Raises
    ------
    TrainingError
        The loss became NaN or infinite (epoch, step and samples are named), the GPU ran out of memory, or the
        checkpoint to resume belongs to other arguments.
    ValueError
        An argument is out of range, or another run trains in the folder.
    """
    _refuse(train, epochs=epochs, batch_size=batch_size, accumulate=accumulate, precision=precision, schedule=schedule)
    if (patience or monitor != "loss") and validation is None:
        raise ValueError("patience and monitor need validation data")
    if resume and folder is None:
        raise ValueError("resume needs the folder of the run to go on with")
    metrics = {"accuracy": accuracy} if metrics is None else metrics
    if monitor != "loss" and monitor not in metrics:
        raise ValueError(f"monitor is {monitor!r}: choose from {', '.join(['loss', *metrics])}")
    precision = precision or devices.precision()
    AcceleratorState._reset_state()  # a process may fit several models, each in its precision
    anyhow = DistributedDataParallelKwargs(find_unused_parameters=True)  # weights that a loss leaves out are no error
    on_cpu = device().type == "cpu"
    accelerator = Accelerator(cpu=on_cpu, mixed_precision=PRECISIONS[precision], kwargs_handlers=[anyhow])
    (folder,) = broadcast_object_list([folder])
    if batch_size < accelerator.num_processes:
        raise ValueError(f"batch_size is {batch_size}: with {accelerator.num_processes} processes give at least that")

    steps_per_epoch = math.ceil(math.ceil(len(train) / batch_size) / accumulate)
    model.to(memory_format=torch.channels_last)  # twice as fast on a CPU; only 4-D weights are affected
    optimizer = _make_optimizer(model, optimizer, learning_rate)
    rates = scheduler and scheduler(optimizer, epochs * (steps_per_epoch if schedule == "step" else 1))
    plain = model
    model, optimizer = accelerator.prepare(model, optimizer)
    if rates is not None:
        accelerator.register_for_checkpointing(rates)
    by_step = rates is not None and schedule == "step"
    plan = Plan(len(train), batch_size, accumulate, seed, precision, clip, epochs if by_step else None)
    store = Checkpoints(folder, accelerator, plan)
    shown = progress and accelerator.is_main_process

    with store.alone(), same_sums(on_cpu), progress_bar(epochs * steps_per_epoch, shown) as bar, _memory(batch_size):
        state = store.resume() if resume else store.clear()
        history = state.history
        bar.update(state.epoch * steps_per_epoch + state.step)
        while state.epoch < epochs and not history.stopped_early:
            model.train()
            if hasattr(loss, "start_epoch"):
                loss.start_epoch(state.epoch)
            shares = shares_of(len(train), batch_size, seed, state.epoch, accelerator)
            groups = [shares[i : i + accumulate] for i in range(0, len(shares), accumulate)][state.step :]
            loader = data_loader(train, [mine for group in groups for mine, _ in group], workers, seed + state.epoch)
            batches = iter(loader)
            for group in groups:
                size = sum(total for _, total in group)
                step_loss = 0.0
                for number, (mine, _) in enumerate(group):
                    batch = to_device(next(batches), accelerator.device)
                    batch = augment(batch) if augment else batch
                    last = number == len(group) - 1
                    with contextlib.nullcontext() if last else accelerator.no_sync(model):
                        value, outputs, *told = loss(model, batch)
                        _hold_finite(value, state, mine)
                        # processes' gradients are averaged: this weight makes it the mean over all samples of the step
                        accelerator.backward(value * (len(mine) * accelerator.num_processes / size))
                    step_loss += value.item() * len(mine)
                    parts = dict(*told)
                    _add(state, value, outputs, batch, metrics, len(mine), parts)
                if clip is not None:
                    accelerator.clip_grad_norm_(model.parameters(), clip)
                history.learning_rate.append(optimizer.param_groups[0]["lr"])
                history.step_loss.append(step_loss / sum(len(mine) for mine, _ in group))
                if parts and len(history.step_loss) % PARTS_EVERY == 0:
                    history.parts.append({"step": len(history.step_loss), **parts})
                optimizer.step()
                optimizer.zero_grad()
                if by_step and not accelerator.optimizer_step_was_skipped:
                    rates.step()
                state.step += 1
                bar.update()
                bar.set_postfix_str(f"epoch {state.epoch + 1}, loss {history.step_loss[-1]:.3f}", refresh=False)
                if checkpoint_every and state.step < steps_per_epoch and state.step % checkpoint_every == 0:
                    store.save(state)
            _finish_epoch(accelerator, model, validation, state, loss=loss, metrics=metrics, batch_size=batch_size)
            epoch = history.epochs[-1]
            if rates is not None and schedule == "epoch":
                plateau = isinstance(rates, torch.optim.lr_scheduler.ReduceLROnPlateau)
                rates.step(*[epoch["val_loss" if validation is not None else "train_loss"]] * plateau)
            if validation is not None:
                if _is_better(epoch[f"val_{monitor}"], state.best, lower=monitor == "loss"):
                    state.best, state.waited, history.best_epoch = epoch[f"val_{monitor}"], 0, state.epoch
                    store.save_best(plain)
                else:
                    state.waited += 1
                    history.stopped_early = patience is not None and state.waited >= patience
            if keep_every and state.epoch % keep_every == 0:
                store.save_weights(plain, f"epoch-{state.epoch:04}.safetensors")
            store.save(state)
        accelerator.unwrap_model(model, keep_fp32_wrapper=False)  # the model computes in its own precision again
        if validation is not None:
            store.load_best(plain)
    accelerator.free_memory()
    return history


def _refuse(train, *, epochs, batch_size, accumulate, precision, schedule) -> None:
    if len(train) == 0:
        raise ValueError("the training data is empty")
    for name, value in {"epochs": epochs, "batch_size": batch_size, "accumulate": accumulate}.items():
        if value < 1:
            raise ValueError(f"{name} is {value}: give at least 1")
    if precision is not None and precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}: choose from {', '.join(PRECISIONS)}")
    if precision == "fp16" and device().type != "cuda":
        raise ValueError("precision is 'fp16', which needs a CUDA GPU: choose 'bf16' or 'fp32'")
    if schedule not in ("step", "epoch"):
        raise ValueError(f"schedule is {schedule!r}: choose 'step' or 'epoch'")


def _make_optimizer(model, optimizer, learning_rate) -> torch.optim.Optimizer:
    if isinstance(optimizer, torch.optim.Optimizer):
        return optimizer
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trainable:
        raise ValueError("no parameter of the model needs a gradient: there is nothing to train")
    return optimizer(trainable) if optimizer else torch.optim.Adam(trainable, lr=learning_rate)


def _hold_finite(value: Tensor, state: Progress, samples: list[int]) -> None:
    if not torch.isfinite(value):
        listed = ", ".join(map(str, samples[:8])) + (", ..." if len(samples) > 8 else "")
        raise TrainingError(
            f"the loss became {value.item()} in epoch {state.epoch + 1}, step {state.step + 1}, on the batch of samples"
            f" {listed}: lower learning_rate, set clip, or look at those samples"
        )


def _add(state: Progress, value: Tensor, outputs: Any, batch: Any, metrics: dict, count: int, parts: dict) -> None:
    values = {"loss": value.item(), **parts}
    if metrics and outputs is not None:
        values |= {name: metric(outputs.detach(), batch[1]) for name, metric in metrics.items()}
    for name, one in values.items():
        state.sums[name] = state.sums.get(name, 0.0) + one * count
    state.seen += count


def _finish_epoch(accelerator, model, validation, state, *, loss, metrics, batch_size) -> None:
    """Write the epoch's line of the history and set the counters back."""
    parts = gather_object([(state.sums, state.seen)])
    seen = sum(count for _, count in parts)
    epoch = {f"train_{name}": sum(sums[name] for sums, _ in parts) / seen for name in state.sums}
    if validation is not None:
        epoch |= _validate(accelerator, model, validation, loss=loss, metrics=metrics, batch_size=batch_size)
    state.epoch, state.step, state.sums, state.seen = state.epoch + 1, 0, {}, 0
    state.history.epochs.append({"epoch": state.epoch, **epoch})


@torch.no_grad()
def _validate(accelerator, model, dataset, *, loss, metrics, batch_size) -> dict[str, float]:
    """Loss and metrics over the whole validation data, each process taking its share of it."""
    model.eval()
    mine = range(accelerator.process_index, len(dataset), accelerator.num_processes)
    batches = [list(mine[i : i + batch_size]) for i in range(0, len(mine), batch_size)]
    totals, kept = {}, []
    for indices, batch in zip(batches, data_loader(dataset, batches, 0, 0), strict=True):
        batch = to_device(batch, accelerator.device)
        value, outputs, *told = loss(model, batch)
        for name, one in {"loss": value.item(), **dict(*told)}.items():
            totals[name] = totals.get(name, 0.0) + one * len(indices)
        if metrics and outputs is not None:
            kept.append((outputs.float().cpu(), batch[1].cpu()))
    everywhere = gather_object([totals])
    names = dict.fromkeys(name for one in everywhere for name in one)  # a process may have had no batch
    values = {f"val_{name}": sum(one.get(name, 0.0) for one in everywhere) / len(dataset) for name in names}
    kept = gather_object(kept)
    if kept:
        outputs, labels = (torch.cat(column) for column in zip(*kept, strict=True))
        values |= {f"val_{name}": metric(outputs, labels) for name, metric in metrics.items()}
    return values


def _is_better(value: float, best: float | None, *, lower: bool) -> bool:
    return best is None or (value < best if lower else value > best)


@contextlib.contextmanager
def _memory(batch_size: int) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"the GPU ran out of memory at batch_size={batch_size}: lower batch_size, and raise accumulate by the same"
            " factor to keep the steps as they are"
        ) from error
