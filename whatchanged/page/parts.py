"""What the tabs of the page have in common: fields for pictures, what is shown and downloaded, the settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from whatchanged.images import shrink, write_image
from whatchanged.options import METHODS
from whatchanged.page import comparing
from whatchanged.page.comparing import Settings
from whatchanged.page.sessions import Sessions
from whatchanged.page.working import session_of, status_html
from whatchanged.report import fragment_script

CHOICES = {label: name for name, label in METHODS.items()} | {"T-BLIP2": "words"}
ALIGNMENT = {"Where it helps": None, "Always": True, "Never": False}
KIND_LABELS = {
    "Find out": None,
    "The same rendering": "exact",
    "A page whose rows may move": "layout",
    "Photographs or scans": "camera",
}
SIZE_LABELS = {"All of both": "pad", "What both have at the top left": "crop", "Both at the smaller size": "scale"}
_OF_WORDS = "; T-BLIP2 shows what the model reads that writes the words"
_BROWSERS_SHOW = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".avif"}
_VIEW = f"""const whatchanged = () => {{
{fragment_script()}
}};
{(Path(__file__).parent / "view.js").read_text(encoding="utf-8")}"""


def picture_field(label: str, sessions: Sessions, value: str | None = None) -> gr.Image:
    """A field for a picture that hands on the file as it is: what reads it says what is wrong with it."""
    field = gr.Image(
        value,
        label=label,
        alt_text=f"{label}, as it was put in",
        sources=["upload", "clipboard"],
        type="filepath",
        height=280,
        image_mode=None,
        elem_classes="picture",
    )
    # gradio's own would decode it
    field.preprocess = lambda payload: (  # type: ignore[method-assign]
        None if payload is None or payload.path is None else sessions.original(payload.path)
    )
    return field


def clear_at(events: Sequence[Callable], cleared: dict[Any, Any]) -> None:
    """On these events what was shown goes, in the browser and at once: the answer of a server may come late, and would
    take away what was shown since.
    """
    script = f"() => {json.dumps(list(cleared.values()))}"
    for event in events:
        event(None, None, list(cleared), js=script, show_progress="hidden")


def tell_at_choice(field: gr.Image, sessions: Sessions, status: gr.HTML, cleared: dict[Any, Any]) -> None:
    """A picture that is put in goes when its visitor leaves, clears what was shown, and is told where it is bad; of one
    that browsers do not show, a copy is shown.
    """

    def chosen(path: str, request: gr.Request) -> dict[Any, Any]:
        session = session_of(request)
        sessions.keep(session, [path])
        try:
            picture = comparing.read(path)
        except (ValueError, OSError) as error:
            return {field: None, status: status_html(str(error), "alert")}
        if Path(path).suffix.lower() in _BROWSERS_SHOW:
            return {status: gr.skip()}
        copy = sessions.folder(session) / f"{Path(path).name}.png"
        return {field: sessions.shown_as(path, str(write_image(copy, shrink(picture, 1600))))}

    clear_at([field.upload, field.clear], {status: ""} | cleared)
    field.upload(chosen, field, [field, status], show_progress="hidden", queue=False)


def start_and_stop(label: str) -> tuple[gr.Button, gr.Button]:
    """The button that begins the work of a tab, and the one that ends it."""
    with gr.Row():
        start = gr.Button(label, variant="primary", scale=3, min_width=120)
        return start, gr.Button("Cancel", interactive=False, scale=1, min_width=90)


def status_line(name: str) -> gr.HTML:
    """A line that tells what goes on, to screen readers, too."""
    return gr.HTML("", elem_id=f"{name}-status", elem_classes="status-line")


def view_field(name: str) -> gr.HTML:
    """A place for HTML of `report`, whose script runs there; it tells what is chosen in it by "select".

    It is there from the beginning, and holds its pictures itself: of a component that becomes visible only with its
    value, Gradio loses the value now and then.
    """
    return gr.HTML("", html_template="", js_on_load=_VIEW, apply_default_css=False, elem_id=f"{name}-view", above=name)


def download_button(label: str) -> gr.DownloadButton:
    """A button that waits for its file."""
    return gr.DownloadButton(label, interactive=False, size="sm")


def no_download() -> Any:
    """What such a button becomes while there is no file."""
    return gr.update(value=None, interactive=False)


def has_download(path: Path) -> Any:
    """What it becomes when there is one."""
    return gr.update(value=str(path), interactive=True)


def settings_controls(words: bool) -> list[Any]:
    """What `settings_of` takes, in its order; `words`: whether there is a model that describes."""
    with gr.Accordion("Settings", open=False, elem_classes="settings"):
        with gr.Row():
            method = gr.Radio(
                [label for label, name in CHOICES.items() if words or name != "words"],
                value=METHODS["tolerant"],
                label="How to compare",
                info="The first finds out what kind of pair it is, and bears what is no change. The others are the"
                f" classic ways{_OF_WORDS if words else ''}.",
            )
            kind = gr.Radio(
                list(KIND_LABELS),
                value="Find out",
                label="What the pictures are",
                info="Of renderings every pixel counts. Photographs have noise, and are laid on each other first.",
            )
        with gr.Row():
            align = gr.Radio(
                list(ALIGNMENT),
                value="Where it helps",
                label="Lay them on each other first",
                info="Photographs need it where the camera moved; the classic ways do not do it by themselves.",
            )
            size = gr.Radio(
                list(SIZE_LABELS),
                value="All of both",
                label="Where sizes differ, compare",
                info="The last is for one picture in two resolutions.",
            )
        with gr.Row():
            sensitivity = gr.Slider(
                0.2,
                5,
                value=1,
                step=0.1,
                label="Sensitivity",
                info="Above 1 weaker differences count, too; below 1 only stronger ones."
                f"{' Not for T-BLIP2.' if words else ''}",
            )
            most = gr.Slider(
                1,
                200,
                value=10,
                step=1,
                label="Regions shown",
                info="The strongest of each page; the JSON to download has all of them.",
            )
        ignore = gr.Textbox(
            label="Places that are not compared",
            lines=2,
            placeholder="10, 20, 300, 40",
            info="x, y, width and height in pixels of the before picture, a place a line; “Ignore a place” above the"
            " result writes one.",
        )
    return [method, align, kind, size, sensitivity, most, ignore]


def settings_of(
    method: str, align: str, kind: str, size: str, sensitivity: float, most: float, ignore: str
) -> Settings:
    """What the controls say; ValueError where a place is none."""
    places: Any = tuple(tuple(line.replace(",", " ").split()) for line in (ignore or "").splitlines() if line.strip())
    given = Settings(CHOICES[method], ALIGNMENT[align], sensitivity, int(most), KIND_LABELS[kind], SIZE_LABELS[size])
    return replace(given, ignore=replace(given, ignore=places).options.ignore)
