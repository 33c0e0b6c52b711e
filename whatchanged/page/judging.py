"""What the page does with a picture of a surface, apart from the page: judge it, show why, and write it down."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from whatchanged.drawing import overlay
from whatchanged.embedded import data_uri
from whatchanged.files import write_json, write_whole
from whatchanged.images import shrink, write_image
from whatchanged.markup import Html, tag, together
from whatchanged.models.likeness import MAY_MEAN_NOTHING
from whatchanged.page.comparing import Models, read
from whatchanged.report import in_document, in_fragment

LOOKS = {"broad": "layer3", "sharp": "layer2"}
"""How sharply Grad-CAM looks, and the layer that it then asks."""
UNKNOWN = "Of a picture that shows something else its answer means nothing, however sure it is."

_LEAST = 0.05  # as sure as this even nothing is shown, so that no noise glows
_SHOWN = 1200  # pixels a side of the pictures in the page and in the report


@dataclass(frozen=True)
class Judging:
    """What the controls say.

    Parameters
    ----------
    threshold : the probability from which the answer is the defect, 0 to 1.
    look : one of `LOOKS`.
    full_scale : the strongest place has the brightest color, however sure the network is.
    """

    threshold: float = 0.5
    look: str = "broad"
    full_scale: bool = False


@dataclass(frozen=True, eq=False)
class Judged:
    """What was found in a picture.

    Attributes
    ----------
    name : of its file.
    picture : uint8 (H, W, 3), RGB.
    evidence : the same in gray, and on it in colors what spoke for the defect.
    probabilities : of each class, the defect last.
    how : the settings.
    unlike : whether the picture is unlike those that the network learned from; None: that is not known.
    """

    name: str
    picture: np.ndarray
    evidence: np.ndarray
    probabilities: dict[str, float]
    how: Judging
    unlike: bool | None = None

    @property
    def defect(self) -> str:
        """The class that is looked for."""
        return list(self.probabilities)[-1]

    @property
    def answer(self) -> str:
        """The defect from the threshold on; below it what else is most likely."""
        if self.probabilities[self.defect] >= self.how.threshold:
            return self.defect
        others = {name: one for name, one in self.probabilities.items() if name != self.defect}
        return max(others, key=lambda name: others[name])

    @property
    def record(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        found = {"answer": self.answer, "probabilities": self.probabilities, "unlike": self.unlike}
        return {"picture": self.name} | found | asdict(self.how)


def judge(path: str | Path, how: Judging, models: Models) -> Judged:
    """Judge the picture in a file; ValueError, which names the file as its owner knows it, where it is none."""
    picture = read(path)
    probabilities, heat = models.defects(picture, layer=LOOKS[how.look])
    *_, sure = probabilities.values()
    brightest = float(heat.max()) / (1 if how.full_scale else max(sure, _LEAST))
    evidence = overlay(picture, heat, highest=brightest or 1.0)
    return Judged(Path(path).name, picture, evidence, probabilities, how, models.defects.unlike(picture))


def answer_in_words(judged: Judged) -> str:
    """The answer in a sentence; before it, where it is so, that it may mean nothing."""
    return f"This picture is {MAY_MEAN_NOTHING}. {_answer(judged)}" if judged.unlike else _answer(judged)


def _answer(judged: Judged) -> str:
    answer, defect, threshold = judged.answer, judged.defect, judged.how.threshold
    sure = judged.probabilities[answer]
    told = f"The answer is “{answer}”, {sure:.0%} sure"
    if sure == max(judged.probabilities.values()):
        return f"{told}."
    return f"{told}: by the settings it is “{defect}” from {threshold:.0%} on."


def answer_view(judged: Judged) -> str:
    """The surface beside what spoke for the defect, as HTML to be put into the page."""
    return in_fragment(_shown(judged), script=False)


def answer_files(judged: Judged, folder: Path) -> tuple[Path, Path, Path]:
    """The picture of the evidence, the record as JSON and the report, as files in a folder."""
    report = in_document(judged.name, together([_shown(judged), tag("p", UNKNOWN)]))
    return (
        write_image(folder / "evidence.png", judged.evidence),
        write_json(folder / "answer.json", judged.record),
        write_whole(folder / "answer.html", report.encode()),
    )


def _shown(judged: Judged) -> Html:
    height, width = judged.picture.shape[:2]
    what = f"“{judged.defect}”"
    seen = f"What spoke for {what}" if judged.answer == judged.defect else f"What comes closest to {what}, and is not"
    scale = "the strongest place is the brightest" if judged.how.full_scale else "the less sure, the darker"
    facts = {
        "Picture": f"{judged.name}, {width} \N{MULTIPLICATION SIGN} {height} pixels",
        "Probabilities": ", ".join(f"{name} {one:.1%}" for name, one in judged.probabilities.items()),
        f"Called {what} from": f"{judged.how.threshold:.0%}",
        "Heat map": f"{judged.how.look}; {scale}",
        "Like what it learned from": {None: "not known", True: "no", False: "yes"}[judged.unlike],
    }
    return tag(
        "div",
        tag("p", answer_in_words(judged), class_="verdict"),
        tag("dl", *(tag("div", tag("dt", name), tag("dd", told)) for name, told in facts.items())),
        tag(
            "section",
            tag(
                "div",
                _figure(judged.picture, "The surface", "before"),
                _figure(judged.evidence, seen, "after"),
                class_="plane",
            ),
            class_="sheet tall" if height > 2 * width else "sheet",
            style=f"--w:{width};--h:{height};--large:{min(max(width, 320), 4 * width)}",
        ),
        class_="whatchanged",
    )


def _figure(picture: np.ndarray, told: str, kind: str) -> Html:
    height, width = picture.shape[:2]
    shown = tag("img", src=data_uri(shrink(picture, _SHOWN), lossless=False), alt=told)
    frame = tag("div", shown, class_="frame", style=f"--fw:{width};--fh:{height}")
    return tag("figure", tag("figcaption", told), frame, class_=kind)
