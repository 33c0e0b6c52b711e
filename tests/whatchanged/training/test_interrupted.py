"""A run of the same parameters that never came to its end goes on; any other begins anew."""

from __future__ import annotations

import json

from whatchanged.training import finished, interrupted


def test_only_what_never_ended_with_the_same_parameters_goes_on(tmp_path):
    first = {"epochs": 3, "itc": ((0, 1.5), (4, 1.0)), "data": None}
    folder = tmp_path / "new" / "run"
    assert not interrupted(folder, first), "nothing was begun"
    assert interrupted(folder, first)
    assert interrupted(folder, first), "killed twice"
    assert not interrupted(folder, first | {"epochs": 4})
    assert json.loads((folder / "running.json").read_text())["epochs"] == 4, "of that one it is now"
    assert not interrupted(folder, first)
    finished(folder)
    assert not interrupted(folder, first), "it was through"
    finished(folder)
    finished(folder)
