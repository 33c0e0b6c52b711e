"""The tab that judges whether a surface is cracked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from whatchanged.page import judging
from whatchanged.page.comparing import Models
from whatchanged.page.judging import Judging
from whatchanged.page.parts import (
    download_button,
    has_download,
    no_download,
    picture_field,
    start_and_stop,
    status_line,
    tell_at_choice,
    view_field,
)
from whatchanged.page.sessions import Sessions
from whatchanged.page.working import Waiting, run_work, session_of, status_html

_ABOUT = f"""Is this surface cracked? Put in a photograph of one, as of a wall: a ResNet18 that was trained on such
pictures answers, and Grad-CAM shows what spoke for a crack. {judging.UNKNOWN}"""
_LOOK_LABELS = {"Broadly": "broad", "Sharply": "sharp"}
_SCALE_LABELS = {"As bright as the network is sure": False, "The strongest place brightest": True}


def defects(models: Models, sessions: Sessions, walls: list[str]) -> None:
    """Build the tab; `walls` are surfaces to begin with."""
    gr.Markdown(_ABOUT)
    picture = picture_field("A surface", sessions)
    with gr.Row(elem_classes="tight"):
        begin = [gr.Button(f"Try: {Path(wall).stem}", size="sm", scale=0, min_width=40) for wall in walls]
    controls = _controls()
    start, stop = start_and_stop("Judge")
    status = status_line("defects")
    view = view_field("defects")
    with gr.Row(elem_classes="tight"):
        buttons = [download_button(f"Download {what}") for what in ("the picture", "JSON", "the report")]
    cleared: dict[Any, Any] = {view: ""} | dict.fromkeys(buttons, no_download())
    tell_at_choice(picture, sessions, status, cleared)
    for button, wall in zip(begin, walls, strict=True):
        button.click(
            lambda wall=wall: cleared | {picture: wall, status: ""},
            None,
            [picture, status, *cleared],
            show_progress="hidden",
            queue=False,
        )

    def work(given, percent, look, scale, request: gr.Request):
        if given is None:
            raise Waiting("There is no picture yet: put one into the field.")
        yield cleared | {status: status_html("Looking …")}
        judged = judging.judge(given, Judging(percent / 100, _LOOK_LABELS[look], _SCALE_LABELS[scale]), models)
        files = judging.answer_files(judged, sessions.folder(session_of(request)))
        told = status_html(judging.answer_in_words(judged), "alert" if judged.unlike else "status")
        yield {status: told, view: judging.answer_view(judged)} | dict(
            zip(buttons, map(has_download, files), strict=True)
        )

    again = [one.input for one in controls]
    run_work(start, stop, work, [picture, *controls], [status, *cleared], again, ends=[picture.change])


def _controls() -> list[Any]:
    """What the answer and the heat map depend on: a percentage, how sharply to look, the scale of the colors."""
    with gr.Accordion("Settings", open=False, elem_classes="settings"):
        percent = gr.Slider(
            1,
            99,
            value=50,
            step=1,
            label="Called cracked from, in percent",
            info="How sure the network has to be. Lower, and fewer cracks are missed; higher, and fewer sound surfaces"
            " are called cracked.",
        )
        with gr.Row():
            look = gr.Radio(
                list(_LOOK_LABELS),
                value="Broadly",
                label="How the heat map looks",
                info="Sharply it follows a crack more closely, and is led astray by more of what is none.",
            )
            scale = gr.Radio(
                list(_SCALE_LABELS),
                value="As bright as the network is sure",
                label="Colors of the heat map",
                info="By the first nothing glows on a sound surface; the second shows also there what comes closest.",
            )
    return [percent, look, scale]
