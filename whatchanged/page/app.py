"""The interactive page: what changed between two pictures, in many pairs, and whether a picture shows a defect."""

from __future__ import annotations

import atexit
import csv
import html
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import wraps
from pathlib import Path
from threading import Event
from typing import Any

import cv2
import gradio as gr
import numpy as np

from whatchanged import drawing
from whatchanged.files import write_json, write_whole
from whatchanged.images import size, write_image
from whatchanged.options import METHODS
from whatchanged.page import comparing
from whatchanged.page.comparing import Models, Settings
from whatchanged.page.sessions import Sessions
from whatchanged.regions import Difference, Region

MAX_FILE = "40mb"
KEPT = 3600  # seconds after which the files of a page that was left open go
CHOICES = {label: name for name, label in METHODS.items()} | {"T-BLIP2": "words"}
ALIGNMENT = {"As the method is meant": None, "On": True, "Off": False}
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
        prevent_thread_lock=not block,
        footer_links=[],
        theme=theme,
        css_paths=[HERE / "style.css"],
        max_file_size=MAX_FILE,
        show_error=True,
        ssr_mode=False,
    )
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
        sessions.end(_session(request))

    with gr.Blocks(title="What changed?", analytics_enabled=False, delete_cache=(300, KEPT)) as page:
        gr.Markdown(INTRODUCTION)
        with gr.Accordion("Settings", open=False):
            controls = _controls()
        with gr.Tab("Two pictures"):
            _two_pictures(controls, models, sessions, pairs)
        with gr.Tab("Many pairs"):
            _many_pairs(controls, models, sessions)
        with gr.Tab("Defects"):
            _defects(models, sessions, walls)
        gr.Button("Light or dark", size="sm").click(None, js=DARK)
        page.unload(leave)
    return page


def _field(label: str) -> gr.Image:
    """A field for a picture that hands on the file as it is: `comparing.read` says what is wrong with it."""
    field = gr.Image(label=label, sources=["upload", "clipboard"], type="filepath", height=300, image_mode=None)
    # gradio's own would decode it
    field.preprocess = lambda payload: None if payload is None else payload.path  # type: ignore[method-assign]
    return field


def _shown(label: str, **options: Any) -> gr.Image:
    return gr.Image(label=label, alt_text=label, type="filepath", interactive=False, buttons=["fullscreen"], **options)


def _remember_uploads(sessions: Sessions, *fields_: Any) -> None:
    def keep(given: Any, request: gr.Request) -> None:
        sessions.keep(_session(request), [given] if isinstance(given, str) else given or [])

    for one in fields_:
        one.upload(keep, one, None, show_progress="hidden", queue=False)


def _session(request: gr.Request) -> str:
    """Whose request it is."""
    return request.session_hash or ""


def _status() -> gr.HTML:
    """A line that tells what goes on, to screen readers, too."""
    return gr.HTML("", elem_id="status")


def _say(text: str, role: str = "status") -> str:
    return f'<p role="{role}">{html.escape(text)}</p>'


def _run(start: gr.Button, stop: gr.Button, work: Callable, inputs: list, outputs: list) -> None:
    """Work begins with one button and can be stopped between its steps with the other.

    What a user can do something about is told in the status, the first of the outputs.
    """
    status = outputs[0]
    ends: dict[str, Event] = {}  # of the session's work that goes on

    @wraps(work)
    def told(*arguments: Any, **options: Any) -> Iterator[Any]:
        session = next(_session(one) for one in arguments if isinstance(one, gr.Request))
        ended = ends[session] = Event()
        try:
            yield from work(*arguments, **options)
        except (ValueError, OSError) as error:
            yield {status: _say(str(error), "alert")}
        finally:  # also where gradio closes the generator
            ended.set()
            if ends.get(session) is ended:  # not that of work begun since
                del ends[session]

    def stopped(request: gr.Request) -> str:
        """Waits for the work's last word, which may still be on its way when the button is pressed."""
        if ended := ends.get(_session(request)):
            ended.wait()
        return _say("Stopped.")

    event = start.click(told, inputs, outputs, show_progress_on=[status], trigger_mode="always_last")
    stop.click(None, cancels=[event])  # apart, as gradio would cancel only when what is called beside it is done
    stop.click(stopped, None, status)


