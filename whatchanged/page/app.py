"""The interactive page: what changed between two pictures, in many pairs, and whether a picture shows a defect."""

from __future__ import annotations

import atexit
import csv
import io
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import gradio as gr

from whatchanged import drawing
from whatchanged.files import write_json, write_whole
from whatchanged.images import write_image
from whatchanged.page import comparing, showing
from whatchanged.page.comparing import Models
from whatchanged.page.parts import (
    picture_field,
    picture_shown,
    remember_uploads,
    run_work,
    session_of,
    settings_controls,
    settings_of,
    status_html,
    status_line,
)
from whatchanged.page.sessions import Sessions
from whatchanged.regions import rounded_down

MAX_FILE = "40mb"
KEPT = 3600  # seconds after which the files of a page that was left open go
HERE = Path(__file__).parent
DARK = """() => {
    document.body.classList.toggle("dark");
    document.body.style.background = "var(--body-background-fill)";
}"""
INTRODUCTION = """# What changed between these two pictures?

Put in a picture and a later one of the same place. They stay on the computer that serves this page, and are deleted
when you close it."""
OWN_WORDS = "A model that learned from generated scenes speaks of any picture in their words."


def launch(
    host: str = "127.0.0.1",
    port: int | None = None,
    *,
    describer: str | Path | None = None,
    classifier: str | Path | None = None,
    block: bool = False,
) -> gr.Blocks:
    """Serve the page; in a notebook, show it under the cell.

    Parameters
    ----------
    host : address to listen on. The default answers to this machine only; "0.0.0.0" lets others in.
    port : None takes the first free one from 7860.
    describer, classifier : folder of a trained T-BLIP2, file of a trained ResNet18; all else works without them.
    block : wait until it is stopped, and delete all that was uploaded.

    Returns
    -------
    gradio.Blocks
        With `local_url` and `close()`.

    Raises
    ------
    OSError
        The port is taken.
    """
    folder = Path(tempfile.mkdtemp(prefix="differences-"))  # only its owner may look into it
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    page = build(Models(describer, classifier), Sessions(folder), *examples())
    page.queue(default_concurrency_limit=2, max_size=50)
    theme = gr.themes.Default(primary_hue="blue", font="sans-serif", font_mono="monospace")
    theme.set(button_primary_background_fill="*primary_700", button_primary_background_fill_hover="*primary_800")
    page.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=True,
        footer_links=[],
        theme=theme,
        css_paths=[HERE / "style.css"],
        max_file_size=MAX_FILE,
        show_error=True,
        ssr_mode=False,
    )
    if block:
        sys.stdout.flush()  # the address, where a program reads it
        try:
            while page.is_running:
                time.sleep(0.1)  # and not a wait without end, which on Windows no Ctrl-C would end
        finally:
            page.close(verbose=False)
    return page


def examples() -> tuple[dict[str, list[str]], list[str]]:
    """Pictures to begin with, which come with the package: pairs (name -> the two files), and surfaces."""
    folder = HERE / "examples"
    pairs = {
        path.name.removesuffix(" before.png"): [str(path), str(path).replace(" before.png", " after.png")]
        for path in sorted(folder.glob("* before.png"), reverse=True)
    }
    return pairs, [str(path) for path in sorted(folder.glob("surface *.png"))]


def build(models: Models, sessions: Sessions, pairs: dict[str, list[str]], walls: list[str]) -> gr.Blocks:
    """The page, not served yet."""

    def leave(request: gr.Request) -> None:
        sessions.end(session_of(request))

    with gr.Blocks(title="What changed?", analytics_enabled=False, delete_cache=(300, KEPT)) as page:
        gr.Markdown(INTRODUCTION)
        with gr.Accordion("Settings", open=False):
            controls = settings_controls()
        with gr.Tab("Two pictures"):
            _two_pictures(controls, models, sessions, pairs)
        with gr.Tab("Many pairs"):
            _many_pairs(controls, models, sessions)
        with gr.Tab("Defects"):
            _defects(models, sessions, walls)
        gr.Button("Light or dark", size="sm").click(None, js=DARK)
        page.unload(leave)
    return page


