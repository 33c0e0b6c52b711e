"""Notebook 06's pairs with their truth, the models that the other notebooks leave, and what the answers are held to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas
from matplotlib.figure import Figure

from course.notebooks import cells_of, select_one
from course.worlds import HAND
from helpers import plotting
from helpers.nuisances import Nuisance, take
from helpers.photographs import VISIBLE, cracked_grounds, photo_pair
from helpers.scenes import scene_pair
from helpers.sentences import change_tuples
from helpers.surfaces import surface
from helpers.things import ATTRIBUTES
from whatchanged.drawing import FOUND
from whatchanged.images import read_image
from whatchanged.regions import Difference

MODELS = {"02": "model.safetensors", "03": "model.safetensors", "04": "model.keras", "05": "model"}
"""Notebook -> what it leaves in its output folder: a file, or a folder with `options.json`."""

TRAINING = {
    "02": ("training.fit(pretrained, source", "finetuned, history = finetune("),
    "03": ("model, history = course_form(\n",),
    "04": ('fit("both_attention")',),
    "05": ("data = {", "history = training.fit(model"),
}
"""Notebook -> words of the cells that train its model, from the first picture on."""

WALL = 64  # pixels a side, as notebooks 02 and 04 learn them
SPARE = 8  # pixels that a box may lie beside the truth


@dataclass(frozen=True, eq=False)
class Case:
    """A pair with all that is known about it; None where nobody knows, or where that is no question.

    Attributes
    ----------
    name : what was done to it.
    world : "scene" and "wall", of which the models learned; "brick", "cup", "board", "map", "screen", "yours".
    before, after : uint8 arrays (H, W, 3).
    changed : whether anything did.
    boxes : where: int array (n, 4), x, y, width, height, in pixels of the before image.
    defective : whether the picture before, and the one after, shows a defect.
    kinds : which of `ATTRIBUTES` changed.
    caption : what changed, in a sentence.
    """

    name: str
    world: str
    before: np.ndarray
    after: np.ndarray
    changed: bool | None = None
    boxes: np.ndarray | None = None
    defective: tuple[bool, bool] | None = None
    kinds: frozenset[str] | None = None
    caption: str = ""


@dataclass(frozen=True)
class Answer:
    """What a method said of a pair.

    Attributes
    ----------
    told : in words.
    right : against the truth; None where it is not its question.
    warned : whether the method says that the pair is unlike what it learned from; None: it cannot.
    picture : what it shows: uint8 array (H, W, 3), or None.
    milliseconds : that it took.
    """

    told: str
    right: bool | None = None
    warned: bool | None = None
    picture: np.ndarray | None = None
    milliseconds: float = 0.0


def scene(name: str, kind: str | None, seed: int, index: int) -> Case:
    """A generated scene of which one thing changed in this way, one of `KINDS`; None: nothing did."""
    changes = (1, 1) if kind else (0, 0)
    pair = scene_pair(seed, index, changes=changes, kinds=(kind or "color",), nuisance=HAND)
    kinds = frozenset(one for one in ATTRIBUTES if pair.labels[one])
    return Case(name, "scene", pair.before, pair.after, bool(kind), pair.boxes, None, kinds, pair.captions[0])


def wall(seed: int, index: int) -> Case:
    """A generated surface, sound and with a crack; each picture has its own noise."""
    sound, cracked = (surface(seed, index, size=WALL, cracked=one) for one in (False, True))
    return _cracked("wall, cracked", "wall", sound.image, cracked.image, cracked.mask)


def brick(seed: int, index: int) -> Case:
    """A crop of scikit-image's photograph of bricks, and the same with a crack drawn in, in other light and noise."""
    sound, cracked = cracked_grounds(1000 * seed + index, 2, size=WALL).images
    mask = cv2.absdiff(sound, cracked).max(axis=2) >= VISIBLE
    after = take(cracked, Nuisance(gain=1.05, noise=3), index)
    return _cracked("bricks, cracked", "brick", sound, after, mask)


