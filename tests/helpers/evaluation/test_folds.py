"""Folds: each picture is judged once, by what never saw it."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from helpers import splits
from helpers.datasets import Pictures
from helpers.evaluation import cross_validated, frozen_accuracies
from whatchanged.copies import Groups


class Nearest(torch.nn.Module):
    """Says the label of the picture it knows that is nearest; what it knows comes back for certain."""

    def __init__(self, known):
        super().__init__()
        self.zero = torch.nn.Parameter(torch.zeros(()))
        self.images, self.labels = map(torch.stack, zip(*((a, torch.as_tensor(b)) for a, b in known), strict=True))

    def forward(self, batch):
        far = torch.cdist(batch.flatten(1), self.images.flatten(1))
        return torch.nn.functional.one_hot(self.labels[far.argmin(1)], 2).float() + self.zero


def learn(known):
    return Nearest(known), None


def noise(count):
    rng = np.random.default_rng(0)
    return Pictures(rng.integers(0, 256, (count, 8, 8, 3), np.uint8), np.arange(count) % 2, ("a", "b"))


def test_what_was_trained_on_is_not_judged():
    """Labels of noise cannot be known; whoever judges what it trained on gets all of them."""
    pictures = noise(200)
    parts = splits.folds(pictures.labels, Groups(np.arange(200)), 5, 0)
    share = cross_validated(learn, pictures, parts).mean()
    assert 0.35 < share < 0.65
    everything = np.arange(200)
    assert cross_validated(learn, pictures, [(everything, everything)]).all()


def test_twins_on_both_sides_flatter_and_in_one_fold_do_not():
    pictures = noise(60)
    seen, labels = np.tile(pictures.images.reshape(60, -1) / 255, (3, 1)), np.tile(pictures.labels, 3)
    apart = frozen_accuracies(seen, labels, np.tile(np.arange(60), 3))
    across = frozen_accuracies(seen, labels, np.arange(180))
    assert len(apart) == 3
    assert max(apart) < 0.7 < 0.9 < min(across)


def test_the_accuracies_are_those_of_a_loop_by_hand():
    pictures = noise(60)
    x, shares = pictures.images.reshape(60, -1) / 255, []
    for one, other in StratifiedGroupKFold(5, shuffle=True, random_state=0).split(x, pictures.labels, np.arange(60)):
        middle, spread = x[one].mean(0), x[one].std(0)
        layer = LogisticRegression(C=0.01, max_iter=500).fit((x[one] - middle) / spread, pictures.labels[one])
        shares.append(layer.score((x[other] - middle) / spread, pictures.labels[other]))
    assert np.isclose(frozen_accuracies(x, pictures.labels, np.arange(60), seeds=1), np.mean(shares))
