"""Notebook 04's ablation: one part less a row, five seeds, kept as it was trained, and told when code has changed."""

import json
from collections import Counter
from dataclasses import asdict, fields, replace

import numpy as np
import pytest
from hashed import not_hashed
from scipy.stats import t
from support import ROOT

from course import branches
from course.__main__ import main
from course.kept_results import read_kept

ROWS = branches.designs()
WHOLE = ROWS["both, attention"]
# What reads, keeps, or only shows; `deciding_code` leaves it out.
PLUMBING = {f"whatchanged.{name}" for name in ("files", "pictures", "progress")}
PLUMBING |= {"helpers.evaluation.scores"}


@pytest.fixture(scope="module")
def kept():
    return read_kept(branches.DESIGNS_FILE)


def test_each_row_is_a_part_of_the_network():
    assert [(one.resnet, one.cnn, one.attention) for one in ROWS.values()] == [
        (True, False, False),
        (False, True, False),
        (True, True, False),
        (True, True, True),
    ]
    others = [one.name for one in fields(WHOLE) if one.name not in ("resnet", "cnn", "attention")]
    assert all(getattr(one, name) == getattr(WHOLE, name) for one in ROWS.values() for name in others)


def test_it_is_the_network_that_the_notebook_trains():
    cells = json.loads((ROOT / "notebooks" / "04_keras_dual_attention.ipynb").read_text())["cells"]
    code = "".join("".join("".join(cell["source"]) for cell in cells).split())
    for wanted in (
        f'"EPOCHS": {WHOLE.epochs}, "WEIGHTS": None, "IMAGE_SIZE": {WHOLE.size}, "STRIDE": {WHOLE.stride}',
        f'"BATCH_SIZE": {WHOLE.batch}, "LEARNING_RATE": {WHOLE.rate}, "DECAY": {WHOLE.decay}',
        f"surfaces.surfaces(SEED, {WHOLE.surfaces}, size=size)",
        "splits.stratified(images.labels, SEED, (4 / 7, 1 / 14, 5 / 14))",
        "keras.optimizers.Adam(settings.LEARNING_RATE), bool(dual.GPUS)",
        '"ResNet50 alone": {"cnn": False, "attention": False}',
        '"CNN alone": {"resnet": False, "attention": False}',
        'parts_of["both, no attention"] = {"attention": False}',
        'fit("both_attention")',
    ):
        assert "".join(wanted.split()) in code, wanted


def test_a_setting_makes_the_hash_another_one():
    others = {"resnet": False, "cnn": False, "attention": False, "size": 96, "stride": 16, "surfaces": 280}
    others |= {"epochs": 1, "batch": 8, "rate": 0.1, "decay": 1.0}
    assert others.keys() == asdict(WHOLE).keys()
    digests = {branches.design_digest(replace(WHOLE, **{name: value})) for name, value in others.items()}
    assert len(digests | {branches.design_digest(WHOLE)}) == len(others) + 1


def test_the_command_refuses_a_row_that_there_is_not(capsys):
    assert main(["ablation", "04", "--rows", "attention alone"]) == 2
    assert "there is no row 'attention alone': choose from 'ResNet50 alone'" in capsys.readouterr().err


def test_what_is_kept_is_complete_and_current(kept):
    """Where this fails: `python -m course ablation 04` trains what is missing or stale."""
    wanted = {(name, seed) for name in ROWS for seed in branches.DESIGN_SEEDS}
    assert Counter((one["row"], one["seed"]) for one in kept) == dict.fromkeys(wanted, 1)
    for one in kept:
        assert one["settings"] == asdict(ROWS[one["row"]])
        assert one["digest"] == branches.design_digest(ROWS[one["row"]]), one["row"]
        assert 0.5 < one["accuracy"] <= 1
        assert one["seconds"] > 0


def test_the_parts_are_worth_what_the_notebook_says(kept):
    """The words that follow the table of notebook 04."""
    of = {
        measure: {name: np.array([one[measure] for one in kept if one["row"] == name]) for name in ROWS}
        for measure in ("accuracy", "near", "near, untrained")
    }

    def interval(measure, one, other):
        """Welch's, by his formula, wide enough for six questions."""
        a, b = of[measure][one], of[measure][other]
        errors = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
        freedom = sum(errors) ** 2 / (errors[0] ** 2 / (len(a) - 1) + errors[1] ** 2 / (len(b) - 1))
        wide = t.ppf(1 - 0.05 / 12, freedom) * sum(errors) ** 0.5
        return a.mean() - b.mean() - wide, a.mean() - b.mean() + wide

    pairs = [("both, attention", "both, no attention"), ("both, no attention", "CNN alone")]
    pairs += [("both, no attention", "ResNet50 alone")]
    for measure in ("accuracy", "near"):
        for pair in pairs:
            low, high = interval(measure, *pair)
            assert low < 0 < high, "told apart"
    assert max(map(abs, interval("accuracy", *pairs[0]))) < 0.01
    assert np.ptp(of["accuracy"]["ResNet50 alone"]) > 0.015
    assert min(of["accuracy"]["both, attention"]) >= 0.98, "the notebook's bound is 0.97"
    assert min(of["near"]["both, attention"]) >= 0.93, "the notebook's bound is 0.9"
    trained, untrained = (of[measure]["both, attention"].mean() for measure in ("near", "near, untrained"))
    assert trained > untrained + 0.05
    assert (of["near"]["both, attention"] > of["near, untrained"]["both, attention"]).all()


@pytest.mark.process
def test_all_code_that_runs_in_a_training_is_in_the_hash():
    """Every function of the houses that runs between a seed and a score is hashed, or is known to be plumbing."""
    small, found = replace(WHOLE, surfaces=140, epochs=1), {}
    branches._parts(small.surfaces, small.size)  # which writes files and reads them, unchanged

    def run():
        found.update(branches.trained_design(small, seed=5))

    assert not_hashed(branches.deciding_code(), run, PLUMBING) <= {
        ("course.branches", "near"),
        ("helpers.datasets", "picture"),
    }
    assert found.keys() == {"accuracy", "ROC AUC", "near", "near, untrained", "seconds"}
