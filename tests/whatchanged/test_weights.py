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
