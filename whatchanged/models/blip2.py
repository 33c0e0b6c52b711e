"""BLIP-2 to build on: the published weights, or a small one from nothing with a vocabulary of its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from whatchanged.files import user_path
from whatchanged.models.base import BaseModel
from whatchanged.models.tblip2_options import PROMPT

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration, Blip2Processor


def named_blip2(name: str) -> str:
    """The same, if it names a BLIP-2, in a folder or on the hub, by its configuration alone; else ValueError."""
    from transformers import AutoConfig

    try:
        kind = AutoConfig.from_pretrained(user_path(name)).model_type
    except (OSError, ValueError):
        kind = "folder or name without a configuration that could be read"
    if kind != "blip-2":
        raise ValueError(f"it is a {kind}; give a folder or the hub's name of a BLIP-2")
    return name


def load_blip2(name: str, dtype: torch.dtype | None = None) -> tuple[Blip2ForConditionalGeneration, Blip2Processor]:
    """A BLIP-2 checkpoint in Hugging Face format and its processor, from a folder or, by its name, from the hub.

    It knows where it came from, so a T-BLIP2 that is built on it is kept without its frozen weights.

    Parameters
    ----------
    name : as "Salesforce/blip2-opt-2.7b", or a folder.
    dtype : of the weights, which are read straight into it; None is fp32. What a T-BLIP2 always trains, the Q-Former
        with its queries and the projection, is fp32 all the same.

    Raises
    ------
    ValueError
        There is no such checkpoint, or it is not a whole one of a BLIP-2.
    """
    from transformers import Blip2ForConditionalGeneration, Blip2Processor

    class Kept(Blip2ForConditionalGeneration):
        _keep_in_fp32_modules_strict = {"query_tokens", "qformer", "language_projection"}

    place = str(user_path(name))
    try:
        processor = Blip2Processor.from_pretrained(place)
        loaded: Any = Kept.from_pretrained(place, dtype=dtype or torch.float32, output_loading_info=True)
        model, told = loaded
        model.__class__ = Blip2ForConditionalGeneration  # as which it is saved
        model.base = BaseModel.of(place)
    except Exception as error:  # what transformers raises depends on how the checkpoint is broken
        if Path(place).is_dir():
            reason = str(error).strip().partition("\n")[0]
            raise ValueError(
                f"MODEL_NAME is {name!r}, a folder that holds no BLIP-2 checkpoint that can be read: download it again,"
                f" or give another ({reason})"
            ) from error
        raise ValueError(
            f"MODEL_NAME is {name!r}: it is neither a folder with a BLIP-2 checkpoint nor a name that the hub could be"
            " asked for; check the spelling and the network, or download it once and give the folder"
        ) from error
    if told["missing_keys"]:  # transformers would draw them at random
        raise ValueError(
            f"MODEL_NAME is {name!r}, a checkpoint without {min(told['missing_keys'])}: download it again, whole, or"
            " give that of a BLIP-2"
        )
    return model, processor


def processor_of(blip2_model: Blip2ForConditionalGeneration) -> Blip2Processor:
    """The processor that lies beside a checkpoint; ValueError where the model does not tell where it came from."""
    from transformers import Blip2Processor

    name = blip2_model.name_or_path
    try:
        if not name:
            raise ValueError("it was not loaded from a checkpoint")
        return Blip2Processor.from_pretrained(name)
    except Exception as error:  # what transformers raises depends on what is there
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"there is no processor for this BLIP-2: give it as the second argument ({reason})") from error


def small_blip2(
    captions: Iterable[str], *, image_size: int = 96, dim: int = 128, layers: int = 2, seed: int = 0
) -> tuple[Blip2ForConditionalGeneration, Blip2Processor]:
    """A BLIP-2 of the published classes, small and with random weights, and a processor that knows the captions' words.

    Returns
    -------
    blip2_model, processor
    """
    from transformers import Blip2Config, Blip2ForConditionalGeneration

    processor = word_processor(captions, image_size)
    tokenizer = processor.tokenizer
    heads = dim // 32
    size = {"hidden_size": dim, "num_hidden_layers": layers, "num_attention_heads": heads}
    # The usual 0.02 is meant for ten times this width: here it would leave the attention blind for hundreds of steps.
    spread = 0.6 * dim**-0.5
    size["initializer_range"] = spread
    text = {"vocab_size": len(tokenizer), "word_embed_proj_dim": dim, "ffn_dim": 2 * dim, "dropout": 0.0}
    text |= {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    vision = {
        "image_size": image_size,
        "patch_size": image_size // 6,
        "initializer_range": 0.02,
        "num_hidden_layers": 1,
    }
    vision |= {"hidden_size": dim // 2, "intermediate_size": dim, "num_attention_heads": heads // 2}
    asking = {
        "num_hidden_layers": 1,
        "intermediate_size": 2 * dim,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    config = Blip2Config(
        vision_config=size | vision,
        qformer_config=size | asking | {"cross_attention_frequency": 1},
        text_config=size | text | {"model_type": "opt", "max_position_embeddings": 256},
        num_query_tokens=processor.num_query_tokens,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        initializer_range=spread,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Blip2ForConditionalGeneration(config)
        nn.init.normal_(model.query_tokens, std=1.0)  # zero, as it is without a checkpoint, makes all queries the same
    return model, processor


def word_processor(captions: Iterable[str], image_size: int, queries: int = 2) -> Blip2Processor:
    """A `Blip2Processor` whose tokenizer has a token a word; words that are not in the captions are unknown to it."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import Blip2Processor, BlipImageProcessor, PreTrainedTokenizerFast

    special = {"unk_token": "<unk>", "pad_token": "<pad>", "bos_token": "</s>", "eos_token": "</s>"}
    words = sorted({word for caption in captions for word in [*caption.split(), *PROMPT.split()]})
    vocabulary = {word: i for i, word in enumerate(["<unk>", "<pad>", "</s>", "<image>", *words])}
    plain = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, **special)
    size = {"height": image_size, "width": image_size}
    return Blip2Processor(BlipImageProcessor(size=size), tokenizer, num_query_tokens=queries)