def _cracked(name: str, world: str, sound: np.ndarray, cracked: np.ndarray, mask: np.ndarray) -> Case:
    box = np.array([cv2.boundingRect(mask.astype(np.uint8))])
    return Case(name, world, sound, cracked, True, box, (False, True), None, "there is a crack")


def cup(seed: int, index: int) -> Case:
    """scikit-image's photograph of a cup, and the same with a patch in another hue, photographed again."""
    again = Nuisance(rotation=0.5, shift_x=2, gain=1.08, noise=3)
    made = {"size": (240, 320), "edits": (1, 1), "kinds": ("recolored",), "name": "coffee", "nuisance": again}
    pair = photo_pair(seed, index, **made)  # type: ignore[arg-type]
    kinds, caption = frozenset({"color"}), pair.captions[0]
    return Case("photograph, recolored", "cup", pair.before, pair.after, True, pair.boxes, None, kinds, caption)


SCENES = {"another color": "color", "another texture": "texture", "moved": "moved", "nothing changed": None}
MADE: dict[str, Callable[[int, int], Case]] = {
    f"scene, {name}": lambda seed, index, name=name, kind=kind: scene(f"scene, {name}", kind, seed, index)
    for name, kind in SCENES.items()
} | {"wall, cracked": wall}
EDITED: dict[str, Callable[[int, int], Case]] = {"photograph, recolored": cup, "bricks, cracked": brick}
"""Kinds of pairs that follow from (seed, index): generated, and photographs edited by recipe."""


def real_cases(folder: Path) -> list[Case]:
    """The real pairs of which both pictures were taken: those of a board, a map and a screen that lie in the folder.

    Parameters
    ----------
    folder : holds `deep-pcb/NAME_temp.jpg`, `NAME_test.jpg` and `NAME.txt`; `screenshots/4a.png` and `4b.png`;
        `screens/066_before.png` and `066_after.png`, as notebook 01 reads them.
    """
    found = []
    for template in sorted(folder.glob("deep-pcb/*_temp.jpg"))[:1]:
        name = template.name.removesuffix("_temp.jpg")
        corners = np.loadtxt(template.with_name(f"{name}.txt"), ndmin=2)[:, :4].astype(int)
        boxes = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
        pair = read_image(template), read_image(template.with_name(f"{name}_test.jpg"))
        found.append(Case("board, faults", "board", *pair, True, boxes, (False, True), None, "it has faults"))
    pictures = {"map": ("screenshots/4a.png", "screenshots/4b.png")}
    pictures |= {"screen": ("screens/066_before.png", "screens/066_after.png")}
    names = {"map": "map, a name corrected", "screen": "screen, a sign is gone"}
    for world, sides in pictures.items():
        if all((folder / side).is_file() for side in sides):
            before, after = (read_image(folder / side)[:, :438] for side in sides)  # the screen is empty farther right
            found.append(Case(names[world], world, before, after, True, caption=names[world]))
    return found


def models_in(folder: Path) -> dict[str, Path]:
    """Notebook -> its model, of which none may be missing; ValueError in one sentence that names the commands."""
    places = {number: folder / select_one(number).stem / name for number, name in MODELS.items()}
    lacking = [one for one, place in places.items() if not (place / "options.json" if one == "05" else place).is_file()]
    if lacking:
        commands = " and ".join(f"`make course NOTEBOOK={number}`" for number in lacking)
        raise ValueError(
            f"no model of notebook {' and '.join(lacking)} lies there: {commands} trains what is missing, `make course`"
            " all of them"
        )
    return places


def size_of(place: Path) -> int:
    """Bytes of a model: of its file, or of all files in its folder."""
    files = [place] if place.is_file() else [one for one in place.rglob("*") if one.is_file()]
    return sum(one.stat().st_size for one in files)


