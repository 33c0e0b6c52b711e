"""A page that was started without a model offers none of what only a model can do."""

from __future__ import annotations

import pytest

from whatchanged.page.app import build, examples
from whatchanged.page.comparing import Models
from whatchanged.page.sessions import Sessions


@pytest.mark.parametrize("describer", [None, "a folder"])
def test_the_method_of_a_model_needs_one(tmp_path, describer):
    page = build(Models(describer), Sessions(tmp_path), *examples())
    parts = [one["props"] for one in page.config["components"]]
    ways = [[label for label, _ in one["choices"]] for one in parts if one.get("label") == "How to compare"]
    assert len(ways) == 2, "of two pictures and of many pairs"
    assert all(("T-BLIP2" in labels) == (describer is not None) for labels in ways)
    told = " ".join(str(one.get("info")) for one in parts)
    assert ("T-BLIP2" in told) == (describer is not None)
