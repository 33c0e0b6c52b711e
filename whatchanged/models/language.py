"""BLIP-2's language model: it reads a visual prefix and a caption, or writes a caption after the prefix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration


class LanguageModel:
    """The language model of a BLIP-2 with its tokenizer. Its weights stay the BLIP-2's.

    Parameters
    ----------
    blip2 : with a decoder (OPT) or an encoder and decoder (T5).
    tokenizer : of its processor.
    """

    def __init__(self, blip2: Blip2ForConditionalGeneration, tokenizer: Any) -> None:
        self.blip2, self.tokenizer = blip2, tokenizer

    def tokens(self, texts: Sequence[str], begin: bool = False, end: bool = False) -> dict[str, Tensor]:
        """Ids and mask of texts, int tensors (n, t), padded on the right; begun and ended as the language model was
        taught to.
        """
        tokenizer = self.tokenizer
        first = [tokenizer.bos_token_id] if begin and self.blip2.config.use_decoder_only_language_model else []
        last = [tokenizer.eos_token_id] if end else []
        rows = [[*first, *own, *last] for own in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]
        longest, on = max(1, *map(len, rows)), self.blip2.query_tokens.device
        ids = torch.tensor([row + [tokenizer.pad_token_id] * (longest - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        there = {"input_ids": ids, "attention_mask": mask}
        return {name: one.to(on, non_blocking=True) for name, one in there.items()}

    def embed(self, ids: Tensor) -> Tensor:
        """The embeddings of ids (n, t): float tensor (n, t, d)."""
        return self.blip2.language_model.get_input_embeddings()(ids)

    def prompted(self, prefix: Tensor, prompt: str) -> tuple[Tensor, Tensor]:
        """A prefix (n, k, d) and a prompt as embeddings (n, t, d), and which of them are there, int (n, t)."""
        words = self.tokens([prompt], begin=True)["input_ids"].expand(len(prefix), -1)
        embeddings = self.embed(words)
        given = torch.cat([prefix.to(embeddings.dtype), embeddings], dim=1)
        return given, torch.ones(given.shape[:2], dtype=torch.long, device=given.device)

    def read(self, prefix: Tensor, prompt: str, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Logits (n, t, vocabulary) for the captions' tokens and what they should be (n, t), -100 for nothing."""
        words = self.tokens(captions, end=True)
        wanted = words["input_ids"].masked_fill(words["attention_mask"] == 0, -100)
        given, mask = self.prompted(prefix, prompt)
        model = self.blip2.language_model
        if not self.blip2.config.use_decoder_only_language_model:
            return model(inputs_embeds=given, attention_mask=mask, labels=wanted).logits, wanted
        given = torch.cat([given, self.embed(words["input_ids"]).to(given.dtype)], dim=1)
        most = getattr(model.config, "max_position_embeddings", None)
        if most and given.shape[1] > most:
            raise ValueError(
                f"a caption has {wanted.shape[1]} tokens: after the {given.shape[1] - wanted.shape[1]} of the pair and"
                f" the prompt the language model reads {most} in all; shorten the caption or leave it out"
            )
        # No mask: what pads a caption stands behind it, where no word looks; whether there is any need not be asked.
        logits = model(inputs_embeds=given, use_cache=False).logits
        return logits[:, -wanted.shape[1] - 1 : -1], wanted

    def write(self, prefix: Tensor, prompt: str, **options: Any) -> list[str]:
        """A caption for each prefix, by the language model's own decoding; `options` of `transformers`' `generate`."""
        given, mask = self.prompted(prefix, prompt)
        tokenizer = self.tokenizer
        ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
        options = {"do_sample": False} | ends | options
        ids = self.blip2.language_model.generate(inputs_embeds=given, attention_mask=mask, **options)
        return [text.strip() for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]
