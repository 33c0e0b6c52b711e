"""A T-BLIP2's folder read again: what was trained onto its base model, or all weights, without a random start."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from safetensors.torch import load_file, load_model

from whatchanged.files import read_json, write_json
from whatchanged.models.base import BaseModel, OnBase
from whatchanged.models.blip2 import load_blip2
from whatchanged.models.likeness import FILE as LIKENESS
from whatchanged.models.tblip2_options import TBLIP2Options
from whatchanged.weights import whole_weights

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration

WEIGHTS, BASE = "model.safetensors", "base.json"
Model = TypeVar("Model", bound=OnBase)


def remember_base(folder: Path, base: BaseModel | None, blip2: Blip2ForConditionalGeneration) -> None:
    """Write into a model's folder whose frozen weights it needs, in which precision; nothing where it needs none.

    Which pictures are unlike those that it learned from was said of the weights that lay there before: that goes.
    """
    (folder / LIKENESS).unlink(missing_ok=True)
    if base is None:
        (folder / BASE).unlink(missing_ok=True)
        return
    frozen = next((one.dtype for one in blip2.parameters() if not one.requires_grad), torch.float32)
    write_json(folder / BASE, {"name": base.name, "hash": base.hash, "dtype": str(frozen).removeprefix("torch.")})


def load_saved(kind: type[Model], folder: Path, base: str | Path | None, dtype: torch.dtype | None) -> Model:
    """The model in a folder, as `EnhancedDiffBLIP2.from_pretrained` gives it; `kind` is that class."""
    options = TBLIP2Options.load(folder)
    if (folder / BASE).is_file():
        return _on_base(kind, folder, options, base, dtype)
    return _whole(kind, folder, options, dtype)


def _on_base(
    kind: type[Model], folder: Path, options: TBLIP2Options, base: str | Path | None, dtype: torch.dtype | None
) -> Model:
    told = read_json(folder / BASE)
    name = str(base or told["name"])
    try:
        blip2, _ = load_blip2(name, dtype or getattr(torch, told["dtype"]))
    except ValueError as error:
        raise ValueError(
            f"{folder} holds what was trained on the BLIP-2 {told['name']}, which cannot be loaded from {name}: give"
            f" base=, or write into {folder / BASE} where it lies now ({error})"
        ) from error
    model = _built(kind, blip2, folder, options)
    with whole_weights(folder / WEIGHTS):
        load_model(model, folder / WEIGHTS)
    return model


def _whole(kind: type[Model], folder: Path, options: TBLIP2Options, dtype: torch.dtype | None) -> Model:
    from accelerate import init_empty_weights
    from transformers import Blip2Config, Blip2ForConditionalGeneration

    with init_empty_weights(include_buffers=False):
        blip2 = Blip2ForConditionalGeneration(Blip2Config.from_pretrained(folder))
        model = _built(kind, blip2, folder, options)
    blip2.tie_weights()
    with whole_weights(folder / WEIGHTS):
        # Copies: those of the file would change with it.
        state = {name: value.clone() for name, value in load_file(folder / WEIGHTS).items()}
        for names in _names_of_one(model):
            there = [state[name] for name in names if name in state]
            state |= {name: there[0] for name in names if there}
        _, unexpected = model.load_state_dict(state, strict=False, assign=True)
    blip2.tie_weights()
    odd = [*unexpected, *(name for name, one in model.named_parameters() if one.is_meta)]
    if odd:
        raise ValueError(
            f"{folder / WEIGHTS} holds the weights of another network: {odd[0]} does not fit; copy the folder again"
        )
    for weight in model.parameters():
        if dtype is not None and not weight.requires_grad:
            weight.data = weight.data.to(dtype)
    return model


def _names_of_one(model: torch.nn.Module) -> list[list[str]]:
    """The names of each weight: a tied one has two, and a file of safetensors holds it under one of them."""
    names: dict[int, list[str]] = {}
    for name, one in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(one), []).append(name)
    return list(names.values())


def _built(kind: type[Model], blip2: Any, folder: Path, options: TBLIP2Options) -> Model:
    from transformers import Blip2Processor

    build: Any = kind
    return build(blip2, Blip2Processor.from_pretrained(folder), options)