def minutes_of(number: str, folder: Path) -> float | None:
    """Minutes that a notebook trained its model, by the times that papermill noted; None where it was run otherwise.

    Parameters
    ----------
    folder : holds the executed notebook.
    """
    path = folder / select_one(number).name
    if not path.is_file():
        return None
    noted = [cell for cell in cells_of(path) if any(words in "".join(cell["source"]) for words in TRAINING[number])]
    seconds = [cell["metadata"].get("papermill", {}).get("duration") for cell in noted]
    return None if None in seconds else sum(seconds) / 60


def timed(ask: Callable[[Case], Answer], case: Case, times: int) -> Answer:
    """The answer of a method, with the median of the milliseconds that so many times took, after a first one."""
    answer, spent = ask(case), []
    for _ in range(times):
        began = time.perf_counter()
        ask(case)
        spent.append(1000 * (time.perf_counter() - began))
    return Answer(answer.told, answer.right, answer.warned, answer.picture, median(spent) if spent else 0.0)


def boxes_right(found: Difference, case: Case) -> bool | None:
    """Whether each true box is hit and each found one lies in a true one; where no box is known, whether any is right.

    A box lies in another where more than half of it does, with `SPARE` pixels to spare.
    """
    if case.boxes is None:
        return None if case.changed is None else bool(found.regions) == case.changed
    hits, there = (np.zeros(case.before.shape[:2], bool) for _ in range(2))
    for x, y, width, height in found.boxes:
        hits[y : y + height, x : x + width] = True
    for x, y, width, height in case.boxes:
        there[max(0, y - SPARE) : y + height + SPARE, max(0, x - SPARE) : x + width + SPARE] = True
    inside = [there[y : y + height, x : x + width].mean() > 0.5 for x, y, width, height in found.boxes]
    return all(inside) and all(hits[y : y + height, x : x + width].any() for x, y, width, height in case.boxes)


def sentence_right(said: str, case: Case) -> bool | None:
    """Whether a sentence claims what changed, all of it and nothing else, in whatever of the scenes' wordings."""
    return change_tuples(said) == change_tuples(case.caption) if case.caption else None


def two_verdicts(given: Sequence[float], case: Case, warned: bool | None, picture: np.ndarray) -> Answer:
    """The answer of a network that gives the picture before, and the one after, a probability of a defect."""
    told = ", then ".join(f"{'defective' if one > 0.5 else 'sound'} ({one:.2f})" for one in given)
    right = None if case.defective is None else tuple(one > 0.5 for one in given) == case.defective
    return Answer(told, right, warned, picture)


def spoken(answers: dict[str, Answer]) -> pandas.DataFrame:
    """What each method said of one pair, as words for a card: a row a method."""
    against = {True: "right", False: "wrong", None: "not its question"}
    warned = {True: "yes", False: "no", None: "cannot tell"}
    columns = {"answer": [one.told for one in answers.values()]}
    columns["against the truth"] = [against[one.right] for one in answers.values()]
    columns["unlike its training"] = [warned[one.warned] for one in answers.values()]
    columns["ms"] = [f"{one.milliseconds:.0f}" for one in answers.values()]
    return pandas.DataFrame(columns, index=list(answers))


def tabled(answers: Iterable[tuple[str, str, Answer]]) -> pandas.DataFrame:
    """A row for each pair and method: "pair", "method", "told", and "right" and "warned" as 1.0, 0.0 or NaN."""
    rows = [(pair, method, one.told, one.right, one.warned) for pair, method, one in answers]
    table = pandas.DataFrame(rows, columns=["pair", "method", "told", "right", "warned"])
    return table.astype({"right": float, "warned": float})


def shares(table: pandas.DataFrame, column: str) -> pandas.DataFrame:
    """The mean of "right" or "warned" by pair and method; NaN where there is none."""
    known = table[table[column].notna()]
    rates = known.pivot_table(column, "pair", "method", sort=False)
    methods = [name for name in table.method.unique() if name in rates]
    return rates.reindex(index=table.pair.unique(), columns=methods)