def _controls() -> list[Any]:
    with gr.Row():
        method = gr.Radio(list(CHOICES), value=METHODS["tolerant"], label="Method")
        align = gr.Radio(list(ALIGNMENT), value="As the method is meant", label="Align the pictures first")
    with gr.Row():
        sensitivity = gr.Slider(0.2, 5, value=1, step=0.1, label="Sensitivity (not for T-BLIP2)")
        most = gr.Slider(1, 30, value=10, step=1, label="Maximum number of clusters")
    return [method, align, sensitivity, most]


def _settings(method: str, align: str, sensitivity: float, most: float) -> Settings:
    return Settings(CHOICES[method], ALIGNMENT[align], sensitivity, int(most))


def _two_pictures(controls: list, models: Models, sessions: Sessions, pairs: dict[str, list[str]]) -> None:
    with gr.Row():
        before, after = _field("Before"), _field("After")
    _remember_uploads(sessions, before, after)
    gr.Examples(list(pairs.values()), [before, after], label="Pairs to begin with", example_labels=list(pairs))
    with gr.Row():
        start, stop = gr.Button("Compare", variant="primary"), gr.Button("Cancel")
    status = _status()
    with gr.Column(visible=False) as results:
        with gr.Row():
            similarity = gr.Textbox(label="Similarity, 0 to 1", interactive=False, scale=1)
            words = gr.Textbox(label="In words", interactive=False, lines=2, scale=3, min_width=320)
        boxed = _shown("What differs, boxed and numbered")
        download = gr.DownloadButton("Download this picture", interactive=False)
        with gr.Row():
            slider = gr.ImageSlider(label="Before and after: drag the line", type="filepath", buttons=["fullscreen"])
            heat = _shown("How much each place differs")
        listed = gr.HTML("")

    def work(first, second, method, align, sensitivity, most, request: gr.Request, progress=gr.Progress()):  # noqa: B008
        if first is None or second is None:
            raise ValueError("There are not two pictures yet: put one into each field.")
        settings = _settings(method, align, sensitivity, most)
        yield {status: _say("Reading …"), words: "", download: gr.DownloadButton(interactive=False)}
        progress(0.1, "reading")
        one, two = comparing.read(first), comparing.read(second)
        yield {status: _say("Comparing …")}
        progress(0.3, "comparing")
        found = comparing.compare(one, two, settings, models)
        made = _pictures(one, two, found, sessions.folder(_session(request)))
        yield {
            results: gr.Column(visible=True),
            status: _say(_summary(found, one, two)),
            similarity: f"{found.similarity:.4f}",
            boxed: made["changes"],
            download: gr.DownloadButton(value=made["changes"], interactive=True),
            slider: (made["before"], made["after"]),
            heat: made["heat"],
            listed: _listed(found),
            words: "…",
        }
        progress(0.7, "describing")
        said, why = comparing.describe(one, two, settings, models)
        yield {words: f"{said}. ({OWN_WORDS})" if said else f"No words: {why}"}

    outputs = [status, results, similarity, words, boxed, download, slider, heat, listed]
    _run(start, stop, work, [before, after, *controls], outputs)


def _pictures(before: np.ndarray, after: np.ndarray, found: Difference, folder: Path) -> dict[str, str]:
    """What is shown of a pair, written into a folder: name -> file."""
    aligned = cv2.resize(after, found.map.shape[::-1], interpolation=cv2.INTER_AREA)
    if found.alignment is not None:
        aligned = found.alignment.warp(aligned)
    made = {
        "changes": drawing.draw_regions(before, after, found),
        "heat": drawing.overlay(before, found.map, highest=max(0.25, float(found.map.max()))),
        "before": before,
        "after": cv2.resize(aligned, before.shape[1::-1], interpolation=cv2.INTER_AREA),
    }
    return {name: str(write_image(folder / f"{name}.png", picture)) for name, picture in made.items()}


