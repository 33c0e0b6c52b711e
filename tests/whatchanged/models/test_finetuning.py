"""What of a BLIP-2 is trained, and how fast; language models of which LoRA's layers are not known."""

from __future__ import annotations

import pytest
from tiny_tblip2 import small
from transformers import Blip2Config, Blip2ForConditionalGeneration

from whatchanged.models.blip2 import small_blip2
from whatchanged.models.finetuning import freeze, parameter_groups


def weights(blip2, part):
    return {name: one for name, one in blip2.named_parameters() if name.startswith(part)}


def test_nothing_is_frozen_unless_told():
    blip2, _ = small_blip2(["a box"], image_size=48, dim=64)
    before = list(weights(blip2, ""))
    freeze(blip2, vision=False, lora=0, checkpointing=False)
    assert list(weights(blip2, "")) == before
    assert all(one.requires_grad for one in blip2.parameters())


def test_the_frozen_encoder_and_all_but_the_adapters_of_the_language_model_stay():
    blip2, _ = small_blip2(["a box"], image_size=48, dim=64)
    freeze(blip2, vision=True, lora=4, checkpointing=False)
    assert not any(one.requires_grad for one in weights(blip2, "vision_model").values())
    text = weights(blip2, "language_model")
    trained = {name for name, one in text.items() if one.requires_grad}
    assert {name.split(".")[-4] for name in trained} == {"q_proj", "v_proj"}
    assert len(trained) == 2 * 2 * 2, "two matrices for queries and values of two layers"
    assert {tuple(text[name].shape) for name in trained} == {(4, 64), (64, 4)}
    assert all(one.requires_grad for one in weights(blip2, "qformer").values())


def test_lora_is_refused_where_its_layers_are_not_known():
    blip2, processor = small_blip2(["a box"], image_size=48, dim=64)
    text = {"model_type": "gpt2", "vocab_size": len(processor.tokenizer), "n_embd": 64, "n_layer": 1, "n_head": 2}
    blip2 = Blip2ForConditionalGeneration(Blip2Config.from_dict(blip2.config.to_dict() | {"text_config": text}))
    with pytest.raises(ValueError, match="the language model is a 'gpt2': LoRA's layers are known for opt, t5"):
        freeze(blip2, vision=False, lora=4, checkpointing=False)


def test_parameter_groups_hold_each_weight_once_and_the_new_ones_run_ten_times_as_fast(pairs):
    model = small(pairs, lora=4, freeze_vision=True)
    groups = {group["name"]: group for group in parameter_groups(model, 3e-5)}
    assert groups["BLIP-2"]["lr"] == 3e-5
    assert groups["new"]["lr"] == pytest.approx(3e-4)
    held = [id(weight) for group in groups.values() for weight in group["params"]]
    trained = {name: id(weight) for name, weight in model.named_parameters() if weight.requires_grad}
    assert sorted(held) == sorted(trained.values())
    inside = {name for name in trained if name.startswith("blip2_model.language_model.")}
    assert inside
    assert all("lora_" in name for name in inside)
    assert not any("vision_model" in name for name in trained)
