"""What a comparison is written to: checked before anything is compared, written when all of it is known."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whatchanged.files import write_json, write_whole

if TYPE_CHECKING:
    import numpy as np

    from whatchanged.options import Options
    from whatchanged.pages import Page
    from whatchanged.regions import Difference


@dataclass(frozen=True)
class Outputs:
    """Where the results of one pair go; None: nowhere.

    Attributes
    ----------
    json : a file, or "-" for standard output.
    output : a picture of both with the regions boxed; `picture` is "both" or "after".
    mask : a picture that is white where something changed.
    report : an HTML page; `index` is the address of the page over all pairs.
    """

    json: str | None = None
    output: str | Path | None = None
    picture: str | None = None
    mask: str | Path | None = None
    report: str | Path | None = None
    index: str = ""

    def hold_apart(self, inputs: Sequence[str | Path]) -> None:
        """ValueError where a file would be overwritten that is read or that another option writes, or where the folder
        that it belongs into is missing.
        """
        named = {"--json": self.json, "--output": self.output, "--mask-output": self.mask, "--report": self.report}
        taken = {_real(path): f"the picture {path}" for path in inputs}
        for option, path in named.items():
            if path is None or str(path) == "-":
                continue
            if os.path.isdir(path):
                raise ValueError(f"{option} {path} is a folder: give the name of a file")
            if not os.path.isdir(os.path.dirname(path) or "."):
                raise ValueError(f"{option} {path}: there is no folder {os.path.dirname(path)}, make it first")
            real = _real(path)
            if real in taken and not str(path).startswith("/dev/"):
                raise ValueError(f"{option} {path} would overwrite {taken[real]}: choose another name")
            taken[real] = f"what {option} writes"
        for path in (self.output, self.mask):
            if path is not None:
                from whatchanged.images import check_format

                check_format(path)


def _real(path: str | Path) -> str:
    return os.path.realpath(path)


def compare_pair(
    pair: tuple[str, str],
    how: Options,
    outputs: Outputs,
    named: dict[str, str] | None = None,
    look: Callable[[Page, Difference], None] | None = None,
) -> dict[str, Any]:
    """Compare two files, and write what is asked for; returns the record that the JSON holds.

    Parameters
    ----------
    named : what the record calls the files, as "before" and "after"; None: as they are given.
    look : shown each page with what was found there.
    """
    from whatchanged.documents import as_record, detect_pages

    drawn: dict[bool, list[Any]] = {True: [], False: []}  # pages that differ, and those that do not
    masks: list[Any] = []
    pages: list[tuple[Page, Difference]] = []

    def seen() -> Iterator[Difference]:
        for page, difference in detect_pages(*pair, how):
            differs = bool(difference.regions)
            if outputs.output and (differs or not any(drawn.values())):
                from whatchanged.drawing import draw_regions

                drawn[differs].append(draw_regions(page.before, page.after, difference, outputs.picture or "both"))
            if outputs.mask:
                masks.append(_white(difference))
            if outputs.report:
                pages.append((page, difference))
            if look:
                look(page, difference)
            yield difference

    named = named or {"before": pair[0], "after": pair[1]}
    record = named | as_record(seen())
    if outputs.output:
        _write_pictures(outputs.output, drawn[True] or drawn[False])
    if outputs.mask:
        _write_pictures(outputs.mask, masks)
    if outputs.report:
        from whatchanged.report import report_page

        title = " and ".join(dict.fromkeys(Path(name).name for name in named.values()))
        page = report_page(title, pages, record, index=outputs.index, size=how.size)
        write_whole(outputs.report, page.encode())
    if outputs.json and outputs.json != "-":
        write_json(outputs.json, record)
    return record


def _white(difference: Difference) -> np.ndarray:
    import cv2

    return cv2.cvtColor(difference.mask.view("uint8") * 255, cv2.COLOR_GRAY2RGB)


def _write_pictures(path: str | Path, pictures: list[Any]) -> None:
    from whatchanged.drawing import below_each_other
    from whatchanged.images import write_image

    write_image(path, below_each_other(pictures))
