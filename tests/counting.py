"""T-BLIP2 at full size without a byte of weights: what its parts, a checkpoint and a step take, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import Blip2Config, Blip2ForConditionalGeneration

from whatchanged.models.base import BaseModel
from whatchanged.models.blip2 import small_blip2
from whatchanged.models.tblip2 import EnhancedDiffBLIP2
from whatchanged.models.tblip2_options import TBLIP2Options

GIB = 2**30
TEXT = {"model_type": "opt", "hidden_size": 2560, "num_hidden_layers": 32, "num_attention_heads": 32}
TEXT |= {"ffn_dim": 10240, "word_embed_proj_dim": 2560, "vocab_size": 50304, "max_position_embeddings": 2048}


def full_size(dtype: torch.dtype = torch.float16, **options: object) -> EnhancedDiffBLIP2:
    """blip2-opt-2.7b by its published configuration, as notebook 05 builds on it, on the meta device."""
    _, processor = small_blip2(["a"], image_size=224, dim=64)
    with torch.device("meta"):
        blip2 = Blip2ForConditionalGeneration(Blip2Config(text_config=TEXT, image_token_index=50265))
        blip2.vision_model.to(dtype)
        blip2.language_model.to(dtype)
        blip2.base = BaseModel("Salesforce/blip2-opt-2.7b", "0" * 64)
        return EnhancedDiffBLIP2(blip2, processor, TBLIP2Options(lora=16, **options)).train()


def size(tensors: Iterator[Tensor]) -> int:
    """Bytes of different tensors; one that is tied counts once."""
    return sum({id(one): one.numel() * one.element_size() for one in tensors}.values())


def by_part(model: EnhancedDiffBLIP2) -> Counter[str]:
    """Bytes of the weights by part, and of what training adds to them: gradients and AdamW's two moments."""
    parts: Counter[str] = Counter()
    for name, part in model.blip2_model.named_children():
        parts[name] = size(part.parameters())
    parts["new"] = size(one for name, one in model.named_parameters() if not name.startswith("blip2_model."))
    trained = size(one for one in model.parameters() if one.requires_grad)
    return parts + Counter({"gradients": trained, "optimizer": 2 * trained})


@contextmanager
def saved_bytes(model: nn.Module) -> Iterator[Counter[str]]:
    """Counts what is kept for the gradient within it: each storage once, without the weights themselves."""
    weights = {one.untyped_storage()._cdata for one in model.parameters()}
    kept: dict[int, Tensor] = {}
    total: Counter[str] = Counter()

    def keep(tensor: Tensor) -> Tensor:
        key = tensor.untyped_storage()._cdata
        if key not in weights and key not in kept:
            kept[key] = tensor  # held, so that no other storage gets its place
            total["activations"] += tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield total


def step_bytes(model: EnhancedDiffBLIP2, batch: int, words: int, dtype: torch.dtype = torch.float16) -> int:
    """Bytes that a forward pass keeps, but for the CNN's crops and the matching heads, which are small.

    Computed on tensors that have a device, for autocast, and no memory.
    """
    with FakeTensorMode(allow_non_fake_inputs=True):
        model.to_empty(device="cpu")
        model.blip2_model.tie_weights()
        return _step_bytes(model, batch, words, dtype)


def _step_bytes(model: EnhancedDiffBLIP2, batch: int, words: int, dtype: torch.dtype) -> int:
    n, dim = batch, model.kinds.shape[1]
    features = torch.empty(n, 257, 1408, dtype=dtype), torch.empty(n, 257, 1408, dtype=dtype)
    values, clusters = torch.empty(n, 224, 224), torch.empty(n, 2 * model.options.max_clusters, dim)
    with saved_bytes(model) as total, torch.autocast("cpu", dtype):
        asked = *model._queries(*features), model._query(model._where_it_differs(*features, values))
        fused = model.fusion_layer(torch.cat([*(one.float() for one in asked), clusters], dim=1))
        prefix = model.blip2_model.language_projection(fused)
        text = model.blip2_model.language_model
        embedded = text.get_input_embeddings()(torch.zeros(n, words, dtype=torch.long))
        given = torch.cat([prefix.to(embedded.dtype), embedded], dim=1)
        mask = torch.ones(given.shape[:2], dtype=torch.long)
        logits = text(inputs_embeds=given, attention_mask=mask, use_cache=False).logits
        loss = nn.functional.cross_entropy(logits[:, -words:].flatten(0, 1).float(), torch.zeros(n * words).long())
        named = model.word_head(clusters).float()
        assert (loss + named.logsumexp(2).sum()).requires_grad
    return total["activations"]
