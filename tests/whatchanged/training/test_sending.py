"""Batches on their way: one indexing, the same bits, nothing that waits for the device within a step."""

from __future__ import annotations

from collections import Counter
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import TensorDataset, default_collate
from training_runs import Points, fit, linear

from helpers.datasets import ImageFiles, Pictures
from whatchanged.images import write_image
from whatchanged.training import sending

CPU = torch.device("cpu")


class Counted(TorchDispatchMode):
    """How often each operator of PyTorch is called within it, also on the way back."""

    def __init__(self):
        super().__init__()
        self.calls = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.calls[function.overloadpacket.__name__] += 1
        return function(*args, **(kwargs or {}))


def surfaces(count=80, shape=(8, 8, 3)):
    drawn = np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)
    return Pictures(drawn, np.arange(count) % 2, ("sound", "cracked"))


def network():
    torch.manual_seed(0)
    layers = (torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Flatten(), torch.nn.Linear(144, 2))
    return torch.nn.Sequential(*layers)


def a_step(**options):
    """What a step calls: 60 steps of three epochs without the 20 of one."""
    calls = []
    for epochs in (1, 3):
        with Counted() as counted:
            fit(network(), surfaces(), epochs=epochs, batch_size=4, clip=1.0, **options)
        calls.append(counted.calls)
    return {name: (count - calls[0][name]) / 40 for name, count in calls[1].items()}


def with_parts(model, batch):
    logits = model(batch[0])
    value = torch.nn.functional.cross_entropy(logits.float(), batch[1])
    return value, logits, {"half": value.detach() / 2, "first": model[0].bias.detach()[0]}


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, partial(torch.optim.Adam, fused=True)])
def test_nothing_in_a_step_waits_for_the_device(optimizer):
    """`.item()`, `float()` and `if` of a tensor are this operator; the loop that this one replaced had four a step."""
    for options in ({}, {"loss": with_parts}, {"accumulate": 2}, {"precision": "bf16"}):
        calls = a_step(optimizer=partial(optimizer, lr=0.01), **options)
        assert calls["convolution"] > 0
        assert calls.get("_local_scalar_dense", 0) == 0, options


def test_a_step_casts_what_it_must():
    """The batch's bytes and the hits of the accuracy; in bfloat16 input, weights and outputs forth and back, too."""
    assert a_step()["_to_copy"] == 2
    assert a_step(precision="bf16")["_to_copy"] <= 13


@pytest.mark.parametrize("shape", [(9, 7, 3), (2, 9, 7, 3)])
def test_a_batch_has_the_bits_and_the_layout_of_its_items(shape):
    data = surfaces(11, shape)
    for part in (data, data.subset([7, 3, 5, 1, 0, 9])):
        ((pictures, labels),) = sending.sent(part, [[4, 0, 3]], CPU)
        expected = default_collate([part[index] for index in (4, 0, 3)])
        assert torch.equal(pictures, expected[0])
        assert pictures.stride() == expected[0].stride(), "sums depend on it"
        assert torch.equal(labels, expected[1])
        assert labels.dtype == expected[1].dtype


def test_a_batch_is_taken_by_one_indexing_and_travels_as_bytes():
    asked = []

    class Watched(Pictures):
        def pictures(self, indices):
            asked.append(list(indices))
            return super().pictures(indices)

        def on_device(self, batch):
            assert batch[0].dtype == torch.uint8
            return super().on_device(batch)

        def picture(self, index):
            raise AssertionError("one by one")

    data = surfaces(10)
    assert len(list(sending.sent(Watched(data.images, data.labels, data.names), [[3, 1], [2]], CPU))) == 2
    assert asked == [[3, 1], [2]]


def test_a_dataset_whose_items_are_its_own_gives_these():
    class Dark(Pictures):
        def __getitem__(self, index):
            tensor, label = super().__getitem__(index)
            return tensor * 0, label

    data = surfaces(10)
    dark = Dark(data.images, data.labels, data.names)
    for given in (dark, dark.subset(range(5)), dark.subset(range(5)).subset(range(3))):
        for workers in (0, 1):
            ((pictures, _),) = sending.sent(given, [[2, 1]], CPU, workers=workers)
            assert pictures.shape == (2, 3, 8, 8)
            assert not pictures.any()


def test_tensors_in_memory_are_indexed_once():
    data = TensorDataset(torch.arange(12).view(6, 2), torch.arange(6))
    ((inputs, labels),) = sending.sent(data, [[5, 2]], CPU)
    assert inputs.tolist() == [[10, 11], [4, 5]]
    assert labels.tolist() == [5, 2]


def test_a_batch_may_be_a_dict_with_more_than_tensors():
    class Told(Points):
        def batch_of(self, indices):
            return {"x": self.x[indices].numpy(), "names": [f"{index}" for index in indices]}

    class Quiet(Told):
        def __getitem__(self, index):
            return {"x": self.x[index]}

    (batch,) = sending.sent(Told(), [[3, 1]], CPU)
    assert batch["names"] == ["3", "1"]
    assert torch.equal(batch["x"], Told().x[[3, 1]])
    (batch,) = sending.sent(Quiet(), [[3, 1]], CPU)
    assert list(batch) == ["x"], "its items are newer than the batches it inherited"


def test_workers_are_chosen_by_cores_and_room(tmp_path, monkeypatch):
    paths = [write_image(tmp_path / f"{place}.png", np.zeros((16, 16, 3), np.uint8)) for place in range(4)]
    files = ImageFiles(paths, [0, 1, 0, 1], ("a", "b"), 16)

    def chosen(cores, room, data=files, together=1):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(together))
        monkeypatch.setattr(sending.devices, "cores", lambda: cores)
        monkeypatch.setattr(sending, "SHARED", tmp_path)
        monkeypatch.setattr(sending.shutil, "disk_usage", lambda path: SimpleNamespace(free=room))
        return sending.chosen_workers(data, 100)

    batch = 100 * (16 * 16 * 3 + 8)  # bytes, and a label of eight
    assert chosen(6, 2 * 3 * 5 * batch) == 5, "a core is left to the training"
    assert chosen(6, 2 * 3 * 5 * batch - 1) == 4, "three batches a worker, in half of the room"
    assert chosen(6, 100) == chosen(1, 10**12) == 0
    assert chosen(64, 10**12) == sending.MOST_WORKERS
    assert chosen(8, 10**12, together=2) == 3
    assert chosen(6, 10**12, files.in_memory()) == chosen(6, 10**12, files.in_memory().subset([1])) == 0
    assert chosen(6, 10**12, TensorDataset(torch.zeros(4, 2))) == 0
    assert chosen(6, 10**12, Points()) == 5

    class Drawn(Points):
        def __getitem__(self, index):
            return torch.randn(3), 0

    state = torch.get_rng_state()
    assert chosen(6, 10**12, Drawn()) == 5
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.process
def test_processes_that_read_change_no_number(tmp_path):
    data = surfaces(40, (2, 9, 7, 3))
    paths = [write_image(tmp_path / f"{place}.png", pair[0]) for place, pair in enumerate(data.images)]
    files = ImageFiles(paths, data.labels, data.names, 8)
    for given in (surfaces(40), files, Points(40)):
        ends = []
        for workers in (0, 2):
            model, _ = fit(linear() if given[0][0].ndim == 1 else network(), given, given, workers=workers)
            ends.append([value.clone() for value in model.state_dict().values()])
        assert all(torch.equal(one, other) for one, other in zip(*ends, strict=True))
