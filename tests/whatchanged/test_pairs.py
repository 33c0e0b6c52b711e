"""Pairs are found by their names, or in a CSV file."""

from __future__ import annotations

import numpy as np
import pytest
from support import save_picture

from helpers.photographs import photograph
from whatchanged.images import SUFFIXES, read_image
from whatchanged.pairs import each, find_pairs

PHOTO = photograph("coffee")[:60, :80]


def test_pairs_by_name(tmp_path):
    for name in ["x_before.png", "x_after.png", "7.png", "7_2.png", "alone.png"]:
        save_picture(tmp_path / name, PHOTO)
    for side in ("before", "after"):
        (tmp_path / side).mkdir()
        save_picture(tmp_path / side / "k.png", PHOTO)
    found = [(a.relative_to(tmp_path).as_posix(), b.name) for a, b in find_pairs(tmp_path)]
    assert found == [("7.png", "7_2.png"), ("before/k.png", "k.png"), ("x_before.png", "x_after.png")]


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_every_suffix_is_found_and_read(tmp_path, suffix):
    for name in ("x_before", "x_after"):
        save_picture(tmp_path / f"{name}{suffix}", PHOTO)
    ((before, after),) = find_pairs(tmp_path)
    assert (before.name, after.name) == (f"x_before{suffix}", f"x_after{suffix}")
    assert np.abs(read_image(before).astype(int) - PHOTO).mean() < 12


def test_pairs_in_a_csv(tmp_path):
    table = tmp_path / "pairs.csv"
    table.write_text("before,after\na.png,b.png\n")
    assert find_pairs(table) == [(tmp_path / "a.png", tmp_path / "b.png")]
    table.write_text("before,next\na.png,b.png\n")
    with pytest.raises(ValueError, match=r"pairs.csv has no column after"):
        find_pairs(table)
    table.write_text("before,after\na.png,b.png\nc.png,\n")
    with pytest.raises(ValueError, match=r"pairs.csv, line 3: give both"):
        find_pairs(table)
    with pytest.raises(ValueError, match=r"nothing.csv does not exist"):
        find_pairs(tmp_path / "nothing.csv")
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match="holds no pairs"):
        find_pairs(tmp_path / "none")


def test_of_many_a_bad_one_gets_its_reason():
    def halved(number):
        if number == 2:
            raise ValueError("2 is bad")
        if number == 3:
            raise FileNotFoundError(2, "No such file", "3.png")
        return {}[number] if number == 4 else number / 2

    assert list(each([1, 2, 3, 4, 5], halved)) == [
        (1, 0.5, ""),
        (2, None, "2 is bad"),
        (3, None, "[Errno 2] No such file: '3.png'"),
        (4, None, "KeyError: 4"),
        (5, 2.5, ""),
    ]


def test_what_is_not_installed_is_no_fault_of_one_of_them():
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        list(each([1, 2], lambda number: __import__("no_such_module")))
