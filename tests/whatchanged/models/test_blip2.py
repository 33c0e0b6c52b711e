"""BLIP-2 by its name."""

from __future__ import annotations

import pytest

from whatchanged.models.blip2 import load_blip2


def test_a_model_that_is_nowhere_is_named(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # the variable is read at import only
    with pytest.raises(ValueError, match="MODEL_NAME is 'nobody/no-such-model': it is neither a folder"):
        load_blip2("nobody/no-such-model")
