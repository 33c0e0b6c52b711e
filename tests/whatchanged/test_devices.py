"""Precision of a device, and what compiled code says on stderr."""

from __future__ import annotations

import os

import pytest

from whatchanged.devices import autocast, precision, quiet_stderr


def test_precision_and_autocast():
    import torch

    cpu = torch.device("cpu")
    assert precision(cpu) in ("bf16", "fp32")
    a = torch.ones(4, 4)
    with autocast(cpu):
        expected = torch.bfloat16 if precision(cpu) == "bf16" else torch.float32
        assert (a @ a).dtype == expected


@pytest.mark.parametrize(("has", "expected"), [(True, "bf16"), (False, "fp16")])
def test_a_gpu_without_bfloat16_computes_in_half_precision(monkeypatch, has, expected):
    import torch

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has)
    assert precision(torch.device("cuda", 0)) == expected


def test_autocast_takes_a_precision_by_name():
    import torch

    a = torch.ones(4, 4)
    for name, dtype in (("fp16", torch.float16), ("bf16", torch.bfloat16), ("fp32", torch.float32)):
        with autocast(torch.device("cpu"), name):
            assert (a @ a).dtype == dtype


def test_stderr_is_swallowed_unless_something_fails(capfd):
    with quiet_stderr():
        os.write(2, b"hello from compiled code")
    assert capfd.readouterr().err == ""

    def fail():
        with quiet_stderr():
            os.write(2, b"what was wrong")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert capfd.readouterr().err == "what was wrong"
