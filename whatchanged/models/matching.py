"""Losses that tie pictures to texts: contrast and matching, as in BLIP-2's first stage, and words seen in parts."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LONGEST = 128  # tokens of a text, for its positions
_NEVER = 1e4  # a loss so high that its exp(-) is 0


def contrastive_loss(images: Tensor, texts: Tensor, temperature: Tensor | float, same: Tensor | None = None) -> Tensor:
    """Image-text contrast (ITC): among all texts of the batch find the picture's own, and the other way round [1]_.

    Parameters
    ----------
    images, texts : float tensors (n, d) of length 1; row i of one belongs to row i of the other.
    temperature : above 0; similarities are divided by it.
    same : bool tensor (n, n), symmetric, true on its diagonal: which texts are as true of which picture. They share
        the target. None: every picture has its own only.

    Returns
    -------
    Tensor
        The mean of both directions' cross-entropies, a number.

    References
    ----------
    .. [1] Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021.
    """
    logits = images @ texts.T / temperature
    target = torch.eye(len(logits), device=logits.device) if same is None else same.to(logits.dtype)
    target = target / target.sum(dim=1, keepdim=True)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def recall_at_1(similarity: Tensor, same: Tensor) -> Tensor:
    """Share of the pictures whose most similar text is true of them: `similarity` (n, n), `same` as above."""
    return same.gather(1, similarity.argmax(dim=1, keepdim=True)).float().mean()


def hard_negatives(similarity: Tensor, same: Tensor, draw: bool = True) -> tuple[Tensor, Tensor]:
    """For each row a column that looks right and is wrong, drawn by how right it looks, as in ALBEF [1]_.

    Parameters
    ----------
    similarity : float tensor (n, n), logits.
    same : bool tensor (n, n): what is right, and never chosen.
    draw : draw by the softmax of the similarity; otherwise take the largest.

    Returns
    -------
    chosen : int tensor (n,).
    exists : bool tensor (n,): false where all columns are right; `chosen` means nothing there.

    References
    ----------
    .. [1] Li et al., Align before Fuse, NeurIPS 2021.
    """
    exists = ~same.all(dim=1)
    masked = similarity.detach().float().masked_fill(same, float("-inf"))
    masked = torch.where(exists[:, None], masked, torch.zeros_like(masked))
    if not draw:
        return masked.argmax(dim=1), exists
    # As `multinomial` draws, which looks at the numbers first: it would wait for the device, and NaN end the process.
    # Here of NaN one is drawn: the loss is NaN, too, and the training loop says where.
    chances = masked.softmax(dim=1)
    return (chances / torch.empty_like(chances).exponential_()).argmax(dim=1), exists


def word_loss(logits: Tensor, present: Tensor, said: Tensor) -> Tensor:
    """Which words of a caption can be seen in which part of the picture, when only the whole caption is known.

    Multiple-instance learning with a noisy-or [1]_: a word is seen unless all parts fail to show it, so its probability
    is 1 - prod(1 - p) over the parts. The loss is the cross-entropy of all words of the vocabulary, said or not.

    Parameters
    ----------
    logits : float tensor (n, parts, vocabulary), of p.
    present : bool tensor (n, parts), which parts there are, at least one each.
    said : float tensor (n, vocabulary), 1 for the caption's words and 0 for all others.

    Returns
    -------
    Tensor
        The sum over the vocabulary, by word that was said, a number.

    References
    ----------
    .. [1] Fang et al., From Captions to Visual Concepts and Back, CVPR 2015.
    """
    unseen = (F.softplus(logits) * present[..., None]).sum(dim=1).clamp_min(1e-6)  # -log prod(1 - p)
    seen = -torch.log(-torch.expm1(-unseen))  # -log of the noisy-or
    return (said * seen + (1 - said) * unseen).sum() / said.sum().clamp_min(1)


def sentence_loss(unseen: Tensor, present: Tensor, said: Tensor) -> Tensor:
    """The same where a caption's sentences are known, each about one change: which cluster shows which is summed over.

    With L(s, k) the `word_loss` of sentence s on cluster k alone: each sentence is shown by some cluster,
    -log mean exp(-L) over k, and each cluster shows some sentence, -log mean exp(-L) over s, as in the latent alignment
    of DDLA [1]_. So a cluster is asked for all words of one sentence, and for none of another's.

    Parameters
    ----------
    unseen : float tensor (n, clusters, vocabulary): -log prod(1 - p) over a cluster's views.
    present : bool tensor (n, clusters), at least one each.
    said : float tensor (n, sentences, vocabulary), 1 for the sentence's words and 0 for all others; a pair with fewer
        sentences than the most has rows of zeros.

    Returns
    -------
    Tensor
        The mean of both, the first over all sentences and the second over all clusters, a number.

    References
    ----------
    .. [1] Jhamtani and Berg-Kirkpatrick, Learning to Describe Differences Between Pairs of Similar Images, EMNLP 2018.
    """
    unseen, there = unseen.clamp_min(1e-6), said.any(dim=2)
    seen = -torch.log(-torch.expm1(-unseen))
    lost = said @ (seen - unseen).mT + unseen.sum(dim=2)[:, None]
    lost = lost / said.sum(dim=2).clamp_min(1)[..., None]
    lost = lost.masked_fill(~(there[..., None] & present[:, None]), _NEVER)
    parts = []
    for dim, own, others in ((2, there, present), (1, present, there)):
        each = others.sum(dim=1, keepdim=True).clamp_min(1).log() - torch.logsumexp(-lost, dim)
        parts.append((each * own).sum() / own.sum())  # what is not there is not left out: that would wait for a GPU
    return (parts[0] + parts[1]) / 2


@dataclass(frozen=True)
class Matched:
    """What the heads say of a batch; numbers are tensors, which nobody has waited for.

    Attributes
    ----------
    itc, itm : the two losses.
    similarity : float tensor (n, n): cosine of each picture (row) with each text.
    recall : share of the pictures whose most similar text is true of them.
    itm_accuracy : share of right yes/no answers, pairs and hard negatives.
    """

    itc: Tensor
    itm: Tensor
    similarity: Tensor
    recall: Tensor
    itm_accuracy: Tensor


class MatchingHeads(nn.Module):
    """Says how well a text fits a picture: quickly, by two vectors (ITC), and thoroughly, by looking at both (ITM).

    Parameters
    ----------
    image_dim, text_dim : lengths of the picture's tokens and of the text's embeddings.
    dim : of the heads, a multiple of 32.
    temperature : of ITC, where it begins; it is learned.
    """

    def __init__(self, image_dim: int, text_dim: int, dim: int = 256, temperature: float = 0.07) -> None:
        super().__init__()
        self.image_in, self.text_in = nn.Linear(image_dim, dim), nn.Linear(text_dim, dim)
        self.positions = nn.Embedding(LONGEST, dim)
        self.text_encoder = encoder_layer(dim)
        self.image_pool, self.text_pool = nn.Linear(dim, 1), nn.Linear(dim, 1)
        self.image_out, self.text_out = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.kinds = nn.Parameter(torch.zeros(2, dim))
        self.both = encoder_layer(dim)
        self.itm = nn.Linear(dim, 2)
        self.log_temperature = nn.Parameter(torch.tensor(float(temperature)).log())
        self.told_of_long = False

    @property
    def temperature(self) -> Tensor:
        """Of ITC, a number; kept between 0.01 and 1."""
        return self.log_temperature.exp().clamp(0.01, 1)

    def image(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (n, k, image_dim) as tokens (n, k, dim) and vectors (n, dim)."""
        tokens = self.image_in(tokens)
        return tokens, F.normalize(self.image_out(_pooled(tokens, self.image_pool(tokens)[..., 0])), dim=1)

    def text(self, embeddings: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings (n, t, text_dim), of which some are present, as tokens (n, t, dim) and vectors (n, dim); t is at
        most 128.
        """
        if embeddings.shape[1] > LONGEST:
            raise ValueError(f"a text has {embeddings.shape[1]} tokens: the heads read at most {LONGEST}")
        positions = self.positions.weight[: embeddings.shape[1]]
        tokens = self.text_encoder(self.text_in(embeddings) + positions, src_key_padding_mask=~present)
        scores = self.text_pool(tokens)[..., 0].masked_fill(~present, float("-inf"))
        return tokens, F.normalize(self.text_out(_pooled(tokens, scores)), dim=1)

    def match(self, images: Tensor, texts: Tensor, texts_present: Tensor) -> Tensor:
        """Logits (n, 2), no and yes, of tokens of pictures and of texts, row by row."""
        tokens = torch.cat([texts + self.kinds[0], images + self.kinds[1]], dim=1)
        present = torch.cat([texts_present, texts_present.new_ones(images.shape[:2])], dim=1)
        read = self.both(tokens, src_key_padding_mask=~present)
        weights = present[..., None].to(read.dtype)
        return self.itm((read * weights).sum(dim=1) / weights.sum(dim=1))

    def forward(self, images: Tensor, texts: Tensor, texts_present: Tensor, same: Tensor) -> Matched:
        """Both losses of a batch; see `image`, `text` and `contrastive_loss`. Negatives are drawn in training only.

        Of a text that is longer than the heads read they read the beginning, which is told once.
        """
        if texts.shape[1] > LONGEST:
            if not self.told_of_long:
                warnings.warn(
                    f"a caption has {texts.shape[1]} tokens: the matching heads read its first {LONGEST}, the language"
                    " model reads it whole",
                    stacklevel=2,
                )
                self.told_of_long = True
            texts, texts_present = texts[:, :LONGEST], texts_present[:, :LONGEST]
        seen, image_vectors = self.image(images)
        read, text_vectors = self.text(texts, texts_present)
        similarity = image_vectors.float() @ text_vectors.float().T
        itc = contrastive_loss(image_vectors.float(), text_vectors.float(), self.temperature, same)
        logits = similarity / self.temperature
        wrong_texts, exists = hard_negatives(logits, same, self.training)
        wrong_images, _ = hard_negatives(logits.T, same, self.training)
        own = torch.arange(len(seen), device=seen.device)
        of_images, of_texts = torch.cat([own, own, wrong_images]), torch.cat([own, wrong_texts, own])
        answers = self.match(seen[of_images], read[of_texts], texts_present[of_texts]).float()
        true = torch.cat([torch.ones_like(own), torch.zeros_like(of_images[len(own) :])])
        # Rows without a negative are read for nothing: how many there are only the device knows.
        counts = torch.cat([torch.ones_like(exists), exists, exists]).float()
        itm = (F.cross_entropy(answers, true, reduction="none") * counts).sum() / counts.sum()
        accuracy = ((answers.argmax(dim=1) == true) * counts).sum() / counts.sum()
        return Matched(itc, itm, similarity, recall_at_1(similarity, same), accuracy)


def encoder_layer(dim: int) -> nn.TransformerEncoderLayer:
    """One layer of a transformer, normalized first, without dropout; heads of 32."""
    return nn.TransformerEncoderLayer(
        dim, max(1, dim // 32), 2 * dim, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )


def _pooled(tokens: Tensor, scores: Tensor) -> Tensor:
    """The mean of tokens (n, t, dim), weighed by the softmax of their scores (n, t): (n, dim)."""
    return (tokens * scores.softmax(dim=1)[..., None]).sum(dim=1)
