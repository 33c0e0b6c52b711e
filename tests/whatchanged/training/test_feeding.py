"""Batches divided among processes and steps, and sums that are the same in every run."""

from __future__ import annotations

import pytest
import torch
from training_runs import Points, fit, run


@pytest.mark.process
def test_two_processes_train_the_same_model(tmp_path):
    seen = tmp_path / "seen"
    seen.mkdir()
    one = run(tmp_path, "one", "--plain")
    two = run(tmp_path, "two", "--plain", "--seen", str(seen), processes=2)
    for name, value in one["weights"].items():
        torch.testing.assert_close(two["weights"][name], value, atol=1e-5, rtol=1e-4)
    read = [(seen / f"{rank}.txt").read_text().split() for rank in (0, 1)]
    assert sorted(map(int, read[0] + read[1])) == sorted(3 * list(range(130))), "each sample once an epoch"
    for ours, theirs in zip(one["history"]["epochs"], two["history"]["epochs"], strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)
    assert two["history"]["epochs"][-1]["val_accuracy"] >= 0.9


@pytest.mark.process
def test_two_processes_reach_the_same_quality_with_batch_norm_and_dropout(tmp_path):
    one, two = run(tmp_path, "one"), run(tmp_path, "two", processes=2)
    best = [max(epoch["val_accuracy"] for epoch in done["history"]["epochs"]) for done in (one, two)]
    assert min(best) >= 0.9
    assert abs(best[0] - best[1]) <= 0.08


@pytest.mark.process
@pytest.mark.parametrize("samples", ["3", "9"])
def test_a_batch_too_small_to_go_round_trains_the_same_model(tmp_path, samples):
    """An odd number at a batch of two: of the last one a process has no sample."""
    options = ("--plain", "--samples", samples, "--batch", "2")
    one = run(tmp_path, "one", *options)
    two = run(tmp_path, "two", *options, processes=2)
    for name, value in one["weights"].items():
        torch.testing.assert_close(two["weights"][name], value, atol=1e-5, rtol=1e-4)
    for ours, theirs in zip(one["history"]["epochs"], two["history"]["epochs"], strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)


@pytest.mark.process
def test_one_sample_a_process_trains_batch_norm(tmp_path):
    done = run(tmp_path, "two", "--samples", "5", "--batch", "2", processes=2)
    assert [epoch["epoch"] for epoch in done["history"]["epochs"]] == [1, 2, 3]


def test_accumulated_batches_are_one_large_batch():
    """Also where the samples do not divide: 50 samples are batches of 13, 13, 12, 12."""
    small, _ = fit(train=Points(50), batch_size=13, accumulate=4)
    large, _ = fit(train=Points(50), batch_size=50)
    torch.testing.assert_close(small.weight, large.weight, atol=1e-6, rtol=0)


class Rows(torch.nn.Module):
    """Reads many rows of a small table, so that several threads add to the same gradient."""

    def __init__(self):
        super().__init__()
        self.table, self.out = torch.nn.Embedding(8, 64), torch.nn.Linear(64, 2)

    def forward(self, places):
        return self.out(self.table.weight[places].tanh().cumsum(dim=1).mean(dim=1))


@pytest.mark.process
def test_two_trainings_are_bit_for_bit_the_same():
    drawn = torch.Generator().manual_seed(0)
    data = [(torch.randint(8, (2000,), generator=drawn), place % 2) for place in range(64)]
    ends = []
    for _ in range(4):
        torch.manual_seed(0)
        model = Rows()
        fit(model, data)
        ends.append(model.table.weight.detach().clone())
    assert all(torch.equal(ends[0], one) for one in ends[1:])
    assert not torch.are_deterministic_algorithms_enabled()  # as the caller had it
