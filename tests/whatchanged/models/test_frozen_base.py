"""What is kept of a T-BLIP2: what is trained, and whose frozen weights it needs; in which precision both are."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file
from tiny_tblip2 import hub, on_hub, sides, small
from torch.utils._python_dispatch import TorchDispatchMode

from whatchanged import training
from whatchanged.models.base import BASE_KEY, BaseModel
from whatchanged.models.caption_loss import CaptionLoss
from whatchanged.models.describer import Describer, load_best_model
from whatchanged.models.finetuning import parameter_groups
from whatchanged.models.prepared import PreparedPairs
from whatchanged.models.tblip2 import EnhancedDiffBLIP2

HALVES = [torch.bfloat16, torch.float16]


@pytest.fixture(scope="module")
def place(pairs, tmp_path_factory):
    return hub(tmp_path_factory.mktemp("base") / "hub", pairs)


def captions(pairs):
    return [pair.captions[0] for pair in pairs]


@pytest.mark.parametrize("dtype", HALVES)
def test_what_is_frozen_is_half_and_what_is_trained_is_whole(place, dtype):
    model = on_hub(place, dtype)
    assert {one.dtype for one in model.parameters() if not one.requires_grad} == {dtype}
    assert {one.dtype for one in model.parameters() if one.requires_grad} == {torch.float32}
    published = load_file(place / "model.safetensors")
    for name in ("query_tokens", "language_projection.weight", "qformer.layernorm.weight"):
        assert torch.equal(model.blip2_model.get_parameter(name), published[name]), f"{name} never was half"


@pytest.mark.parametrize("dtype", HALVES)
def test_losses_and_gradients_are_those_of_fp32(place, pairs, dtype):
    """Under autocast, as in training, with the frozen weights in half precision."""
    told = {}
    for name, own in (("whole", None), ("half", dtype)):
        model = on_hub(place, own)
        with torch.autocast("cpu", dtype, enabled=name == "half"):
            out = model(*sides(pairs), captions(pairs), return_loss=True)
        sum(out.parts.values()).backward()
        trained = {n: one.grad for n, one in model.named_parameters() if one.grad is not None}
        assert all(torch.isfinite(one).all() for one in trained.values())
        told[name] = out.parts, trained
    for name, value in told["whole"][0].items():
        assert told["half"][0][name].item() == pytest.approx(value.item(), rel=0.03), name
    for name, gradient in told["whole"][1].items():
        if gradient.norm() > 1e-3:
            likeness = torch.cosine_similarity(gradient.flatten(), told["half"][1][name].flatten(), dim=0)
            assert likeness > 0.95, f"{name} {likeness:.3f}"


def test_a_state_dict_holds_what_is_trained_and_names_the_base(place):
    model = on_hub(place, torch.bfloat16)
    state = model.state_dict()
    trained = {name for name, one in model.named_parameters(remove_duplicate=False) if one.requires_grad}
    assert {name for name in state if name != BASE_KEY} - {name for name, _ in model.named_buffers()} == trained
    base = BaseModel.from_tensor(state[BASE_KEY])
    assert base == model.base == BaseModel.of(str(place))
    assert base.name == str(place.resolve())
    assert not any("base_layer" in name for name in state), "what LoRA adapts is frozen"


def test_the_hash_tells_checkpoints_apart(place, tmp_path):
    first = BaseModel.of(str(place))
    copy = shutil.copytree(place, tmp_path / "copy")
    assert BaseModel.of(str(copy)).hash == first.hash, "wherever it lies"
    weights = copy / "model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    assert BaseModel.of(str(copy)).hash != first.hash
    weights.unlink()
    assert BaseModel.of(str(copy)) is None


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_a_model_comes_back_onto_its_base(place, pairs, tmp_path, dtype):
    model = on_hub(place, dtype)
    with torch.no_grad():
        model.absent.add_(1)
    folder = model.save_pretrained(tmp_path / "mine")
    frozen = sum(one.numel() for one in model.parameters() if not one.requires_grad)
    trained = sum(one.numel() for one in model.parameters() if one.requires_grad)
    size = (folder / "model.safetensors").stat().st_size
    assert 4 * trained < size < 4 * trained + 50_000, f"{trained} weights of four bytes, none of {frozen} frozen ones"
    again = EnhancedDiffBLIP2.from_pretrained(folder)
    assert {n: one.dtype for n, one in again.named_parameters()} == {n: o.dtype for n, o in model.named_parameters()}
    assert all(torch.equal(one, again.get_parameter(name)) for name, one in model.named_parameters())
    assert again.generate(*sides(pairs), max_new_tokens=8) == model.generate(*sides(pairs), max_new_tokens=8)
    assert Describer(folder).model.base == model.base
    half = EnhancedDiffBLIP2.from_pretrained(folder, dtype=torch.float16)
    assert {one.dtype for one in half.parameters() if not one.requires_grad} == {torch.float16}


def test_a_whole_model_needs_no_base(place, pairs, tmp_path):
    own = shutil.copytree(place, tmp_path / "hub")
    model = on_hub(own, torch.bfloat16)
    folder = model.save_pretrained(tmp_path / "mine")
    assert (folder / "base.json").is_file()
    assert model.save_pretrained(folder, whole=True) == folder
    assert not (folder / "base.json").exists()
    assert model.base is not None, "the model itself goes on as it was"
    shutil.rmtree(own)
    again = EnhancedDiffBLIP2.from_pretrained(folder)
    for name, one in model.named_parameters():
        assert torch.equal(one, again.get_parameter(name)), name
        assert one.dtype == again.get_parameter(name).dtype
    assert again.generate(*sides(pairs), max_new_tokens=8) == model.generate(*sides(pairs), max_new_tokens=8)
    assert again.base is None
    assert again.save_pretrained(folder) == folder, "over what it was read from"
    assert torch.equal(EnhancedDiffBLIP2.from_pretrained(folder).absent, model.absent)
    whole = EnhancedDiffBLIP2.from_pretrained(folder, dtype=torch.float32)
    assert {one.dtype for one in whole.parameters()} == {torch.float32}


def test_a_base_that_is_elsewhere_or_another_is_told(place, pairs, tmp_path):
    own = shutil.copytree(place, tmp_path / "hub")
    folder = on_hub(own).save_pretrained(tmp_path / "mine")
    moved = own.rename(tmp_path / "moved")
    with pytest.raises(
        ValueError, match=r"trained on the BLIP-2 .*hub, which cannot be loaded .* give base=, or write"
    ):
        EnhancedDiffBLIP2.from_pretrained(folder)
    assert EnhancedDiffBLIP2.from_pretrained(folder, base=moved).base.name == str(moved.resolve())
    told = json.loads((folder / "base.json").read_text())
    (folder / "base.json").write_text(json.dumps(told | {"name": str(moved)}))
    assert EnhancedDiffBLIP2.from_pretrained(folder).base.hash == told["hash"]
    other = hub(tmp_path / "other", pairs, seed=1)
    with pytest.raises(
        ValueError, match=r"trained on .*hub \(hash \w{12}\), and this model is built on .*other: build"
    ):
        EnhancedDiffBLIP2.from_pretrained(folder, base=other)
    with pytest.raises(ValueError, match="is built on none that was loaded by load_blip2"):
        small(pairs, lora=4, freeze_vision=True).load_state_dict(on_hub(place).state_dict())


class Step(TorchDispatchMode):
    """What a GPU would be waited for, and which weights are cast."""

    def __init__(self, model):
        super().__init__()
        frozen = [one for one in model.parameters() if not one.requires_grad]
        self.frozen, self.waits, self.casts = {one.data_ptr() for one in frozen}, [], 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name, told = str(func), kwargs or {}
        by_mask = "index" in name and any(
            getattr(one, "dtype", None) == torch.bool for one in (args[1] if isinstance(args[1], list) else ())
        )
        if by_mask or any(word in name for word in ("_local_scalar_dense", "nonzero", "masked_select", "unique")):
            self.waits.append(name)
        if "_to_copy" in name and told.get("dtype", args[0].dtype) != args[0].dtype:
            self.casts += args[0].data_ptr() in self.frozen
        return func(*args, **told)


@pytest.mark.parametrize("dtype", [*HALVES, None])
def test_a_step_waits_for_nothing_and_casts_no_frozen_weight(place, pairs, dtype, monkeypatch):
    """As on a GPU; counted on the CPU, with pads behind the captions and a pair that has no other."""
    model = on_hub(place, dtype).train()
    monkeypatch.setattr(model.diff_detector, "places", lambda present: torch.arange(present.numel()))
    batch = model._batch(*sides(pairs)) | {"caption": captions(pairs), "meaning": torch.tensor([0, 1, 1, 2])}
    assert len({len(one.split()) for one in captions(pairs)}) > 1
    with torch.autocast("cpu", dtype or torch.bfloat16), Step(model) as step:
        loss, _, parts = CaptionLoss()(model, batch)
        loss.backward()
    assert step.waits == []
    assert (step.casts > 0) == (dtype is None), "weights of another precision are cast, in each step"
    assert all(torch.is_tensor(one) for one in parts.values())


class Drawn(TorchDispatchMode):
    """Counts the numbers that are drawn at random, but for those of weights without memory."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if any(word in str(func) for word in ("normal", "uniform", "rand")) and not out.is_meta:
            self.count += out.numel()
        return out


