"""T-BLIP2: difference clusters as tokens for BLIP-2, which puts into words what changed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_model
from torch import Tensor, nn

from whatchanged.files import user_path
from whatchanged.images import resized
from whatchanged.models.base import OnBase
from whatchanged.models.blip2 import processor_of
from whatchanged.models.detector import Detected
from whatchanged.models.finetuning import freeze
from whatchanged.models.language import LanguageModel
from whatchanged.models.matching import MatchingHeads
from whatchanged.models.parts import Locating, built_part, name_of_part
from whatchanged.models.saved import WEIGHTS, load_saved, remember_base
from whatchanged.models.tblip2_data import CaptionOutput, Loss, Prepared, Side, Visual, paired, pictures_of
from whatchanged.models.tblip2_options import OPTIONS, TBLIP2Options
from whatchanged.models.views import distance_map, encoded, faded_difference
from whatchanged.models.word_head import WordHead, multi_hot
from whatchanged.tolerance import change_map

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration, Blip2Processor


class EnhancedDiffBLIP2(OnBase):
    """BLIP-2 [1]_ that describes what changed between two pictures.

    The language model reads a visual prefix: what the Q-Former says of the pair (global tokens), what it says of the
    features' difference where the pictures differ (difference tokens), and two tokens a cluster of differing pixels.
    "two" streams encode each picture for itself; "one" lays them side by side, so that the encoder itself compares them
    (BLIP2IDC [2]_).

    Parameters
    ----------
    blip2_model : with a decoder (OPT) or an encoder and decoder (T5). What of it is trained becomes fp32, the rest
        stays in its precision. One of `load_blip2` knows where it came from, and is kept without its frozen weights.
    processor : its own; None is the one that lies beside the checkpoint it was loaded from.
    options : how the rest is built; None is the default of each.

    Attributes
    ----------
    aln_weight_itm, aln_weight_itc : how much both losses of alignment weigh, 1; they may be set at any time.
    diff_detector, fusion_layer : a `Detector` and a `Fusion` of `models.parts`.

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
        processor: Blip2Processor | None = None,
        options: TBLIP2Options | None = None,
    ) -> None:
        super().__init__()
        self.options = options = options or TBLIP2Options()
        self.aln_weight_itm, self.aln_weight_itc = 1.0, 1.0
        processor = processor or processor_of(blip2_model)
        self.blip2_model, self.processor = blip2_model, processor
        self.language = LanguageModel(blip2_model, processor.tokenizer)
        self.use_clusters = options.clusters
        dim = blip2_model.query_tokens.shape[2]
        self.diff_detector = built_part("detector", dim, options)
        self.kinds = nn.Parameter(torch.zeros(4, dim))  # before, after, difference, cluster
        self.absent = nn.Parameter(torch.randn(dim))
        self.fusion_layer = built_part("fusion", dim, options)
        self.log_temperature = nn.Parameter(torch.zeros(()))
        words = blip2_model.language_model.get_input_embeddings()
        self.matching = MatchingHeads(dim, words.embedding_dim, options.align_dim)
        self.word_head = WordHead(dim, words.num_embeddings)
        self.register_buffer("mean", torch.tensor(processor.image_processor.image_mean).view(3, 1, 1), False)
        self.register_buffer("std", torch.tensor(processor.image_processor.image_std).view(3, 1, 1), False)
        freeze(blip2_model, vision=options.freeze_vision, lora=options.lora, checkpointing=options.checkpointing)
        self.stand_on(getattr(blip2_model, "base", None), "blip2_model.")

    @property
    def image_size(self) -> int:
        """Side of the pictures that the encoder sees, pixels."""
        return self.blip2_model.vision_model.embeddings.image_size

    @property
    def temperature(self) -> Tensor:
        """How evenly the difference tokens look at all that differs: near 0 only at the strongest place; a number."""
        return self.log_temperature.exp().clamp(0.02, 10)

    # What does not depend on trained weights

    def prepare(
        self, before: np.ndarray, after: np.ndarray, most: int | None = None, *, encode: bool = True
    ) -> dict[str, Tensor]:
        """One pair, aligned and compared: all that can be kept while the weights change.

        Parameters
        ----------
        before, after : uint8 arrays (H, W, 3), RGB, of any sizes.
        most : keep so many clusters; None keeps `options.max_clusters`.
        encode : with "features", where there are any to keep.

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
        if encode and self.options.freeze_vision:
            pair["features"] = self.kept_features(*(one[None] for one in pictures))[0]
        detector = self.diff_detector
        if self.options.feature_weight == 0 and isinstance(detector, Locating):
            found = detector.clusters(pair["map"].float().numpy())[:most]
            pair |= {name: one[0] for name, one in detector.table([found], pair["map"][None]).items()}
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

    def encode_images(self, img1: Side, img2: Side) -> tuple[Tensor, Tensor]:
        """The image encoder's features of both as they are, not aligned: float tensors (n, 1 + patches, d), the class
        token first.

        Parameters
        ----------
        img1, img2 : as in `forward`; of another size than the encoder's they are resized.
        """
        pixels = self._normalized(self._sized(img1, "img1")), self._normalized(self._sized(img2, "img2"))
        return encoded(self.blip2_model, *pixels, together=self.options.streams == "one")

    @torch.no_grad()
    def kept_features(self, before: Tensor, after: Tensor) -> Tensor:
        """`encode_images` of prepared pictures, uint8 (n, 3, S, S), on the CPU: float tensor (n, 2, 1 + patches, d)."""
        on = self.log_temperature.device
        return torch.stack(self.encode_images(before.to(on), after.to(on)), 1).cpu()

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

    def _sized(self, side: Side, name: str) -> Tensor:
        """Pictures as the encoder sees them, before they are normalized: uint8 tensor (n, 3, S, S) on its device."""
        wanted = (3, self.image_size, self.image_size)
        if isinstance(side, Tensor) and side.dtype == torch.uint8 and side.ndim == 4 and side.shape[1:] == wanted:
            return side
        pictures = np.stack([resized(one, self.image_size) for one in pictures_of(side, name)])
        return torch.from_numpy(pictures).movedim(-1, 1).to(self.log_temperature.device)

    def _normalized(self, pictures: Tensor) -> Tensor:
        return (pictures.float() / 255 - self.mean) / self.std

    def _detect(self, batch: dict[str, Tensor], values: Tensor) -> Detected:
        pictures = (self._normalized(batch[side]) for side in ("before", "after"))
        if not isinstance(self.diff_detector, Locating):
            return self.diff_detector(values, *pictures)
        located = {name: batch[name] for name in ("present", "squares", "geometry")} if "present" in batch else None
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
        captions: Sequence[str] | str | None = None,
        return_loss: bool | None = None,
        *,
        same: Tensor | None = None,
    ) -> CaptionOutput | Loss:
        """What the model says of pairs; in training, with captions, its loss.

        Parameters
        ----------
        img1, img2 : arrays (H, W, 3), RGB, or tensors (3, H, W), uint8 or floats 0 to 1: one, a sequence, or a batch;
            or, in img1 alone, a batch of what `prepare` gave.
        captions : what is true of each pair.
        return_loss : whether to compute the losses, which then are in the output's `parts`. None: in training the
            answer is a `Loss`, the sum of its parts by their weights, as for a loop of one's own; else there are none.
        same : bool tensor (n, n): which captions are as true of which other pair, and no negatives for it. None: equal
            words are.
        """
        visual = self.visual(self._batch(img1, img2))
        if captions is None:
            if return_loss:
                raise ValueError("return_loss needs captions: there is nothing to compare with")
            return CaptionOutput(visual, None, {}, None)
        captions = [captions] if isinstance(captions, str) else captions
        if len(captions) != len(visual.prefix):
            raise ValueError(f"there are {len(captions)} captions of {len(visual.prefix)} pairs: give one of each")
        logits, labels = self.language.read(visual.prefix, self.options.prompt, captions)
        alone = return_loss is None and self.training
        if not (return_loss or alone):
            return CaptionOutput(visual, logits, {}, None)
        words = self.language.tokens(captions)
        if same is None:
            same = torch.tensor([[one == other for other in captions] for one in captions])
            same = same.to(logits.device, non_blocking=True)
        embeddings = self.language.embed(words["input_ids"]).to(self.kinds.dtype)  # BLIP-2's weights may be bf16
        matched = self.matching(visual.tokens, embeddings, words["attention_mask"].bool(), same)
        lm = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten())
        parts = {"lm": lm, "itm": matched.itm, "itc": matched.itc}
        if self.use_clusters:
            parts["words"] = self._nameable(visual.detected, captions)
        return Loss.of(parts, self.loss_weights()) if alone else CaptionOutput(visual, logits, parts, matched)

    def loss_weights(self) -> dict[str, float]:
        """How much each loss weighs at present."""
        return {"lm": 1.0, "itm": self.aln_weight_itm, "itc": self.aln_weight_itc, "words": 1.0}

    def _nameable(self, detected: Detected, captions: Sequence[str]) -> Tensor:
        """How badly the clusters name the words of the captions, each cluster by itself: a number."""
        join = self.options.join
        told = [caption.split(join) if join else [caption] for caption in captions]
        most = max(map(len, told))
        words = self.language.tokens([sentence for own in told for sentence in own + [""] * (most - len(own))])
        said = multi_hot(words["input_ids"], words["attention_mask"], self.word_head.out_features)
        return self.word_head.loss(detected, self.absent, said.unflatten(0, (-1, most)), apart=join is not None)

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

    def save_pretrained(self, folder: str | Path, *, whole: bool = False) -> Path:
        """Write what is trained (safetensors), the name and hash of the base model, the configuration, the options and
        the processor; the options last, which make the folder whole.

        Parameters
        ----------
        folder : made where there is none.
        whole : write the base model's frozen weights as well. A model without a base is always written so.

        Raises
        ------
        ValueError
            The detector or the fusion layer has no name by which it would come back.
        """
        dim = self.kinds.shape[1]
        detector = name_of_part("detector", self.diff_detector, dim, self.options)
        fusion = name_of_part("fusion", self.fusion_layer, dim, self.options)
        folder = user_path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / OPTIONS).unlink(missing_ok=True)
        base, self.base = self.base, None if whole else self.base
        try:
            save_model(self, str(folder / f"{WEIGHTS}.part"))
            os.replace(folder / f"{WEIGHTS}.part", folder / WEIGHTS)
            remember_base(folder, self.base, self.blip2_model)
        finally:
            self.base = base
        self.blip2_model.config.save_pretrained(folder)
        self.processor.save_pretrained(folder)
        replace(self.options, detector=detector, fusion=fusion).save(folder)
        return folder

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, *, base: str | Path | None = None, dtype: torch.dtype | None = None
    ) -> EnhancedDiffBLIP2:
        """The model that `save_pretrained` wrote, in evaluation mode on the CPU.

        Parameters
        ----------
        folder : of the model.
        base : where the base model lies now, a folder or its name on the hub; None is where it lay.
        dtype : of what is frozen; None is the precision that it was saved in.

        Raises
        ------
        ValueError
            There is no whole model, its base model is not there or is another one, or a detector or fusion layer of
            one's own is not registered.
        """
        return load_saved(cls, user_path(folder), base, dtype).eval()
