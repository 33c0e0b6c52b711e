"""A recipe's precision: that of one training, and of the model's own forward alone."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from support import SCRIPTS
from training_runs import Points, fit, linear

from whatchanged import training


class Noting(torch.nn.Linear):
    """Notes in what it computed."""

    kinds: set

    def forward(self, x):
        answer = super().forward(x)
        self.kinds.add(answer.dtype)
        return answer


def test_each_training_of_a_process_has_its_own_precision():
    """Also of one model, which is trained again and again."""
    model = Noting(3, 2)
    for precision, kind in (("bf16", torch.bfloat16), ("bf16", torch.bfloat16), ("fp32", torch.float32)):
        model.kinds = set()
        fit(model, precision=precision, epochs=1)
        assert model.kinds == {kind}


def test_a_model_whose_training_failed_computes_as_before():
    def stop(model, batch):
        assert training.classification(model, batch)[1].dtype == torch.float32  # the outputs are, whatever is inside
        raise KeyboardInterrupt

    model = Noting(3, 2)
    model.kinds = set()
    with pytest.raises(KeyboardInterrupt):
        fit(model, loss=stop, precision="bf16")
    assert model.kinds == {torch.bfloat16}
    assert torch.equal(model(Points().x), torch.nn.functional.linear(Points().x, model.weight, model.bias))


def test_a_forward_that_was_put_into_the_model_stays_there():
    model = linear()
    own = model.forward
    model.forward = lambda x: own(x) + 1
    fit(model, precision="bf16", epochs=1)
    assert torch.equal(model(Points().x), own(Points().x) + 1)


@pytest.mark.process
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_compiled_model_trains_as_it_does_uncompiled_and_is_itself_again(precision):
    compiled, expected = Noting(3, 2), Noting(3, 2)
    compiled.load_state_dict(expected.state_dict())
    for model, wanted in ((compiled, True), (expected, False)):
        model.kinds = set()
        _, past = fit(model, compile=wanted, precision=precision, optimizer=torch.optim.SGD, epochs=1)
        assert model._compiled_call_impl is None
    assert training.Recipe().compile is False
    torch.testing.assert_close(compiled.weight, expected.weight, atol=1e-4, rtol=1e-3)
    assert list(compiled.state_dict()) == ["weight", "bias"]


@pytest.mark.process
def test_another_precision_of_the_process_is_told_of():
    command = [sys.executable, str(SCRIPTS / "other_precision_script.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("fit needs an Accelerator with mixed_precision='no', for the recipe says in which")
