"""T-BLIP2: difference clusters as tokens for BLIP-2, which puts into words what changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from whatchanged.files import read_json, write_json
from whatchanged.images import resized
from whatchanged.models.detector import Detected, DifferenceDetector, as_picture
from whatchanged.models.matching import Matched, MatchingHeads, encoder_layer, word_loss
from whatchanged.tolerance import change_map
from whatchanged.weights import whole_weights

STREAMS = ("two", "one")
PROMPT = "Diff: "
ADAPTED = {"opt": ("q_proj", "v_proj"), "t5": ("q", "v")}  # the layers of the language model that LoRA adapts
OPTIONS = "options.json"


@dataclass(frozen=True)
class Visual:
    """What the language model and the heads get of a batch of pairs.

    Attributes
    ----------
    tokens : float tensor (n, k, d): global, difference and cluster tokens after the fusion. As many for each pair: one
        that was learned stands where there is no cluster.
    prefix : float tensor (n, k, language model's d): the tokens in its space.
    detected : the clusters among them.
    """

    tokens: Tensor
    prefix: Tensor
    detected: Detected


@dataclass(frozen=True)
class CaptionOutput:
    """What `EnhancedDiffBLIP2` says of a batch.

    Attributes
    ----------
    visual : the prefix and what it is made of.
    logits : float tensor (n, t, vocabulary) of the caption's tokens; None without captions.
    parts : the losses "lm", "itm", "itc" and, with clusters, "words", numbers; empty unless `return_loss`.
    matched : what the heads say; None unless `return_loss`.
    """

    visual: Visual
    logits: Tensor | None
    parts: dict[str, Tensor]
    matched: Matched | None


class EnhancedDiffBLIP2(nn.Module):
    """BLIP-2 [1]_ that describes what changed between two pictures.

    The language model reads a visual prefix: what the Q-Former says of the pair (global tokens), what it says of the
    features' difference where the pictures differ (difference tokens), and two tokens a cluster of differing pixels.
    "two" streams encode each picture for itself; "one" lays them side by side, so that the encoder itself compares them
    (BLIP2IDC [2]_).

    Parameters
    ----------
    blip2_model : `transformers.Blip2ForConditionalGeneration`, with a decoder (OPT) or an encoder and decoder (T5).
    processor : its `Blip2Processor`.
    streams : "two" or "one".
    clusters : whether the prefix has cluster tokens.
    max_clusters, eps, min_samples, threshold_percentile : of `DifferenceDetector`.
    feature_weight : 0 to 1, how much the encoder's features count in the difference map beside the pixels.
    freeze_vision : train all but the image encoder.
    lora : rank of the language model's LoRA adapters [3]_, which then are all that is trained of it; 0 trains it whole.
    align_dim : width of the heads that tie pairs to captions, a multiple of 32.
    checkpointing : compute the language model's activations twice instead of keeping them.
    prompt : the words before the caption.

    References
    ----------
    .. [1] Li et al., BLIP-2: Bootstrapping Language-Image Pre-training, ICML 2023.
    .. [2] Evennou et al., Reframing Image Difference Captioning with BLIP2IDC and Synthetic Augmentation, WACV 2025.
    .. [3] Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022.
    """

    def __init__(
        self,
        blip2_model: nn.Module,
        processor: Any,
        *,
        streams: str = "two",
        clusters: bool = True,
        max_clusters: int = 5,
        eps: float = 3.5,
        min_samples: int = 20,
        threshold_percentile: float = 98.5,
        feature_weight: float = 0.0,
        freeze_vision: bool = True,
        lora: int = 16,
        checkpointing: bool = False,
        align_dim: int = 256,
        prompt: str = PROMPT,
    ) -> None:
        if streams not in STREAMS:
            raise ValueError(f"streams is {streams!r}: choose 'two' or 'one'")
        if not 0 <= feature_weight <= 1:
            raise ValueError(f"feature_weight is {feature_weight}: give 0 (pixels only) to 1 (features only)")
        super().__init__()
        given = locals()
        names = ("streams", "clusters", "max_clusters", "eps", "min_samples", "threshold_percentile", "feature_weight")
        names += ("freeze_vision", "lora", "checkpointing", "align_dim", "prompt")
        self.options = {name: given[name] for name in names}
        self.blip2_model, self.processor = blip2_model, processor
        self.streams, self.use_clusters, self.max_clusters = streams, clusters, max_clusters
        self.feature_weight, self.prompt = feature_weight, prompt
        config = blip2_model.config
        dim = config.qformer_config.hidden_size
        self.diff_detector = DifferenceDetector(dim, max_clusters, eps, min_samples, threshold_percentile)
        self.kinds = nn.Parameter(torch.zeros(4, dim))  # before, after, difference, cluster
        self.absent = nn.Parameter(torch.randn(dim))
        self.fusion_layer = encoder_layer(dim)
        for last in (self.fusion_layer.self_attn.out_proj, self.fusion_layer.linear2):
            nn.init.zeros_(last.weight)  # it begins by passing on what BLIP-2 was trained to give
            nn.init.zeros_(last.bias)
        self.log_temperature = nn.Parameter(torch.zeros(()))
        text_dim = blip2_model.language_model.get_input_embeddings().embedding_dim
        self.matching = MatchingHeads(dim, text_dim, align_dim)
        vocabulary = blip2_model.language_model.get_input_embeddings().num_embeddings
        self.word_head = nn.Linear(dim, vocabulary)
        nn.init.constant_(self.word_head.bias, -math.log(vocabulary))  # a caption has few of all words
        self.register_buffer("mean", torch.tensor(processor.image_processor.image_mean).view(3, 1, 1), False)
        self.register_buffer("std", torch.tensor(processor.image_processor.image_std).view(3, 1, 1), False)
        self._freeze(freeze_vision, lora, checkpointing)

    @property
    def image_size(self) -> int:
        """Side of the pictures that the encoder sees, pixels."""
        return self.blip2_model.config.vision_config.image_size

    @property
    def temperature(self) -> Tensor:
        """How evenly the difference tokens look at all that differs: near 0 only at the strongest place; a number."""
        return self.log_temperature.exp().clamp(0.02, 10)

    # What does not depend on trained weights

    def prepare(self, before: np.ndarray, after: np.ndarray, most: int | None = None) -> dict[str, Tensor]:
        """One pair, aligned and compared: all that can be kept while the weights change.

        Parameters
        ----------
        before, after : uint8 arrays (H, W, 3), RGB, of any sizes.
        most : keep so many clusters; None keeps `max_clusters`.

        Returns
        -------
        dict
            "before", "after": uint8 (3, S, S), aligned and in the same light; "map": uint8 (S, S), the pixels'
            difference; where the image encoder is frozen also "features", what it says of them; where features do not
            count in the map also the detector's table.
        """
        before, after, values = change_map(*(resized(one, self.image_size) for one in (before, after)))
        pictures = [torch.from_numpy(np.ascontiguousarray(one.transpose(2, 0, 1))) for one in (before, after)]
        pair = {
            "before": pictures[0],
            "after": pictures[1],
            "map": torch.from_numpy(np.rint(values * 255).astype("u1")),
        }
        if self.options["freeze_vision"]:
            on = self.log_temperature.device
            with torch.no_grad():
                pair["features"] = torch.stack(self.encode_images(*(one[None].to(on) for one in pictures)), 1)[0].cpu()
        if self.feature_weight == 0:
            found = self.diff_detector.clusters(pair["map"].float().numpy())[:most]
            pair |= {name: one[0] for name, one in self.diff_detector.table([found], pair["map"][None]).items()}
        return pair

    def _batch(self, img1: Any, img2: Any) -> dict[str, Tensor]:
        """Pairs as `prepare` gives them, stacked, on the model's device."""
        if isinstance(img1, dict):
            return img1
        if len(img1) != len(img2):
            raise ValueError(f"there are {len(img1)} pictures before and {len(img2)} after: give as many of each")
        pairs = [self.prepare(as_picture(one), as_picture(other)) for one, other in zip(img1, img2, strict=True)]
        on = self.log_temperature.device
        return {name: torch.stack([pair[name] for pair in pairs]).to(on) for name in pairs[0]}

    # From pictures to the prefix

    def encode_images(self, img1: Tensor, img2: Tensor) -> tuple[Tensor, Tensor]:
        """The image encoder's features of both: float tensors (n, 1 + patches, d), the class token first.

        Parameters
        ----------
        img1, img2 : uint8 tensors (n, 3, S, S).
        """
        vision = self.blip2_model.vision_model
        pixels = [self._normalized(one) for one in (img1, img2)]
        if self.streams == "two":
            return tuple(vision(torch.cat(pixels)).last_hidden_state.chunk(2))
        wide = vision(torch.cat(pixels, dim=3), interpolate_pos_encoding=True).last_hidden_state
        side = self.image_size // self.blip2_model.config.vision_config.patch_size
        both = wide[:, 1:].unflatten(1, (side, 2, side)).transpose(1, 2).flatten(2, 3)
        return tuple(torch.cat([wide[:, :1], both[:, place]], dim=1) for place in (0, 1))

    def compute_difference_map(
        self, img1: Any, img2: Any = None, features: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """Where the pictures differ, after alignment: float tensor (n, S, S), 0 to 1.

        Parameters
        ----------
        img1, img2 : as in `forward`.
        features : of `encode_images`, if they are at hand.
        """
        batch = self._batch(img1, img2)
        pixels = batch["map"].float() / 255
        if self.feature_weight == 0:
            return pixels
        first, second = features or self._features(batch)
        apart = (1 - F.cosine_similarity(first[:, 1:].float(), second[:, 1:].float(), dim=2)).clamp_min(0)
        side = round(apart.shape[1] ** 0.5)
        apart = apart / apart.amax(dim=1, keepdim=True).clamp_min(1e-6)
        apart = F.interpolate(apart.unflatten(1, (side, side))[:, None], pixels.shape[1:], mode="bilinear")[:, 0]
        return ((1 - self.feature_weight) * pixels + self.feature_weight * apart.detach()).clamp(0, 1)

    def visual(self, img1: Any, img2: Any = None) -> Visual:
        """The prefix of each pair; arguments as in `forward`."""
        batch = self._batch(img1, img2)
        first, second = self._features(batch)
        values = self.compute_difference_map(batch, features=(first, second))
        blip2 = self.blip2_model
        groups = self._queries(first, second), (self._query(self._where_it_differs(first, second, values)),)
        tokens = [one + kind for one, kind in zip((*groups[0], *groups[1]), self._token_kinds(), strict=True)]
        detected = self._detect(batch, values)
        if self.use_clusters:
            there = detected.present[..., None, None]
            tokens.append(torch.where(there, detected.tokens, self.absent).flatten(1, 2) + self.kinds[3])
        fused = self.fusion_layer(torch.cat([one.to(tokens[0].dtype) for one in tokens], dim=1))
        projection = blip2.language_projection
        prefix = projection(
            fused if torch.is_autocast_enabled(fused.device.type) else fused.to(projection.weight.dtype)
        )
        return Visual(fused, prefix, detected)

    def _features(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        if "features" in batch:
            return batch["features"].unbind(1)
        return self.encode_images(batch["before"], batch["after"])

    def _normalized(self, pictures: Tensor) -> Tensor:
        return (pictures.float() / 255 - self.mean) / self.std

    def _detect(self, batch: dict[str, Tensor], values: Tensor) -> Detected:
        located = {name: batch[name] for name in ("present", "squares", "geometry")} if "present" in batch else None
        pictures = (self._normalized(batch[side]) for side in ("before", "after"))
        return self.diff_detector(values, *pictures, located=located)

    def _queries(self, first: Tensor, second: Tensor) -> tuple[Tensor, ...]:
        """Global tokens, float (n, queries, d): of each picture, or of both at once where they are one stream."""
        if self.streams == "one":
            return (self._query(torch.cat([first, second[:, 1:]], dim=1)),)
        return tuple(self._query(torch.cat([first, second])).chunk(2))

    def _token_kinds(self) -> tuple[Tensor, ...]:
        return (
            (self.kinds[0], self.kinds[2]) if self.streams == "one" else (self.kinds[0], self.kinds[1], self.kinds[2])
        )

    def _query(self, features: Tensor) -> Tensor:
        """What the Q-Former asks of features (n, t, d): float tensor (n, queries, its d)."""
        blip2 = self.blip2_model
        queries = blip2.query_tokens.expand(len(features), -1, -1)
        return blip2.qformer(query_embeds=queries, encoder_hidden_states=features.to(queries.dtype)).last_hidden_state

    def _where_it_differs(self, first: Tensor, second: Tensor, values: Tensor) -> Tensor:
        """The features' difference, faded out where the map shows none: float tensor (n, patches, d)."""
        side = round((first.shape[1] - 1) ** 0.5)
        weights = F.adaptive_max_pool2d(values[:, None], side).flatten(1)
        weights = (weights / self.temperature).softmax(dim=1) * weights.shape[1]
        return (second - first)[:, 1:] * weights[..., None].to(first.dtype)

    # From the prefix to words

    def forward(
        self,
        img1: Any,
        img2: Any = None,
        captions: Sequence[str] | None = None,
        return_loss: bool = False,
        *,
        same: Tensor | None = None,
    ) -> CaptionOutput:
        """What the model says of pairs.

        Parameters
        ----------
        img1, img2 : uint8 arrays (H, W, 3), a sequence of each, or float tensors (n, 3, H, W), 0 to 1; or, in img1
            alone, a batch of what `prepare` gave.
        captions : what is true of each pair.
        return_loss : compute the losses as well.
        same : bool tensor (n, n): which captions are as true of which other pair, and no negatives for it. None: equal
            words are.
        """
        visual = self.visual(img1, img2)
        if captions is None:
            if return_loss:
                raise ValueError("return_loss needs captions: there is nothing to compare with")
            return CaptionOutput(visual, None, {}, None)
        logits, labels = self._read(visual, captions)
        if not return_loss:
            return CaptionOutput(visual, logits, {}, None)
        words = self._tokens(captions)
        if same is None:
            same = torch.tensor([[one == other for other in captions] for one in captions], device=logits.device)
        embeddings = self._embed(words["input_ids"])
        matched = self.matching(visual.tokens, embeddings, words["attention_mask"].bool(), same)
        lm = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten())
        parts = {"lm": lm, "itm": matched.itm, "itc": matched.itc}
        if self.use_clusters:
            parts["words"] = self._nameable(visual.detected, words)
        return CaptionOutput(visual, logits, parts, matched)

    def _nameable(self, detected: Detected, words: dict[str, Tensor]) -> Tensor:
        """How badly the clusters name the words of the captions, each cluster by itself: a number.

        What a caption says of any pair ("the", "is"), or says where there is no cluster, falls to the token that stands
        for none.
        """
        logits = self.word_head(
            torch.cat([detected.tokens.flatten(1, 2), self.absent.expand(len(detected.tokens), 1, -1)], 1)
        )
        present = F.pad(detected.present.repeat_interleave(2, dim=1), (0, 1), value=True)
        said = torch.zeros(len(logits), logits.shape[2], device=logits.device)
        said = said.scatter_add(1, words["input_ids"], words["attention_mask"].to(said.dtype)).clamp(max=1)
        return word_loss(logits.float(), present, said)

    def _read(self, visual: Visual, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Logits (n, t, vocabulary) for the captions' tokens and what they should be (n, t), -100 for nothing."""
        words = self._tokens(captions, end=True)
        wanted = words["input_ids"].masked_fill(words["attention_mask"] == 0, -100)
        given, mask = self._prompted(visual, self.prompt)
        if not self.blip2_model.config.use_decoder_only_language_model:
            model = self.blip2_model.language_model
            return model(inputs_embeds=given, attention_mask=mask, labels=wanted).logits, wanted
        given = torch.cat([given, self._embed(words["input_ids"]).to(given.dtype)], dim=1)
        mask = torch.cat([mask, words["attention_mask"]], dim=1)
        logits = self.blip2_model.language_model(inputs_embeds=given, attention_mask=mask, use_cache=False).logits
        return logits[:, -wanted.shape[1] - 1 : -1], wanted

    def _prompted(self, visual: Visual, prompt: str) -> tuple[Tensor, Tensor]:
        """Prefix and prompt as embeddings (n, t, d), and which of them are there, int (n, t)."""
        words = self._tokens([prompt], begin=True)["input_ids"].expand(len(visual.prefix), -1)
        embeddings = self._embed(words)
        given = torch.cat([visual.prefix.to(embeddings.dtype), embeddings], dim=1)
        return given, torch.ones(given.shape[:2], dtype=torch.long, device=given.device)

    def _embed(self, ids: Tensor) -> Tensor:
        return self.blip2_model.language_model.get_input_embeddings()(ids)

    def _tokens(self, texts: Sequence[str], begin: bool = False, end: bool = False) -> dict[str, Tensor]:
        """Ids and mask of texts, int tensors (n, t), padded on the right; begun and ended as the language model was
        taught to.
        """
        tokenizer = self.processor.tokenizer
        first = [tokenizer.bos_token_id] * (begin and self.blip2_model.config.use_decoder_only_language_model)
        last = [tokenizer.eos_token_id] * end
        rows = [[*first, *own, *last] for own in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]
        longest, on = max(1, *map(len, rows)), self.log_temperature.device
        ids = torch.tensor([row + [tokenizer.pad_token_id] * (longest - len(row)) for row in rows], device=on)
        return {
            "input_ids": ids,
            "attention_mask": torch.tensor([[1] * len(r) + [0] * (longest - len(r)) for r in rows], device=on),
        }

    @torch.no_grad()
    def generate(
        self, img1: Any, img2: Any = None, prompt: str | None = None, max_new_tokens: int = 50, **options: Any
    ) -> list[str]:
        """A caption of each pair, by the language model's own decoding.

        Parameters
        ----------
        img1, img2 : as in `forward`.
        prompt : None is the one of the training.
        max_new_tokens : at most so many.
        **options : of `transformers`' `generate`: `num_beams`, `do_sample`, `temperature`, ...; greedy without.
        """
        given, mask = self._prompted(self.visual(img1, img2), self.prompt if prompt is None else prompt)
        tokenizer = self.processor.tokenizer
        ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
        options = {"do_sample": False, "max_new_tokens": max_new_tokens} | ends | options
        ids = self.blip2_model.language_model.generate(inputs_embeds=given, attention_mask=mask, **options)
        return [text.strip() for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]

    # Training and keeping

    def _freeze(self, vision: bool, lora: int, checkpointing: bool) -> None:
        blip2 = self.blip2_model
        blip2.vision_model.requires_grad_(not vision)
        if vision:
            blip2.vision_model.eval()
        if lora:
            from peft import LoraConfig, inject_adapter_in_model

            blip2.language_model.requires_grad_(False)
            config = LoraConfig(r=lora, lora_alpha=2 * lora, lora_dropout=0.05, target_modules=self.lora_targets)
            inject_adapter_in_model(config, blip2.language_model)
        if checkpointing:
            text = blip2.language_model
            name = "activation_checkpointing_enable"  # before transformers 5: gradient_checkpointing_enable
            enable = getattr(text, name) if hasattr(text, name) else text.gradient_checkpointing_enable
            enable({"use_reentrant": False})

    @property
    def lora_targets(self) -> list[str]:
        """Names of the language model's layers that LoRA adapts: the attention's queries and values, as LoRA's authors
        chose.
        """
        kind = self.blip2_model.config.text_config.model_type
        if kind not in ADAPTED:
            raise ValueError(f"the language model is a {kind!r}: LoRA's layers are known for {', '.join(ADAPTED)}")
        return list(ADAPTED[kind])

    def train(self, mode: bool = True) -> EnhancedDiffBLIP2:
        """As in torch; a frozen image encoder stays in evaluation mode."""
        super().train(mode)
        if self.options["freeze_vision"]:
            self.blip2_model.vision_model.eval()
        return self

    def parameter_groups(self, learning_rate: float = 3e-5, new: float = 10.0, decay: float = 0.01) -> list[dict]:
        """What is trained, in two groups for an optimizer: "BLIP-2", LoRA included, and "new", at `new` times the rate.

        "new" are the heads, the detector and the fusion, which begin at random.
        """
        trained = [(name, weight) for name, weight in self.named_parameters() if weight.requires_grad]
        old = [weight for name, weight in trained if name.startswith("blip2_model.")]
        begun = [weight for name, weight in trained if not name.startswith("blip2_model.")]
        groups = {"BLIP-2": (old, learning_rate), "new": (begun, learning_rate * new)}
        return [{"name": n, "params": p, "lr": rate, "weight_decay": decay} for n, (p, rate) in groups.items() if p]

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write all weights (safetensors), the configuration, the options and the processor; the options last, which
        make the folder whole.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / OPTIONS).unlink(missing_ok=True)
        save_model(self, str(folder / "model.safetensors"))
        self.blip2_model.config.save_pretrained(folder)
        self.processor.save_pretrained(folder)
        write_json(folder / OPTIONS, self.options)
        return folder

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> EnhancedDiffBLIP2:
        """The model that `save_pretrained` wrote, in evaluation mode on the CPU."""
        from transformers import Blip2Config, Blip2ForConditionalGeneration, Blip2Processor

        folder = Path(folder)
        if not (folder / OPTIONS).is_file():
            raise ValueError(f"{folder} holds no {OPTIONS}: save_pretrained writes it, when all else is written")
        blip2 = Blip2ForConditionalGeneration(Blip2Config.from_pretrained(folder))
        model = cls(blip2, Blip2Processor.from_pretrained(folder), **read_json(folder / OPTIONS))
        with whole_weights(folder / "model.safetensors"):
            load_model(model, folder / "model.safetensors")
        return model.eval()
