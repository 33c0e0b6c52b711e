"""Notebook 06's pairs against their generators, its judgments by hand, and the models that it asks."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from support import NOTEBOOKS

from course import one_case
from course.notebooks import cells_of
from course.one_case import Answer, Case
from helpers.sentences import change_tuples
from whatchanged.regions import Difference, Region

MADE = one_case.MADE | one_case.EDITED
GRAY = np.full((60, 80, 3), 128, np.uint8)


def difference(*boxes: tuple[int, int, int, int]) -> Difference:
    regions = [Region(*box, box[2] * box[3], 1.0) for box in boxes]
    return Difference("by hand", 0.5, regions, np.zeros((60, 80), np.float32), np.zeros((60, 80), bool))


def case(**known) -> Case:
    return Case("by hand", "yours", GRAY, GRAY, **known)


@pytest.mark.parametrize("name", MADE)
def test_a_pair_follows_from_seed_and_index_and_is_called_as_its_kind(name):
    one, same, other = MADE[name](3, 1), MADE[name](3, 1), MADE[name](3, 2)
    assert one.name == name
    assert one.before.shape == one.after.shape
    assert np.array_equal(one.before, same.before)
    assert np.array_equal(one.after, same.after)
    assert not np.array_equal(one.before, other.before)
    assert one.changed == (len(one.boxes) > 0) == ("nothing" not in name)


@pytest.mark.parametrize("name", [name for name in MADE if name.startswith("scene")])
def test_the_kinds_of_a_scene_are_those_of_its_sentence(name):
    for index in range(6):
        one = MADE[name](0, index)
        told = {attribute or kind for _, attribute, kind in change_tuples(one.caption)}
        assert told & {"color", "shape", "texture"} == one.kinds
        assert ("moved" in told) == ("moved" in name)
        assert one.defective is None


@pytest.mark.parametrize("name", ["wall, cracked", "bricks, cracked"])
def test_a_crack_lies_in_its_box_and_both_pictures_have_their_own_noise(name):
    """Outside of it the pictures differ by light and noise alone: by far less in the mean."""
    for index in range(4):
        one = MADE[name](0, index)
        ((x, y, width, height),) = one.boxes
        apart = cv2.absdiff(one.before, one.after).max(axis=2).astype(float)
        inside = np.zeros(apart.shape, bool)
        inside[y : y + height, x : x + width] = True
        darker = one.before.astype(float).mean(axis=2) - one.after.astype(float).mean(axis=2)
        assert darker[inside].max() > 30 > np.median(apart)
        assert (apart > 0).mean() > 0.5
        assert one.defective == (False, True)


@pytest.mark.parametrize(
    ("found", "boxes", "right"),
    [
        ([(10, 10, 20, 20)], [(12, 12, 16, 16)], True),
        ([(10, 10, 20, 20), (50, 40, 8, 8)], [(12, 12, 16, 16)], False),
        ([(10, 10, 20, 20)], [(12, 12, 16, 16), (60, 40, 10, 10)], False),
        ([(0, 0, 80, 60)], [(12, 12, 16, 16)], False),
        ([], [], True),
        ([(10, 10, 20, 20)], [], False),
    ],
)
def test_boxes_are_right_where_each_true_one_is_hit_and_none_lies_elsewhere(found, boxes, right):
    true = np.array(boxes, int).reshape(-1, 4)
    assert one_case.boxes_right(difference(*found), case(changed=bool(boxes), boxes=true)) is right


def test_where_no_box_is_known_any_region_is_an_answer():
    assert one_case.boxes_right(difference((1, 1, 5, 5)), case(changed=True)) is True
    assert one_case.boxes_right(difference(), case(changed=True)) is False
    assert one_case.boxes_right(difference(), case()) is None


def test_a_sentence_is_held_to_what_it_claims_not_to_its_words():
    true = case(caption="the red plain ring became a blue plain ring")
    assert one_case.sentence_right("the red plain ring is now a blue plain ring", true) is True
    assert one_case.sentence_right("the red plain ring is now a green plain ring", true) is False
    assert one_case.sentence_right("nothing has changed", true) is False
    assert one_case.sentence_right("there is no difference", case(caption="nothing has changed")) is True
    assert one_case.sentence_right("nothing has changed", case(caption="there is a crack")) is False
    assert one_case.sentence_right("nothing has changed", case()) is None


def test_a_verdict_needs_both_pictures_right():
    asked = case(defective=(False, True))
    assert one_case.two_verdicts([0.1, 0.9], asked, None, GRAY).right is True
    assert one_case.two_verdicts([0.8, 0.9], asked, None, GRAY).right is False
    answer = one_case.two_verdicts([0.8, 0.2], case(), True, GRAY)
    assert (answer.told, answer.right, answer.warned) == ("defective (0.80), then sound (0.20)", None, True)


def test_an_answer_is_timed_after_a_first_one():
    asked: list[Case] = []

    def ask(one: Case) -> Answer:
        asked.append(one)
        return Answer("seen", True)

    answer = one_case.timed(ask, case(), 3)
    assert (len(asked), answer.told, answer.right) == (4, "seen", True)
    assert 0 < answer.milliseconds < 1000
    assert one_case.timed(ask, case(), 0).milliseconds == 0


def test_what_is_not_a_question_is_no_number():
    said = [("a", "x", Answer("", True, False)), ("a", "x", Answer("", False, True)), ("b", "x", Answer("", True))]
    table = one_case.tabled([*said, ("a", "y", Answer("")), ("b", "y", Answer("", False))])
    rates = one_case.shares(table, "right")
    assert rates.loc["a", "x"] == 0.5
    assert np.isnan(rates.loc["a", "y"])
    assert (rates.loc["b", "x"], rates.loc["b", "y"]) == (1, 0)
    assert one_case.shares(table, "warned").loc["a", "x"] == 0.5


def test_the_matrix_says_right_wrong_and_warned():
    said = [("a", "x", Answer("", True)), ("a", "y", Answer("", False, True)), ("b", "x", Answer("", None, True))]
    axis = one_case.matrix(["a", "b"], ["x", "y"], said).axes[0]
    assert {one.xy: one.get_text() for one in axis.texts} == {
        (0, 0): "right",
        (1, 0): "wrong, warned",
        (0, 1): "warned",
    }


def test_the_tree_leads_from_one_picture_to_its_job_alone():
    jobs = {"where?": {"01": ("1 of 1", "take it")}, "defective?": {"02": ("2 of 2", "train it"), "04": ("1 of 2", "")}}
    axis = one_case.tree(jobs, "defective?").axes[0]
    places = {one.get_text(): one.xy for one in axis.texts if one.get_text()}
    assert places["01"][1] < places["02"][1] < places["04"][1]
    assert places["two pictures"][1] == pytest.approx(places["where?"][1])
    assert places["one picture"][1] == pytest.approx(places["defective?"][1])


def test_a_card_has_the_pair_its_boxes_and_the_evidence():
    boxes = np.array([[12, 12, 16, 16]])
    figure = one_case.pair_card(case(boxes=boxes), difference((10, 10, 20, 20)), {"seen": GRAY})
    assert [axis.get_title() for axis in figure.axes] == ["before", "after", "seen"]
    assert [len(axis.patches) for axis in figure.axes] == [4, 4, 0], "a box and its white edge, true and found"
    words = one_case.spoken({"x": Answer("seen", False, None, None, 12.4)})
    assert words.loc["x"].tolist() == ["seen", "wrong", "cannot tell", "12"]


@pytest.fixture
def models(tmp_path):
    """Files where the models of notebooks 02 to 05 lie, and one executed notebook."""
    for number, name in one_case.MODELS.items():
        (path,) = [path for path in NOTEBOOKS if path.name.startswith(number)]
        place = tmp_path / path.stem / name
        place.parent.mkdir(parents=True)
        place = place / "options.json" if number == "05" else place
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(b"12345")
    return tmp_path


def test_the_models_are_found_and_weighed(models):
    places = one_case.models_in(models)
    assert list(places) == ["02", "03", "04", "05"]
    assert [one_case.size_of(place) for place in places.values()] == [5, 5, 5, 5]


def test_what_is_missing_is_told_with_the_command_that_trains_it(models):
    places = one_case.models_in(models)
    places["03"].unlink()
    (places["05"] / "options.json").unlink()
    with pytest.raises(ValueError, match="^no model of notebook 03 and 05 lies there") as refused:
        one_case.models_in(models)
    assert "`make course NOTEBOOK=03` and `make course NOTEBOOK=05` trains what is missing" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_minutes_are_those_of_the_cells_that_train(tmp_path):
    (path,) = [path for path in NOTEBOOKS if path.name.startswith("04")]
    assert one_case.minutes_of("04", tmp_path) is None
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        cell["metadata"]["papermill"] = {"duration": 90 if 'fit("both_attention")' in "".join(cell["source"]) else 7}
    (tmp_path / path.name).write_text(json.dumps(notebook))
    assert one_case.minutes_of("04", tmp_path) == 1.5
    assert one_case.minutes_of("04", path.parent) is None, "a committed notebook notes no times"


@pytest.mark.parametrize("number", one_case.TRAINING)
def test_the_words_that_name_a_cell_of_training_are_in_one_cell_each(number):
    (path,) = [path for path in NOTEBOOKS if path.name.startswith(number)]
    sources = ["".join(cell["source"]) for cell in cells_of(path) if cell["cell_type"] == "code"]
    for words in one_case.TRAINING[number]:
        assert sum(words in source for source in sources) == 1, f"change TRAINING of course/one_case.py: {words}"


@pytest.mark.real
def test_the_real_pairs_are_those_that_lie_there(real_data, tmp_path):
    found = one_case.real_cases(real_data)
    assert [one.world for one in found] == ["board", "map", "screen"]
    board, *others = found
    listed = sorted((real_data / "deep-pcb").glob("*.txt"))[0].read_text().splitlines()
    assert board.boxes.tolist() == [[a, b, c - a, d - b] for a, b, c, d, _ in (map(int, one.split()) for one in listed)]
    assert all(one.boxes is None and one.changed for one in others)
    assert one_case.real_cases(tmp_path) == []
