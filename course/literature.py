"""What the literature reports on Spot-the-Diff, each figure with where it was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

CAPTION_METRICS = ("BLEU-4", "METEOR", "ROUGE-L", "CIDEr-D")


@dataclass(frozen=True)
class PublishedScores:
    """One model by one protocol; a metric that was not found is absent.

    Attributes
    ----------
    year : of the model.
    protocol : one of `course.people.PROTOCOLS`, or "" where the source does not say it.
    scores : metric -> value in the scorer's own unit: the tables have a hundred times as much.
    where : words for where it was read; `link` leads there, or to what the authors published beside it.
    """

    model: str
    year: int
    protocol: str
    scores: Mapping[str, float]
    where: str
    link: str


_MEDIC = "https://github.com/VisualAIKHU/MEDIC"


def _row(
    model: str, year: int, protocol: str, values: Sequence[float | None], where: str, link: str
) -> PublishedScores:
    found = {name: value for name, value in zip(CAPTION_METRICS, values, strict=True) if value is not None}
    return PublishedScores(model, year, protocol, found, where, link)


PUBLISHED = (
    _row(
        "DDLA",
        2018,
        "one sentence",
        (0.076, 0.109, 0.280, 0.351),
        "the official scorer on the authors' predictions",
        "https://github.com/harsh19/spot-the-diff/blob/master/code/check_predictions.ipynb",
    ),
    _row(
        "SCORER+CBR",
        2023,
        "one sentence",
        (0.102, 0.122, None, 0.389),
        "its paper, table 5",
        "https://arxiv.org/abs/2309.16283",
    ),
    _row("VIR-VLFM", 2023, "", (None, None, None, None), "its table was not found", "https://arxiv.org/abs/2309.08585"),
    _row("SMART", 2024, "one sentence", (None, 0.135, 0.316, 0.394), "MEDIC's paper, table S.1", _MEDIC),
    _row("DIRL+CCR", 2024, "one sentence", (0.103, 0.138, 0.328, 0.409), "MEDIC's README", _MEDIC),
    _row("BLIP2IDC", 2025, "one sentence", (None, 0.135, None, 0.514), "MEDIC's supplement, table S.7", _MEDIC),
    _row("DIRL+MEDIC", 2026, "one sentence", (0.111, 0.146, 0.337, 0.455), "MEDIC's README", _MEDIC),
    _row(
        "M3Diff",
        2025,
        "",
        (None, None, None, 0.711),
        "notes on its paper",
        "https://en.papernotes.org/ICCV2025/llm_evaluation/"
        "omnidiff_a_comprehensive_benchmark_for_fine-grained_image_difference_captioning/",
    ),
    _row("SCORER+CBR", 2023, "all changes", (0.051, 0.093, 0.230, 0.209), "MEDIC's paper, table S.3", _MEDIC),
    _row("SMART", 2024, "all changes", (0.037, 0.087, 0.231, 0.253), "MEDIC's paper, table S.3", _MEDIC),
    _row("DIRL+CCR", 2024, "all changes", (0.046, 0.095, 0.238, 0.215), "MEDIC's README", _MEDIC),
    _row("DIRL+MEDIC", 2026, "all changes", (0.068, 0.112, 0.267, 0.312), "MEDIC's README", _MEDIC),
)


def beside_people(kept: Sequence[Mapping[str, Any]]) -> Any:
    """Floors, models and people in one table, a group for each protocol and each kind of references.

    Parameters
    ----------
    kept : records of `course.people.scored`.

    Returns
    -------
    pandas DataFrame
        Within a group from the least CIDEr-D to the greatest, what has none last; "its interval" is that of CIDEr-D,
        95 %, where it was measured, and "source" HTML with links.
    """
    import pandas

    rows: list[dict[str, Any]] = [
        {name: one.get(name) for name in ("protocol", "against", "row", *CAPTION_METRICS)}
        | {"its interval": "[{:.3f}, {:.3f}]".format(*one["CIDEr-D interval"])}
        | {"source": f"{one['pairs']} pairs, measured {one['date']}"}
        for one in kept
        if "protocol" in one
    ]
    rows += [
        {"protocol": one.protocol or "not told", "against": "all who wrote", "row": f"{one.model} ({one.year})"}
        | dict(one.scores)
        | {"source": f'<a href="{escape(one.link)}">{escape(one.where)}</a>'}
        for one in PUBLISHED
    ]
    names = ["protocol", "against", "row", *CAPTION_METRICS, "its interval", "source"]
    table = pandas.DataFrame(rows, columns=names).fillna({"its interval": ""})
    groups = {name: number for number, name in enumerate(("one sentence", "not told", "all changes"))}
    order = table["protocol"].map(groups)
    table = table.assign(order=order).sort_values(["order", "against", "CIDEr-D"], kind="stable", ignore_index=True)
    return table.drop(columns="order")
