"""Paths that parameters name, opened at once; cells that a MODE leaves out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support import ROOT

from course import opening


def test_paths_count_from_the_callers_folder_or_from_notebooks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "mine").mkdir()
    assert opening.given("DATA_DIR", None, Path) is None
    for named in ("mine", "~/mine", tmp_path / "mine"):
        assert opening.given("DATA_DIR", named, Path) == tmp_path / "mine"
    assert opening.given("INBOX", "../helpers", Path) == ROOT / "helpers", "as seen from notebooks/"
    assert opening.given("WEIGHTS", "imagenet", str, words=["imagenet"]) == "imagenet"
    absent = re.escape(f"{tmp_path / 'nowhere'} nor {ROOT / 'notebooks' / 'nowhere'}")
    with pytest.raises(ValueError, match=f"INBOX is 'nowhere': there is no {absent}$"):
        opening.given("INBOX", "nowhere", Path)
    with pytest.raises(ValueError, match="DATA_DIR is '/nowhere': there is no /nowhere; python download_and_unzip.py"):
        opening.given("DATA_DIR", "/nowhere", Path)


@pytest.mark.parametrize(
    "name",
    ["20240115", "1e5", "007", "None", "Bob's photos", 'a "b"', "été", "1_000", "(1, 2)", " a", "~no one", "C:\\new"],
)
def test_a_folder_of_any_name_is_found(tmp_path, monkeypatch, name):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert opening.given("DATA_DIR", name, Path) == tmp_path / name


def test_what_the_reader_refuses_is_told_by_the_parameters_name(tmp_path):
    for error in (ValueError("it is empty"), OSError("it is empty"), ConnectionError("it is empty")):

        def refuse(path, error=error):
            raise error

        with pytest.raises(ValueError, match="^CHECKPOINT is '.*': it is empty$"):
            opening.given("CHECKPOINT", tmp_path, refuse)


def test_cells_are_left_out_in_mode_test_alone(capsys):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    cell = f"{opening.LEFT_OUT}\nprint('trained')"
    for mode, told in (("train", "trained\n"), ("test", 'left out: MODE is "test"\n'), ("train", "trained\n")):
        assert opening.testing(mode) == (mode == "test")
        shell.run_cell(cell)
        assert capsys.readouterr().out == told
    InteractiveShell.clear_instance()
