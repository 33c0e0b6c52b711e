"""A function that describes pairs, over a folder of them."""

from __future__ import annotations

import cv2
import numpy as np

from helpers import captioned


def test_pairs_of_a_folder_are_described(tmp_path):
    for name, light in (("a_before", 10), ("a_after", 200), ("b_before", 10), ("c_before", 10)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((20, 30, 3), light, np.uint8))
    (tmp_path / "b_after.png").write_text("this is no image")

    def describe(before, after):
        return f"from {before[0, 0, 0]} to {after[0, 0, 0]}", after.max() > 100

    table = captioned.describe_pairs(describe, tmp_path, tmp_path / "out.csv")
    assert table.before.tolist() == ["a_before.png", "b_before.png", "c_before.png"]
    assert table.caption.tolist() == ["from 10 to 200", "", ""]
    assert table.unlike.tolist()[0]
    assert table.unlike.isna().tolist() == [False, True, True]
    assert table.error[0] == ""
    assert "b_after.png is not an image" in table.error[1]
    assert table.error[2] == "there is no c_after.png"
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 4
