"""What a random split of crops flatters: kept as it was trained, and told when code has changed."""

from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import pytest
from hashed import not_hashed

from course import leak
from course.__main__ import main
from course.kept_results import read_kept
from helpers import surfaces
from whatchanged.images import write_image

ROWS = leak.divisions()
# What reads, keeps, or only shows; `dividing_code` leaves it out.
PLUMBING = {f"whatchanged.{name}" for name in ("devices", "files", "images", "kept", "pictures", "progress")}
PLUMBING |= {f"whatchanged.training.{name}" for name in ("checkpoints", "history", "reading", "sending")}
PLUMBING |= {"helpers.datasets", "helpers.splits"}
PLUMBING_OF_FIT = {("whatchanged.training.fit", name) for name in ("_refuse", "_memory")}


@pytest.fixture(scope="module")
def walls(tmp_path_factory):
    """Thirty generated walls, half of them cracked, the first of them twice."""
    folder = tmp_path_factory.mktemp("walls")
    for name in ("Positive", "Negative"):
        (folder / name).mkdir()
    for index in range(30):
        made = surfaces.surface(0, index, size=128)
        write_image(folder / ("Positive" if made.cracked else "Negative") / f"{index}.png", made.image)
    write_image(folder / "Negative" / "twin.png", surfaces.surface(0, 0, size=128).image)
    return folder


def test_four_crops_make_up_each_photograph_and_twins_are_one_group(walls):
    crops, groups = leak.crops_of(walls)
    assert crops.images.shape == (124, 64, 64, 3)
    assert (groups.reshape(4, 31) == groups[:31]).all()
    assert len(np.unique(groups)) == 30
    first = [surfaces.surface(0, index, size=128).image for index in range(0, 30, 2)]
    quarters = crops.images[crops.labels == 0].reshape(4, 16, 64, 64, 3)
    rows = [np.concatenate(quarters[at : at + 2], axis=2) for at in (0, 2)]
    whole = np.concatenate(rows, axis=1)
    assert all(any((one == photograph).all() for one in whole) for photograph in first)


def test_rows_differ_in_start_and_split_alone():
    assert [(one.start, one.by_walls) for one in ROWS.values()] == [
        ("ImageNet", True),
        ("ImageNet", False),
        ("random", True),
        ("random", False),
    ]
    assert len({replace(one, start="ImageNet", by_walls=True) for one in ROWS.values()}) == 1


def test_by_walls_no_wall_is_on_both_sides(walls, monkeypatch):
    """At random most are; what is judged is never what was learned, either way."""
    shared = {}

    def divide(train, images, parts):
        _, groups = leak.crops_of(walls)
        assert np.array_equal(np.sort(np.concatenate([judged for _, judged in parts])), np.arange(len(images)))
        assert not any(set(learned) & set(judged) for learned, judged in parts)
        shared[name] = [len(set(groups[learned]) & set(groups[judged])) for learned, judged in parts]
        return np.ones(len(images), bool)

    monkeypatch.setattr(leak.evaluation, "cross_validated", divide)
    for name in ("ImageNet, by walls", "ImageNet, at random"):
        assert leak.divided_accuracy(ROWS[name], 0, walls)["accuracy"] == 1
    assert max(shared["ImageNet, by walls"]) == 0
    assert min(shared["ImageNet, at random"]) > 5


def test_a_setting_makes_the_hash_another_one():
    plain = ROWS["ImageNet, by walls"]
    others = {"by_walls": False, "start": "random", "folds": 3, "epochs": 1, "batch": 8, "rate": 0.1}
    assert others.keys() == asdict(plain).keys()
    digests = {leak.division_digest(replace(plain, **{name: value})) for name, value in others.items()}
    assert len(digests | {leak.division_digest(plain)}) == len(others) + 1


def test_the_command_refuses_what_it_cannot_use(capsys, tmp_path):
    assert main(["leak", str(tmp_path), "--rows", "by wall"]) == 2
    assert "there is no row 'by wall': choose from 'ImageNet, by walls'" in capsys.readouterr().err
    assert main(["leak", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_what_is_kept_is_complete_and_current():
    """Where this fails: `python -m course leak DIR` trains what is missing or stale."""
    kept = read_kept(leak.LEAK_FILE)
    wanted = {(name, seed) for name in ROWS for seed in leak.LEAK_SEEDS}
    assert Counter((one["row"], one["seed"]) for one in kept) == dict.fromkeys(wanted, 1)
    for one in kept:
        assert one["settings"] == asdict(ROWS[one["row"]])
        assert one["digest"] == leak.division_digest(ROWS[one["row"]]), one["row"]


def test_the_leak_is_as_large_as_the_notebook_says():
    kept = {(one["row"], one["seed"]): one["accuracy"] for one in read_kept(leak.LEAK_FILE)}
    flattered = {
        start: [kept[f"{start}, at random", seed] - kept[f"{start}, by walls", seed] for seed in leak.LEAK_SEEDS]
        for start in ("ImageNet", "random")
    }
    assert min(flattered["ImageNet"]) > 0.01
    assert np.mean(flattered["ImageNet"]) == pytest.approx(0.025, abs=0.005)
    assert min(flattered["random"]) < 0 < max(flattered["random"]), "the two can be told apart"


@pytest.mark.process
def test_all_code_that_runs_in_a_training_is_in_the_hash(walls):
    """Every function of the houses that runs between a seed and a score is hashed, or is known to be plumbing."""
    small, found = replace(ROWS["ImageNet, by walls"], epochs=1, folds=2), {}
    leak.crops_of(walls)  # which reads files

    def run():
        found.update(leak.divided_accuracy(small, 0, walls))

    assert not_hashed(leak.dividing_code(), run, PLUMBING) <= PLUMBING_OF_FIT | {("course.leak", "train")}
    assert found.keys() == {"accuracy", "seconds"}
