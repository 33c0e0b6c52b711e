"""Which words of a caption the clusters show: losses for captions as a whole, and sentence by sentence."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whatchanged.models.detector import Detected

_NEVER = 1e4  # a loss so high that its exp(-) is 0


class WordHead(nn.Linear):
    """Names the words that a cluster's token shows: logits, of a word each.

    What is said of any pair ("the", "is"), or where there is no cluster, falls to the token that stands for none; it
    counts as a view of every cluster.

    Parameters
    ----------
    dim, words : width of a token, and how many words there are.
    """

    def __init__(self, dim: int, words: int) -> None:
        super().__init__(dim, words)
        nn.init.constant_(self.bias, -math.log(words))  # a caption has few of all words

    def unseen(self, detected: Detected, absent: Tensor) -> tuple[Tensor, Tensor]:
        """How surely each cluster of a pair fails to show each word.

        Parameters
        ----------
        detected : of n pairs.
        absent : float tensor (dim,), the token that stands for none.

        Returns
        -------
        unseen : float tensor (n, clusters, words): -log prod(1 - p) over the cluster's views and the token for none.
        present : bool tensor (n, clusters): which count; the first of a pair that has none, as the token alone.
        """
        present = detected.present.clone()
        present[:, 0] |= ~detected.present.any(dim=1)
        views = F.softplus(self(detected.tokens).float()).sum(dim=2) * detected.present[..., None]
        return views + F.softplus(self(absent).float()), present


def word_loss(unseen: Tensor, said: Tensor) -> Tensor:
    """Which words of a caption can be seen in a pair, when only the whole caption is known.

    Multiple-instance learning with a noisy-or [1]_: a word is seen unless all views fail to show it, so its probability
    is 1 - prod(1 - p) over the views. The loss is the cross-entropy of all words of the vocabulary, said or not.

    Parameters
    ----------
    unseen : float tensor (n, vocabulary): -log prod(1 - p).
    said : float tensor (n, vocabulary), 1 for the caption's words and 0 for all others.

    Returns
    -------
    Tensor
        The sum over the vocabulary, by word that was said, a number.

    References
    ----------
    .. [1] Fang et al., From Captions to Visual Concepts and Back, CVPR 2015.
    """
    return _lost(unseen, said).sum() / said.sum().clamp_min(1)


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
        each = others.sum(dim=1, keepdim=True).log() - torch.logsumexp(-lost, dim)
        parts.append((each * own).sum() / own.sum())  # what is not there is not left out: that would wait for a GPU
    return (parts[0] + parts[1]) / 2


def multi_hot(ids: Tensor, present: Tensor, words: int) -> Tensor:
    """Which of so many words stand in texts: float tensor (n, words), of ids and mask, int tensors (n, t)."""
    said = torch.zeros(len(ids), words, device=ids.device)
    return said.scatter_add(1, ids, present.to(said.dtype)).clamp(max=1)


def _lost(unseen: Tensor, said: Tensor) -> Tensor:
    """The cross-entropy of each word."""
    unseen = unseen.clamp_min(1e-6)
    return said * -torch.log(-torch.expm1(-unseen)) + (1 - said) * unseen