def _listed(found: Difference) -> str:
    names = ["number", *(one.name for one in fields(Region))]
    listed = found.summary()["regions"]
    rows = [[str(number), *map(str, one.values())] for number, one in enumerate(listed, start=1)]
    return comparing.html_table("Regions, in pixels of the picture before", names, rows)


def _summary(found: Difference, before: np.ndarray, after: np.ndarray) -> str:
    count = len(found.regions)
    told = ["No difference." if not count else "1 region differs." if count == 1 else f"{count} regions differ."]
    if before.shape != after.shape:
        told.append(f"The pictures are {size(before)} and {size(after)}: compared at the smaller size.")
    if found.method == "features":
        told.append("The features are random: this network was never trained.")
    return " ".join(told)


def _many_pairs(controls: list, models: Models, sessions: Sessions) -> None:
    gr.Markdown(
        "Pictures named `x_before.png` and `x_after.png`, or `x.png` and `x_2.png`; or a zip of them, which may hold"
        " the folders `before/` and `after/` instead."
    )
    files = gr.File(label="Pictures or a zip", file_count="multiple", file_types=["image", ".zip"])
    _remember_uploads(sessions, files)
    with gr.Row():
        start, stop = gr.Button("Compare all", variant="primary"), gr.Button("Cancel")
    status = _status()
    with gr.Row():
        as_json = gr.DownloadButton("Download JSON", interactive=False)
        as_csv = gr.DownloadButton("Download CSV", interactive=False)
    shown = gr.HTML("")

    def work(given, method, align, sensitivity, most, request: gr.Request, progress=gr.Progress()):  # noqa: B008
        if not given:
            raise ValueError("There are no pictures yet: put them into the field, or a zip of them.")
        folder = sessions.folder(_session(request))
        waiting = gr.DownloadButton(interactive=False)
        yield {status: _say("Reading …"), shown: "", as_json: waiting, as_csv: waiting}
        pairs = comparing.lay_out(given, folder / "pairs")
        rows: list[tuple[dict[str, Any], str]] = []
        for count, record, thumbnails in comparing.batch(pairs, _settings(method, align, sensitivity, most), models):
            rows.append((record, thumbnails))
            progress((len(rows), count), "comparing", unit="pairs")
            yield {status: _say(f"{len(rows)} of {count} pairs"), shown: comparing.table(rows)}
        written = _results([record for record, _ in rows], folder)
        buttons = [gr.DownloadButton(value=path, interactive=True) for path in written]
        yield {status: _say(_totals(rows)), as_json: buttons[0], as_csv: buttons[1]}

    _run(start, stop, work, [files, *controls], [status, as_json, as_csv, shown])


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
        picture = _field("A surface")
        evidence = _shown("Where the network saw a crack", height=300, visible=False)
    _remember_uploads(sessions, picture)
    gr.Examples(walls, [picture], label="Surfaces to begin with")
    start, stop = gr.Button("Judge", variant="primary"), gr.Button("Cancel")
    status = _status()
    answer = gr.Label(label="How sure it is", visible=False)

    def work(given, request: gr.Request):
        if given is None:
            raise ValueError("There is no picture yet: put one into the field.")
        one = comparing.read(given)
        yield {status: _say("Looking …")}
        probabilities, heat = models.defects(one)
        path = str(write_image(sessions.folder(_session(request)) / "evidence.png", drawing.overlay(one, heat)))
        yield {status: "", answer: gr.Label(probabilities, visible=True), evidence: gr.Image(path, visible=True)}

    _run(start, stop, work, [picture], [status, answer, evidence])
