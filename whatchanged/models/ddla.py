"""DDLA: each sentence is about one cluster of differing pixels, and which one is summed over; the baseline in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PRIORS = ("uniform", "learned")
JOIN = " and "  # between the sentences that it says of a pair


class DDLA(nn.Module):
    """Difference Description with Latent Alignment [1]_.

    Which cluster a sentence is about is not told, so training sums over all of them: p(sentence) is the sum over
    clusters z of p(z) p(sentence | z). An LSTM writes the sentence and attends to the features of both pictures, side
    by side, inside the cluster's region only. A pair without a cluster has one region: every second cell, anywhere.

    The published model reads features of a network trained on ImageNet; this one trains its own small network.

    Parameters
    ----------
    tokenizer : of `transformers`, with bos, eos and pad tokens.
    join : what stands between the sentences of a caption, where the captions have a grammar that says so. None: a
        caption is one sentence, for in free text no word is sure to stand between two.
    prior : of a cluster, "uniform" or "learned" from its geometry (place, size, strength).
    dim : width of features, words and LSTM.

    References
    ----------
    .. [1] Jhamtani and Berg-Kirkpatrick, Learning to Describe Differences Between Pairs of Similar Images, EMNLP 2018.
    """

    STRIDE = 8

    def __init__(self, tokenizer: Any, *, join: str | None = None, prior: str = "uniform", dim: int = 128) -> None:
        if prior not in PRIORS:
            raise ValueError(f"prior is {prior!r}: choose 'uniform' or 'learned'")
        super().__init__()
        self.tokenizer, self.join, self.prior = tokenizer, join, prior
        layers: list[nn.Module] = []
        for inputs, outputs in ((3, 32), (32, 64), (64, dim)):
            layers += [
                nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            ]
        self.cnn = nn.Sequential(*layers)
        self.keys = nn.Linear(2 * dim, dim)
        self.words = nn.Embedding(len(tokenizer), dim)
        self.cell = nn.LSTMCell(3 * dim, 2 * dim)
        self.begin = nn.Linear(2 * dim, 4 * dim)
        self.ask, self.score = nn.Linear(2 * dim, dim, bias=False), nn.Linear(dim, 1, bias=False)
        self.out = nn.Sequential(nn.Linear(4 * dim, dim), nn.Tanh(), nn.Linear(dim, len(tokenizer)))
        self.rank = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, batch: dict, sentences: Sequence[Sequence[str]]) -> Tensor:
        """log p of each pair's sentences, summed over clusters: float tensor (sentences of all pairs,), in their order.

        Parameters
        ----------
        batch : what `EnhancedDiffBLIP2.prepare` gives, stacked: "before", "after", "present", "geometry".
        sentences : of each pair.
        """
        features, regions, prior = self._encode(batch)
        owner = torch.tensor([row for row, own in enumerate(sentences) for _ in own], device=features.device)
        ids, wanted = self._ids([one for own in sentences for one in own])
        each = prior[owner]
        sentence, cluster = torch.isfinite(each).nonzero().unbind(1)
        logits = self._write(features, owner[sentence], regions[owner[sentence], cluster], ids[sentence])
        lost = F.cross_entropy(logits.transpose(1, 2).float(), wanted[sentence], reduction="none").sum(dim=1)
        return each.index_put((sentence, cluster), -lost, accumulate=True).logsumexp(dim=1)

    @torch.no_grad()
    def generate(self, batch: dict, *, multi: bool = True, max_new_tokens: int = 20) -> list[str]:
        """A caption of each pair, greedily.

        Parameters
        ----------
        batch : as in `forward`.
        multi : a sentence a cluster, the more probable cluster first, joined by "and", none twice; otherwise the one
            sentence of highest probability, prior included.
        """
        features, regions, prior = self._encode(batch)
        row, cluster = torch.isfinite(prior).nonzero().unbind(1)
        texts, scores = self._speak(features, row, regions[row, cluster], max_new_tokens)
        said: list[list[tuple[float, str]]] = [[] for _ in prior]
        for own, text, first, second in zip(
            row.tolist(), texts, prior[row, cluster].tolist(), scores.tolist(), strict=True
        ):
            said[own].append((first if multi else first + second, text))
        ranked = [[text for _, text in sorted(own, key=lambda one: -one[0])] for own in said]
        return [(self.join or JOIN).join(dict.fromkeys(own)) if multi else own[0] for own in ranked]

    def sentences(self, caption: str) -> list[str]:
        """The sentences of a caption."""
        return caption.split(self.join) if self.join else [caption]

    def _encode(self, batch: dict) -> tuple[Tensor, Tensor, Tensor]:
        """Features (n, cells, 2 dim); regions, bool (n, clusters, cells); log prior (n, clusters), -inf: none."""
        pictures = torch.cat([batch["before"], batch["after"]]).float() / 127.5 - 1
        pictures = pictures.contiguous(memory_format=torch.channels_last)  # a little faster on a CPU
        maps = torch.cat(self.cnn(pictures).chunk(2), dim=1)
        present, geometry = batch["present"].clone(), batch["geometry"].float()
        regions = _cells(geometry, maps.shape[-1])
        nothing = ~present.any(dim=1)
        regions[nothing, 0] = _every_second(maps.shape[-1]).to(regions.device)
        present[nothing, 0] = True
        ranks = self.rank(geometry)[..., 0] if self.prior == "learned" else torch.zeros_like(geometry[..., 0])
        return maps.flatten(2).transpose(1, 2), regions, ranks.masked_fill(~present, float("-inf")).log_softmax(dim=1)

    def _write(self, features: Tensor, owner: Tensor, regions: Tensor, ids: Tensor) -> Tensor:
        """Logits (n, t, vocabulary) after each of the ids (n, t)."""
        features, inside, keys, state, context = self._start(features, owner, regions)
        read = []
        for word in self.words(ids).unbind(1):
            state, context = self._step(features, keys, inside, word, state, context)
            read.append(torch.cat([state[0], context], dim=1))
        return self.out(torch.stack(read, dim=1))  # all words at once: a twentieth less time a step

    def _speak(self, features: Tensor, owner: Tensor, regions: Tensor, longest: int) -> tuple[list[str], Tensor]:
        """A sentence for each region, and its log probability."""
        features, inside, keys, state, context = self._start(features, owner, regions)
        last = torch.full((len(features),), self.tokenizer.bos_token_id, device=features.device)
        ended, score, said = torch.zeros_like(last).bool(), features.new_zeros(len(features)), []
        for _ in range(longest):
            state, context = self._step(features, keys, inside, self.words(last), state, context)
            logits = self.out(torch.cat([state[0], context], dim=1))
            best, last = logits.float().log_softmax(dim=1).max(dim=1)
            score = score + best.masked_fill(ended, 0)
            last = last.masked_fill(ended, self.tokenizer.pad_token_id)
            ended = ended | (last == self.tokenizer.eos_token_id)
            said.append(last)
            if ended.all():
                break
        texts = self.tokenizer.batch_decode(torch.stack(said, dim=1), skip_special_tokens=True)
        return [text.strip() for text in texts], score

    def _start(
        self, features: Tensor, owner: Tensor, regions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor], Tensor]:
        """The region's cells, which of them are there, their keys, the LSTM's first state and the mean of the cells.

        Parameters
        ----------
        features : float tensor (pairs, cells, 2 dim).
        owner : int tensor (n,), the pair of each region.
        regions : bool tensor (n, cells).
        """
        inside, cells = regions.to(features.dtype).topk(int(regions.sum(dim=1).max().clamp_min(1)), dim=1)
        features = F.embedding(cells + owner[:, None] * features.shape[1], features.flatten(0, 1))
        mean = torch.einsum("nk,nkd->nd", inside / inside.sum(dim=1, keepdim=True).clamp_min(1), features)
        return features, inside > 0, self.keys(features), tuple(self.begin(mean).tanh().chunk(2, dim=1)), mean

    def _step(
        self,
        features: Tensor,
        keys: Tensor,
        inside: Tensor,
        word: Tensor,
        state: tuple[Tensor, Tensor],
        context: Tensor,
    ) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """The LSTM reads a word; then it asks the region's cells: its state, and the cells' weighed mean."""
        state = self.cell(torch.cat([word, context], dim=1), state)
        scores = self.score(torch.tanh(keys + self.ask(state[0])[:, None]))[..., 0]
        weights = scores.masked_fill(~inside, -1e4).softmax(dim=1)
        return state, torch.einsum("nk,nkd->nd", weights, features)

    def _ids(self, sentences: Sequence[str]) -> tuple[Tensor, Tensor]:
        """What the LSTM reads and what it should write, int tensors (n, t); -100 for nothing."""
        tokenizer, on = self.tokenizer, self.words.weight.device
        rows = [[*tokenizer(one, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id] for one in sentences]
        longest = max(map(len, rows))
        wanted = torch.tensor([row + [-100] * (longest - len(row)) for row in rows], device=on)
        begun = torch.full_like(wanted[:, :1], tokenizer.bos_token_id)
        read = torch.cat([begun, wanted[:, :-1]], dim=1)
        return read.masked_fill(read == -100, tokenizer.pad_token_id), wanted


def alignment_loss(model: nn.Module, batch: dict) -> tuple[Tensor, None]:
    """The mean over sentences of -log p, for a training loop."""
    own: Any = getattr(model, "module", model)  # what several processes train lies in a wrapper
    return -model(batch, [own.sentences(caption) for caption in batch["caption"]]).mean(), None


def _every_second(side: int) -> Tensor:
    """Every second cell of a grid in both directions: bool (side * side,)."""
    cells = torch.zeros(side, side, dtype=torch.bool)
    cells[::2, ::2] = True
    return cells.flatten()


def _cells(geometry: Tensor, side: int) -> Tensor:
    """Which cells of a grid each cluster's box touches, with one more around: bool (n, clusters, side * side)."""
    centers = (torch.arange(side, device=geometry.device) + 0.5) / side
    x, y, width, height = geometry[..., :4].unbind(-1)
    across = (centers - x[..., None]).abs() <= width[..., None] / 2 + 1 / side
    down = (centers - y[..., None]).abs() <= height[..., None] / 2 + 1 / side
    return (down[..., :, None] & across[..., None, :]).flatten(-2)