def _two_pictures(controls: list, models: Models, sessions: Sessions, pairs: dict[str, list[str]]) -> None:
    with gr.Row():
        before, after = picture_field("Before"), picture_field("After")
    remember_uploads(sessions, before, after)
    gr.Examples(list(pairs.values()), [before, after], label="Pairs to begin with", example_labels=list(pairs))
    with gr.Row():
        start, stop = gr.Button("Compare", variant="primary"), gr.Button("Cancel")
    status = status_line()
    with gr.Column(visible=False) as results:
        with gr.Row():
            similarity = gr.Textbox(label="Similarity, 0 to 1", interactive=False, scale=1)
            words = gr.Textbox(label="In words", interactive=False, lines=2, scale=3, min_width=320)
        boxed = picture_shown("What differs, boxed and numbered")
        download = gr.DownloadButton("Download this picture", interactive=False)
        with gr.Row():
            slider = gr.ImageSlider(label="Before and after: drag the line", type="filepath", buttons=["fullscreen"])
            heat = picture_shown("How much each place differs")
        listed = gr.HTML("")

    def work(
        first,
        second,
        method,
        align,
        kind,
        size,
        sensitivity,
        most,
        request: gr.Request,
        progress=gr.Progress(),  # noqa: B008
    ):
        if first is None or second is None:
            raise ValueError("There are not two pictures yet: put one into each field.")
        settings = settings_of(method, align, kind, size, sensitivity, most)
        yield {status: status_html("Comparing …"), words: "", download: gr.DownloadButton(interactive=False)}
        progress(0.2, "comparing")
        seen = comparing.see(first, second, settings, models)
        made = showing.written_pictures(seen, settings, sessions.folder(session_of(request)))
        yield {
            results: gr.Column(visible=True),
            status: status_html(showing.summary(seen, settings)),
            similarity: f"{rounded_down(seen.record['similarity'], 4):.4f}",
            boxed: made["changes"],
            download: gr.DownloadButton(value=made["changes"], interactive=True),
            slider: (made["before"], made["after"]),
            heat: made["heat"],
            listed: showing.regions_table(seen),
            words: "…",
        }
        progress(0.7, "describing")
        said, why = comparing.describe(seen, settings, models)
        yield {words: f"{said}. ({OWN_WORDS})" if said else f"No words: {why}"}

    outputs = [status, results, similarity, words, boxed, download, slider, heat, listed]
    run_work(start, stop, work, [before, after, *controls], outputs)


def _many_pairs(controls: list, models: Models, sessions: Sessions) -> None:
    gr.Markdown(
        "Pictures named `x_before.png` and `x_after.png`, or `x.png` and `x_2.png`; or a zip of them, which may hold"
        " the folders `before/` and `after/` instead."
    )
    files = gr.File(label="Pictures or a zip", file_count="multiple", file_types=["image", ".zip"])
    remember_uploads(sessions, files)
    with gr.Row():
        start, stop = gr.Button("Compare all", variant="primary"), gr.Button("Cancel")
    status = status_line()
    with gr.Row():
        as_json = gr.DownloadButton("Download JSON", interactive=False)
        as_csv = gr.DownloadButton("Download CSV", interactive=False)
    shown = gr.HTML("")

    def work(given, method, align, kind, size, sensitivity, most, request: gr.Request, progress=gr.Progress()):  # noqa: B008
        if not given:
            raise ValueError("There are no pictures yet: put them into the field, or a zip of them.")
        folder = sessions.folder(session_of(request))
        waiting = gr.DownloadButton(interactive=False)
        yield {status: status_html("Reading …"), shown: "", as_json: waiting, as_csv: waiting}
        pairs = comparing.lay_out(given, folder / "pairs")
        rows: list[tuple[dict[str, Any], str]] = []
        settings = settings_of(method, align, kind, size, sensitivity, most)
        for count, record, thumbnails in comparing.batch(pairs, settings, models):
            rows.append((record, thumbnails))
            progress((len(rows), count), "comparing", unit="pairs")
            yield {status: status_html(f"{len(rows)} of {count} pairs"), shown: comparing.table(rows)}
        written = _results([record for record, _ in rows], folder)
        buttons = [gr.DownloadButton(value=path, interactive=True) for path in written]
        yield {status: status_html(_totals(rows)), as_json: buttons[0], as_csv: buttons[1]}

    run_work(start, stop, work, [files, *controls], [status, as_json, as_csv, shown])


def _results(records: list[dict[str, Any]], folder: Path) -> tuple[str, str]:
    table = io.StringIO()
    writer = csv.DictWriter(table, comparing.COLUMNS, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(records)
    as_json = write_json(folder / "differences.json", records)
    return str(as_json), str(write_whole(folder / "differences.csv", table.getvalue().encode()))


def _totals(rows: list) -> str:
    bad = sum(bool(record["error"]) for record, _ in rows)
    differ = sum(bool(record["regions"]) for record, _ in rows)
    return f"{len(rows)} pairs: {differ} differ, {len(rows) - differ - bad} do not, {bad} bad."


def _defects(models: Models, sessions: Sessions, walls: list[str]) -> None:
    gr.Markdown("Is this surface cracked? A trained ResNet18 answers, and shows by Grad-CAM where it looked.")
    with gr.Row():
        picture = picture_field("A surface")
        evidence = picture_shown("Where the network saw a crack", height=300, visible=False)
    remember_uploads(sessions, picture)
    gr.Examples(walls, [picture], label="Surfaces to begin with")
    start, stop = gr.Button("Judge", variant="primary"), gr.Button("Cancel")
    status = status_line()
    answer = gr.Label(label="How sure it is", visible=False)

    def work(given, request: gr.Request):
        if given is None:
            raise ValueError("There is no picture yet: put one into the field.")
        one = comparing.read(given)
        yield {status: status_html("Looking …")}
        probabilities, heat = models.defects(one)
        path = str(write_image(sessions.folder(session_of(request)) / "evidence.png", drawing.overlay(one, heat)))
        yield {status: "", answer: gr.Label(probabilities, visible=True), evidence: gr.Image(path, visible=True)}

    run_work(start, stop, work, [picture], [status, answer, evidence])
