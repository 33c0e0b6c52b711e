"""Checkpoints on disk: whole or not there, the newest two, and the best weights."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import gather_object
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from helpers.training.history import History, Plan, Progress, TrainingError
from whatchanged.files import alone, read_json, write_json
from whatchanged.weights import whole_weights

KEPT_CHECKPOINTS = 2


def plain_weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone().contiguous() for name, value in model.state_dict().items()}


class Checkpoints:
    """What a run leaves on disk. A checkpoint is written beside its place and moved there whole."""

    def __init__(self, folder: str | Path | None, accelerator: Accelerator, plan: Plan) -> None:
        self.folder = None if folder is None else Path(folder)
        self.accelerator, self.plan = accelerator, plan
        self.best_in_memory: dict[str, Tensor] | None = None

    def alone(self) -> contextlib.AbstractContextManager:
        """No other run trains in the folder meanwhile, or ValueError."""
        if self.folder is None or not self.accelerator.is_main_process:
            return contextlib.nullcontext()
        self.folder.mkdir(parents=True, exist_ok=True)
        return alone(self.folder, self.folder / ".lock")

    def clear(self) -> Progress:
        if self.folder is not None:
            with self._main_only() as main:
                if main:
                    for path in self.folder.glob("checkpoint-*"):
                        shutil.rmtree(path)
                    for path in (*self.folder.glob("epoch-*.safetensors"), self.folder / "best.safetensors"):
                        path.unlink(missing_ok=True)
                    (self.folder / "history.json").unlink(missing_ok=True)
        return Progress()

    def checkpoints(self) -> list[Path]:
        """Whole checkpoints, oldest first."""
        found = self.folder.glob("checkpoint-*") if self.folder.is_dir() else []
        return sorted(path for path in found if re.fullmatch(r"checkpoint-\d+", path.name))

    def save(self, state: Progress) -> None:
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

    def resume(self) -> Progress:
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
        return Progress(**kept, sums=mine, seen=seen, history=History(**saved["history"]))

    def save_best(self, model: nn.Module) -> None:
        if self.folder is None:
            self.best_in_memory = plain_weights(model)
        else:
            self.save_weights(model, "best.safetensors")

    def save_weights(self, model: nn.Module, name: str) -> None:
        if self.folder is None:
            return
        with self._main_only() as main:
            if main:
                part = self.folder / f"{name}.part"
                save_file(plain_weights(model), part)
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
