"""Which words of a caption the clusters show."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whatchanged.models.detector import Detected
from whatchanged.models.matching import sentence_loss, word_loss


class WordHead(nn.Linear):
    """Names the words that a cluster's token shows: logits, of a word each.

    What is said of any pair ("the", "is"), or where there is no cluster, falls to the token that stands for none: it
    counts as a view of every cluster.

    Parameters
    ----------
    dim, words : width of a token, and how many words there are.
    """

    def __init__(self, dim: int, words: int) -> None:
        super().__init__(dim, words)
        nn.init.constant_(self.bias, -math.log(words))  # a caption has few of all words

    def loss(self, detected: Detected, absent: Tensor, said: Tensor, *, apart: bool) -> Tensor:
        """How badly the clusters of pairs name the words that were said of them: a number.

        Parameters
        ----------
        detected : of n pairs.
        absent : float tensor (dim,), the token that stands for none.
        said : float tensor (n, sentences, words), as in `sentence_loss`; or (n, 1, words), captions as a whole.
        apart : whether each sentence is about one change.
        """
        tokens, there = detected.tokens, detected.present
        logits = self(torch.cat([tokens.flatten(1, 2), absent.expand(len(tokens), 1, -1)], dim=1)).float()
        if not apart:
            present = F.pad(there.repeat_interleave(tokens.shape[2], dim=1), (0, 1), value=True)
            return word_loss(logits, present, said[:, 0])
        unseen = F.softplus(logits)  # -log(1 - p)
        views = unseen[:, :-1].unflatten(1, tokens.shape[1:3]).sum(dim=2) * there[..., None]
        first = torch.arange(there.shape[1], device=there.device) == 0
        alone = ~there.any(dim=1, keepdim=True) & first  # of a pair without clusters: the token for none
        return sentence_loss(views + unseen[:, -1:], there | alone, said)


def multi_hot(ids: Tensor, present: Tensor, words: int) -> Tensor:
    """Which of so many words stand in texts: float tensor (n, words), of ids and mask, int tensors (n, t)."""
    said = torch.zeros(len(ids), words, device=ids.device)
    return said.scatter_add(1, ids, present.to(said.dtype)).clamp(max=1)
