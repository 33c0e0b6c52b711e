"""What the page shows of a pair that was compared: pictures, the status, the table of its regions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from whatchanged.detection import sized
from whatchanged.drawing import draw_regions, overlay
from whatchanged.images import size, write_image
from whatchanged.page.comparing import Seen, Settings, html_table
from whatchanged.sheets import KIND_WORDS

SIZE_WORDS = {
    "pad": "what only one of them has is told.",
    "crop": "what both have at the top left is compared.",
    "scale": "compared at the smaller size.",
}
_WHITE = (255, 255, 255)


def written_pictures(seen: Seen, settings: Settings, folder: Path) -> dict[str, str]:
    """The pair with its boxes, its heat map, and both pictures as they lay on each other, as files in a folder: name ->
    file.
    """
    before, after = sized(seen.before, seen.after, settings.size)
    heat = seen.found.map
    shown = {
        "changes": draw_regions(seen.before, seen.after, seen.found),
        "heat": overlay(before, heat, highest=max(0.25, float(heat.max()))),
    }
    shown["before"], shown["after"] = on_each_other(before, after, seen)
    return {name: str(write_image(folder / f"{name}.png", picture)) for name, picture in shown.items()}


def on_each_other(before: np.ndarray, after: np.ndarray, seen: Seen) -> tuple[np.ndarray, np.ndarray]:
    """Two pictures in one size: photographs as they were laid on each other, others with white where one ends."""
    height, width = np.maximum(before.shape[:2], after.shape[:2]).tolist()
    one, two = (
        cv2.copyMakeBorder(
            image, 0, height - image.shape[0], 0, width - image.shape[1], cv2.BORDER_CONSTANT, value=_WHITE
        )
        for image in (before, after)
    )
    if seen.found.alignment is None:
        return one, two
    return before, seen.found.alignment.warp(two)[: before.shape[0], : before.shape[1]]


def summary(seen: Seen, settings: Settings) -> str:
    """What was found, in a few sentences."""
    count = len(seen.record["regions"])
    told = [f"{count} regions differ." if count > 1 else "1 region differs." if count else _none(seen)]
    if seen.pages > 1:
        told.append(f"Page {seen.page} of {seen.pages} is shown.")
    if settings.method == "tolerant":
        told.append(KIND_WORDS[seen.found.kind])
    if seen.before.shape != seen.after.shape:
        told.append(f"The pictures are {size(seen.before)} and {size(seen.after)}: {SIZE_WORDS[settings.size]}")
    if note := seen.record["note"]:
        told.append(f"{note[0].upper()}{note[1:]}.")
    return " ".join(told)


def _none(seen: Seen) -> str:
    if seen.record["similarity"] == 1:
        return "No difference."
    return f"No region differs{' by more than the noise' if seen.record['kind'] == 'camera' else ''}."


def regions_table(seen: Seen) -> str:
    """The regions of all pages as an HTML table, numbered as they are drawn on their page."""
    names = ["number", *(["page"] if seen.pages > 1 else []), "what", "before", "after", "area", "strength"]
    numbers: Counter[int] = Counter()
    rows = []
    for region in seen.record["regions"]:
        numbers[region["page"]] += 1
        known = region | {"number": numbers[region["page"]], "before": _place(region), "after": _place(region["after"])}
        rows.append([str(known[name]) for name in names])
    return html_table("Regions: x, y, width and height in pixels of each picture", names, rows)


def _place(box: dict[str, Any] | None) -> str:
    return "" if box is None else ", ".join(str(box[name]) for name in ("x", "y", "width", "height"))