def pair_card(case: Case, found: Difference, evidence: dict[str, np.ndarray], *, width: float = 10.0) -> Figure:
    """A pair with boxes, found ones orange and true ones green and dashed, and beside it where networks looked.

    Parameters
    ----------
    evidence : title -> uint8 array (H, W, 3).
    width : of the figure, inches.
    """
    pictures = [case.before, case.after, *evidence.values()]
    ratio = case.before.shape[0] / case.before.shape[1]
    columns = len(pictures) if ratio > 0.5 else 2
    figure = plotting.images(pictures, ["before", "after", *evidence], columns=columns, width=width)
    for axis in figure.axes[:2]:
        for boxes, color, style in ((case.boxes, plotting.TRUE, "--"), (found.boxes, FOUND, "-")):
            for box in () if boxes is None else boxes:
                plotting.outline(axis, box, color, style)
    figure.suptitle(case.name, fontsize=11)
    return figure


def tree(jobs: dict[str, dict[str, tuple[str, str]]], alone: str, *, width: float = 12.0) -> Figure:
    """From what one has over the job to a method, its counts, and what to do with pictures unlike its own.

    Parameters
    ----------
    jobs : job -> method -> its counts, and the advice, in a line or two each; in the order to try them.
    alone : the job for which there is one picture and none before.
    width : of the figure, inches.
    """
    rows = sum(map(len, jobs.values()))
    single = len(jobs[alone])
    boxes = {"root": (0.0, (rows - 1) / 2, "you have", "")}
    boxes["two"] = (1.0, (rows - single - 1) / 2, "two pictures", "what changed?")
    boxes["one"] = (1.0, rows - (single + 1) / 2, "one picture", "and none before")
    chains, row = ["root two", "root one"], 0
    for number, (job, methods) in enumerate(jobs.items()):
        boxes[f"job{number}"] = (2.0, row + (len(methods) - 1) / 2, job, "")
        chains.append(f"{'one' if job == alone else 'two'} job{number}")
        for method, (counts, advice) in methods.items():
            first, _, rest = advice.partition("\n")
            boxes[f"leaf{row}"], boxes[f"then{row}"] = (3.0, row, method, counts), (4.0, row, first, rest)
            chains.append(f"job{number} leaf{row} then{row}")
            row += 1
    return plotting.diagram(boxes, chains, width=width)


MARKS = {True: ("right", plotting.SERIES[3]), False: ("wrong", plotting.SERIES[1]), None: ("", "#EEEEEE")}


def matrix(names: Sequence[str], methods: Sequence[str], answers: Iterable[tuple[str, str, Answer]]) -> Figure:
    """Who is right where: a row a pair, a column a method; empty where it is not its question.

    Parameters
    ----------
    names, methods : of the rows and the columns, in their order.
    answers : of each pair and method its name, the method's and the answer; a warning stands in the cell.
    """
    figure, axis = plt.subplots(figsize=(9, 0.36 * len(names) + 0.9), layout="constrained")
    for name, method, answer in answers:
        words, color = MARKS[answer.right]
        column, row = methods.index(method), names.index(name)
        axis.add_patch(plt.Rectangle((column - 0.48, row - 0.44), 0.96, 0.88, facecolor=color))
        told = ", ".join([*[words] * bool(words), *["warned"] * bool(answer.warned)])
        axis.annotate(told, (column, row), ha="center", va="center", fontsize=9, color="black")
    axis.set(xlim=(-0.5, len(methods) - 0.5), ylim=(len(names) - 0.5, -0.5))
    axis.set_xticks(range(len(methods)), methods)
    axis.set_yticks(range(len(names)), names)
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    for side in axis.spines.values():
        side.set_visible(False)
    return figure
