"""One training loop on Hugging Face Accelerate: `fit`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, broadcast_object_list, gather_object
from torch import Tensor, nn

from whatchanged import devices
from whatchanged.progress import progress_bar
from whatchanged.training.checkpoints import Checkpoints, Keeping
from whatchanged.training.feeding import Feed, Share, lone_samples, same_sums
from whatchanged.training.history import PARTS_EVERY, History, Plan, Progress, TrainingError
from whatchanged.training.reading import Noted, Spared, UnreadStep, hold_finite, numbers
from whatchanged.training.recipe import PRECISIONS, Recipe, compiled, computing_in
from whatchanged.training.sending import sent


def fit(
    model: nn.Module,
    train: Any,
    validation: Any = None,
    recipe: Recipe | None = None,
    *,
    epochs: int,
    batch_size: int,
    monitor: str = "loss",
    patience: int | None = None,
    keep: Keeping | None = None,
    seed: int = 0,
    workers: int | None = 0,
    progress: bool = True,
) -> History:
    """Train a model; under `accelerate launch`, on several processes or GPUs.

    Parameters
    ----------
    model : trained in place. Parameters that need no gradient stay as they are.
    train, validation : datasets with `len()` and `[index]`; an item is (input, label) or what the loss understands.
        One that gives whole batches is quicker: `training.sending`.
    recipe : loss, metrics, optimizer and how steps are taken; None is `Recipe()`, which classifies by Adam.
    epochs, batch_size : 1 or more; the batch is that of all processes together. Of a batch of one, BatchNorm takes
        its running statistics where a channel has no more than one value.
    monitor : what decides on the best epoch: "loss" (lowest), or a metric or a number of `Recipe.evaluate` (highest),
        on the validation data. Epochs after which `evaluate` did not look are neither the best nor waited for. "last":
        the last epoch is, as where a schedule ends at a rate of 0.
    patience : stop when that many epochs in a row were not better. A run that it ended goes on with more of it.
    keep : where history, best weights and checkpoints are kept, and whether an earlier run goes on, as
        `Keeping("run", resume=True)`; None keeps everything in memory.
    seed : decides the order of the samples.
    workers : processes that load data; None chooses by the cores and the room in `/dev/shm`, none for data in memory.
    progress : show a text bar; in a notebook it is cleared, with whatever its cell printed before.

    Returns
    -------
    History

    Raises
    ------
    TrainingError
        The loss became NaN or infinite, in training or on the validation data (epoch, step and samples are named; it
        is told up to `PARTS_EVERY` steps later, and nothing that it spoiled is kept, on disk or in the model),
        `monitor` was never a number, the GPU ran out of memory, or the checkpoint to resume belongs to other
        arguments.
    ValueError
        An argument is out of range, another run trains in the folder, or the checkpoint is one of another model.
    """
    recipe = recipe or Recipe()
    _refuse(train, validation, recipe, epochs, batch_size, monitor, patience)
    on_cpu = devices.device().type == "cpu"
    anyhow = DistributedDataParallelKwargs(find_unused_parameters=True)  # weights that a loss leaves out are no error
    # "no", for a process has one such setting and may fit several models, each in its precision: see `computing_in`
    try:
        accelerator = Accelerator(cpu=on_cpu, mixed_precision="no", kwargs_handlers=[anyhow])
    except ValueError as error:
        raise ValueError(
            "fit needs an Accelerator with mixed_precision='no', for the recipe says in which precision a model trains,"
            f" and a process has one setting: {error}"
        ) from error
    (keep,) = broadcast_object_list([keep])
    if batch_size < accelerator.num_processes:
        raise ValueError(f"batch_size is {batch_size}: with {accelerator.num_processes} processes give at least that")
    precision = recipe.precision or devices.precision()
    feed = Feed(train, batch_size, recipe.accumulate, seed, workers, accelerator)
    trainer = Trainer(model, recipe, feed, accelerator, epochs, precision)
    whole = epochs if trainer.by_step else None
    plan = Plan(len(train), batch_size, recipe.accumulate, seed, precision, recipe.clip, monitor, whole)
    store = Checkpoints(keep, accelerator, plan)
    with (
        store.alone(),
        same_sums(on_cpu),
        progress_bar(epochs * feed.steps, progress and accelerator.is_main_process) as bar,
        _memory(batch_size),
        computing_in(precision, model, accelerator.device),
        compiled(model, recipe.compile),
        lone_samples(model) if feed.least == 1 else contextlib.nullcontext(),
    ):
        state = store.begin()
        state.wait(patience)
        bar.update(state.epoch * feed.steps + state.step)
        while state.epoch < epochs and not state.history.stopped_early:
            trainer.epoch(state, store, bar)
            trainer.finish_epoch(state, validation, batch_size)
            if validation is not None and state.judge(monitor, patience):
                store.save_best(model)
            store.after_epoch(model, state)
        if validation is not None:
            store.load_best(model, state)
    accelerator.free_memory()
    return state.history


class Trainer:
    """A training under way: model, optimizer and schedule as this process has them, and the steps they take."""

    def __init__(
        self, model: nn.Module, recipe: Recipe, feed: Feed, accelerator: Accelerator, epochs: int, precision: str
    ) -> None:
        self.recipe, self.feed, self.accelerator = recipe, feed, accelerator
        model.to(memory_format=torch.channels_last)  # twice as fast on a CPU; only 4-D weights are affected
        self.optimizer = recipe.optimizer_of(model)
        self.by_step = recipe.scheduler is not None and recipe.schedule == "step"
        times = epochs * (feed.steps if self.by_step else 1)
        self.rates = recipe.scheduler(self.optimizer, times) if recipe.scheduler else None
        self.scaler = torch.amp.GradScaler(enabled=precision == "fp16")  # otherwise it does nothing
        self.model, _ = accelerator.prepare(model, self.optimizer)
        self.spared = Spared(model, self.optimizer, self.scaler)
        self.unread: list[UnreadStep] = []
        if self.rates is not None:
            accelerator.register_for_checkpointing(self.rates)
        if self.scaler.is_enabled():
            accelerator.register_for_checkpointing(self.scaler)

    def epoch(self, state: Progress, store: Checkpoints, bar: Any) -> None:
        """Take the steps of an epoch that are not taken yet; every `PARTS_EVERY` they are read."""
        self.model.train()
        if hasattr(self.recipe.loss, "start_epoch"):
            self.recipe.loss.start_epoch(state.epoch)
        self.spared.keep()
        for shares, batches in self.feed.epoch(state.epoch, after=state.step):
            self.step(state, shares, batches)
            bar.update()
            due = store.due(state, self.feed.steps)
            if due or len(self.unread) == PARTS_EVERY or state.step == self.feed.steps:
                self.read(state)
                bar.set_postfix_str(f"epoch {state.epoch + 1}, {state.history.told()}", refresh=False)
            if due:
                store.save(state)

    def step(self, state: Progress, shares: list[Share], batches: Iterator[Any]) -> None:
        """One optimizer step: the gradient of its batches, then the weights. Nothing in it waits for the device."""
        size, noted, lost = sum(share.total for share in shares), [], torch.zeros((), device=self.accelerator.device)
        for number, (samples, own, _) in enumerate(shares, start=1):
            batch = next(batches)
            batch = self.recipe.augment(batch) if self.recipe.augment else batch
            with contextlib.nullcontext() if number == len(shares) else self.accelerator.no_sync(self.model):
                value, outputs, parts = self.recipe.losses(self.model, batch)
                # processes' gradients are averaged: this weight makes it the mean over all samples of the step
                weight = own * self.accelerator.num_processes / size
                self.accelerator.backward(self.scaler.scale(value * weight))
            values = {"loss": value, **parts}
            if outputs is not None:
                values |= {name: metric(outputs.detach(), batch[1]) for name, metric in self.recipe.metrics.items()}
            noted.append(Noted(samples, own, values))
            lost = lost + value.detach()
        rate = self.optimizer.param_groups[0]["lr"]
        self._move(lost)
        state.step += 1
        self.unread.append(UnreadStep(state.epoch + 1, state.step, rate, noted, list(parts)))

    def _move(self, lost: Tensor) -> None:
        """The optimizer's step, by the gradient as it is now."""
        if self.recipe.clip is not None:
            self.scaler.unscale_(self.optimizer)
            self.accelerator.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        with self.spared.leaving_out(lost):
            self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        if self.rates is not None and self.by_step:
            self.rates.step()

    def read(self, state: Progress) -> None:
        """Write down what the steps since the last reading gave; TrainingError if a loss of theirs is no number."""
        steps, self.unread = self.unread, []
        found = iter(numbers([one for step in steps for one in step.batches]))
        for step in steps:
            step_loss = 0.0
            for one in step.batches:
                values = next(found)
                try:
                    told = f"loss became {{}} in epoch {step.epoch}, step {step.number}"
                    hold_finite(values["loss"], told, one.samples)
                except TrainingError:
                    self.spared.restore()
                    raise
                step_loss += values["loss"] * one.own
                state.count(values, one.own)
            mean = step_loss / max(1, sum(one.own for one in step.batches))
            state.history.add_step(mean, step.learning_rate, {name: values[name] for name in step.parts})
        self.spared.keep()

    def finish_epoch(self, state: Progress, validation: Any, batch_size: int) -> None:
        """Write the epoch's numbers down, over all processes; a schedule by epochs takes its step."""
        counted = gather_object([(state.sums, state.seen)])
        seen = sum(count for _, count in counted)
        values = {f"train_{name}": sum(sums[name] for sums, _ in counted) / seen for name in state.sums}
        if validation is not None:
            values |= self.validate(validation, batch_size, state.epoch + 1)
        if self.recipe.evaluate is not None:
            values |= self.evaluate(state.epoch + 1)
        state.finish_epoch(values)
        if self.rates is not None and not self.by_step:
            plateau = isinstance(self.rates, torch.optim.lr_scheduler.ReduceLROnPlateau)
            self.rates.step(*[values["val_loss" if validation is not None else "train_loss"]] * plateau)

    @torch.no_grad()
    def evaluate(self, epoch: int) -> dict[str, float]:
        """What the recipe's own look at the model says after an epoch; whatever it draws at random, training does not
        notice.
        """
        self.model.eval()
        found: list[Any] = [{}]
        if self.accelerator.is_main_process and self.recipe.evaluate is not None:
            with torch.random.fork_rng():
                found = [self.recipe.evaluate(self.accelerator.unwrap_model(self.model), epoch)]
        return {f"val_{name}": value for name, value in broadcast_object_list(found)[0].items()}

    @torch.no_grad()
    def validate(self, dataset: Any, batch_size: int, epoch: int) -> dict[str, float]:
        """Loss and metrics over the whole validation data after an epoch, each process taking its share of it."""
        self.model.eval()
        mine = range(self.accelerator.process_index, len(dataset), self.accelerator.num_processes)
        batches = [list(mine[i : i + batch_size]) for i in range(0, len(mine), batch_size)]
        totals: dict[str, float] = {}
        noted: list[Noted] = []
        kept: list[tuple[Tensor, Tensor]] = []
        coming = sent(dataset, batches, self.accelerator.device, workers=self.feed.workers)
        for indices, batch in zip(batches, coming, strict=True):
            value, outputs, parts = self.recipe.losses(self.model, batch)
            noted.append(Noted(indices, len(indices), {"loss": value, **parts}))
            if self.recipe.metrics and outputs is not None:
                kept.append((outputs.float(), batch[1]))
        for one, told in zip(noted, numbers(noted), strict=True):
            hold_finite(told["loss"], f"validation loss became {{}} after epoch {epoch}", one.samples)
            for name, number in told.items():
                totals[name] = totals.get(name, 0.0) + number * one.own
        kept = [(outputs.cpu(), labels.cpu()) for outputs, labels in kept]
        everywhere = gather_object([totals])
        names = dict.fromkeys(name for one in everywhere for name in one)  # a process may have had no batch
        values = {f"val_{name}": sum(one.get(name, 0.0) for one in everywhere) / len(dataset) for name in names}
        kept = gather_object(kept)
        if kept:
            outputs, labels = (torch.cat(column) for column in zip(*kept, strict=True))
            values |= {f"val_{name}": float(metric(outputs, labels)) for name, metric in self.recipe.metrics.items()}
        return values


