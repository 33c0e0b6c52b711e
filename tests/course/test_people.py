"""What people wrote of pairs: counts by hand, floors and ceiling by pycocoevalcap itself, and what is kept of them."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from published import write_published

from course import people
from course.__main__ import main
from course.kept_results import read_kept
from helpers.caption_sets import CAPTION_SETS, captioned_parts
from helpers.evaluation import captioning
from whatchanged.annotations import AnnotationError

METRICS = ("BLEU-4", "ROUGE-L", "CIDEr-D")
VAL = {"1": [["a car has left the lot", "two people are new"], ["the red car is gone"]], "2": [["nothing has changed"]]}
TEST = {
    "7": [["the red car is gone"], ["the red car left the parking lot", "a man walks there now"]],
    "8": [["the red car is gone"], ["two people are new"]],
    "9": [["two people are new", "a dog sits there"]],
}


@pytest.fixture
def spot(tmp_path):
    for split, told in (("val", VAL), ("test", TEST)):
        records = [{"img_id": name, "sentences": list(own)} for name, each in told.items() for own in each]
        records.append({"img_id": "8", "sentences": [" "]})
        (tmp_path / f"{split}.json").write_text(json.dumps(records))
    return tmp_path


def test_each_person_has_a_description_of_their_own(spot):
    told = people.descriptions(spot, "test")
    assert told == {name: [tuple(own) for own in each] for name, each in TEST.items()}, "an empty record is left out"
    assert people.by_protocol(told, "one sentence")["7"] == [*TEST["7"][0], *TEST["7"][1]]
    assert people.by_protocol(told, "all changes")["7"] == [
        "the red car is gone",
        "the red car left the parking lot a man walks there now",
    ]
    (spot / "val.json").write_text('[{"img_id": "1", "sentences": []}, {"img_id": "2", "sentences": "gone"}]')
    with pytest.raises(AnnotationError, match=r"val\.json holds no sentence"):
        people.descriptions(spot, "val")


def test_statistics_are_counts():
    found = people.statistics({"1": [("The red car's gone.", "the red car's gone"), ("a car left",)], "2": [("no",)]})
    # the (2) red (2) car's (2) gone (2) a car left no
    assert found == {
        "pairs": 2,
        "descriptions": 3,
        "sentences": 4,
        "pairs described twice": 1,
        "sentences a description": 4 / 3,
        "words a sentence": 12 / 4,
        "different words": 8,
        "of these written once": 4 / 8,
        "sentences nobody else wrote": 2 / 4,
    }


def test_the_best_constant_is_that_of_the_official_scorer():
    references = people.by_protocol({name: [tuple(own) for own in each] for name, each in TEST.items()}, "one sentence")
    often = [one for one, _ in Counter(one for own in references.values() for one in own).most_common()]
    official = [
        captioning.score(references, dict.fromkeys(references, one), metrics=["CIDEr-D"])["CIDEr-D"] for one in often
    ]
    np.testing.assert_allclose(people._constant_cider(references, often), official)
    assert len(set(np.round(official, 6))) > 3
    found = people.floors(references)
    assert found == {"most frequent": "the red car is gone", "best constant": often[int(np.argmax(official))]}
    assert people.floors(references, most=1)["best constant"] == "the red car is gone"


def official(candidates, references):
    """pycocoevalcap on sentences that are their own tokens."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    given = {name: [one] for name, one in candidates.items()}
    bleu = Bleu(4).compute_score(references, given, verbose=0)[0][3]
    return [bleu, *(float(one().compute_score(references, given)[0]) for one in (Rouge, Cider))]


@pytest.mark.process
def test_floors_and_ceiling_are_those_of_the_official_scorers(spot):
    rows = list(people.scored(spot, metrics=METRICS))
    assert [(one["protocol"], one["against"], one["row"], one["pairs"]) for one in rows] == [
        (protocol, against, row, pairs)
        for protocol in people.PROTOCOLS
        for against, row, pairs in (
            ("all who wrote", "most frequent", 3),
            ("all who wrote", "best constant", 3),
            ("another person", "most frequent", 3),
            ("another person", "best constant", 3),
            ("another person", "a person", 3),
        )
    ]
    both = [VAL["1"], TEST["7"], TEST["8"]]
    for protocol, caption in (("one sentence", lambda own: own[:1]), ("all changes", lambda own: [" ".join(own)])):
        captions = (lambda own: own) if protocol == "one sentence" else caption
        found = {(one["against"], one["row"]): one for one in rows if one["protocol"] == protocol}
        each = []
        for mine, other in ((0, 1), (1, 0)):
            references = {number: captions(own[other]) for number, own in enumerate(both)}
            each.append(official({number: caption(own[mine])[0] for number, own in enumerate(both)}, references))
        person = found["another person", "a person"]
        assert [person[name] for name in METRICS] == pytest.approx(np.mean(each, axis=0), abs=6e-5)
        low, high = person["CIDEr-D interval"]
        assert low <= person["CIDEr-D"] <= high
        chosen = {(against, name): found[against, name]["said"] for against, name in found if name != "a person"}
        others = {"all who wrote": [*VAL["1"], *VAL["2"]], "another person": [*VAL["2"], *TEST["9"]]}
        for (against, _), said in chosen.items():
            assert said in [one for own in others[against] for one in captions(own)], "chosen by other pairs"
        constant = found["all who wrote", "best constant"]
        references = {name: [one for own in each for one in captions(own)] for name, each in TEST.items()}
        wanted = official(dict.fromkeys(references, constant["said"]), references)
        assert [constant[name] for name in METRICS] == pytest.approx(wanted, abs=6e-5)


