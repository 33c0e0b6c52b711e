"""What is not installed is told with the extra that brings it; what is broken is not taken for missing."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from whatchanged.__main__ import main
from whatchanged.extras import how_to_install, needed
from whatchanged.page.app import examples
from whatchanged.page.batch import batch, found_in
from whatchanged.page.comparing import Models, Settings, describe, see

ABSENT = ("torch", "torchvision", "safetensors", "transformers", "scipy")


@pytest.fixture
def without_models(monkeypatch):
    """As where the extra `models` is not installed: its modules are not found, nor what was imported with them."""

    class Absent:
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] in ABSENT:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    for name in [one for one in sys.modules if one.split(".")[0] in ABSENT or one.startswith("whatchanged.models.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])


@pytest.fixture
def pair(tmp_path):
    for name in ("x_before.png", "x_after.png"):
        Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(tmp_path / name)
    return tmp_path


def test_commands_name_the_extra(without_models, pair, capsys):
    files = [str(pair / f"x_{side}.png") for side in ("before", "after")]
    assert main(["diff", *files, "--method", "features"]) == 2
    told = (
        'whatchanged: this needs torch, which is not installed: pip install ".[models]" in the folder of the package\n'
    )
    assert capsys.readouterr().err == told
    assert main(["diff", "--pairs", str(pair), "--output-dir", str(pair / "out"), "--method", "features"]) == 2
    assert capsys.readouterr().err.endswith(told), "it is missing for all pairs, and no fault of one"


def test_the_page_compares_without_models(without_models, pair):
    (row,) = batch(found_in(pair, None), pair, Settings(), Models(), pair / "pages")
    assert (row.record["state"], row.record["regions"], row.record["words"]) == ("compared", [], "")
    seen = see(pair / "x_before.png", pair / "x_after.png", Settings(), Models())
    assert "start the page with --model-path" in describe(seen, Settings(), Models()).why
    assert ".[models]" in describe(seen, Settings(), Models("somewhere")).why
    with pytest.raises(ValueError, match="start the page with --defect-model"):
        _ = Models().defects


def test_what_is_broken_is_not_missing():
    assert how_to_install(ImportError("cannot import name 'x' from 'torch'", name="torch")) == ""
    assert "apt-get install libgl1" in how_to_install(ImportError("libGL.so.1: cannot open shared object file"))
    with pytest.raises(ImportError, match="cannot import name"), needed():
        from torch import no_such_name  # noqa: F401


def test_the_page_has_its_examples():
    pairs, walls = examples()
    assert list(pairs) == ["scene, one change", "scene, nothing changed", "coffee, the camera moved", "cat, edited"]
    assert len(walls) == 4
    assert all(Image.open(path).size for path in [*sum(pairs.values(), []), *walls])
