"""Predictions of data, and their probabilities."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from training_runs import Points

from whatchanged import training


def test_predict_is_the_model_in_evaluation_mode():
    model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Dropout(0.9), torch.nn.Linear(8, 2)).train()
    data = Points(10)
    logits, labels = training.predict(model, data, batch_size=3, precision="fp32")
    assert model.training
    assert np.array_equal(labels, data.y.numpy())
    with torch.no_grad():
        assert np.abs(logits - model.eval()(data.x).numpy()).max() < 1e-6


def test_softmax_is_the_formula():
    logits = np.array([[0.0, 1.0, 2.0], [1000.0, 0.0, 0.0]])
    expected = np.exp(logits[0]) / np.exp(logits[0]).sum()
    assert training.softmax(logits) == pytest.approx(np.stack([expected, [1, 0, 0]]))
