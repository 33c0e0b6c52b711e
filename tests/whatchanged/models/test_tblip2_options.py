"""TBLIP2Options: what models that exist hold in their folders, and what cannot be built."""

from __future__ import annotations

import pytest

from whatchanged.models.tblip2_options import TBLIP2Options

# As `save_pretrained` wrote it before the options were a class of their own.
SAVED = """{
  "streams": "one",
  "clusters": true,
  "max_clusters": 5,
  "eps": 3.5,
  "min_samples": 8,
  "threshold_percentile": 98.5,
  "feature_weight": 0.0,
  "freeze_vision": false,
  "lora": 0,
  "checkpointing": false,
  "align_dim": 64,
  "prompt": "Diff: "
}
"""


def test_models_that_exist_are_read_and_new_ones_written_alike(tmp_path):
    options = TBLIP2Options(streams="one", min_samples=8, freeze_vision=False, lora=0, align_dim=64)
    options.save(tmp_path)
    assert (tmp_path / "options.json").read_text() == SAVED
    assert TBLIP2Options.load(tmp_path) == options


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"streams": "three"}, "streams is 'three': choose 'two' or 'one'"),
        ({"feature_weight": 1.5}, r"feature_weight is 1.5: give 0 \(pixels only\) to 1 \(features only\)"),
        ({"feature_weight": -0.1}, "feature_weight is -0.1"),
    ],
)
def test_what_cannot_be_built_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        TBLIP2Options(**changes)