def test_what_is_kept_is_complete_and_current():
    """Where this fails: `python -m course people` measures it anew."""
    kept = read_kept(people.PEOPLE_FILE)
    assert [one["split"] for one in kept[:3]] == ["val", "test", "both"]
    assert [(one["protocol"], one["against"], one["row"]) for one in kept[3:]] == [
        (protocol, against, row)
        for protocol in people.PROTOCOLS
        for against, rows in ((people.ALL, ("most frequent", "best constant")), (people.ANOTHER, ()))
        for row in (*rows, *(("most frequent", "best constant", "a person") if against == people.ANOTHER else ()))
    ]
    for one in kept:
        assert one["digest"] == people.people_digest(one["sources"])
        assert one["date"][:2] == "20"
    for one in kept[3:]:
        assert all(0 <= one[name] < 10 for name in ("BLEU-4", "METEOR", "ROUGE-L", "CIDEr-D"))
        assert "SPICE" in one or "python download_and_unzip.py spice-models" in one["absent"]["SPICE"]


def test_a_person_is_above_what_fits_any_pair_by_sequences_of_four_words():
    """By CIDEr-D, one sentence at a time, there is no telling; the interval says so."""
    rows = [one for one in read_kept(people.PEOPLE_FILE) if one.get("against") == people.ANOTHER]
    for protocol in people.PROTOCOLS:
        *floors, person = (one for one in rows if one["protocol"] == protocol)
        assert (person["row"], person["pairs"]) == ("a person", 141)
        for one in floors:
            assert person["BLEU-4"] > 1.2 * one["BLEU-4"]
            assert person["METEOR"] > 1.05 * one["METEOR"]


@pytest.mark.real
def test_what_is_kept_is_of_the_published_files(real_data):
    folder = real_data / "spot-the-diff"
    kept = read_kept(people.PEOPLE_FILE)
    assert all(one["sources"] == people.sources(folder) for one in kept)
    assert [{**one, "date": 0} for one in kept[:3]] == [
        {**one, "sources": kept[0]["sources"], "digest": kept[0]["digest"], "date": 0}
        for one in people.kept_statistics(folder)
    ]
    records = [one for split in people.WRITTEN_SPLITS for one in json.loads((folder / f"{split}.json").read_text())]
    written = [sentence for one in records for sentence in one["sentences"] if sentence.strip()]
    assert (len(records), kept[2]["sentences"], kept[2]["pairs described twice"]) == (3038, len(written), 141)


@pytest.mark.real
@pytest.mark.process
def test_a_kept_row_can_be_had_again(real_data):
    (kept,) = (
        one
        for one in read_kept(people.PEOPLE_FILE)
        if (one.get("row"), one.get("protocol"), one.get("against")) == ("best constant", "one sentence", people.ALL)
    )
    references = people.by_protocol(people.descriptions(real_data / "spot-the-diff", "test"), "one sentence")
    found = captioning.score(references, dict.fromkeys(references, kept["said"]), metrics=METRICS)
    assert [found[name] for name in METRICS] == pytest.approx([kept[name] for name in METRICS], abs=6e-5)


@pytest.mark.parametrize("name", CAPTION_SETS)
def test_every_published_set_gives_pairs_statistics_and_floors(name, tmp_path):
    write_published(name, tmp_path, train=3, validation=2, test=2)
    for part in captioned_parts(name, tmp_path).values():
        found = people.statistics({pair.name: [pair.captions] for pair in part})
        assert (found["pairs"], found["sentences"]) == (len(part), sum(len(pair.captions) for pair in part))
        words = [len(caption.replace(":", "").replace(".", "").split()) for pair in part for caption in pair.captions]
        assert found["words a sentence"] == pytest.approx(np.mean(words))
    references = {pair.name: list(pair.captions) for pair in part}
    written = Counter(caption for own in references.values() for caption in own)
    assert written[people.floors(references)["most frequent"]] == max(written.values())
    assert people.floors(references)["best constant"] in written


def test_it_is_kept_and_the_command_says_how_to_get_the_annotations(spot, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(people, "scored", lambda folder: [{"row": "a person", "protocol": "one sentence"}])
    kept = people.keep_people(spot, tmp_path / "results" / "people.json")
    assert read_kept(tmp_path / "results" / "people.json") == kept
    assert [one.get("row") for one in kept] == [None, None, None, "a person"]
    assert kept[0]["sources"].keys() == {"val.json", "test.json"}
    monkeypatch.setattr(people, "annotations_folder", lambda: None)
    assert main(["people"]) == 2
    assert "python download_and_unzip.py spot-the-diff" in capsys.readouterr().err
