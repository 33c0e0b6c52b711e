"""What a command line says of `Options`."""

from __future__ import annotations

import argparse
from dataclasses import fields

import pytest

from whatchanged.__main__ import main
from whatchanged.commands.settings import add_settings, all_options, settings
from whatchanged.options import PRESETS, Options


def said(*arguments):
    command = argparse.ArgumentParser()
    add_settings(command)
    return settings(command.parse_args(arguments))


def test_what_is_not_said_is_as_usual():
    assert Options(**said()) == Options()


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_what_it_says(preset):
    assert said("--preset", preset) == PRESETS[preset]


def test_a_switch_goes_before_set_and_set_before_a_preset():
    assert said("--preset", "board")["sensitivity"] == 0.15
    assert said("--preset", "board", "--set", "sensitivity=2")["sensitivity"] == 2
    assert said("--preset", "board", "--set", "sensitivity=2", "--sensitivity", "3")["sensitivity"] == 3
    assert said("--preset", "board", "--sensitivity", "3")["tolerance"] == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("align=false", {"align": False}),
        ("align=Yes", {"align": True}),
        ("align=none", {"align": None}),
        ("one-sided=on", {"one_sided": True}),
        ("merge=30", {"merge": 30}),
        ("merge=none", {"merge": None}),
        ("sensitivity=1e-1", {"sensitivity": 0.1}),
        ("motion= perspective", {"motion": "perspective"}),
        ("weights=2024", {"weights": "2024"}),
        ("weights=a=b.pt", {"weights": "a=b.pt"}),
    ],
)
def test_a_value_has_the_type_of_its_option(text, expected):
    found = said("--set", text)
    assert found == expected
    assert list(map(type, found.values())) == list(map(type, expected.values()))


def test_boxes_and_a_mask():
    assert said("--ignore", "1,2,3,4", "--ignore", "5, 6, 7, 8", "--mask", "m.png") == {
        "ignore": [(1, 2, 3, 4), (5, 6, 7, 8)],
        "mask": "m.png",
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "algin=1"], "--set algin=1: give NAME=VALUE, with one of method, align"),
        (["--set", "align"], "--set align: give NAME=VALUE"),
        (["--set", "align=maybe"], "--set align=maybe: give true or false"),
        (["--set", "tolerance=1.5"], "--set tolerance=1.5: give a whole number"),
        (["--set", "tolerance=none"], "--set tolerance=none: give a whole number"),
        (["--set", "sensitivity=high"], "--set sensitivity=high: give a number"),
        (["--set", "motion=sideways"], "motion is 'sideways'"),
        (["--set", "ignore=1,2,3,4"], "--set ignore=1,2,3,4: give NAME=VALUE"),
        (["--sensitivity", "0"], "sensitivity is 0.0: give a number above 0"),
        (["--ignore", "1,2,3"], "--ignore 1,2,3: give x,y,width,height in pixels, as 10,20,300,40"),
        (["--ignore", "1,2,a,b"], "--ignore 1,2,a,b: give x,y,width,height"),
        (["--ignore", "1,2,0,4"], r"ignore has \(1, 2, 0, 4\): give boxes"),
        (["--min-area", "-5"], "min_area is -5: give"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(arguments, words):
    with pytest.raises(ValueError, match=words):
        said(*arguments)


def test_help_tells_each_option(capsys):
    assert main(["--set", "help"]) == 0
    told = capsys.readouterr().out
    assert told.strip() == all_options().strip()
    for one in fields(Options):
        if one.name not in ("ignore", "mask"):
            assert f"  {one.name}={str(one.default).lower()}\n" in told
    assert "above 1 reports weaker differences" in told
