"""Where notebook 05's pairs come from: the same questions to pairs whose truth is known and to published ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from published import write_published
from tiny_tblip2 import small

from course import worlds
from helpers import runtime
from helpers.caption_sets import captioned_parts
from helpers.nuisances import Nuisance
from helpers.sentences import NOTHING
from helpers.things import COLORS, VALUES

SHARES = {"train": (0.15, 0.35, 0.5), "validation": (0.2, 0.6, 0.2), "test": (0.1, 0.6, 0.3), "new": (0, 0.5, 0.5)}
COUNTS = {"train": 12, "validation": 3, "test": 4}
RED, BLUE = "the red plain ring became a blue plain ring", "the red plain ring turned into a blue plain ring"
GREEN = "the red plain ring became a green plain ring"


@pytest.fixture(scope="module")
def made():
    return worlds.GeneratedWorld(0, COUNTS, SHARES, Nuisance(rotation=2, noise=4))


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = write_published("nlvr2", tmp_path_factory.mktemp("sets") / "nlvr2", size=48, train=5, validation=3, test=4)
    (folder / "images" / "train" / "0" / "train-0-0-img1.png").unlink()
    return worlds.PublishedWorld(captioned_parts("nlvr2", folder), {"validation": 2, "test": None})


def test_both_worlds_answer_the_same_questions():
    def asked(world):
        return {name for name in vars(world) if not name.startswith("_")} - {"counts", "augment", "join"}

    assert asked(worlds.GeneratedWorld) - asked(worlds.PublishedWorld) == {"alike", "hand", "scene"}
    assert asked(worlds.PublishedWorld) <= asked(worlds.GeneratedWorld)


def test_scenes_have_as_many_changes_as_the_shares_say(made):
    for part in ("train", "validation", "test"):
        shares = SHARES[part]
        changes = [len(made.scene(part, index).changes) for index in range(150)]
        found = np.bincount(changes, minlength=3) / 150
        assert np.abs(found - shares).max() < 4 * (0.25 / 150) ** 0.5


def test_six_combinations_are_kept_for_the_part_that_is_new(made):
    """Each shape lacks one texture, and whatever shape or texture is asked for, training has shown it."""

    def changed(part):
        pairs = [made.scene(part, index) for index in range(60)]
        things = [[one for change in pair.changes for one in (change.before, change.after) if one] for pair in pairs]
        return [{(one.shape, one.texture) for one in own} for own in things]

    assert len(worlds.KEPT_BACK) == len({shape for shape, _ in worlds.KEPT_BACK}) == 6
    for part in ("train", "validation", "test"):
        assert not set.union(*changed(part)) & worlds.KEPT_BACK
    seen = set.union(*changed("train"))
    assert {texture for _, texture in worlds.KEPT_BACK} <= {texture for _, texture in seen}
    assert all(own & worlds.KEPT_BACK for own in changed("new"))
    assert set.union(*changed("new")) >= worlds.KEPT_BACK


def test_a_third_of_training_pairs_with_two_changes_alters_nothing(made):
    def altering(part):
        pairs = [made.scene(part, index) for index in range(200)]
        two = [pair for pair in pairs if len(pair.changes) == 2]
        kinds = [{kind for change in pair.changes for kind in change.kinds} for pair in two]
        return np.mean([bool(own & {"color", "shape", "texture"}) for own in kinds])

    # By chance alone (each of six kinds as likely) about three in four alter something.
    assert altering("train") < 0.6 < altering("test")


def test_parts_share_no_scene(made):
    first = [made.read(part, 0)[0].tobytes() for part in SHARES]
    assert len(set(first)) == len(SHARES)
    assert made.read("test", 1)[0].tobytes() == made.read("test", 1)[0].tobytes()


def test_what_is_read_is_the_scene(made):
    before, after, captions = made.read("test", 2)
    pair = made.scene("test", 2)
    assert np.array_equal(before, pair.before)
    assert np.array_equal(after, pair.after)
    assert captions == pair.captions
    assert np.array_equal(made.boxes(2), pair.boxes)
    words = set(" ".join(made.vocabulary(60)).split())
    assert set(" ".join(captions).split()) <= words
    assert {word for thing in VALUES.values() for word in thing} <= words


def test_prepared_pairs_are_the_parts(made, published, tmp_path):
    model = small([made.scene("train", index) for index in range(8)])
    for world in (made, published):
        for part, count in world.counts.items():
            data = world.prepared(part, model, tmp_path / type(world).__name__)
            assert len(data) == count
            assert data.captions[0] == world.read(part, 0)[2]
            assert data.draw == (part == "train")
            assert torch.equal(data[1]["before"], model.prepare(*world.read(part, 1)[:2])["before"])
    assert {path.name for path in tmp_path.iterdir()} == {"PublishedWorld"}, "drawn pairs are kept in memory"


def test_counts_and_what_was_left_out(made, published):
    assert made.told() == [str(COUNTS)]
    assert published.counts == {"train": 4, "validation": 2, "test": 4}
    left_out, counts = published.told()
    assert left_out.startswith("train: 1 left out, as ")
    assert counts == "{'train': 4, 'validation': 2, 'test': 4}"


def test_captions_are_judged_by_what_they_claim(made):
    references = [(RED, BLUE), NOTHING, ("the red plain ring was removed",)]
    said = [BLUE, RED, GREEN]
    assert made.right(said, references).tolist() == [True, False, False]
    scores = made.exact_scores(said, references)
    assert scores["tuple F1"] == pytest.approx(2 * 1 / (3 + 2)), "one of three claims, of two changes"
    assert scores["no change"] == pytest.approx(2 / 3)
    interval = made.exact_intervals(said, references)["tuple F1"]
    assert interval.low <= interval.value <= interval.high
    assert interval.value == pytest.approx(scores["tuple F1"])


def test_free_sentences_are_judged_by_their_words_alone(published):
    assert published.right(["a", "b"], [("a", "c"), ("a",)]).tolist() == [True, False]
    assert published.claims(["a", "b"]) == [set(), set()]
    assert published.exact_scores(["a"], [("a",)]) == published.exact_intervals(["a"], [("a",)]) == {}
    assert published.found_by(lambda before, after: []) == {}
    assert len(published.boxes(0)) == 0
    assert published.join is None
    assert published.augment is None
    assert set(published.vocabulary()) == {one for pair in published.parts["train"] for one in pair.captions}


def test_clusters_are_measured_against_the_true_boxes(made):
    class Found:
        area, density = 10, 0.5

        def __init__(self, box):
            self.box = box

    by_place = {made.scene("test", index).before.tobytes(): made.boxes(index) for index in range(30)}
    perfect = made.found_by(lambda before, after: [Found(box) for box in by_place[before.tobytes()]], 30)
    assert perfect["coverage"] == perfect["IoU"] == perfect["pairs without a change that have no cluster"] == 1
    assert perfect["false clusters a pair"] == 0
    blind = made.found_by(lambda before, after: [Found((0, 0, 2, 2))], 30)
    assert blind["coverage"] < 0.01
    assert blind["pairs without a change that have no cluster"] == 0


def test_bounds_hold_for_generated_pairs_alone(made, published, tmp_path, capsys):
    runtime.start(tmp_path, 0)
    made.check("tuple F1", 0.5, at_least=0.4)
    with pytest.raises(runtime.CheckFailed):
        made.check("tuple F1", 0.5, at_least=0.9)
    with pytest.raises(runtime.CheckFailed):
        made.check("missing", None, at_least=0.9)
    published.check("tuple F1", None, at_least=0.9)
    assert capsys.readouterr().out.splitlines()[-1].startswith("tuple F1: not held to a bound")


def test_each_cause_of_a_wrong_caption_by_hand():
    made = worlds.GeneratedWorld(0, {"test": 400}, shares={"test": (0.0, 0.0, 1.0)})
    index = next(n for n in range(400) if _four_colors(made.scene("test", n)))
    pair = made.scene("test", index)
    first, second = boxes = [tuple(int(value) for value in box) for box in pair.boxes]
    caption = pair.captions[0]
    both = (0, 0, *pair.before.shape[1::-1])
    assert made.cause(index, caption, [first]) == "cluster missed"
    assert made.cause(index, caption, [both]) == "clusters merged"
    free = next((x, y, 2, 2) for x in range(0, 94, 2) for y in (0, 94) if not _touches((x, y, 2, 2), boxes))
    assert made.cause(index, caption, [*boxes, free]) == "false cluster"
    half = (first[0], first[1], max(1, first[2] // 2), first[3])
    assert made.cause(index, caption, [*boxes, half]) == "cluster torn"
    assert made.cause(index, "so what", boxes) == "wording"
    one = caption.split(" and ")[0]
    assert made.cause(index, one, boxes) == "one told too few or many"
    (old, _, new), (other_old, _, other_new) = sorted(made.claims([caption])[0])
    things = [f"{new} {old.split(' ', 1)[1]}", f"{other_new} {other_old.split(' ', 1)[1]}"]
    crossed = [f"{other_new} {old.split(' ', 1)[1]}", f"{new} {other_old.split(' ', 1)[1]}"]
    said = " and ".join(f"the {was} is now a {now}" for was, now in zip((old, other_old), things, strict=True))
    assert made.claims([said])[0] == made.claims([caption])[0]
    wrong = " and ".join(f"the {was} is now a {now}" for was, now in zip((old, other_old), crossed, strict=True))
    assert made.cause(index, wrong, boxes) == "binding"
    color = next(one for one in COLORS if one not in (*old.split(), new, *other_old.split(), other_new))
    wrong = said.replace(things[0], f"{color} {old.split(' ', 1)[1]}", 1)
    assert made.cause(index, wrong, boxes) == "attribute"


def _touches(box, others):
    return any(
        box[0] < x + w and x < box[0] + box[2] and box[1] < y + h and y < box[1] + box[3] for x, y, w, h in others
    )


def _four_colors(pair):
    """Whether two things got another color, and no color is there twice."""
    colors = [thing.color for one in pair.changes for thing in (one.before, one.after) if thing]
    return all(one.kinds == ("color",) for one in pair.changes) and len(set(colors)) == 4
