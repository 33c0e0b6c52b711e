"""BLIP-2 by its name, from a folder, and from checkpoints that are none."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from whatchanged.models.blip2 import load_blip2, small_blip2
from whatchanged.models.tblip2 import EnhancedDiffBLIP2
from whatchanged.models.tblip2_options import TBLIP2Options

OPTIONS = TBLIP2Options(lora=0, min_samples=8, align_dim=64)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder as Hugging Face's `save_pretrained` writes it."""
    folder = tmp_path_factory.mktemp("home") / "hub"
    for part in small_blip2(["the red square is gone", "red " * 300], dim=64, layers=1):
        part.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def pair():
    before = np.random.default_rng(0).integers(90, 130, (96, 96, 3)).astype(np.uint8)
    after = before.copy()
    after[10:30, 20:45] = (200, 30, 30)
    return before, after


def test_a_model_that_is_nowhere_is_named(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # the variable is read at import only
    with pytest.raises(ValueError, match="MODEL_NAME is 'nobody/no-such-model': it is neither a folder"):
        load_blip2("nobody/no-such-model")
    with pytest.raises(ValueError, match="MODEL_NAME is '~/no/such/folder': it is neither a folder"):
        load_blip2("~/no/such/folder")


def test_a_folder_may_be_given_from_home(saved, monkeypatch):
    monkeypatch.setenv("HOME", str(saved.parent))
    monkeypatch.setenv("USERPROFILE", str(saved.parent))
    model, _ = load_blip2("~/hub")
    assert torch.equal(model.query_tokens, load_blip2(str(saved))[0].query_tokens)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_of_half_precision_give_a_loss_and_a_caption(saved, pair, dtype):
    """Also outside of autocast: the heads compute in fp32, whatever BLIP-2's weights are."""
    model = EnhancedDiffBLIP2(*load_blip2(str(saved), dtype), OPTIONS).eval()
    whole = EnhancedDiffBLIP2(*load_blip2(str(saved)), OPTIONS).eval()
    whole.load_state_dict(model.state_dict())
    before, after = pair
    found, expected = (
        one([before], [after], captions=["the red square"], return_loss=True).parts for one in (model, whole)
    )
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value.item(), abs=0.1), name
    assert len(model.generate([before], [after], max_new_tokens=4)) == 1


def test_a_caption_longer_than_the_heads_read_is_read_whole_by_the_language_model(saved, pair):
    model = EnhancedDiffBLIP2(*load_blip2(str(saved)), OPTIONS).eval()
    given = [[pair[0]] * 2, [pair[1]] * 2]
    with pytest.warns(UserWarning, match="a caption has 140 tokens: the matching heads read its first 128"):
        out = model(*given, captions=["red " * 140, "the red square"], return_loss=True)
    assert out.logits.shape[1] == 141, "its end too"
    assert all(torch.isfinite(value) for value in out.parts.values())
    with pytest.raises(ValueError, match="a caption has 301 tokens: after the .* the language model reads 256 in all"):
        model(*given, captions=["red " * 300, "the red square"], return_loss=True)


def test_a_folder_that_holds_no_whole_blip2_is_named(saved, tmp_path):
    def changed(name, change):
        folder = shutil.copytree(saved, tmp_path / name)
        change(folder)
        return str(folder)

    def without(folder):
        weights = load_file(folder / "model.safetensors")
        kept = {name: value for name, value in weights.items() if "query_tokens" not in name}
        save_file(kept, folder / "model.safetensors", {"format": "pt"})

    def cut(folder):
        path = folder / "model.safetensors"
        path.write_bytes(path.read_bytes()[:5000])

    def other(folder):
        told = json.loads((folder / "config.json").read_text())
        told["text_config"]["hidden_size"] = 128
        (folder / "config.json").write_text(json.dumps(told))

    for name, change in {"cut": cut, "other": other, "no_config": lambda one: (one / "config.json").unlink()}.items():
        with pytest.raises(ValueError, match=f"{name}', a folder that holds no BLIP-2 checkpoint that can be read"):
            load_blip2(changed(name, change))
    with pytest.raises(ValueError, match="without', a checkpoint without query_tokens: download it again, whole"):
        load_blip2(changed("without", without))
