"""The BLIP-2 that a T-BLIP2 was built on: its name and hash stand for its frozen weights wherever a model is kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from whatchanged.files import user_path

BASE_KEY = "base_model"  # in a state dict that has no frozen weights: whose they are
_SAMPLES, _SAMPLE = 256, 4096  # of each file, evenly spaced: what is read of it for the hash
_BEGINNING = 1 << 20  # and this much from its start, where a checkpoint says what it holds


@dataclass(frozen=True)
class BaseModel:
    """A BLIP-2 checkpoint that lies somewhere.

    Attributes
    ----------
    name : on the hub, as "Salesforce/blip2-opt-2.7b", or a folder, whole.
    hash : of its files' sizes and of samples of them, hexadecimal. It tells one checkpoint from another in
        milliseconds; it does not tell whether a single byte is damaged.
    """

    name: str
    hash: str

    @classmethod
    def of(cls, name: str) -> BaseModel | None:
        """That of a folder, or of the hub's copy on this machine; None where neither holds weights."""
        folder = _folder(name)
        files = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
        local = user_path(name)
        return cls(str(local.resolve()) if local.is_dir() else name, _hash(files)) if files else None

    def as_tensor(self) -> Tensor:
        """As a state dict holds it: uint8 tensor (bytes,)."""
        return torch.frombuffer(bytearray(json.dumps(asdict(self)).encode()), dtype=torch.uint8)

    @classmethod
    def from_tensor(cls, written: Tensor) -> BaseModel:
        """What `as_tensor` gave."""
        return cls(**json.loads(bytes(written.cpu().tolist()).decode()))


def _folder(name: str) -> Path:
    from transformers.utils import cached_file

    if user_path(name).is_dir():
        return user_path(name)
    return Path(str(cached_file(name, "config.json", local_files_only=True))).parent


def _hash(files: list[Path]) -> str:
    found = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        found.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as file:
            found.update(file.read(_BEGINNING))
            for number in range(_SAMPLES):
                file.seek(number * size // _SAMPLES)
                found.update(file.read(_SAMPLE))
    return found.hexdigest()


class OnBase(nn.Module):
    """A network whose state dict leaves out the frozen weights of its base, and names the base in their place.

    So checkpoints, best weights and whatever `torch.save` writes hold what is trained. A state dict that has all
    weights is taken, too; from then on the network is no longer its base's, and its own has all of them.

    Attributes
    ----------
    base : whose the frozen weights are; None where they lie nowhere else, and nothing is left out.
    """

    base: BaseModel | None

    def __init__(self) -> None:
        super().__init__()
        self.base = None
        self._of_base: set[str] = set()
        self.register_state_dict_post_hook(_leave_out)
        self.register_load_state_dict_pre_hook(_refuse_another)
        self.register_load_state_dict_post_hook(_expect_trained)

    def stand_on(self, base: BaseModel | None, prefix: str) -> None:
        """From now on the weights below `prefix` that are frozen now are the base's."""
        named = self.named_parameters(remove_duplicate=False)  # a tied one has two names in a state dict
        self._of_base = {name for name, one in named if name.startswith(prefix) and not one.requires_grad}
        self.base = base

    def train(self, mode: bool = True) -> Any:
        """As in torch. A weight of the base that is trained after all is kept from then on."""
        if mode:
            named = self.named_parameters(remove_duplicate=False)
            self._of_base -= {name for name, one in named if one.requires_grad}
        return super().train(mode)


def _leave_out(model: OnBase, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    if model.base is None:
        return
    for name in model._of_base:
        state.pop(prefix + name, None)
    state[prefix + BASE_KEY] = model.base.as_tensor()


def _refuse_another(model: OnBase, state: dict[str, Any], prefix: str, *others: Any) -> None:
    written = state.pop(prefix + BASE_KEY, None)
    if written is None:
        if any(prefix + name in state for name in model._of_base):
            model.base = None
        return
    needed = BaseModel.from_tensor(written)
    if model.base is None or model.base.hash != needed.hash:
        own = f"on {model.base.name}" if model.base else "on none that was loaded by load_blip2"
        raise ValueError(
            f"these weights were trained on {needed.name} (hash {needed.hash[:12]}), and this model is built {own}:"
            " build it on that one"
        )


def _expect_trained(model: OnBase, odd: Any) -> None:
    """Of what a state dict lacks, what stays is not the base's. In a wrapper the names begin with the wrapper's."""
    if model.base is not None:
        wrapped = tuple("." + name for name in model._of_base)
        missed = [name for name in odd.missing_keys if name not in model._of_base and not name.endswith(wrapped)]
        odd.missing_keys[:] = missed
