"""What the tabs of the page have in common: fields for pictures, the status, work that can be stopped, the settings."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from functools import wraps
from threading import Event
from typing import Any

import gradio as gr

from whatchanged.options import METHODS
from whatchanged.page.comparing import Settings
from whatchanged.page.sessions import Sessions

CHOICES = {label: name for name, label in METHODS.items()} | {"T-BLIP2": "words"}
ALIGNMENT = {"As the method is meant": None, "On": True, "Off": False}
KIND_LABELS = {"Automatic": None, "Exact": "exact", "Layout": "layout", "Camera": "camera"}
SIZE_LABELS = {"Compare all": "pad", "What both have": "crop", "At the smaller size": "scale"}


def picture_field(label: str) -> gr.Image:
    """A field for a picture that hands on the file as it is: what reads it says what is wrong with it."""
    field = gr.Image(label=label, sources=["upload", "clipboard"], type="filepath", height=300, image_mode=None)
    # gradio's own would decode it
    field.preprocess = lambda payload: None if payload is None else payload.path  # type: ignore[method-assign]
    return field


def picture_shown(label: str, **options: Any) -> gr.Image:
    """A picture that the page shows."""
    return gr.Image(label=label, alt_text=label, type="filepath", interactive=False, buttons=["fullscreen"], **options)


def remember_uploads(sessions: Sessions, *fields_: Any) -> None:
    """What is put into these fields goes when the visitor leaves."""

    def keep(given: Any, request: gr.Request) -> None:
        sessions.keep(session_of(request), [given] if isinstance(given, str) else given or [])

    for one in fields_:
        one.upload(keep, one, None, show_progress="hidden", queue=False)


def session_of(request: gr.Request) -> str:
    """Whose request it is."""
    return request.session_hash or ""


def status_line() -> gr.HTML:
    """A line that tells what goes on, to screen readers, too."""
    return gr.HTML("", elem_id="status")


def status_html(text: str, role: str = "status") -> str:
    """A status, as HTML."""
    return f'<p role="{role}">{html.escape(text)}</p>'


def run_work(start: gr.Button, stop: gr.Button, work: Callable, inputs: list, outputs: list) -> None:
    """Work begins with one button and can be stopped between its steps with the other.

    What a user can do something about is told in the status, the first of the outputs.
    """
    status = outputs[0]
    ends: dict[str, Event] = {}  # of the session's work that goes on

    @wraps(work)
    def told(*arguments: Any, **options: Any) -> Iterator[Any]:
        own = next(session_of(one) for one in arguments if isinstance(one, gr.Request))
        ended = ends[own] = Event()
        try:
            yield from work(*arguments, **options)
        except (ValueError, OSError) as error:
            yield {status: status_html(str(error), "alert")}
        finally:  # also where gradio closes the generator
            ended.set()
            if ends.get(own) is ended:  # not that of work begun since
                del ends[own]

    def stopped(request: gr.Request) -> str:
        """Waits for the work's last word, which may still be on its way when the button is pressed."""
        if ended := ends.get(session_of(request)):
            ended.wait()
        return status_html("Stopped.")

    event = start.click(told, inputs, outputs, show_progress_on=[status], trigger_mode="always_last")
    stop.click(None, cancels=[event])  # apart, as gradio would cancel only when what is called beside it is done
    stop.click(stopped, None, status)


def settings_controls() -> list[Any]:
    """What `settings_of` takes, in its order."""
    with gr.Row():
        method = gr.Radio(list(CHOICES), value=METHODS["tolerant"], label="Method")
        align = gr.Radio(list(ALIGNMENT), value="As the method is meant", label="Align the pictures first")
    with gr.Row():
        kind = gr.Radio(list(KIND_LABELS), value="Automatic", label="Kind of pair")
        size = gr.Radio(list(SIZE_LABELS), value="Compare all", label="Where sizes differ")
    with gr.Row():
        sensitivity = gr.Slider(0.2, 5, value=1, step=0.1, label="Sensitivity (not for T-BLIP2)")
        most = gr.Slider(1, 30, value=10, step=1, label="Maximum number of clusters")
    return [method, align, kind, size, sensitivity, most]


def settings_of(method: str, align: str, kind: str, size: str, sensitivity: float, most: float) -> Settings:
    """What the controls say."""
    return Settings(CHOICES[method], ALIGNMENT[align], sensitivity, int(most), KIND_LABELS[kind], SIZE_LABELS[size])
