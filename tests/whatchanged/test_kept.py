"""Arrays in a file: found again by what they are made of, made anew where that changed, whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from whatchanged import kept


class Making:
    """Arrays of their number; counts how many were made."""

    def __init__(self, plus=0, bad=None):
        self.count, self.plus, self.bad = 0, plus, bad

    def __call__(self, number):
        self.count += 1
        if number == self.bad:
            raise OSError("there is no such picture")
        return np.full((2, 3), (number + self.plus) % 256, np.uint8)


A, B = "a" * 32, "b" * 32


def test_a_second_run_finds_what_the_first_made(tmp_path):
    first, second = Making(), Making()
    whole = kept.on_disk(tmp_path / "new" / "train", A, 300, first)
    assert first.count == 300
    assert whole.shape == (300, 2, 3)
    assert whole[255:].max(axis=(1, 2)).tolist() == [255, *range(44)]
    assert np.array_equal(whole, kept.on_disk(tmp_path / "new" / "train", A, 300, second))
    assert second.count == kept.LOOKED_AT
    assert isinstance(whole, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        whole[0] = 1


def test_what_is_made_in_another_way_is_made_anew(tmp_path):
    """By its content, by the look at a few, or by how many there are; and the file before it goes."""
    place = tmp_path / "train"
    (tmp_path / "train-b.npy").write_bytes(b"another's")
    kept.on_disk(place, A, 20, Making())
    kept.on_disk(tmp_path / "train-more", A, 20, Making())
    for content, count, making in ((A, 20, Making(plus=1)), (B, 20, Making(plus=1)), (B, 21, Making(plus=1))):
        found = kept.on_disk(place, content, count, making)
        assert making.count >= count
        assert np.array_equal(found[:, 0, 0], np.arange(1, count + 1))
    names = {path.name for path in tmp_path.glob("*.npy")}
    assert names == {f"train-{B}.npy", f"train-more-{A}.npy", "train-b.npy"}


@pytest.mark.parametrize("bad", [0, 3, 280])
def test_what_fails_leaves_nothing(tmp_path, bad):
    with pytest.raises(OSError, match="no such picture"):
        kept.on_disk(tmp_path / "train", A, 300, Making(bad=bad))
    assert [path.suffix for path in tmp_path.iterdir()] in ([], [".lock"])


def test_one_of_another_size_is_named():
    def make(number):
        return np.zeros((2, 3 + (number == 7)), np.uint8)

    with pytest.raises(ValueError, match=r"number 7 is \(2, 4\) and number 0 is \(2, 3\): give one size"):
        kept.in_memory(10, make)


def test_few_are_in_memory_before_they_are_written():
    alive = []

    class Held(np.ndarray):
        def __del__(self):
            alive.remove(1)

    def make(number):
        alive.append(1)
        return np.zeros(4, np.uint8).view(Held)

    most = 0
    for _ in kept.made(4 * kept.TOGETHER, make):
        most = max(most, len(alive))
    assert most <= kept.TOGETHER + 2


def test_content_is_that_of_the_files_and_what_is_done_with_them(tmp_path):
    one, other = tmp_path / "1", tmp_path / "2"
    one.write_bytes(b"1")
    other.write_bytes(b"2")
    first = kept.digest([one, other], "size 3")
    os.utime(one, (1, 1))
    assert kept.digest([one, other], "size 3") == first
    assert len({first, kept.digest([other, one], "size 3"), kept.digest([one, other], "size 4")}) == 3
    one.write_bytes(b"3")
    assert kept.digest([one, other], "size 3") != first
    assert kept.called(kept.taken) == "whatchanged.kept.taken"


def test_what_is_taken_of_a_map_does_not_stay_in_memory(tmp_path):
    def resident():
        lines = Path("/proc/self/smaps").read_text().split("\n")
        at = next(place for place, line in enumerate(lines) if str(tmp_path) in line)
        return next(int(line.split()[1]) for line in lines[at:] if line.startswith("Rss:"))

    if not os.path.exists("/proc/self/smaps"):
        pytest.skip("only Linux tells")
    found = kept.on_disk(tmp_path / "train", A, 64, lambda number: np.full((256, 256), number, np.uint8))
    assert found.max() == 63
    assert resident() > 4000, "kilobytes, after all was read"
    some = kept.taken(found, [5, 3])
    assert [int(one.max()) for one in some] == [5, 3]
    assert resident() < 400
    some[0] = 7
    assert found[5].max() == 5, "a copy"
