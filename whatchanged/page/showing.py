"""What the page shows of a pair that was compared: the status, the report as a piece of the page, files to download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from whatchanged.drawing import below_each_other, draw_regions
from whatchanged.files import write_json, write_whole
from whatchanged.images import write_image
from whatchanged.page.comparing import Seen, Settings, Words
from whatchanged.report import pair_fragment, report_page
from whatchanged.sheets import verdict

VIEW_PIXELS = 8_000_000
"""Larger pictures are shown smaller in the page; those of the report to download are not."""

SIZE_WORDS = {
    "crop": "Only what both have at the top left is compared.",
    "scale": "They are compared at the smaller size.",
}


def summary(seen: Seen, settings: Settings) -> str:
    """What was found, in a few sentences; whatever is not shown is told."""
    told = [verdict(seen.record)]
    if seen.shown < seen.count:
        each = " of each page" if len(seen.pages) > 1 else ""
        most = f"{settings.most} strongest{each} are" if settings.most > 1 else f"strongest{each} is"
        told.append(f"The {most} shown; JSON has all.")
    pages = seen.record.get("pages", 1)
    if differ := len({one["page"] for one in seen.record["regions"]}):
        if len(seen.pages) < differ:
            told.append(f"{differ} of {pages} pages differ; the first {len(seen.pages)} of those are shown.")
        elif pages > 1:
            told.append(f"{differ} of {pages} pages differ.")
    first, _ = seen.pages[0]
    if first.before is not None and first.after is not None and first.before.shape != first.after.shape:
        told.append(SIZE_WORDS.get(settings.size, ""))
    return " ".join(filter(None, told))


def view(seen: Seen, settings: Settings) -> str:
    """The pair as HTML to be put into the page, see `report.pair_fragment`."""
    shown = [side for page, _ in seen.pages for side in (page.before, page.after) if side is not None]
    large = any(side.shape[0] * side.shape[1] > VIEW_PIXELS for side in shown)
    pixels = VIEW_PIXELS if large else None
    return pair_fragment(seen.pages, seen.record, size=settings.size, pixels=pixels, script=False)


def whole_report(title: str, seen: Seen, names: dict[str, Any], settings: Settings, index: str = "") -> str:
    """The pair as a document of its own, see `report.report_page`; `names` are those of its files."""
    known = {name: names.get(name) or "" for name in ("before", "after")}
    return report_page(title, seen.pages, known | seen.record, index=index, size=settings.size)


def written(
    before: str, after: str, seen: Seen, words: Words, settings: Settings, folder: Path
) -> tuple[Path, Path, Path]:
    """The picture with boxes, the record and the words as JSON, and the report, as files in a folder."""
    names = {"before": Path(before).name, "after": Path(after).name}
    drawn = [draw_regions(page.before, page.after, found) for page, found in seen.pages]
    title = " and ".join(dict.fromkeys(names.values()))
    return (
        write_image(folder / "changes.png", below_each_other(drawn)),
        write_json(folder / "changes.json", names | {"words": words.said, "unlike": words.unlike} | seen.record),
        write_whole(folder / "changes.html", whole_report(title, seen, names, settings).encode()),
    )