def test_no_weight_of_a_saved_model_is_drawn_first(pairs, tmp_path):
    """It would be for nothing, and at full size in fp32: 15 GB, and minutes."""
    folder = small(pairs).save_pretrained(tmp_path)
    with Drawn() as drawn:
        model = EnhancedDiffBLIP2.from_pretrained(folder)
    big = sum(one.numel() for one in model.blip2_model.parameters())
    with Drawn() as usual:
        small(pairs)
    assert usual.count > big / 2, "the count sees what a usual start draws"
    assert drawn.count < big / 10


def test_what_torch_saves_is_loaded(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, other = on_hub(place), on_hub(place)
    with torch.no_grad():
        other.absent.add_(1)
    state = other.state_dict()
    torch.save({"epoch": 10, "model_state_dict": state}, "model_epoch_10.pth")
    model.load_state_dict(torch.load("model_epoch_10.pth")["model_state_dict"])
    assert torch.equal(model.absent, other.absent)
    wrapped = {f"module.{name}": value for name, value in state.items()}
    torch.save({"model_state_dict": wrapped, "loss": 0.5}, "wrapped.pth")
    for name in ("model_epoch_10.pth", "wrapped.pth"):
        assert torch.equal(load_best_model(on_hub(place), name).absent, other.absent), name
    whole = on_hub(place)
    whole.base = None
    torch.save({"model_state_dict": whole.state_dict()}, "whole.pth")
    assert load_best_model(model, "whole.pth").base is None, "it brings its own frozen weights, which may be others"
    assert not any(name == BASE_KEY for name in model.state_dict())


def test_a_wrapper_keeps_the_same(place):
    model, other = torch.nn.Sequential(on_hub(place)), torch.nn.Sequential(on_hub(place))
    state = model.state_dict()
    assert {name.removeprefix("0.") for name in state} == set(model[0].state_dict())
    other.load_state_dict(state)
    del state["0.absent"]
    with pytest.raises(RuntimeError, match='Missing key.*"0.absent"'):
        other.load_state_dict(state)


def test_what_of_the_base_is_trained_after_all_is_kept(place):
    model = on_hub(place)
    name = "blip2_model.vision_model.embeddings.class_embedding"
    assert name not in model.state_dict()
    model.get_parameter(name).requires_grad_(True)
    model.train()
    model.get_parameter(name).requires_grad_(False)
    assert name in model.state_dict(), "it may have moved"


def test_checkpoints_hold_what_is_trained_and_a_run_goes_on_from_them(place, pairs, tmp_path):
    def run(folder, epochs, resume=False):
        model = on_hub(place)
        data = PreparedPairs.in_memory(
            4, lambda i: (pairs[i].before, pairs[i].after, pairs[i].captions), model.prepare, draw=True
        )
        recipe = training.Recipe(
            loss=CaptionLoss(),
            metrics={},
            optimizer=torch.optim.AdamW(parameter_groups(model, 1e-3)),
            precision="fp32",
        )
        keep = training.Keeping(tmp_path / folder, keep_every=2, resume=resume)
        options = {"epochs": epochs, "batch_size": 2, "keep": keep, "progress": False}
        history = training.fit(model, data, data, recipe, **options)
        return model, history

    torch.manual_seed(0)
    whole, past = run("whole", 2)
    torch.manual_seed(0)
    run("stopped", 1)
    torch.manual_seed(5)
    again, resumed = run("stopped", 2, resume=True)
    assert past.step_loss == resumed.step_loss
    assert all(torch.equal(one, again.get_parameter(name)) for name, one in whole.named_parameters())
    written = [*(tmp_path / "whole").glob("**/*.safetensors")]
    assert {path.name for path in written} == {"model.safetensors", "best.safetensors", "epoch-0002.safetensors"}
    for path in written:
        assert set(load_file(path)) == set(whole.state_dict()), path.name
