"""The tab that compares many pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from whatchanged.listing import ARCHIVES, PICTURES
from whatchanged.page import batch, showing
from whatchanged.page.comparing import Models, Settings, see
from whatchanged.page.parts import (
    clear_at,
    download_button,
    has_download,
    no_download,
    settings_controls,
    settings_of,
    start_and_stop,
    status_line,
    view_field,
)
from whatchanged.page.sessions import Sessions
from whatchanged.page.working import Waiting, run_work, session_of, status_html
from whatchanged.report import index_fragment

_BY_NAME, _BY_PATTERN, _IN_ORDER = "By their names", "By a pattern", "In their order"
_ABOUT = """Pictures whose names go together, as `x_before.png` and `x_after.png`, or `x.png` and `x_2.png`; or a
folder or an archive of them, which may hold the folders `before/` and `after/` instead."""
ADDING = """<button type="button" class="more">Add pictures</button>
<button type="button" class="folder">Add a folder</button>
<input type="file" webkitdirectory hidden aria-label="A folder of pictures"><p role="status"></p>"""
_MOST = 95_000_000  # bytes of an archive that the browser makes of a folder: an upload may have 100 MB


def many_pairs(models: Models, sessions: Sessions) -> None:
    """Build the tab."""
    files, pairing = _fields(sessions)
    controls = settings_controls(models.describer is not None)
    start, stop = start_and_stop("Compare all")
    status = status_line("pairs")
    with gr.Row(elem_classes="tight"):
        buttons = [download_button(f"Download {what}") for what in ("JSON", "CSV", "the report")]
    listed = view_field("pairs")
    done = gr.State()
    chosen = gr.HTML("", elem_classes="words-line", elem_id="one-status")
    view = view_field("one")
    cleared: dict[Any, Any] = {listed: "", view: "", chosen: ""} | dict.fromkeys(buttons, no_download())

    clear_at([files.upload, files.clear, files.delete], {status: ""} | cleared)

    def work(given, how, one, two, method, align, kind, size, sensitivity, most, ignore, request: gr.Request):
        if not given:
            raise Waiting("There are no pictures yet: put them into the field, or a folder or a zip of them.")
        settings = settings_of(method, align, kind, size, sensitivity, most, ignore)
        yield cleared | {status: status_html("Reading …")}
        folder = sessions.folder(session_of(request))
        inside = batch.lay_out(given, folder / "pairs")
        items = batch.found_in(inside, {_BY_NAME: None, _BY_PATTERN: (one, two), _IN_ORDER: batch.IN_ORDER}[how])
        rows: list[batch.Row] = []
        for row in batch.batch(items, inside, settings, models, folder / "pages"):
            rows.append(row)
            told: dict[Any, Any] = {status: status_html(f"{len(rows)} of {len(items)} …")}
            if len(rows) & (len(rows) - 1) == 0:  # the list goes to the browser as a whole, so not each time
                told[listed] = _list(rows)
            yield told
        written = map(has_download, batch.results(rows, folder))
        found = {row.entry.link: row.files for row in rows if row.files}
        told = {status: status_html(batch.totals(rows)), listed: _list(rows), done: (found, settings)}
        yield told | dict(zip(buttons, written, strict=True))

    inputs = [files, *pairing, *controls]
    run_work(start, stop, work, inputs, [status, done, *cleared], ends=[files.change])

    def look(known: tuple[dict[str, tuple[Path, ...]], Settings] | None, event: gr.EventData) -> dict[Any, Any]:
        found, settings = known or ({}, Settings())
        if not (pair := found.get(event._data["link"])):
            return {chosen: status_html("It can be looked at when all are compared.")}
        before, after = pair
        seen = see(before, after, settings, models)
        return {chosen: status_html(f"{before.name} and {after.name}"), view: showing.view(seen, settings)}

    listed.select(look, done, [chosen, view], show_progress="hidden")


def _fields(sessions: Sessions) -> tuple[gr.File, list[Any]]:
    """Where pictures are put in, and how they go together: by what, and two patterns."""
    gr.Markdown(_ABOUT)
    kinds = ["image", ".tif", ".tiff", *ARCHIVES]
    files = gr.File(
        label="Pictures, folders or a zip", file_count="multiple", file_types=kinds, height=160, elem_id="pairs-files"
    )
    gr.HTML(
        "",
        html_template=ADDING,
        js_on_load=(Path(__file__).parent / "folder.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_classes="adding",
        field="pairs-files",
        endings=sorted(PICTURES),
        most=_MOST,
    )
    by = gr.Radio([_BY_NAME, _BY_PATTERN, _IN_ORDER], value=_BY_NAME, label="Which go together")
    with gr.Row(visible=False) as patterns:
        first = gr.Textbox("{id}_before", label="Pattern of the pictures before", info="{id} is what both names share.")
        second = gr.Textbox("{id}_after", label="Pattern of the pictures after")

    def put_in(given: list[str] | None, request: gr.Request) -> None:
        sessions.keep(session_of(request), given or [])

    hidden: dict[str, Any] = {"show_progress": "hidden", "queue": False}
    files.upload(put_in, files, None, **hidden)
    by.change(lambda chosen: gr.update(visible=chosen == _BY_PATTERN), by, patterns, **hidden)
    return files, [by, first, second]


def _list(rows: list[batch.Row]) -> str:
    return index_fragment([row.entry for row in rows], script=False)
