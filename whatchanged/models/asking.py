"""Many prepared pairs given to a model: what it writes of them, which captions it finds, and where its queries look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from whatchanged.devices import device
from whatchanged.models.tblip2 import EnhancedDiffBLIP2


def stacked(pairs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Prepared pairs as one batch on the device: tensors are stacked, captions stay a list."""
    return _moved(default_collate(list(pairs)))


def describe_all(model: Any, pairs: Any, batch_size: int = 100, **options: Any) -> list[str]:
    """A caption of each pair, by the model's own decoding, to its end (at most 128 tokens unless told otherwise).

    Parameters
    ----------
    model : an `EnhancedDiffBLIP2` or a `DDLA`.
    pairs : a `PreparedPairs`, some of one, or a list of its items.
    batch_size : pairs at a time; it does not change what is written.
    **options : of the model's `generate`.
    """
    options = {"max_new_tokens": 128} | options
    return [said for batch in DataLoader(pairs, batch_size) for said in model.generate(_moved(batch), **options)]


@torch.no_grad()
def retrieval(model: EnhancedDiffBLIP2, pairs: Any, batch_size: int = 32) -> tuple[float, float]:
    """ITC's recall@1 and ITM's accuracy, their means over batches of pairs with their first captions.

    Each pair is asked about all captions of its batch, so smaller batches are easier. Of more pairs than a batch holds
    the rest that fills none is left out.

    Parameters
    ----------
    pairs : a `PreparedPairs`.
    """
    told = []
    for batch in DataLoader(pairs, batch_size, drop_last=len(pairs) > batch_size):
        there = _moved(batch)
        same = there["meaning"][:, None] == there["meaning"]
        matched = model(there, captions=there["caption"], return_loss=True, same=same).matched
        told.append((matched.recall.item(), matched.itm_accuracy.item()))
    recall, accuracy = torch.tensor(told).mean(dim=0).tolist()
    return recall, accuracy


@torch.no_grad()
def query_weights(model: EnhancedDiffBLIP2, batch: dict[str, Tensor]) -> Tensor:
    """Where the Q-Former's queries look at the picture before: float tensor (n, queries, 1 + patches).

    The weights of the last cross-attention, the mean over its heads; each query's add up to 1, the class token first.

    Parameters
    ----------
    model : in evaluation mode.
    batch : as `stacked`, or what `prepare` gave.
    """
    blip2, kept = model.blip2_model, []
    crossing = [one.crossattention.attention for one in blip2.qformer.encoder.layer if one.has_cross_attention][-1]

    def keep(_: Any, given: tuple, named: dict, __: Any) -> None:
        kept.append((named.get("hidden_states", *given[:1]), named["encoder_hidden_states"]))

    hook = crossing.register_forward_hook(keep, with_kwargs=True)
    try:
        features = (
            batch["features"][:, 0] if "features" in batch else model.encode_images(batch["before"], batch["after"])[0]
        )
        queries = blip2.query_tokens.expand(len(features), -1, -1)
        blip2.qformer(query_embeds=queries, encoder_hidden_states=features.to(queries.dtype))
    finally:
        hook.remove()
    ((asked, seen),) = kept
    heads = crossing.num_attention_heads
    query, key = (one.unflatten(2, (heads, -1)).transpose(1, 2) for one in (crossing.query(asked), crossing.key(seen)))
    return (query @ key.mT * crossing.scaling).softmax(dim=-1).mean(dim=1)


def _moved(batch: dict[str, Any]) -> dict[str, Any]:
    return {name: one.to(device()) if torch.is_tensor(one) else one for name, one in batch.items()}
