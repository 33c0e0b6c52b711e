"""Notebook 05's ablation: one part less a row, kept as it was trained, and told when code or a setting has changed."""

import json
from collections import Counter
from dataclasses import asdict, fields, replace

import pytest
import torch
from hashed import not_hashed
from support import ROOT

from course import ablation
from course.__main__ import main
from course.kept_results import read_kept

ROWS = ablation.ablation_rows()
# What hands on, unchanged, what it gets, keeps, or only shows; `deciding` leaves it out.
PLUMBING = {f"whatchanged.{name}" for name in ("devices", "files", "images", "kept", "pictures", "progress")}
PLUMBING |= {f"whatchanged.training.{name}" for name in ("checkpoints", "history", "reading", "sending")}
PLUMBING |= {f"whatchanged.models.{name}" for name in ("base", "tblip2_data", "tblip2_options", "prepared")}
PLUMBING |= {"helpers.evaluation.captioning", "whatchanged.models.parts"}
JAVA = ("java_version", "_run", "_end", "_package", "_read", "_workplace", "_write_lines")
PLUMBING_OF_FIT = {("whatchanged.training.fit", name) for name in ("_refuse", "_memory")}


def test_each_row_is_the_model_less_one_part():
    whole = ROWS["T-BLIP2"]
    for name, settings in ROWS.items():
        differing = [one.name for one in fields(whole) if getattr(whole, one.name) != getattr(settings, one.name)]
        assert differing == sorted(ablation.ABLATION[name], key=[one.name for one in fields(whole)].index), name
        assert len(differing) == (0 if name == "T-BLIP2" else 3 if settings.baseline else 1), name


def test_it_is_the_model_that_the_notebook_trains():
    cells = json.loads((ROOT / "notebooks" / "05_t_blip2.ipynb").read_text())["cells"]
    code = "".join("".join("".join(cell["source"]) for cell in cells).split())
    whole = ROWS["T-BLIP2"]
    for wanted in (
        f'"MODEL_NAME": None, "EPOCHS": {whole.epochs}',
        f'"BATCH_SIZE": {whole.batch}, "LEARNING_RATE": 4e-3, "NEW": 0.5, "LORA_RANK": 0',
        f'"ITM": {whole.itm},',
        f'"ITC": ((0, {whole.itc}),), "DDLA_EPOCHS": {ablation.for_an_epoch(ROWS["DDLA"]).epochs}',
        '"MIN_SAMPLES": 4, "EPS": 1.5',
        f"words={whole.words}",
        f'counts = {{"train": {whole.pairs}, ',
        f"MAX_TEST_SAMPLES or {ablation._TEST}",
        f'counts |= {{"new": MAX_TEST_SAMPLES or {ablation._NEW}}}',
        f"BEAMS = {ablation._BEAMS} ",
        "optimizer = adam(baseline.parameters(), 2e-3)",
        "rise=0.15",
    ):
        assert "".join(wanted.split()) in code, wanted
    assert (whole.rate, ROWS["DDLA"].rate) == (4e-3, 2e-3)


def test_a_setting_makes_the_hash_another_one():
    plain = ROWS["T-BLIP2"]
    others = {"baseline": True, "pairs": 10, "epochs": 1, "batch": 8, "rate": 0.1, "streams": "one", "clusters": False}
    others |= {"itm": 0.2, "itc": 0.2, "words": 1.0, "apart": False}
    assert others.keys() == asdict(plain).keys()
    digests = {ablation.ablation_digest(replace(plain, **{name: value})) for name, value in others.items()}
    assert len(digests | {ablation.ablation_digest(plain)}) == len(others) + 1


def test_the_command_refuses_a_row_that_there_is_not(capsys):
    assert main(["ablation", "05", "--rows", "no itm"]) == 2
    assert "there is no row 'no itm': choose from 'T-BLIP2'" in capsys.readouterr().err


def test_what_is_kept_is_complete_and_current():
    """Where this fails: `python -m course ablation 05` trains what is missing or stale."""
    kept = read_kept(ablation.ABLATION_FILE)
    wanted = {(name, "whole", seed) for name in ROWS for seed in ablation.ABLATION_SEEDS}
    wanted |= {(ablation.BASELINE, "short", seed) for seed in ablation.ABLATION_SEEDS}
    assert Counter((one["row"], one["form"], one["seed"]) for one in kept) == dict.fromkeys(wanted, 1)
    for one in kept:
        settings = ablation.for_an_epoch(ROWS[one["row"]]) if one["form"] == "short" else ROWS[one["row"]]
        assert one["settings"] == json.loads(json.dumps(asdict(settings)))
        assert one["digest"] == ablation.ablation_digest(settings), one["row"]
        assert 0 <= one["tuple F1"] <= 1
        assert one["seconds"] > 0
        assert (one["threads"], one["date"][:2]) == (1, "20")


def test_the_parts_are_worth_what_the_notebook_says():
    """Each bound holds for all three seeds."""
    kept = [one for one in read_kept(ablation.ABLATION_FILE) if one["form"] == "whole"]
    f1, new = (
        {name: [one[metric] for one in kept if one["row"] == name] for name in ROWS}
        for metric in ("tuple F1", "new combinations")
    )
    assert min(f1["T-BLIP2"]) >= 0.98
    assert min(new["T-BLIP2"]) >= 0.9
    assert max(f1["no clusters"]) < 0.05
    assert max(f1["DDLA"]) < 0.5
    assert max(f1["no words"]) < min(f1["T-BLIP2"]) - 0.1
    assert max(new["no words"]) < min(new["T-BLIP2"]) / 2
    for name in ("one stream", "no ITM", "no ITC", "words of the whole caption"):
        assert min(f1[name]) < max(f1["T-BLIP2"]), "not told apart"
        assert min(f1["T-BLIP2"]) < max(f1[name]), "not told apart"
    recall = [one["ITC recall@1"] for one in kept if one["row"] == "no ITC"]
    assert max(recall) < 0.15


@pytest.mark.process
def test_all_code_that_runs_in_a_training_is_in_the_hash(monkeypatch):
    """Every function of the houses that runs between a seed and a score is hashed, or is known to be plumbing."""
    monkeypatch.setattr(ablation, "_TEST", 24)
    monkeypatch.setattr(ablation, "_NEW", 24)
    small = replace(ROWS["T-BLIP2"], pairs=32, epochs=1, batch=16)

    def run():
        ablation.ablated(small, seed=5)
        ablation.ablated(replace(small, baseline=True), seed=5)

    known = {("whatchanged.training.recipe", name) for name in ("losses", "schedule", "compiled", "computing_in")}
    known |= PLUMBING_OF_FIT | {("helpers.evaluation.java", name) for name in JAVA}
    known |= {("course.worlds", "claims"), ("course.ablation", "ablation_rows")}
    left = not_hashed(ablation.ablation_code(), run, PLUMBING)
    assert {one for one in left if one[1] != "__init__"} <= known


def test_rows_that_take_a_part_away_build_another_model():
    weights = {name: set(ablation.ablated_network(ROWS[name], 0).state_dict()) for name in ("T-BLIP2", "DDLA")}
    assert "word_head.weight" in weights["T-BLIP2"]
    assert "cell.weight_ih" in weights["DDLA"]
    first, second = (ablation.ablated_network(ROWS["T-BLIP2"], seed).state_dict() for seed in (0, 0))
    assert all(torch.equal(first[name], second[name]) for name in first), "a seed draws the same weights"
