"""Parts of a T-BLIP2 that may be one's own: what a detector and a fusion layer must do, and their names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from whatchanged.clusters import Cluster
from whatchanged.models.detector import Detected, DifferenceDetector
from whatchanged.models.matching import encoder_layer
from whatchanged.models.tblip2_options import ATTENTION, CLUSTERS, TBLIP2Options


class Detector(Protocol):
    """What finds places in a pair that differ, and turns each into tokens: any module with this `forward`."""

    def forward(self, diff_map: Tensor, before: Tensor, after: Tensor) -> Detected:
        """Places and their tokens.

        Parameters
        ----------
        diff_map : float tensor (n, S, S), 0 to 1: where the pictures differ.
        before, after : float tensors (n, 3, S, S), normalized for the image encoder.

        Returns
        -------
        Detected
            `tokens`, float (n, places, views, d), as many places and views for each batch; `present`, bool (n,
            places), which of them there are; `clusters` may be None.
        """


class Fusion(Protocol):
    """What lets all tokens of a pair see each other: any module with this `forward`."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (n, k, d) as tokens (n, k, d)."""


@runtime_checkable
class Locating(Protocol):
    """A detector that finds its places from the pixels alone: `prepare` asks it once, and what it says is kept.

    Its `forward` takes that as `located`, a dict of "present", "squares" and "geometry".
    """

    def clusters(self, values: np.ndarray) -> list[Cluster]:
        """The clusters of a map, float array (S, S), 0 to 255; the strongest first."""

    def table(self, clusters: Sequence[Sequence[Cluster]], diff_map: Tensor) -> dict[str, Tensor]:
        """Clusters of maps (n, S, S) as tensors, n rows each."""


# The width of a token, and the options of the model -> a module.
Builder: TypeAlias = Callable[[int, TBLIP2Options], nn.Module]


def _clusters(dim: int, options: TBLIP2Options) -> DifferenceDetector:
    how = options.max_clusters, options.eps, options.min_samples, options.threshold_percentile
    return DifferenceDetector(dim, *how)


def _attention(dim: int, options: TBLIP2Options) -> nn.Module:
    layer = encoder_layer(dim)
    for last in (layer.self_attn.out_proj, layer.linear2):
        nn.init.zeros_(last.weight)  # it begins by passing on what BLIP-2 was trained to give
        nn.init.zeros_(last.bias)
    return layer


_KNOWN: dict[str, dict[str, Builder]] = {"detector": {CLUSTERS: _clusters}, "fusion": {ATTENTION: _attention}}


def register_detector(name: str, build: Builder) -> None:
    """Give a detector of one's own a name, for `TBLIP2Options(detector=name)` and for models that were saved with it.

    Parameters
    ----------
    name : one that is not taken by the course.
    build : the width d of a token, and the options of the model -> a `Detector`, an `nn.Module`.
    """
    _register("detector", name, build)


def register_fusion(name: str, build: Builder) -> None:
    """Give a fusion layer of one's own a name; as `register_detector`, of a `Fusion`."""
    _register("fusion", name, build)


def _register(kind: str, name: str, build: Builder) -> None:
    if name in (CLUSTERS, ATTENTION):
        raise ValueError(f"{name!r} is the course's own {kind}: give yours another name")
    _KNOWN[kind][name] = build


def built_part(kind: str, dim: int, options: TBLIP2Options) -> nn.Module:
    """The "detector" or "fusion" that the options name, new; ValueError where it is not registered."""
    name = getattr(options, kind)
    if name not in _KNOWN[kind]:
        raise ValueError(
            f"the {kind} {name!r} is missing: import the module that calls register_{kind}({name!r}, ...) first;"
            f" registered are {', '.join(_KNOWN[kind])}"
        )
    return _KNOWN[kind][name](dim, options)


def name_of_part(kind: str, part: nn.Module, dim: int, options: TBLIP2Options) -> str:
    """The name by which a part comes back as it is; ValueError where there is none.

    Who put a part of their own into a model, as `model.fusion_layer = Mine()`, needs no option for it, but the name.
    """
    wanted = _kind_of(part)
    with torch.random.fork_rng(devices=[]):
        for name in dict.fromkeys([getattr(options, kind), *_KNOWN[kind]]):
            if name in _KNOWN[kind] and _kind_of(_KNOWN[kind][name](dim, options)) == wanted:
                return name
    raise ValueError(
        f"no registered {kind} is built as this {type(part).__name__}, so the model could not be loaded again: call"
        f" register_{kind}(NAME, BUILD) with what builds it, in a module that both programs import"
    )


def _kind_of(part: nn.Module) -> Any:
    """Its class, and the names and shapes of its weights."""
    return type(part), {name: tuple(one.shape) for name, one in part.state_dict().items()}
