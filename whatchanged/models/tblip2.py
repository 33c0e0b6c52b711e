"""T-BLIP2: difference clusters as tokens for BLIP-2, which puts into words what changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from whatchanged.files import user_path
from whatchanged.images import resized
from whatchanged.models.detector import Detected, DifferenceDetector
from whatchanged.models.finetuning import freeze
from whatchanged.models.language import LanguageModel
from whatchanged.models.matching import MatchingHeads, encoder_layer, word_loss
from whatchanged.models.tblip2_data import CaptionOutput, Prepared, Side, Visual, paired
from whatchanged.models.tblip2_options import OPTIONS, TBLIP2Options
from whatchanged.models.views import distance_map, encoded, faded_difference
from whatchanged.tolerance import change_map
from whatchanged.weights import whole_weights

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration, Blip2Processor


class EnhancedDiffBLIP2(nn.Module):
    """BLIP-2 [1]_ that describes what changed between two pictures.

    The language model reads a visual prefix: what the Q-Former says of the pair (global tokens), what it says of the
    features' difference where the pictures differ (difference tokens), and two tokens a cluster of differing pixels.
    "two" streams encode each picture for itself; "one" lays them side by side, so that the encoder itself compares them
    (BLIP2IDC [2]_).

    Parameters
    ----------
    blip2_model : with a decoder (OPT) or an encoder and decoder (T5).
    processor : its own.
    options : how the rest is built; None is the default of each.

    References
    ----------
    .. [1] Li et al., BLIP-2: Bootstrapping Language-Image Pre-training, ICML 2023.
    .. [2] Evennou et al., Reframing Image Difference Captioning with BLIP2IDC and Synthetic Augmentation, WACV 2025.
    """

    # torch would call each of these a Tensor or a Module.
    blip2_model: Blip2ForConditionalGeneration
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        blip2_model: Blip2ForConditionalGeneration,
        processor: Blip2Processor,
        options: TBLIP2Options | None = None,
    ) -> None:
        super().__init__()
        self.options = options = options or TBLIP2Options()
        self.blip2_model, self.processor = blip2_model, processor
        self.language = LanguageModel(blip2_model, processor.tokenizer)
        self.use_clusters = options.clusters
        dim = blip2_model.query_tokens.shape[2]
        self.diff_detector = DifferenceDetector(
            dim, options.max_clusters, options.eps, options.min_samples, options.threshold_percentile
        )
        self.kinds = nn.Parameter(torch.zeros(4, dim))  # before, after, difference, cluster
        self.absent = nn.Parameter(torch.randn(dim))
        self.fusion_layer = encoder_layer(dim)
        for last in (self.fusion_layer.self_attn.out_proj, self.fusion_layer.linear2):
            nn.init.zeros_(last.weight)  # it begins by passing on what BLIP-2 was trained to give
            nn.init.zeros_(last.bias)
        self.log_temperature = nn.Parameter(torch.zeros(()))
        words = blip2_model.language_model.get_input_embeddings()
        self.matching = MatchingHeads(dim, words.embedding_dim, options.align_dim)
        self.word_head = nn.Linear(dim, words.num_embeddings)
        nn.init.constant_(self.word_head.bias, -math.log(words.num_embeddings))  # a caption has few of all words
        self.register_buffer("mean", torch.tensor(processor.image_processor.image_mean).view(3, 1, 1), False)
        self.register_buffer("std", torch.tensor(processor.image_processor.image_std).view(3, 1, 1), False)
        freeze(blip2_model, vision=options.freeze_vision, lora=options.lora, checkpointing=options.checkpointing)

    @property
    def image_size(self) -> int:
        """Side of the pictures that the encoder sees, pixels."""
        return self.blip2_model.vision_model.embeddings.image_size

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
        most : keep so many clusters; None keeps `options.max_clusters`.

        Returns
        -------
        dict
            "before", "after": uint8 (3, S, S), aligned and in the same light; "map": uint8 (S, S), the pixels'
            difference; where the image encoder is frozen also "features", what it says of them; where features do not
            count in the map also the detector's table.
        """
        before, after, values = change_map(*(resized(one, self.image_size) for one in (before, after)))
        pictures = [torch.from_numpy(np.ascontiguousarray(one.transpose(2, 0, 1))) for one in (before, after)]
        pair = dict(zip(("before", "after"), pictures, strict=True))
        pair["map"] = torch.from_numpy(np.rint(values * 255).astype("u1"))
        if self.options.freeze_vision:
            on = self.log_temperature.device
            with torch.no_grad():
                pair["features"] = torch.stack(self.encode_images(*(one[None].to(on) for one in pictures)), 1)[0].cpu()
        if self.options.feature_weight == 0:
            found = self.diff_detector.clusters(pair["map"].float().numpy())[:most]
            pair |= {name: one[0] for name, one in self.diff_detector.table([found], pair["map"][None]).items()}
        return pair

    def _batch(self, img1: Side | Prepared, img2: Side | None) -> Prepared:
        """Pairs as `prepare` gives them, stacked, on the model's device."""
        if isinstance(img1, dict):
            return img1
        if img2 is None:
            raise ValueError("img2 is None: give the pictures after, or in img1 a batch of what `prepare` gave")
        pairs = [self.prepare(before, after) for before, after in paired(img1, img2)]
        on = self.log_temperature.device
        return {name: torch.stack([pair[name] for pair in pairs]).to(on) for name in pairs[0]}

    # From pictures to the prefix

    def encode_images(self, img1: Tensor, img2: Tensor) -> tuple[Tensor, Tensor]:
        """The image encoder's features of both: float tensors (n, 1 + patches, d), the class token first.

        Parameters
        ----------
        img1, img2 : uint8 tensors (n, 3, S, S).
        """
        pixels = self._normalized(img1), self._normalized(img2)
        return encoded(self.blip2_model, *pixels, together=self.options.streams == "one")

    def compute_difference_map(
        self, img1: Side | Prepared, img2: Side | None = None, features: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """Where the pictures differ, after alignment: float tensor (n, S, S), 0 to 1.

        Parameters
        ----------
        img1, img2 : as in `forward`.
        features : of `encode_images`, if they are at hand.
        """
        batch = self._batch(img1, img2)
        pixels = batch["map"].float() / 255
        if self.options.feature_weight == 0:
            return pixels
        first, second = features or self._features(batch)
        apart = distance_map(first, second, self.image_size).detach()
        return ((1 - self.options.feature_weight) * pixels + self.options.feature_weight * apart).clamp(0, 1)

    @overload
    def visual(self, img1: Side, img2: Side) -> Visual: ...

    @overload
    def visual(self, img1: Prepared) -> Visual: ...

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
            first, second = batch["features"].unbind(1)
            return first, second
        return self.encode_images(batch["before"], batch["after"])

    def _normalized(self, pictures: Tensor) -> Tensor:
        return (pictures.float() / 255 - self.mean) / self.std

    def _detect(self, batch: dict[str, Tensor], values: Tensor) -> Detected:
        located = {name: batch[name] for name in ("present", "squares", "geometry")} if "present" in batch else None
        pictures = (self._normalized(batch[side]) for side in ("before", "after"))
        return self.diff_detector(values, *pictures, located=located)

    def _queries(self, first: Tensor, second: Tensor) -> tuple[Tensor, ...]:
        """Global tokens, float (n, queries, d): of each picture, or of both at once where they are one stream."""
        if self.options.streams == "one":
            return (self._query(torch.cat([first, second[:, 1:]], dim=1)),)
        return tuple(self._query(torch.cat([first, second])).chunk(2))

    def _token_kinds(self) -> tuple[Tensor, ...]:
        before, after, difference, _ = self.kinds
        return (before, difference) if self.options.streams == "one" else (before, after, difference)

    def _query(self, features: Tensor) -> Tensor:
        """What the Q-Former asks of features (n, t, d): float tensor (n, queries, its d)."""
        blip2 = self.blip2_model
        queries = blip2.query_tokens.expand(len(features), -1, -1)
        return blip2.qformer(query_embeds=queries, encoder_hidden_states=features.to(queries.dtype)).last_hidden_state

    def _where_it_differs(self, first: Tensor, second: Tensor, values: Tensor) -> Tensor:
        """The features' difference, faded out where the map shows none: float tensor (n, patches, d)."""
        return faded_difference(first, second, values, self.temperature)

    # From the prefix to words

    def forward(
        self,
        img1: Side | Prepared,
        img2: Side | None = None,
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
        visual = self.visual(self._batch(img1, img2))
        if captions is None:
            if return_loss:
                raise ValueError("return_loss needs captions: there is nothing to compare with")
            return CaptionOutput(visual, None, {}, None)
        logits, labels = self.language.read(visual.prefix, self.options.prompt, captions)
        if not return_loss:
            return CaptionOutput(visual, logits, {}, None)
        words = self.language.tokens(captions)
        if same is None:
            same = torch.tensor([[one == other for other in captions] for one in captions], device=logits.device)
        embeddings = self.language.embed(words["input_ids"]).to(self.kinds.dtype)  # BLIP-2's weights may be bf16
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

    @torch.no_grad()
    def generate(
        self,
        img1: Side | Prepared,
        img2: Side | None = None,
        prompt: str | None = None,
        max_new_tokens: int = 50,
        **options: Any,
    ) -> list[str]:
        """A caption of each pair, by the language model's own decoding.

        Parameters
        ----------
        img1, img2 : as in `forward`.
        prompt : None is the one of the training.
        max_new_tokens : at most so many.
        **options : of `transformers`' `generate`: `num_beams`, `do_sample`, `temperature`, ...; greedy without.
        """
        prefix = self.visual(self._batch(img1, img2)).prefix
        prompt = self.options.prompt if prompt is None else prompt
        return self.language.write(prefix, prompt, max_new_tokens=max_new_tokens, **options)

    # Training and keeping

    def train(self, mode: bool = True) -> EnhancedDiffBLIP2:
        """As in torch; a frozen image encoder stays in evaluation mode."""
        super().train(mode)
        if self.options.freeze_vision:
            self.blip2_model.vision_model.eval()
        return self

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write all weights (safetensors), the configuration, the options and the processor; the options last, which
        make the folder whole.
        """
        folder = user_path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / OPTIONS).unlink(missing_ok=True)
        save_model(self, str(folder / "model.safetensors"))
        self.blip2_model.config.save_pretrained(folder)
        self.processor.save_pretrained(folder)
        self.options.save(folder)
        return folder

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> EnhancedDiffBLIP2:
        """The model that `save_pretrained` wrote, in evaluation mode on the CPU."""
        from transformers import Blip2Config, Blip2ForConditionalGeneration, Blip2Processor

        folder = user_path(folder)
        options = TBLIP2Options.load(folder)
        blip2 = Blip2ForConditionalGeneration(Blip2Config.from_pretrained(folder))
        model = cls(blip2, Blip2Processor.from_pretrained(folder), options)
        with whole_weights(folder / "model.safetensors"):
            load_model(model, folder / "model.safetensors")
        return model.eval()
