"""Notebook 03's ladder: one change a rung, kept as it was trained, and told when its code or a setting has changed."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, fields, replace

import pytest
import torch
from hashed import not_hashed
from support import ROOT

from course import ladder
from course.__main__ import main
from course.kept_results import read_kept
from whatchanged.models import dbt_resnet50

RUNGS = ladder.rungs()
FORM = ("strides", "compare", "window", "dropout")
# What hands on, unchanged, what it gets, or only keeps and shows; `deciding` leaves it out.
PLUMBING = {"helpers.datasets", *(f"whatchanged.{name}" for name in ("devices", "kept", "pictures", "progress"))}
PLUMBING |= {f"whatchanged.training.{name}" for name in ("checkpoints", "history", "reading", "sending")}
PLUMBING_OF_FIT = {("whatchanged.training.fit", name) for name in ("_refuse", "_memory")}
OWN = {("course.ladder", "__init__")}  # of `Rung`, which are hashed by their values


def differing(one, other):
    return [field.name for field in fields(one) if getattr(one, field.name) != getattr(other, field.name)]


def test_each_rung_differs_from_the_one_before_by_one_thing():
    names = list(ladder.LADDER)
    for before, after in zip(names, names[1:], strict=False):
        assert differing(RUNGS[before], RUNGS[after]) == list(ladder.LADDER[after]), after
        assert len(ladder.LADDER[after]) == 1, after
    for name, (base, change) in ladder.BESIDE.items():
        assert differing(RUNGS[base], RUNGS[name]) == list(change), name
        assert len(change) == 1, name


def test_every_rung_shows_all_its_pairs_equally_often():
    for settings in RUNGS.values():
        for one in (settings, ladder.shortened(settings)):
            assert one.seen % one.pairs == 0
            assert one.pairs % one.batch == 0, "a last batch that is smaller would be one more thing that differs"


def test_it_leads_from_the_original_form_to_that_of_the_course():
    first, last = (RUNGS[name] for name in (next(iter(ladder.LADDER)), list(ladder.LADDER)[-1]))
    assert {name: getattr(first, name) for name in FORM} == dbt_resnet50.FORMS["original"]
    assert {name: getattr(last, name) for name in FORM} == dbt_resnet50.FORMS["course"]
    cells = json.loads((ROOT / "notebooks" / "03_dbt_resnet50.ipynb").read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells)
    assert f'most = {{"train": {first.pairs}, ' in code
    assert f'options = always | {{"epochs": {first.seen // first.pairs}, "batch_size": {first.batch}}}' in code
    assert "BATCH_SIZE = 16" in code
    assert last.batch == 16


def test_zero_init_and_block_change_what_they_say_and_nothing_else():
    weights = {}
    for name in ("1,600 pairs, not 800", "without zero-init", "without the DBT block"):
        torch.manual_seed(0)
        weights[name] = ladder.network(RUNGS[name]).state_dict()
    usual, noisy, plain = weights.values()
    changed = [name for name in usual if not torch.equal(usual[name], noisy[name])]
    assert len(changed) == 7, "layer1 and layer2 of ResNet50 have three blocks and four"
    assert {name.split(".")[-2] for name in changed} == {"bn3"}
    assert all((noisy[name] == 1).all() for name in changed)
    assert not any("dynamic" in name for name in plain)
    same = {name for name in plain if name in usual and torch.equal(usual[name], plain[name])}
    assert {name for name in usual if not name.startswith("block.")} - same == set()


def test_a_setting_makes_the_hash_another_one():
    settings = RUNGS["compare, then average"]
    plain = ladder.current_digest(settings)
    others = {"pairs": 320, "seen": 320, "batch": 8, "side": 64, "window": 0.5, "strides": (8,), "compare": "pooled"}
    others |= {"aligned": False, "dropout": 0.1, "optimizer": "published", "varied": True, "zero_init": False}
    others |= {"block": False, "validation": 10}
    assert others.keys() == asdict(settings).keys()
    digests = {ladder.current_digest(replace(settings, **{name: value})) for name, value in others.items()}
    assert len(digests | {plain}) == len(others) + 1


@pytest.mark.process
def test_code_that_decides_makes_it_stale_and_a_comment_does_not(tmp_path):
    """In a copy of the houses, for what is imported here must stay as it is."""
    for house in ("course", "helpers", "whatchanged"):
        shutil.copytree(ROOT / house, tmp_path / house, ignore=shutil.ignore_patterns("__pycache__"))
    ask = "from course import ladder; print(ladder.current_digest(ladder.Rung()))"

    def after(path="course/ladder.py", old="", new=""):
        source = (ROOT / path).read_text()
        assert source.count(old) == 1 or not old
        (tmp_path / path).write_text(source.replace(old, new) if old else source)
        done = subprocess.run([sys.executable, "-c", ask], cwd=tmp_path, capture_output=True, text=True, check=True)
        shutil.copyfile(ROOT / path, tmp_path / path)
        return done.stdout

    plain, model = after(), "whatchanged/models/dbt_resnet50.py"
    assert plain.strip() == ladder.current_digest(ladder.Rung())
    assert after(model, "# each comparison also gets", "# every comparison gets") == plain
    assert after("course/ladder.py", "train_accuracy']:.3f}", "train_accuracy']:.4f}") == plain, "how it is told"
    for path, old, new in (
        (model, "zero_init_residual=True", "zero_init_residual=False"),
        ("helpers/scenes.py", "gain=1.12, noise=8)", "gain=1.12, noise=9)"),
        ("whatchanged/training/losses.py", "rise: float = 0.3", "rise: float = 0.2"),
        ("course/ladder.py", "lr=0.0015", "lr=0.001"),
    ):
        assert after(path, old, new) != plain, path


@pytest.mark.process
def test_all_code_that_runs_in_a_training_is_in_the_hash():
    """Every function of the houses that runs between a seed and an accuracy is hashed, or is known to be plumbing."""
    small = replace(RUNGS["again twice as long"], pairs=32, seen=32, validation=16)

    def run():
        ladder.trained(small, seed=5)
        ladder.trained(replace(small, optimizer="published"), seed=5)

    assert not_hashed(ladder.deciding(), run, PLUMBING) <= PLUMBING_OF_FIT | OWN


@pytest.mark.process
def test_a_run_that_was_stopped_goes_on_and_trains_nothing_twice(tmp_path):
    path, told = tmp_path / "results" / "ladder.json", []
    asked = {"names": ["original recipe"], "short": True}

    def stop(line):
        told.append(line)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ladder.climb(path, **asked, seeds=(0, 1), announce=stop)
    (first,) = read_kept(path)
    kept = ladder.climb(path, **asked, seeds=(0, 1), announce=told.append)
    assert [one["seed"] for one in kept] == [0, 1]
    assert json.loads(json.dumps(kept)) == read_kept(path)
    assert read_kept(path)[0] == first, "it was not trained again"
    assert len(told) == 2
    ladder.climb(path, **asked, seeds=(0,), announce=told.append)
    assert json.loads(json.dumps(kept)) == read_kept(path), "the other seed stays"
    assert len(told) == 2
    stale = [first | {"digest": "old"}, kept[1]]
    path.write_text(json.dumps(stale))
    assert ladder.climb(path, **asked, seeds=(0,), announce=told.append)[0]["digest"] == first["digest"]
    assert len(told) == 3
    path.write_text(path.read_text()[:-20])
    with pytest.raises(ValueError, match="is no JSON"):
        ladder.climb(path, **asked, seeds=(0,))


def test_the_command_refuses_a_rung_that_there_is_not(capsys):
    assert main(["ladder", "03", "--rungs", "a windwo"]) == 2
    assert "there is no rung 'a windwo': choose from 'original recipe'" in capsys.readouterr().err


def test_what_is_kept_is_complete_and_current():
    """Where this fails: `python -m course ladder 03` trains what is missing or stale."""
    kept = read_kept(ladder.LADDER_FILE)
    wanted = {(name, form, seed) for name in RUNGS for form in ("short", "whole") for seed in ladder.SEEDS}
    assert Counter((one["rung"], one["form"], one["seed"]) for one in kept) == dict.fromkeys(wanted, 1)
    for one in kept:
        settings = ladder.shortened(RUNGS[one["rung"]]) if one["form"] == "short" else RUNGS[one["rung"]]
        assert one["settings"] == json.loads(json.dumps(asdict(settings)))
        assert one["digest"] == ladder.current_digest(settings), one["rung"]
        assert 0 < one["val_accuracy"] <= 1
        assert one["seconds"] > 0
        assert one["processor"]
        assert (one["threads"], one["date"][:2]) == (1, "20")


@pytest.mark.process
def test_a_short_form_trained_now_lies_where_the_kept_ones_expect_it():
    settings = ladder.shortened(RUNGS[ladder.LIVE])
    low, high = ladder.expectation(read_kept(ladder.LADDER_FILE))
    assert high - low < 0.3, "an interval that holds anything would hold nothing"
    assert low <= ladder.trained(settings, seed=ladder.SEEDS[-1])["val_accuracy"] <= high
