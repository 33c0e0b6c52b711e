"""Losses by their formulas."""

from __future__ import annotations

import pytest
import torch

from whatchanged import training


def test_multi_label_loss_and_accuracy_are_their_formulas():
    torch.manual_seed(0)
    logits, labels = torch.randn(6, 3), torch.randint(2, (6, 3)).float()
    value, given = training.multi_label(lambda inputs: inputs, (logits, labels))
    p = 1 / (1 + torch.exp(-logits))
    torch.testing.assert_close(value, -(labels * p.log() + (1 - labels) * (1 - p).log()).mean())
    assert given is logits
    assert training.label_accuracy(logits, labels) == pytest.approx(((p > 0.5) == (labels == 1)).float().mean())
    assert training.sigmoid(logits.numpy()) == pytest.approx(p.numpy(), abs=1e-6)
