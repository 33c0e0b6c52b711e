"""Caption metrics: those of pycocoevalcap to the last digit, or absent with their reason."""

from __future__ import annotations

import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from helpers import scenes
from helpers.evaluation import captioning

java = pytest.mark.skipif(shutil.which("java") is None, reason="there is no Java, which the scorers need")
PLAIN = tuple(name for name in captioning.METRICS if name != "SPICE")


def generated(count=12):
    """Captions of generated scenes; every third candidate is that of another pair."""
    pairs = [scenes.scene_pair(0, index, size=64) for index in range(count)]
    references = {f"pair {i}": list(pair.captions[:2]) for i, pair in enumerate(pairs)}
    candidates = {f"pair {i}": pairs[(i + 1) % count if i % 3 == 0 else i].captions[2] for i in range(count)}
    return references, candidates


def directly(references, candidates):
    """As the authors of the package call it."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.meteor.meteor import Meteor
    from pycocoevalcap.rouge.rouge import Rouge
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    tokenizer = PTBTokenizer()
    truth = tokenizer.tokenize({name: [{"caption": one} for one in given] for name, given in references.items()})
    given = tokenizer.tokenize({name: [{"caption": one}] for name, one in candidates.items()})
    bleu = Bleu(4).compute_score(truth, given)[0]
    others = (Rouge().compute_score(truth, given)[0], Meteor().compute_score(truth, given)[0])
    return dict(zip(PLAIN, [*bleu, *others, Cider().compute_score(truth, given)[0]], strict=True))


@pytest.mark.process
@java
def test_scores_are_those_of_the_package():
    references, candidates = generated()
    found = captioning.score(references, candidates, metrics=PLAIN)
    assert list(found) == list(PLAIN)
    assert dict(found) == pytest.approx(directly(references, candidates), abs=1e-6)
    assert all(len(each) == len(candidates) for each in found.each.values())
    assert found.each["CIDEr-D"].mean() == pytest.approx(found["CIDEr-D"])


@pytest.mark.process
@java
def test_threads_score_at_once_and_say_nothing(capfd, monkeypatch):
    from pycocoevalcap.bleu.bleu import Bleu

    plain = Bleu.compute_score

    def slowly(*given):
        time.sleep(0.3)
        return plain(*given)

    monkeypatch.setattr(Bleu, "compute_score", slowly)
    references, candidates = generated()
    ways = [candidates, {name: own[0] for name, own in references.items()}] * 3
    with ThreadPoolExecutor(3) as pool:
        alike = pool.submit(captioning.self_bleu, list(candidates.values()))
        found = list(pool.map(lambda own: captioning.score(references, own, metrics=["BLEU-4", "CIDEr-D"]), ways))
    assert alike.result() == captioning.self_bleu(list(candidates.values()))
    print("afterwards")
    assert capfd.readouterr().out == "afterwards\n"
    one, other = (captioning.score(references, own, metrics=["BLEU-4", "CIDEr-D"]) for own in ways[:2])
    assert [dict(own) for own in found] == [dict(one), dict(other)] * 3


@pytest.mark.process
@java
@pytest.mark.real
def test_scores_of_real_sentences_are_those_of_the_package(real_data):
    """Spot-the-Diff: the first sentence of each pair against all the others."""
    records = json.loads((real_data / "spot-the-diff" / "val.json").read_text())
    records = [one for one in records if len(one["sentences"]) > 1][:60]
    references = {one["img_id"]: one["sentences"][1:] for one in records}
    candidates = {one["img_id"]: one["sentences"][0] for one in records}
    found = captioning.score(references, candidates, metrics=PLAIN)
    assert dict(found) == pytest.approx(directly(references, candidates), abs=1e-6)


@pytest.mark.process
@java
def test_every_reference_counts():
    references = {"a": ["the red ball is gone", "a dog runs"], "b": ["the sky is blue"]}
    candidates = {"a": "a dog runs", "b": "the sky is green"}
    both = captioning.score(references, candidates, metrics=["BLEU-1", "ROUGE-L"])
    one = captioning.score(references | {"a": references["a"][:1]}, candidates, metrics=["BLEU-1", "ROUGE-L"])
    assert both.each["ROUGE-L"][0] == 1
    assert one.each["ROUGE-L"][0] < 0.5
    assert both["BLEU-1"] > one["BLEU-1"]


@pytest.mark.process
@java
def test_odd_captions_do_not_shift_the_others(capfd):
    """An empty one, one with line breaks, one with the separator of METEOR; and nothing is printed."""
    references = {"a": ["nothing has changed"], "b": ["the red\ncircle\u2028moved"], "c": ["a ||| b"], "d": ["the end"]}
    candidates = {"a": "", "b": "the red circle\r\nmoved", "c": "a b", "d": "the end"}
    found = captioning.score(references, candidates, metrics=PLAIN)
    assert found.each["ROUGE-L"] == pytest.approx([0, 1, 1, 1])
    assert found.each["METEOR"][0] == 0
    assert found.each["METEOR"][1] > 0.9
    assert capfd.readouterr() == ("", "")


@pytest.mark.process
@java
def test_empty_references_are_scored_as_the_package_scores_them():
    """Published files hold some: one among others, the first, the last, and the only one; and dots alone."""
    references = {"a": ["the red ball is gone", ""], "b": [""], "c": ["a dog runs"], "d": [" ", "\n"]}
    candidates = {"a": "the red ball is gone", "b": "the sky is blue", "c": "a dog runs", "d": ""}
    references |= {"e": ["", "two cats sleep on it"], "f": ["...", "!"], "g": ["the end of the day", ""]}
    candidates |= {"e": "two cats sleep on it", "f": "one cat", "g": "the end of the day"}
    found = captioning.score(references, candidates, metrics=PLAIN)
    assert dict(found) == pytest.approx(directly(references, candidates), abs=1e-6)
    assert found.each["METEOR"] == pytest.approx([1, 0, 1, 0, 1, 0, 1])


@pytest.mark.process
@java
def test_references_without_a_word_are_refused():
    """The package fails on them as well."""
    with pytest.raises(ValueError, match="no reference has a word: give sentences to compare with"):
        captioning.score({"a": [""], "b": ["..."]}, {"a": "the ball", "b": "x"})


@pytest.mark.parametrize(
    ("references", "candidates", "options", "message"),
    [
        ({"a": ["x"]}, {"b": "x"}, {}, "'a' is in one of references and candidates only"),
        ({}, {}, {}, "there are no candidates"),
        ({"a": []}, {"a": "x"}, {}, r"'a' has the references \[\]: give a list with at least one sentence"),
        ({"a": "x"}, {"a": "x"}, {}, "'a' has the references 'x': give a list"),
        ({"a": ["x"]}, {"a": "x"}, {"metrics": ["CIDEr"]}, "metric 'CIDEr' is unknown: choose from BLEU-1"),
    ],
)
def test_what_cannot_be_scored_is_named(references, candidates, options, message):
    with pytest.raises(ValueError, match=message):
        captioning.score(references, candidates, **options)


def test_exact_matches_take_any_reference_whatever_the_case():
    references = {"a": ["It moved", "gone"], "b": ["it moved"]}
    assert captioning.exact_matches(references, {"a": "it  moved", "b": "gone"}).tolist() == [True, False]


def test_distinct_counts_different_grams():
    assert captioning.distinct(["a b a", "a b"], 1) == 2 / 5
    assert captioning.distinct(["a b a", "a b"], 2) == 2 / 3
    assert captioning.distinct(["a"], 2) == 0
    with pytest.raises(ValueError, match="n is 0"):
        captioning.distinct(["a"], 0)


def test_self_bleu_is_high_where_captions_are_alike():
    same, different = ["the red ball moved away"] * 4, ["a b c d e", "f g h i j", "k l m n o"]
    assert captioning.self_bleu(same) == pytest.approx(1, abs=1e-6)
    assert captioning.self_bleu(different) < 1e-3
    assert captioning.self_bleu(same * 50, most=10) == pytest.approx(1, abs=1e-6)
    assert np.isfinite(captioning.self_bleu(["a", "b"]))
    with pytest.raises(ValueError, match="there are 1 captions"):
        captioning.self_bleu(["a"])
