"""Pictures as tensors, and back."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.photographs import photograph
from whatchanged.formats import ImageError
from whatchanged.weights import IMAGENET_MEAN, IMAGENET_STD, read_tensor, to_picture, to_tensor

PHOTO = photograph("coffee")[:60, :80]


def test_tensor_is_normalized_as_torchvision_does():
    import torch
    from torchvision.transforms import v2

    steps = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    steps.append(v2.Normalize(IMAGENET_MEAN.tolist(), IMAGENET_STD.tolist()))
    tensor = to_tensor(PHOTO)
    torch.testing.assert_close(tensor, v2.Compose(steps)(PHOTO.copy()).as_subclass(torch.Tensor), atol=1e-5, rtol=0)
    assert np.array_equal(to_picture(tensor), PHOTO)


def test_files_that_are_no_tensors_are_refused_by_name(tmp_path):
    import torch

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "evil.txt"), "w"))

    import pickle

    torch.save({"a": torch.zeros(3, 4, 4)}, tmp_path / "dict.pt")
    torch.save(torch.zeros(4, 4), tmp_path / "flat.pt")
    (tmp_path / "text.pt").write_text("hello")
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Evil(), protocol=2))
    torch.save(Evil(), tmp_path / "evil2.pt")
    torch.save(torch.zeros(3, 4, 4), tmp_path / "whole.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:300])
    for name, message in {
        "dict.pt": "holds a dict: it must hold one tensor",
        "flat.pt": r"holds a tensor of shape \(4, 4\): it must be \(3, H, W\)",
        "text.pt": "is not a tensor file",
        "evil.pt": "is not a tensor file",
        "evil2.pt": "is not a tensor file",
        "cut.pt": "is not a tensor file",
        "absent.pt": "does not exist",
    }.items():
        with pytest.raises(ImageError, match=f"{name} {message}"):
            read_tensor(tmp_path / name)
    assert not (tmp_path / "evil.txt").exists(), "a hostile pickle must not run"
    assert read_tensor(tmp_path / "whole.pt").shape == (3, 4, 4)


def test_uint8_tensors_are_normalized(tmp_path):
    import torch

    torch.save(torch.from_numpy(PHOTO.transpose(2, 0, 1).copy()), tmp_path / "a.pt")
    assert torch.equal(read_tensor(tmp_path / "a.pt"), to_tensor(PHOTO))


KINDS = {
    "normalized": lambda whole, shown: shown,
    "float16": lambda whole, shown: shown.half(),
    "bfloat16": lambda whole, shown: shown.bfloat16(),
    "float64": lambda whole, shown: shown.double(),
    "needs a gradient": lambda whole, shown: shown.clone().requires_grad_(),
    "a view": lambda whole, shown: shown[None].repeat(4, 1, 1, 1)[1],
    "uint8": lambda whole, shown: whole,
    "int64": lambda whole, shown: whole.long(),
    "int16": lambda whole, shown: whole.short(),
    "levels": lambda whole, shown: whole.float(),
    "levels, float16": lambda whole, shown: whole.half(),
    "a share": lambda whole, shown: whole / 255.0,
    "a share, float16": lambda whole, shown: (whole / 255.0).half(),
    "around 0": lambda whole, shown: whole / 127.5 - 1,
}
PICTURES = {
    "colored": PHOTO,
    "light and faint": (150 + PHOTO // 16).astype(np.uint8),  # normalized it lies between 0 and 1
    "white": np.full((8, 8, 3), 255, np.uint8),
    "black": np.zeros((8, 8, 3), np.uint8),
}


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
@pytest.mark.parametrize("kind", KINDS)
def test_tensors_are_read_as_what_people_save(tmp_path, kind, picture):
    import torch

    whole = torch.from_numpy(picture.transpose(2, 0, 1).copy())
    torch.save(KINDS[kind](whole, to_tensor(picture)), tmp_path / "a.pt")
    tensor = read_tensor(tmp_path / "a.pt")
    assert tensor.dtype == torch.float32
    assert not tensor.requires_grad
    error = np.abs(to_picture(tensor).astype(int) - picture).max()
    assert error <= (2 if "16" in kind else 0)
    if kind == "normalized":
        assert torch.equal(tensor, to_tensor(picture)), "what is as it should be stays as it is"


def test_resized_shares_and_noisy_tensors_are_told_by_their_range(tmp_path):
    import torch

    rng = np.random.default_rng(0)
    noise = torch.from_numpy(rng.normal(0, 0.02, (3, 60, 80)).astype(np.float32))
    shown = to_tensor(PHOTO)
    share = torch.from_numpy(PHOTO.transpose(2, 0, 1) / np.float32(255))
    for given, wanted in ((shown + noise, shown), ((share + noise / 9).clip(0, 1), shown), (255 * share + 0.3, shown)):
        torch.save(given, tmp_path / "a.pt")
        assert (read_tensor(tmp_path / "a.pt") - wanted).abs().mean() < 0.03


NO_PICTURES = {
    "NaN": (lambda torch: torch.full((3, 4, 4), float("nan")), "holds values from nan to nan"),
    "one NaN": (lambda torch: torch.tensor([float("nan")] + [0.5] * 47).reshape(3, 4, 4), "holds values from nan"),
    "infinite": (lambda torch: torch.full((3, 4, 4), float("inf")), "holds values from inf to inf"),
    "large": (lambda torch: torch.full((3, 4, 4), 300.5), "holds values from 300.5 to 300.5: save uint8"),
    "both signs": (
        lambda torch: torch.tensor([-20.0, 200.0, 3.0] * 16).reshape(3, 4, 4),
        "holds values from -20 to 200",
    ),
    "int64": (lambda torch: torch.full((3, 4, 4), 256), "holds values from 256 to 256"),
    "below 0": (lambda torch: torch.full((3, 4, 4), -1), "holds values from -1 to -1"),
    "bool": (lambda torch: torch.ones(3, 4, 4) > 0, "holds a tensor of torch.bool"),
    "complex": (lambda torch: torch.ones(3, 4, 4, dtype=torch.complex64), "holds a tensor of torch.complex64"),
    "sparse": (lambda torch: torch.ones(3, 4, 4).to_sparse(), "holds a tensor of torch.float32, torch.sparse_coo"),
    "no pixel": (lambda torch: torch.ones(3, 0, 4), r"holds a tensor of shape \(3, 0, 4\)"),
    "a batch": (lambda torch: torch.ones(1, 3, 4, 4), r"holds a tensor of shape \(1, 3, 4, 4\)"),
    "colors last": (lambda torch: torch.ones(4, 4, 3), r"holds a tensor of shape \(4, 4, 3\)"),
    "gray": (lambda torch: torch.ones(1, 4, 4), r"holds a tensor of shape \(1, 4, 4\)"),
    "with its label": (lambda torch: (torch.ones(3, 4, 4), 1), "holds a tuple"),
}


@pytest.mark.parametrize(("make", "why"), NO_PICTURES.values(), ids=NO_PICTURES)
def test_a_tensor_that_is_no_picture_is_refused(tmp_path, make, why):
    import torch

    torch.save(make(torch), tmp_path / "a.pt")
    with pytest.raises(ImageError, match=f"a.pt {why}"):
        read_tensor(tmp_path / "a.pt")
