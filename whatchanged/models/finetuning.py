"""What of a BLIP-2 is trained, and how fast: frozen parts, LoRA adapters, and the optimizer's groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration

ADAPTED = {"opt": ("q_proj", "v_proj"), "t5": ("q", "v")}  # the layers of the language model that LoRA adapts


def freeze(blip2: Blip2ForConditionalGeneration, *, vision: bool, lora: int, checkpointing: bool) -> None:
    """Choose what of a BLIP-2 is trained; all of it, unless told otherwise.

    What is trained is fp32: in half precision small steps would be rounded away. What is frozen stays as it is.

    Parameters
    ----------
    blip2 : changed in place.
    vision : freeze the image encoder, which then is in evaluation mode.
    lora : freeze the language model and add LoRA adapters [1]_ of this rank; 0 adds none.
    checkpointing : compute the language model's activations twice instead of keeping them.

    References
    ----------
    .. [1] Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022.
    """
    text = blip2.language_model
    blip2.vision_model.requires_grad_(not vision)
    if vision:
        blip2.vision_model.eval()
    if lora:
        from peft import LoraConfig, inject_adapter_in_model

        text.requires_grad_(False)
        config = LoraConfig(r=lora, lora_alpha=2 * lora, lora_dropout=0.05, target_modules=lora_targets(blip2))
        inject_adapter_in_model(config, text)
    if checkpointing:
        name = "activation_checkpointing_enable"  # before transformers 5: gradient_checkpointing_enable
        enable = getattr(text, name) if hasattr(text, name) else text.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    for weight in blip2.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()


def lora_targets(blip2: Blip2ForConditionalGeneration) -> list[str]:
    """Names of the language model's layers that LoRA adapts: the attention's queries and values, as LoRA's authors
    chose.
    """
    kind = blip2.language_model.config.model_type
    if kind not in ADAPTED:
        raise ValueError(f"the language model is a {kind!r}: LoRA's layers are known for {', '.join(ADAPTED)}")
    return list(ADAPTED[kind])


def parameter_groups(
    model: nn.Module, learning_rate: float = 3e-5, new: float = 10.0, decay: float = 0.01
) -> list[dict[str, Any]]:
    """What is trained, in two groups for an optimizer: "BLIP-2", LoRA included, and "new", at `new` times the rate.

    Parameters
    ----------
    model : an `EnhancedDiffBLIP2`. "new" are its heads, its detector and its fusion, which begin at random.
    learning_rate : of "BLIP-2".
    new : times that for what is new.
    decay : of the weights, in both groups.
    """
    trained = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    old = [weight for name, weight in trained if name.startswith("blip2_model.")]
    begun = [weight for name, weight in trained if not name.startswith("blip2_model.")]
    groups = {"BLIP-2": (old, learning_rate), "new": (begun, learning_rate * new)}
    return [{"name": n, "params": p, "lr": rate, "weight_decay": decay} for n, (p, rate) in groups.items() if p]
