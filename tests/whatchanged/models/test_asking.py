"""Many prepared pairs given to a model: as one by one, and as the model's own parts say."""

from __future__ import annotations

import pytest
import torch
from tiny_tblip2 import CHANGES, small

from helpers import scenes
from whatchanged.models import asking
from whatchanged.models.prepared import PreparedPairs


@pytest.fixture(scope="module")
def drawn():
    return [scenes.scene_pair(0, index, size=48, changes=(number, number)) for index, number in enumerate(CHANGES * 2)]


@pytest.fixture(scope="module")
def model(drawn):
    return small(drawn)


@pytest.fixture(scope="module")
def data(drawn, model):
    def read(index):
        return drawn[index].before, drawn[index].after, drawn[index].captions

    return PreparedPairs.in_memory(len(drawn), read, model.prepare)


def test_captions_do_not_depend_on_the_batch(model, data, drawn):
    one_by_one = [model.generate(pair.before, pair.after, max_new_tokens=6)[0] for pair in drawn]
    for size in (1, 3, 100):
        assert asking.describe_all(model, data, size, max_new_tokens=6) == one_by_one


def test_a_caption_is_stopped_after_128_tokens(model, data):
    with torch.no_grad():
        kept = model.blip2_model.language_model.lm_head.weight.clone()
        model.blip2_model.language_model.lm_head.weight[model.processor.tokenizer.eos_token_id] = -10.0
        (said,) = asking.describe_all(model, [data[0]])
        model.blip2_model.language_model.lm_head.weight.copy_(kept)
    assert len(said.split()) in (127, 128), "special tokens are not written"


def test_retrieval_is_the_mean_over_whole_batches(model, data):
    told = []
    for first in (0, 3):
        batch = asking.stacked([data[index] for index in range(first, first + 3)])
        same = batch["meaning"][:, None] == batch["meaning"]
        similarity = model(batch, captions=batch["caption"], return_loss=True, same=same).matched.similarity
        told.append(same[torch.arange(3), similarity.argmax(dim=1)].float().mean().item())
    recall, accuracy = asking.retrieval(model, data, batch_size=3)
    assert recall == pytest.approx(sum(told) / 2), "the last two pairs fill no batch"
    assert 0 <= accuracy <= 1


def test_queries_look_where_the_attention_of_transformers_says(model, data):
    batch = asking.stacked([data[index] for index in range(3)])
    weights = asking.query_weights(model, batch)
    assert weights.shape == (3, 2, 37)
    assert torch.allclose(weights.sum(dim=2), torch.ones(3, 2), atol=1e-5)
    said, layer = [], model.blip2_model.qformer.encoder.layer[-1].crossattention.attention
    config, usual = layer.config, layer.config._attn_implementation
    hook = layer.register_forward_hook(lambda module, given, answer: said.append(answer[1]))
    try:
        config._attn_implementation = "eager"  # the others do not tell their weights
        with torch.no_grad():
            model.visual(batch)
    finally:
        config._attn_implementation = usual
        hook.remove()
    assert torch.allclose(weights, said[0][:3].mean(dim=1), atol=1e-5), "asked of before, of after, and of both"
