"""Published figures beside what was measured: units as the scorers have them, sources, and the order of the table."""

from __future__ import annotations

import re

import pytest

from course import literature, people


def test_every_figure_has_a_source_and_the_scorers_unit():
    for one in literature.PUBLISHED:
        assert one.protocol in (*people.PROTOCOLS, "")
        assert re.fullmatch(r"https://[\w./-]+", one.link), one.model
        assert 2018 <= one.year <= 2026
        assert all(0 < value < 1 for value in one.scores.values()), "the tables of papers have a hundred times as much"
        for name, value in one.scores.items():
            assert round(100 * value, 6) == round(100 * value, 1), (one.model, name, "more digits than were printed")


def test_what_two_sources_tell_of_one_model_is_not_mixed():
    """A sentence at a time a model scores more than with all changes of a pair together."""
    by_model = {}
    for one in literature.PUBLISHED:
        by_model.setdefault(one.model, {})[one.protocol] = one.scores
    both = [scores for scores in by_model.values() if {"one sentence", "all changes"} <= scores.keys()]
    assert len(both) == 4
    assert all(scores["one sentence"]["CIDEr-D"] > scores["all changes"]["CIDEr-D"] for scores in both)


def test_floors_models_and_people_stand_in_one_table():
    made = {"date": "2026-01-02", "pairs": 3, "CIDEr-D interval": [0.05, 0.9]}
    kept = [
        {"split": "val", "pairs": 3},
        {"row": "low", "protocol": "one sentence", "against": "all who wrote", "CIDEr-D": 0.1, **made},
        {"row": "a person", "protocol": "one sentence", "against": "another person", "CIDEr-D": 0.9, **made},
        {"row": "high", "protocol": "all changes", "against": "all who wrote", "CIDEr-D": 0.25, "METEOR": 0.2, **made},
    ]
    table = literature.beside_people(kept)
    assert len(table) == len(literature.PUBLISHED) + 3
    groups = table.groupby(["protocol", "against"], sort=False)
    assert list(groups.groups) == [
        ("one sentence", "all who wrote"),
        ("one sentence", "another person"),
        ("not told", "all who wrote"),
        ("all changes", "all who wrote"),
    ]
    for _, rows in groups:
        known = rows["CIDEr-D"].dropna().tolist()
        assert known == sorted(known)
        assert rows["CIDEr-D"].isna().tolist() == sorted(rows["CIDEr-D"].isna()), "unknown ones last"
    rows = table.set_index("row")
    assert rows.loc["low", "source"] == "3 pairs, measured 2026-01-02"
    assert rows.loc["DDLA (2018)", list(literature.CAPTION_METRICS)].tolist() == [0.076, 0.109, 0.280, 0.351]
    assert rows.loc[["low", "DDLA (2018)"], "its interval"].tolist() == ["[0.050, 0.900]", ""]
    assert rows.loc["high", "METEOR"] == pytest.approx(0.2)
    assert 'href="https://github.com/harsh19/spot-the-diff/blob/' in rows.loc["DDLA (2018)", "source"]
