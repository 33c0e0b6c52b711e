"""The tab that judges whether a surface is cracked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from whatchanged import drawing
from whatchanged.files import write_json
from whatchanged.images import write_image
from whatchanged.page import comparing
from whatchanged.page.comparing import Models
from whatchanged.page.parts import (
    download_button,
    has_download,
    no_download,
    picture_field,
    start_and_stop,
    status_line,
    tell_at_choice,
)
from whatchanged.page.sessions import Sessions
from whatchanged.page.working import Waiting, run_work, session_of, status_html

_ABOUT = """Is this surface cracked? Put in a photograph of one, as of a wall: a ResNet18 that was trained on such
pictures answers, and Grad-CAM shows what spoke for a crack. Of a picture that shows something else its answer means
nothing, however sure it is."""


def defects(models: Models, sessions: Sessions, walls: list[str]) -> None:
    """Build the tab; `walls` are surfaces to begin with."""
    gr.Markdown(_ABOUT)
    with gr.Row():
        picture = picture_field("A surface", sessions)
        evidence = gr.Image(
            label="What spoke for a crack",
            alt_text="The surface, brighter where more spoke for a crack",
            type="filepath",
            interactive=False,
            buttons=["fullscreen"],
            height=280,
        )
    with gr.Row(elem_classes="tight"):
        begin = [gr.Button(f"Try: {Path(wall).stem}", size="sm", scale=0, min_width=40) for wall in walls]
    start, stop = start_and_stop("Judge")
    status = status_line("defects")
    answer = gr.Label(label="How sure it is")
    with gr.Row(elem_classes="tight"):
        buttons = [download_button(f"Download {what}") for what in ("the picture", "JSON")]
    cleared: dict[Any, Any] = {answer: None, evidence: None} | dict.fromkeys(buttons, no_download())
    tell_at_choice(picture, sessions, status, cleared)
    for button, wall in zip(begin, walls, strict=True):
        button.click(
            lambda wall=wall: cleared | {picture: wall, status: ""},
            None,
            [picture, status, *cleared],
            show_progress="hidden",
            queue=False,
        )

    def work(given, request: gr.Request):
        if given is None:
            raise Waiting("There is no picture yet: put one into the field.")
        one = comparing.read(given)
        yield cleared | {status: status_html("Looking …")}
        probabilities, heat = models.defects(one)
        *_, defect = probabilities
        likely = max(probabilities, key=lambda name: probabilities[name])
        # scaled by how sure it is: where nothing was found, nothing glows
        shown = drawing.overlay(one, heat, highest=float(heat.max()) / max(probabilities[defect], 0.05) or 1.0)
        folder = sessions.folder(session_of(request))
        path = write_image(folder / "evidence.png", shown)
        record = {"picture": Path(given).name, "answer": likely, "probabilities": probabilities}
        label = f"Where it saw “{defect}”" if likely == defect else f"What comes closest to “{defect}”, and is not"
        yield {
            status: status_html(f"The answer is “{likely}”, {probabilities[likely]:.0%} sure."),
            answer: probabilities,
            evidence: gr.update(value=str(path), label=label),
            buttons[0]: has_download(path),
            buttons[1]: has_download(write_json(folder / "answer.json", record)),
        }

    run_work(start, stop, work, [picture], [status, *cleared], ends=[picture.change])
