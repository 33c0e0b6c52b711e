"""A detector and a fusion layer of one's own: they train, and come back with the model or are named as missing."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from own_parts import Gate, Quarters
from support import ROOT, SCRIPTS
from tiny_tblip2 import sides, small

from whatchanged.models.describer import Describer
from whatchanged.models.parts import register_fusion
from whatchanged.models.tblip2 import EnhancedDiffBLIP2
from whatchanged.models.tblip2_options import TBLIP2Options


def test_parts_of_ones_own_train(pairs):
    model = small(pairs, detector="quarters", fusion="gate").train()
    assert isinstance(model.diff_detector, Quarters)
    prepared = model.prepare(pairs[1].before, pairs[1].after)
    assert set(prepared) == {"before", "after", "map"}, "it looks for its places itself"
    loss = model(*sides(pairs), [pair.captions[0] for pair in pairs])
    assert "words" in loss.parts
    loss.backward()
    for one in (model.diff_detector.look.weight, model.fusion_layer.share):
        assert one.grad.abs().sum() > 0
    visual = model.eval().visual(*sides(pairs))
    assert visual.prefix.shape[1] == 2 + 2 + 2 + 4 * 3, "two pictures, their difference, four places of three views"
    assert not visual.detected.present[0].any(), "nothing changed there"
    assert torch.isfinite(visual.prefix).all()


def test_a_model_with_them_describes_and_shows_the_clusters_of_its_map(pairs, tmp_path):
    folder = small(pairs, detector="quarters").save_pretrained(tmp_path)
    plain = Describer(small(pairs).save_pretrained(tmp_path / "plain"))
    describe, (before, after) = Describer(folder, max_new_tokens=4), (pairs[2].before, pairs[2].after)
    assert isinstance(describe(before, after), str)
    assert np.array_equal(describe.difference(before, after).boxes, plain.difference(before, after).boxes)


LOAD = """
import sys, torch
sys.path[:0] = {paths}
{first}
from whatchanged.models.tblip2 import EnhancedDiffBLIP2
model = EnhancedDiffBLIP2.from_pretrained({folder!r})
print(type(model.diff_detector).__name__, type(model.fusion_layer).__name__, model.fusion_layer.share.sum().item())
"""


@pytest.mark.process
def test_they_come_back_in_a_fresh_process_or_are_named(pairs, tmp_path):
    """Also those that were put into a model without an option."""
    model = small(pairs)
    model.diff_detector, model.fusion_layer = Quarters(64), Gate(64, start=0.5)
    model.save_pretrained(tmp_path)

    def load(first):
        paths = [str(ROOT), str(SCRIPTS)]
        code = LOAD.format(paths=paths, first=first, folder=str(tmp_path))
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    done = load("import own_parts")
    assert done.stdout.split() == ["Quarters", "Gate", "32.0"], done.stderr
    done = load("")
    assert done.returncode != 0
    assert (
        "the detector 'quarters' is missing: import the module that calls register_detector('quarters'," in done.stderr
    )


def test_what_could_not_come_back_is_not_saved(pairs, tmp_path):
    class Other(torch.nn.Module):
        def forward(self, tokens):
            return tokens

    model = small(pairs)
    model.fusion_layer = Other()
    with pytest.raises(ValueError, match="no registered fusion is built as this Other, so the model could not be load"):
        model.save_pretrained(tmp_path / "other")
    model.fusion_layer = Gate(32)
    with pytest.raises(ValueError, match="no registered fusion is built as this Gate"):
        model.save_pretrained(tmp_path / "other")
    assert not (tmp_path / "other").exists()
    with pytest.raises(ValueError, match="'attention' is the course's own fusion: give yours another name"):
        register_fusion("attention", lambda dim, options: Gate(dim))
    with pytest.raises(ValueError, match="the fusion 'absent' is missing: .*; registered are attention, gate"):
        small(pairs, fusion="absent")


def test_saving_draws_nothing_at_random(pairs, tmp_path):
    model, state = small(pairs), torch.get_rng_state()
    model.save_pretrained(tmp_path)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_options_name_only_parts_of_ones_own(tmp_path):
    TBLIP2Options(fusion="gate").save(tmp_path)
    text = (tmp_path / "options.json").read_text()
    assert '"fusion": "gate"' in text
    assert "detector" not in text
    assert TBLIP2Options.load(tmp_path) == TBLIP2Options(fusion="gate")


def test_from_pretrained_is_as_before_for_the_courses_own(pairs, tmp_path):
    model = EnhancedDiffBLIP2.from_pretrained(small(pairs).save_pretrained(tmp_path))
    assert model.options == small(pairs).options