def _refuse(train: Any, validation: Any, recipe: Recipe, epochs: int, batch_size: int, by: str, patience: Any) -> None:
    if len(train) == 0:
        raise ValueError("the training data is empty")
    if validation is not None and len(validation) == 0:
        raise ValueError("the validation data is empty: give some, or None")
    for name, value in {"epochs": epochs, "batch_size": batch_size, "accumulate": recipe.accumulate}.items():
        if value < 1:
            raise ValueError(f"{name} is {value}: give at least 1")
    if recipe.precision is not None and recipe.precision not in PRECISIONS:
        raise ValueError(f"precision is {recipe.precision!r}: choose from {', '.join(PRECISIONS)}")
    if recipe.precision == "fp16" and devices.device().type != "cuda":
        raise ValueError("precision is 'fp16', which needs a CUDA GPU: choose 'bf16' or 'fp32'")
    if recipe.schedule not in ("step", "epoch"):
        raise ValueError(f"schedule is {recipe.schedule!r}: choose 'step' or 'epoch'")
    if (patience or by != "loss") and validation is None:
        raise ValueError("patience and monitor need validation data")
    if by not in ("loss", "last", *recipe.metrics) and recipe.evaluate is None:
        raise ValueError(f"monitor is {by!r}: choose from {', '.join(['loss', 'last', *recipe.metrics])}")


@contextlib.contextmanager
def _memory(batch_size: int) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"the GPU ran out of memory at batch_size={batch_size}: lower batch_size, and raise accumulate by the same"
            " factor to keep the steps as they are"
        ) from error
