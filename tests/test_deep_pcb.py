"""The reader of DeepPCB, on a pair in its format."""

from __future__ import annotations

import pytest
from support import save_picture

from helpers.photographs import photograph
from tests.deep_pcb import deep_pcb

PHOTO = photograph("coffee")[:60, :80]


def test_deep_pcb_format(tmp_path):
    save_picture(tmp_path / "00041_temp.jpg", PHOTO)
    save_picture(tmp_path / "00041_test.jpg", PHOTO)
    (tmp_path / "00041.txt").write_text("10 20 40 50 3\n1 2 3 4 6\n\n")
    (board,) = deep_pcb(tmp_path)
    assert board.boxes.tolist() == [[10, 20, 30, 30], [1, 2, 2, 2]]
    assert board.kinds == ("mousebite", "pin-hole")
    (tmp_path / "00041.txt").write_text("10 20 40 50 3\n1 2 3 4 9\n")
    with pytest.raises(ValueError, match=r"00041.txt, line 2: '1 2 3 4 9'"):
        list(deep_pcb(tmp_path))
    with pytest.raises(ValueError, match="no DeepPCB pairs"):
        list(deep_pcb(tmp_path / "nowhere"))
