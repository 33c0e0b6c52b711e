"""One training loop on Hugging Face Accelerate for every torch notebook: `fit()`; and `predict()` after it."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, broadcast_object_list, gather_object
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader

from helpers.alignment import aligned
from helpers.journal import alone
from helpers.loading import Pictures, classify_folder, find_pairs, read_image, resized, whole_weights
from helpers.runtime import autocast, device, progress_bar, read_json, write_json, write_whole
from helpers.runtime import precision as best_precision

PRECISIONS = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}
KEPT_CHECKPOINTS = 2
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
        """One value of each epoch, as "val_accuracy"."""
        return [epoch[name] for epoch in self.epochs]


def classification(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
    """Cross-entropy of a batch (inputs, labels), and the logits (n, classes)."""
    inputs, labels = batch
    logits = model(inputs)
    return nn.functional.cross_entropy(logits.float(), labels), logits


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of the rows of `logits` (n, classes) whose largest entry is at the label."""
    return (logits.argmax(dim=1) == labels).float().mean().item()


def multi_label(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
    """Binary cross-entropy of a batch (inputs, labels float (n, labels)), the mean over labels, and the logits."""
    inputs, labels = batch
    logits = model(inputs)
    return nn.functional.binary_cross_entropy_with_logits(logits.float(), labels), logits


def label_accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of right answers among all yes/no labels: `logits` and `labels` (n, labels), yes above 0."""
    return ((logits > 0) == (labels > 0.5)).float().mean().item()


def one_cycle(optimizer: torch.optim.Optimizer, steps: int, rise: float = 0.3) -> torch.optim.lr_scheduler.LRScheduler:
    """The one-cycle schedule [1]_: up to each group's rate over the first `rise` of the steps, then down to nothing.

    References
    ----------
    .. [1] Smith and Topin, Super-Convergence, 2019.
    """
    rates = [group["lr"] for group in optimizer.param_groups]
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps, pct_start=rise)


@dataclass(frozen=True)
class _Plan:
    """The arguments of `fit` that say what happens; a resumed run must have the same."""

    samples: int
    batch_size: int
    accumulate: int
    seed: int
    precision: str
    clip: float | None
    epochs: int | None  # None where the schedule does not depend on it


@dataclass
class _Progress:
    """Where training stands: with the weights, all that a resumed run needs."""

    epoch: int = 0  # finished epochs
    step: int = 0  # optimizer steps done in the epoch after those
    sums: dict[str, float] = field(default_factory=dict)  # over the samples of that epoch
    seen: int = 0
    best: float | None = None
    waited: int = 0  # epochs since the best
    history: History = field(default_factory=History)


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
    precision = precision or best_precision()
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
    plan = _Plan(len(train), batch_size, accumulate, seed, precision, clip, epochs if by_step else None)
    store = _Store(folder, accelerator, plan)
    shown = progress and accelerator.is_main_process

    with store.alone(), _same_sums(on_cpu), progress_bar(epochs * steps_per_epoch, shown) as bar, _memory(batch_size):
        state = store.resume() if resume else store.clear()
        history = state.history
        bar.update(state.epoch * steps_per_epoch + state.step)
        while state.epoch < epochs and not history.stopped_early:
            model.train()
            if hasattr(loss, "start_epoch"):
                loss.start_epoch(state.epoch)
            shares = _batches(len(train), batch_size, seed, state.epoch, accelerator)
            groups = [shares[i : i + accumulate] for i in range(0, len(shares), accumulate)][state.step :]
            loader = _loader(train, [mine for group in groups for mine, _ in group], workers, seed + state.epoch)
            batches = iter(loader)
            for group in groups:
                size = sum(total for _, total in group)
                step_loss = 0.0
                for number, (mine, _) in enumerate(group):
                    batch = _to(next(batches), accelerator.device)
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


@torch.inference_mode()
def predict(
    model: nn.Module, dataset: Any, *, batch_size: int = 200, precision: str | None = None, workers: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs and labels of a dataset, in its order, with the model in evaluation mode on the device it lies on.

    Parameters
    ----------
    precision : "fp32", "bf16", or None for the best of the device.
    workers : processes that load data.

    Returns
    -------
    outputs : float32 array (n, classes), logits.
    labels : array (n, ...).
    """
    on = next(model.parameters()).device
    was_training = model.training
    model.eval()
    found = []
    for inputs, labels in DataLoader(dataset, batch_size, num_workers=workers):
        with autocast(on, precision):
            found.append((model(inputs.to(on)).float().cpu(), labels))
    model.train(was_training)
    outputs, labels = zip(*found, strict=True)
    return torch.cat(outputs).numpy(), torch.cat(labels).numpy()


def predict_folder(
    model: nn.Module, folder: str | Path, *, size: int, names: Sequence[str], csv: str | Path | None = None
) -> Any:
    """Classify every image of a folder by a torch model; see `loading.classify_folder`."""

    def classify(images: np.ndarray) -> np.ndarray:
        logits, _ = predict(model, Pictures(images, np.zeros(len(images)), names))
        return softmax(logits)

    return classify_folder(classify, folder, size=size, names=names, csv=csv)


def predict_pairs(
    model: nn.Module,
    source: str | Path,
    *,
    size: int,
    names: Sequence[str],
    thresholds: Sequence[float] | None = None,
    csv: str | Path | None = None,
) -> Any:
    """Say of every pair of a folder or CSV file which labels apply, each pair aligned first.

    Parameters
    ----------
    source : as in `loading.find_pairs`. A pair that cannot be read or differs in size gets a row that says why.
    size : of the pictures the model was trained on, pixels.
    names : of the labels.
    thresholds : one a label; None is 0.5.
    csv : where to write the table as well, whole or not at all.

    Returns
    -------
    pandas DataFrame
        A row a pair: "before", "after" (file names), "changed" (the labels that apply, or "nothing"), the probability
        of each label, "error".
    """
    import pandas

    least = np.full(len(names), 0.5) if thresholds is None else np.asarray(thresholds)
    rows = []
    for paths in find_pairs(source):
        row = {"before": paths[0].name, "after": paths[1].name, "error": ""}
        try:
            before, after = map(read_image, paths)
            pair = np.stack([resized(one, size) for one in aligned(before, after)])
        except ValueError as error:  # unreadable, or of two sizes
            rows.append(row | {"error": str(error)})
            continue
        logits, _ = predict(model, Pictures(pair[None], np.zeros((1, len(names))), names))
        probabilities = sigmoid(logits)[0]
        said = [name for name, value, at in zip(names, probabilities, least, strict=True) if value >= at]
        rows.append(row | {"changed": ", ".join(said) or "nothing"} | dict(zip(names, probabilities, strict=True)))
    table = pandas.DataFrame(rows, columns=["before", "after", "changed", *names, "error"])
    if csv is not None:
        write_whole(csv, table.to_csv(index=False).encode())
    return table


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """The probability of each yes/no label, from logits of any shape."""
    return torch.from_numpy(logits).double().sigmoid().numpy()


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (n, classes) of logits (n, classes)."""
    return torch.from_numpy(logits).double().softmax(dim=1).numpy()


# ---------------------------------------------------------------------------------------------------------------------
# The parts of the loop


@contextlib.contextmanager
def _same_sums(on_cpu: bool) -> Iterator[None]:
    """On a CPU, the same bits in every run: gradients of indexed rows are otherwise added in the order in which the
    threads come to them.
    """
    was, warned = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory
    if on_cpu:
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # it costs time, and nothing here reads such memory
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(was, warn_only=warned)
        torch.utils.deterministic.fill_uninitialized_memory = filled


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


def _batches(samples, batch_size, seed, epoch, accelerator) -> list[tuple[list[int], int]]:
    """This process's share of each batch of an epoch, and how many samples that batch has over all processes.

    Every sample comes once an epoch. The batches are as equal as can be, so none is a lonely remainder.
    """
    order = np.random.default_rng([seed, epoch]).permutation(samples)
    batches = np.array_split(order, math.ceil(samples / batch_size))
    rank, ranks = accelerator.process_index, accelerator.num_processes
    return [(batch[rank::ranks].tolist(), len(batch)) for batch in batches]


def _loader(dataset: Any, batches: Sequence[list[int]], workers: int, seed: int) -> DataLoader:
    """Reads the batches in order; its own generator leaves the state of the global one alone."""
    generator = torch.Generator().manual_seed(seed)
    return DataLoader(dataset, batch_sampler=batches, num_workers=workers, generator=generator)


def _to(batch: Any, on: torch.device) -> Any:
    if isinstance(batch, Tensor):
        return batch.to(on, non_blocking=True)
    if isinstance(batch, dict):
        return {name: _to(value, on) for name, value in batch.items()}
    return type(batch)(_to(value, on) for value in batch) if isinstance(batch, (list, tuple)) else batch


def _hold_finite(value: Tensor, state: _Progress, samples: list[int]) -> None:
    if not torch.isfinite(value):
        listed = ", ".join(map(str, samples[:8])) + (", ..." if len(samples) > 8 else "")
        raise TrainingError(
            f"the loss became {value.item()} in epoch {state.epoch + 1}, step {state.step + 1}, on the batch of samples"
            f" {listed}: lower learning_rate, set clip, or look at those samples"
        )


def _add(state: _Progress, value: Tensor, outputs: Any, batch: Any, metrics: dict, count: int, parts: dict) -> None:
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
    for indices, batch in zip(batches, _loader(dataset, batches, 0, 0), strict=True):
        batch = _to(batch, accelerator.device)
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


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone().contiguous() for name, value in model.state_dict().items()}


class _Store:
    """What a run leaves on disk. A checkpoint is written beside its place and moved there whole."""

    def __init__(self, folder: str | Path | None, accelerator: Accelerator, plan: _Plan) -> None:
        self.folder = None if folder is None else Path(folder)
        self.accelerator, self.plan = accelerator, plan
        self.best_in_memory: dict[str, Tensor] | None = None

    def alone(self) -> contextlib.AbstractContextManager:
        """No other run trains in the folder meanwhile, or ValueError."""
        if self.folder is None or not self.accelerator.is_main_process:
            return contextlib.nullcontext()
        self.folder.mkdir(parents=True, exist_ok=True)
        return alone(self.folder, self.folder / ".lock")

    def clear(self) -> _Progress:
        if self.folder is not None:
            with self._main_only() as main:
                if main:
                    for path in self.folder.glob("checkpoint-*"):
                        shutil.rmtree(path)
                    for path in (*self.folder.glob("epoch-*.safetensors"), self.folder / "best.safetensors"):
                        path.unlink(missing_ok=True)
                    (self.folder / "history.json").unlink(missing_ok=True)
        return _Progress()

    def checkpoints(self) -> list[Path]:
        """Whole checkpoints, oldest first."""
        found = self.folder.glob("checkpoint-*") if self.folder.is_dir() else []
        return sorted(path for path in found if re.fullmatch(r"checkpoint-\d+", path.name))

    def save(self, state: _Progress) -> None:
        if self.folder is None:
            return
        target = self.folder / f"checkpoint-{len(state.history.step_loss):08}"
        part = target.with_name(target.name + ".part")
        with self._main_only() as main:
            if main:
                for left in self.folder.glob("checkpoint-*.part"):
                    shutil.rmtree(left)
        self.accelerator.save_state(str(part), safe_serialization=True)
        sums = gather_object([(state.sums, state.seen)])
        with self._main_only() as main:
            if main:
                write_json(part / "progress.json", {**asdict(state), "sums": sums, "plan": asdict(self.plan)})
                os.replace(part, target)
                write_json(self.folder / "history.json", asdict(state.history))
                for old in self.checkpoints()[:-KEPT_CHECKPOINTS]:
                    shutil.rmtree(old)

    def resume(self) -> _Progress:
        found = self.checkpoints()
        if not found:
            return self.clear()
        saved = read_json(found[-1] / "progress.json")
        differing = [name for name, value in asdict(self.plan).items() if saved["plan"][name] != value]
        if differing:
            name = differing[0]
            raise TrainingError(
                f"the run in {self.folder} had {name}={saved['plan'][name]} and this one has"
                f" {name}={getattr(self.plan, name)}: resume it with the same, or start anew with resume=False"
            )
        self.accelerator.load_state(str(found[-1]))
        sums = saved["sums"]
        if len(sums) == self.accelerator.num_processes:
            mine, seen = sums[self.accelerator.process_index]
        else:  # another number of processes: one of them takes over all that was counted
            names = {name for part, _ in sums for name in part}
            mine = {name: sum(part[name] for part, _ in sums) for name in names}
            seen = sum(count for _, count in sums)
            if not self.accelerator.is_main_process:
                mine, seen = dict.fromkeys(names, 0.0), 0
        kept = {name: saved[name] for name in ("epoch", "step", "best", "waited")}
        return _Progress(**kept, sums=mine, seen=seen, history=History(**saved["history"]))

    def save_best(self, model: nn.Module) -> None:
        if self.folder is None:
            self.best_in_memory = _weights(model)
        else:
            self.save_weights(model, "best.safetensors")

    def save_weights(self, model: nn.Module, name: str) -> None:
        if self.folder is None:
            return
        with self._main_only() as main:
            if main:
                part = self.folder / f"{name}.part"
                save_file(_weights(model), part)
                os.replace(part, self.folder / name)

    def load_best(self, model: nn.Module) -> None:
        best = self.best_in_memory
        if self.folder is not None:
            with whole_weights(self.folder / "best.safetensors"):
                best = load_file(self.folder / "best.safetensors")
        model.load_state_dict(best)

    @contextlib.contextmanager
    def _main_only(self) -> Iterator[bool]:
        """True on the main process; the others wait until it is through."""
        yield self.accelerator.is_main_process
        self.accelerator.wait_for_everyone()
