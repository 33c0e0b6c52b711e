"""The exit status where some change is allowed."""

from __future__ import annotations

import numpy as np
import pytest
from support import save_picture

from whatchanged.__main__ import main
from whatchanged.commands.limits import limit


@pytest.fixture
def pair(tmp_path):
    """200 of 20,000 pixels differ: 1 %."""
    before = np.full((100, 200, 3), 240, np.uint8)
    after = before.copy()
    after[10:20, 30:50] = (200, 0, 0)
    return [str(save_picture(tmp_path / f"{name}.png", one)) for name, one in (("a", before), ("b", after))]


@pytest.mark.parametrize(
    ("allowed", "status"),
    [("199px", 1), ("200px", 0), ("0px", 1), ("0.99%", 1), ("1%", 0), ("1.5%", 0), ("0%", 1), ("100%", 0)],
)
def test_more_than_the_limit_is_a_difference(pair, allowed, status):
    assert main([*pair, "--fail-above", allowed]) == status
    assert main([pair[0], pair[0], "--fail-above", allowed]) == 0


def test_the_share_is_of_what_is_compared(pair):
    assert main([*pair, "--ignore", "100,0,100,100", "--fail-above", "1.9%"]) == 1
    assert main([*pair, "--ignore", "100,0,100,100", "--fail-above", "2%"]) == 0
    assert main([*pair, "--ignore", "30,10,20,10", "--fail-above", "0%"]) == 0


@pytest.mark.parametrize("text", ["5", "px", "%", "-1px", "1e999%", "101%", "nan%", "5 %%", "five%"])
def test_what_is_no_limit(text):
    with pytest.raises(ValueError, match="give a share as 0.1%, or pixels as 50px"):
        limit(text)


def test_a_limit_that_is_none_is_told_before_anything_is_read(capsys):
    assert main(["nowhere.png", "nowhere.png", "--fail-above", "some"]) == 2
    assert capsys.readouterr().err == ("whatchanged: --fail-above some: give a share as 0.1%, or pixels as 50px\n")
