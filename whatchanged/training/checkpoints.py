"""Checkpoints on disk: whole or not there, the newest two, and the best weights."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import gather_object
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from whatchanged.files import alone, read_json, user_path, write_json
from whatchanged.training.history import History, Plan, Progress, TrainingError
from whatchanged.weights import BEST_WEIGHTS, CHECKPOINTS, whole_weights

KEPT_CHECKPOINTS = 2


@dataclass(frozen=True)
class Keeping:
    """Where a run is kept on disk, how often, and whether it goes on.

    Attributes
    ----------
    folder : for `history.json`, `best.safetensors` and checkpoints. What an earlier run left there is removed, unless
        `resume`. Of several processes the first one's counts, and all must see it.
    checkpoint_every : optimizer steps between checkpoints, on top of the one after each epoch.
    keep_every : epochs between weights that are kept for good, as `epoch-0005.safetensors`.
    resume : go on from the newest checkpoint in `folder`, if there is one. On a CPU the result is bit for bit that of
        a run that was never interrupted.
    """

    folder: str | Path = CHECKPOINTS
    checkpoint_every: int | None = None
    keep_every: int | None = None
    resume: bool = False


class Checkpoints:
    """What a run leaves on disk. A checkpoint is written beside its place and moved there whole."""

    def __init__(self, keep: Keeping | None, accelerator: Accelerator, plan: Plan) -> None:
        self.keep = keep
        self.folder = None if keep is None else user_path(keep.folder)
        self.accelerator, self.plan = accelerator, plan
        self.best_in_memory: dict[str, Tensor] = {}

    def alone(self) -> contextlib.AbstractContextManager:
        """No other run trains in the folder meanwhile, or ValueError."""
        if self.folder is None or not self.accelerator.is_main_process:
            return contextlib.nullcontext()
        self.folder.mkdir(parents=True, exist_ok=True)
        return alone(self.folder, self.folder / ".lock")

    def begin(self) -> Progress:
        """Where training stands: at the newest checkpoint, if the run is to go on; at its start in an empty folder."""
        if self.folder is None or self.keep is None:
            return Progress()
        whole = _whole(self.folder)
        if self.keep.resume and whole:
            return self._resumed(whole[-1])
        with self._main_only() as main:
            if main:
                for path in self.folder.glob("checkpoint-*"):
                    shutil.rmtree(path)
                for name in ("epoch-*.safetensors", BEST_WEIGHTS, "history.json"):
                    for path in self.folder.glob(name):
                        path.unlink()
        return Progress()

    def due(self, state: Progress, steps: int) -> bool:
        """Whether it is time to save; after the last of an epoch's `steps` that is done with the epoch."""
        every = self.keep.checkpoint_every if self.keep else None
        return every is not None and every > 0 and state.step < steps and state.step % every == 0

    def after_epoch(self, model: nn.Module, state: Progress) -> None:
        """Save, and where it is time to keep the weights for good."""
        every = self.keep and self.keep.keep_every
        if every and state.epoch % every == 0:
            self._save_weights(model, f"epoch-{state.epoch:04}.safetensors")
        self.save(state)

    def save_best(self, model: nn.Module) -> None:
        if self.folder is None:
            self.best_in_memory = _plain_weights(model)
        else:
            self._save_weights(model, BEST_WEIGHTS)

    def load_best(self, model: nn.Module, state: Progress) -> None:
        """Give the model the weights of its best epoch, or TrainingError where none was."""
        if state.history.best_epoch is None:
            raise TrainingError(
                f"the validation {self.plan.monitor} was nan or not measured after each of {state.epoch} epochs, so"
                " that none is the best and the model has the weights of the last: monitor the loss, or look at the"
                " validation data"
            )
        if self.folder is not None:
            with whole_weights(self.folder / BEST_WEIGHTS):
                model.load_state_dict(load_file(self.folder / BEST_WEIGHTS))
        else:
            model.load_state_dict(self.best_in_memory)

    def save(self, state: Progress) -> None:
        """Write a checkpoint; all steps are read before."""
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
                for old in _whole(self.folder)[:-KEPT_CHECKPOINTS]:
                    shutil.rmtree(old)

    def _resumed(self, checkpoint: Path) -> Progress:
        saved = read_json(checkpoint / "progress.json")
        differing = [name for name, value in asdict(self.plan).items() if saved["plan"].get(name) != value]
        if differing:
            name = differing[0]
            raise TrainingError(
                f"the run in {self.folder} had {name}={saved['plan'].get(name)} and this one has"
                f" {name}={getattr(self.plan, name)}: resume it with the same, or start anew with resume=False"
            )
        with whole_weights(checkpoint):
            self.accelerator.load_state(str(checkpoint))
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
        return Progress(**kept, sums=mine, seen=seen, history=History(**saved["history"]))

    def _save_weights(self, model: nn.Module, name: str) -> None:
        if self.folder is None:
            return
        with self._main_only() as main:
            if main:
                part = self.folder / f"{name}.part"
                save_file(_plain_weights(model), part)
                os.replace(part, self.folder / name)

    @contextlib.contextmanager
    def _main_only(self) -> Iterator[bool]:
        """True on the main process; the others wait until it is through."""
        yield self.accelerator.is_main_process
        self.accelerator.wait_for_everyone()


def _whole(folder: Path) -> list[Path]:
    """Whole checkpoints, oldest first."""
    return sorted(path for path in folder.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name))


def _plain_weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone().contiguous() for name, value in model.state_dict().items()}
