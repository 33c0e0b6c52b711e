"""`python -m course` as a teacher types it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import assert_help

from course import executing, running, website
from course.__main__ import main, parser
from course.notebooks import NOTEBOOKS, select
from course.parameters import declared


def test_train_runs_a_notebook_with_its_parameters(monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(running, "run", lambda *given: ran.append(given) or 0)
    assert main(["train", "02", "--epochs", "3", "--data-dir", "mine", "--build", "out"]) == 0
    assert ran == [("02_resnet18_defects", {"EPOCHS": "3", "DATA_DIR": "mine"}, Path("out"))]
    launched = []
    monkeypatch.setattr(running, "launch_processes", lambda *given: launched.append(given) or 0)
    assert main(["train", "02", "--processes", "2", "--data-dir", "mine", "--build", "out"]) == 0
    arguments = ["train", "02_resnet18_defects", "--build", str(Path("out").absolute()), "--data-dir=mine"]
    assert launched == [(select("02")[0], 2, arguments)]
    assert main(["train", "02", "--processes", "0"]) == 2
    assert "--processes is 0: give 1 or more" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main(["train", "02", "--epohs", "3"])
    assert stopped.value.code == 2
    assert "unrecognized arguments: --epohs 3" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main(["train", "02", "--help"])
    assert stopped.value.code == 0
    help_ = " ".join(capsys.readouterr().out.split())
    for name, one in declared(select("02")[0]).items():
        assert f"--{name.lower().replace('_', '-')} VALUE" in help_
        assert f"{one.comment} ({one.default!r})" in help_
    assert "of fine-tuning, 1 or more" in help_
    assert main(["train", "07"]) == 2
    assert "no notebook begins with '07'" in capsys.readouterr().err
    assert main(["train", "0"]) == 2
    assert "is how 6 notebooks begin: name one" in capsys.readouterr().err


def test_dashes_and_underscores_are_the_same(monkeypatch):
    """As T-BLIP2's users type them; a value keeps what it has."""
    ran = []
    monkeypatch.setattr(running, "run", lambda *given: ran.append(given) or 0)
    flags = ["eval_every", "eval_samples", "early_stopping_patience", "gradient_accumulation_steps"]
    flags += ["max_test_samples", "batch_size", "max_clusters", "dbscan_min_samples"]
    numbers = {**dict.fromkeys(flags, "8"), "aln_weight_itm": "0.5", "aln_weight_itc": "1.5"}
    numbers |= {"eval_cider": "True", "eval_spice": "False", "checkpointing": "True"}
    expected = {name.upper(): value for name, value in numbers.items()} | {"DATA_DIR": "my_own_data"}
    for spelled in (str, lambda name: name.replace("_", "-")):
        words = [word for name, value in numbers.items() for word in (f"--{spelled(name)}", value)]
        assert main(["train", "05", *words, f"--{spelled('data_dir')}=my_own_data"]) == 0
        _, given, _ = ran.pop()
        assert given == expected
    usual = {name: one.default for name, one in declared(select("05")[0]).items()}
    assert (usual["EVAL_EVERY"], usual["EVAL_SAMPLES"], usual["EARLY_STOPPING_PATIENCE"]) == (1, 200, 5)
    assert (usual["GRADIENT_ACCUMULATION_STEPS"], usual["CHECKPOINTING"], usual["MAX_TEST_SAMPLES"]) == (1, False, None)


@pytest.mark.parametrize(
    ("arguments", "jobs"),
    [
        ([], [4, 2, 1]),
        (["--jobs", "3"], [3, 3, 3]),
        (["--save"], [1, 1, 1]),
        (["--profile", "full"], [1, 1, 1]),
        (["--solutions"], [1, 1, 1]),
        (["-p", "PROFILE", "full"], [1, 1, 1]),
    ],
)
def test_course_takes_several_notebooks_at_a_time_in_the_quick_profile(monkeypatch, arguments, jobs):
    ran = []
    monkeypatch.setattr(running, "run", lambda *_, **options: ran.append(options["jobs"]) or 0)
    for cores in (9, 2, 1):
        monkeypatch.setattr(executing, "cores", lambda cores=cores: cores)
        assert main(["run", *arguments]) == 0
    assert ran == jobs


def test_site(tmp_path, capsys, monkeypatch):
    built = []
    monkeypatch.setattr(website, "build", lambda notebooks, target: built.append((notebooks, target)) or [])
    assert main(["site", "--build", str(tmp_path)]) == 0
    assert built == [(website.pages_of(NOTEBOOKS), tmp_path / "site")]
    assert str(tmp_path / "site" / "index.html") in capsys.readouterr().out


@pytest.mark.parametrize("command", ["run", "train", "sweep", "site"])
def test_every_command_has_help(command, capsys):
    assert_help(parser(), command, capsys)
