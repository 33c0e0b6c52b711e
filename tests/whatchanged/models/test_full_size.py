"""T-BLIP2 at full size, counted without its weights: what a T4 with 16 GB has to hold."""

from __future__ import annotations

import pytest
import torch
from counting import GIB, by_part, full_size, size, step_bytes

WORDS = 36  # tokens of prompt and caption: Spot-the-Diff's longest sentences


@pytest.fixture(scope="module")
def model():
    return full_size()


def test_what_is_frozen_is_half_and_what_is_trained_is_whole(model):
    assert {one.dtype for one in model.parameters() if not one.requires_grad} == {torch.float16}
    assert {one.dtype for one in model.parameters() if one.requires_grad} == {torch.float32}
    frozen = sum(one.numel() for one in model.parameters() if not one.requires_grad)
    assert frozen == pytest.approx(3.63e9, rel=0.01), "image encoder and language model"


def test_a_checkpoint_holds_a_twenty_fifth_of_it(model):
    """160 million weights of four bytes; whole, in fp32 as it was, it had 15 GB."""
    written = size(iter(model.state_dict().values()))
    trained = sum(one.numel() for one in model.parameters() if one.requires_grad)
    assert trained == pytest.approx(160e6, rel=0.01)
    assert 4 * trained < written < 4 * trained + 10_000
    everything = sum(one.numel() for one in model.parameters())
    assert 4 * everything / written > 23


def test_a_step_at_a_batch_of_two_fits_eleven_gib(model):
    parts = by_part(model)
    assert {name: round(one / GIB, 2) for name, one in parts.items()} == {
        "vision_model": 1.84,
        "qformer": 0.39,
        "language_projection": 0.01,
        "language_model": 4.96,
        "new": 0.18,
        "gradients": 0.59,
        "optimizer": 1.19,
    }
    whole = sum(parts.values()) + step_bytes(model, 2, WORDS)
    assert 10 * GIB < whole < 11 * GIB, f"{whole / GIB:.2f}"


@pytest.mark.process
def test_with_checkpointing_a_batch_of_eight_fits_fourteen():
    model = full_size(checkpointing=True)
    whole = sum(by_part(model).values()) + step_bytes(model, 8, WORDS)
    assert 10 * GIB < whole < 14 * GIB, f"{whole / GIB:.2f}"
