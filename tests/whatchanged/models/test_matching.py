"""Contrast and matching losses against plain formulas, and the heads on what they must not depend on."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from whatchanged.models.matching import (
    MatchingHeads,
    contrastive_loss,
    hard_negatives,
    recall_at_1,
    sentence_loss,
    word_loss,
)


def vectors(n=6, d=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (F.normalize(torch.randn(n, d, generator=generator), dim=1) for _ in range(2))


def test_contrast_by_its_formula():
    images, texts = vectors()
    a, b = images.numpy().astype(float), texts.numpy().astype(float)
    total = 0.0
    for i in range(6):
        rows = [math.exp(float(a[i] @ b[j]) / 0.1) for j in range(6)]
        columns = [math.exp(float(a[j] @ b[i]) / 0.1) for j in range(6)]
        total -= math.log(rows[i] / sum(rows)) + math.log(columns[i] / sum(columns))
    assert contrastive_loss(images, texts, 0.1).item() == pytest.approx(total / 12, rel=1e-5)


def test_contrast_shares_the_target_among_texts_that_are_as_true():
    images, texts = vectors()
    same = torch.eye(6).bool()
    same[0, 1] = same[1, 0] = True
    log = torch.log_softmax(images @ texts.T / 0.2, dim=1), torch.log_softmax(texts @ images.T / 0.2, dim=1)
    expected = 0.0
    for rows in log:
        wanted = [-(rows[0, 0] + rows[0, 1]) / 2, -(rows[1, 0] + rows[1, 1]) / 2, *(-rows[i, i] for i in range(2, 6))]
        expected += torch.stack(wanted).mean().item() / 2
    assert contrastive_loss(images, texts, 0.2, same).item() == pytest.approx(expected, rel=1e-5)


def test_recall_counts_a_text_of_the_same_meaning():
    similarity = torch.tensor([[0.1, 0.9, 0.0], [0.0, 0.5, 0.9], [0.0, 0.0, 1.0]])
    assert recall_at_1(similarity, torch.eye(3).bool()) == pytest.approx(1 / 3)
    same = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]]).bool()
    assert recall_at_1(similarity, same) == pytest.approx(2 / 3)


def test_negatives_are_wrong_and_come_as_often_as_they_look_right():
    torch.manual_seed(0)
    similarity = torch.tensor([5.0, 0.0, math.log(3.0)]).expand(4000, 3)
    same = torch.tensor([True, False, False]).expand(4000, 3)
    chosen, exists = hard_negatives(similarity, same)
    assert exists.all()
    counts = np.bincount(chosen.numpy(), minlength=3) / 4000
    assert counts[0] == 0, "what is right is no negative, however similar"
    assert counts[2] == pytest.approx(0.75, abs=0.03), "the softmax of 0 and log 3"
    assert (hard_negatives(similarity, same, draw=False)[0] == 2).all()


def test_negatives_are_drawn_as_multinomial_draws():
    """The same ones, and as often as they are likely."""
    similarity, same = torch.randn(5, 5), torch.eye(5).bool()
    likely = similarity.masked_fill(same, float("-inf")).softmax(dim=1)
    counts = torch.zeros(5, 5)
    for seed in range(400):
        torch.manual_seed(seed)
        theirs = torch.multinomial(likely, 1)[:, 0]
        torch.manual_seed(seed)
        ours, exists = hard_negatives(similarity, same)
        assert torch.equal(ours, theirs)
        assert exists.all()
        counts[torch.arange(5), ours] += 1
    assert torch.allclose(counts / 400, likely, atol=0.1)
    assert (counts.diagonal() == 0).all()


def test_rows_without_a_negative_count_only_as_pairs():
    """Three pairs of which two are alike: by hand over the rows that there are."""
    torch.manual_seed(0)
    heads, images, texts = MatchingHeads(8, 8, 32).eval(), torch.randn(3, 2, 8), torch.randn(3, 4, 8)
    there, same = torch.ones(3, 4).bool(), torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 1]]).bool()
    found = heads(images, texts, there, same)
    (seen, _), (read, _) = heads.image(images), heads.text(texts, there)
    rows, columns = [0, 1, 2, 1, 2, 2, 1], [0, 1, 2, 2, 1, 1, 2]
    answers = heads.match(seen[rows], read[columns], there[columns])
    true = torch.tensor([1, 1, 1, 0, 0, 0, 0])
    assert found.itm.item() == pytest.approx(torch.nn.functional.cross_entropy(answers, true).item(), rel=1e-5)
    assert found.itm_accuracy.item() == pytest.approx((answers.argmax(dim=1) == true).float().mean().item())


def test_a_batch_of_one_meaning_has_no_negatives():
    heads = MatchingHeads(8, 8, 32).eval()
    tokens = torch.randn(2, 3, 8)
    found = heads(tokens, tokens, torch.ones(2, 3).bool(), torch.ones(2, 2).bool())
    assert torch.isfinite(found.itm)
    assert torch.isfinite(found.itc)
    assert found.recall == 1.0


def test_padding_changes_nothing():
    torch.manual_seed(0)
    heads = MatchingHeads(8, 12, 32).eval()
    images, texts = torch.randn(4, 5, 8), torch.randn(4, 6, 12)
    read, same = torch.ones(4, 6).bool(), torch.eye(4).bool()
    plain = heads(images, texts, read, same)
    longer = torch.cat([texts, torch.randn(4, 3, 12)], dim=1)
    padded = heads(images, longer, torch.cat([read, torch.zeros(4, 3).bool()], dim=1), same)
    assert torch.allclose(plain.similarity, padded.similarity, atol=1e-5)
    assert plain.itm.item() == pytest.approx(padded.itm.item(), abs=1e-5)


def test_the_heads_learn_what_belongs_together():
    """Texts that are a fixed turn of their pictures: retrieval and matching both learn it, on batches never seen."""
    torch.manual_seed(0)
    heads, turn = MatchingHeads(8, 8, 32), torch.linalg.qr(torch.randn(8, 8))[0]
    optimizer, there = torch.optim.AdamW(heads.parameters(), 3e-3), torch.ones(24, 2).bool()

    def batch():
        images = torch.randn(24, 2, 8)
        return heads(images, images @ turn, there, torch.eye(24).bool())

    for _ in range(150):
        found = batch()
        optimizer.zero_grad()
        (found.itc + found.itm).backward()
        optimizer.step()
    heads.eval()
    assert np.mean([batch().recall for _ in range(5)]) > 0.8
    assert np.mean([batch().itm_accuracy for _ in range(5)]) > 0.8
    assert all(weight.grad is not None for weight in heads.parameters())


def test_a_text_too_long_is_refused():
    with pytest.raises(ValueError, match="a text has 200 tokens: the heads read at most 128"):
        MatchingHeads(8, 8, 32).text(torch.zeros(1, 200, 8), torch.ones(1, 200).bool())


def test_of_a_long_text_the_heads_read_the_beginning_and_say_so_once():
    torch.manual_seed(0)
    heads = MatchingHeads(8, 12, 32).eval()
    images, texts = torch.randn(4, 5, 8), torch.randn(4, 140, 12)
    there, same = torch.ones(4, 140).bool(), torch.eye(4).bool()
    expected = heads(images, texts[:, :128], there[:, :128], same)
    with pytest.warns(UserWarning, match="a caption has 140 tokens: the matching heads read its first 128"):
        found = heads(images, texts, there, same)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        heads(images, texts, there, same)
    assert torch.equal(found.similarity, expected.similarity)
    assert torch.equal(found.itm, expected.itm)


def test_word_loss_by_its_formula():
    """Cross-entropy of each word with 1 - prod(1 - p), p over the parts that are there."""
    logits = torch.randn(3, 4, 7, generator=torch.Generator().manual_seed(0)) * 2
    present = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 1], [0, 0, 1, 0]]).bool()
    said = torch.zeros(3, 7)
    said[0, [1, 4]] = said[1, 2] = said[2, 6] = 1
    total = 0.0
    for i in range(3):
        for word in range(7):
            unseen = math.prod(1 - 1 / (1 + math.exp(-logits[i, k, word].item())) for k in range(4) if present[i, k])
            total -= math.log(1 - unseen) if said[i, word] else math.log(unseen)
    assert word_loss(logits, present, said).item() == pytest.approx(total / 4, rel=1e-5)


def test_word_loss_is_finite_where_it_is_sure():
    sure = torch.tensor([[[-200.0, 200.0]], [[200.0, -200.0]]], requires_grad=True)
    loss = word_loss(sure, torch.ones(2, 1).bool(), torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(sure.grad).all()


def test_sentence_loss_by_its_formula():
    """Of each sentence the mean over clusters of exp(-its loss there), of each cluster that over sentences."""
    draw = torch.Generator().manual_seed(0)
    unseen = torch.rand(3, 3, 5, generator=draw) * 2 + 0.05
    present = torch.tensor([[1, 1, 1], [1, 0, 1], [1, 0, 0]]).bool()
    said = torch.zeros(3, 2, 5)
    said[0, 0, [0, 1]] = said[0, 1, 2] = said[1, 0, [3, 4]] = said[1, 1, [0, 3]] = said[2, 0, 4] = 1

    def lost(i, s, k):
        total = 0.0
        for word in range(5):
            fails = math.exp(-unseen[i, k, word].item())  # prod(1 - p)
            total -= math.log(1 - fails) if said[i, s, word] else math.log(fails)
        return total / said[i, s].sum().item()

    sentences, clusters = [], []
    for i in range(3):
        own, there = [s for s in range(2) if said[i, s].any()], [k for k in range(3) if present[i, k]]
        sentences += [-math.log(sum(math.exp(-lost(i, s, k)) for k in there) / len(there)) for s in own]
        clusters += [-math.log(sum(math.exp(-lost(i, s, k)) for s in own) / len(own)) for k in there]
    expected = sum(sentences) / len(sentences) / 2 + sum(clusters) / len(clusters) / 2
    assert sentence_loss(unseen, present, said).item() == pytest.approx(expected, rel=1e-5)


def test_sentence_loss_of_one_sentence_and_one_cluster_is_that_of_its_words():
    logits, said = torch.tensor([[[0.3, -1.2, 2.0]]]), torch.tensor([[1.0, 0.0, 1.0]])
    there = torch.ones(1, 1).bool()
    expected = word_loss(logits, there, said)
    found = sentence_loss(torch.nn.functional.softplus(logits), there, said[:, None])
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)


def test_sentence_loss_asks_a_cluster_for_one_sentence_not_for_half_of_two():
    """Noisy-or over all clusters cannot tell these two apart."""
    said = torch.tensor([[[1.0, 1, 0, 0], [0, 0, 1, 1]]])
    there, sure = torch.ones(1, 2).bool(), 6.0
    bound = torch.tensor([[[sure, sure, 0, 0], [0, 0, sure, sure]]]) + 0.01
    mixed = torch.tensor([[[sure, 0, sure, 0], [0, sure, 0, sure]]]) + 0.01
    assert sentence_loss(bound, there, said) < 0.2 * sentence_loss(mixed, there, said)


def test_sentence_loss_is_finite_where_it_is_sure_and_where_nothing_is_said():
    unseen = torch.tensor([[[0.0, 400.0], [400.0, 0.0]], [[1.0, 1.0], [0.0, 0.0]]], requires_grad=True)
    said = torch.tensor([[[1.0, 0], [0, 1.0]], [[0, 0], [0, 0]]])
    loss = sentence_loss(unseen, torch.tensor([[True, True], [True, False]]), said)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(unseen.grad).all()


def test_similarities_that_are_no_numbers_end_in_a_loss_that_says_so():
    """`multinomial` of NaN would end the process on a GPU, before the loop could name the step."""
    similarity = torch.full((3, 3), float("nan"))
    chosen, exists = hard_negatives(similarity, torch.eye(3, dtype=torch.bool))
    assert exists.all()
    assert ((chosen >= 0) & (chosen < 3)).all()
    heads = MatchingHeads(8, 8, 32).train()
    present = torch.ones(3, 4, dtype=torch.bool)
    out = heads(torch.full((3, 5, 8), float("nan")), torch.randn(3, 4, 8), present, torch.eye(3, dtype=torch.bool))
    assert torch.isnan(out.itc)
