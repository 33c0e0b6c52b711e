"""The tab that compares two pictures."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gradio as gr

from whatchanged.markup import Html, tag, together
from whatchanged.models.likeness import MAY_MEAN_NOTHING
from whatchanged.page import comparing, showing
from whatchanged.page.comparing import Models, Words
from whatchanged.page.parts import (
    download_button,
    has_download,
    no_download,
    picture_field,
    settings_controls,
    settings_of,
    start_and_stop,
    status_line,
    tell_at_choice,
    view_field,
)
from whatchanged.page.sessions import Sessions
from whatchanged.page.working import Waiting, run_work, session_of, status_html

_OWN_WORDS = "A model that learned from generated scenes speaks of any picture in their words."


def two_pictures(
    models: Models, sessions: Sessions, examples: dict[str, list[str]], given: list[str], load: Callable
) -> None:
    """Build the tab.

    Parameters
    ----------
    examples : pairs to begin with, by name.
    given : the pair that is there when the page is opened; empty: none.
    load : the event of the page that is opened.
    """
    with gr.Row():
        before, after = (
            picture_field(label, sessions, given[number] if given else None)
            for number, label in enumerate(("Before", "After"))
        )
    with gr.Row(elem_classes="tight"):
        swap = gr.Button("Swap", size="sm", scale=0, min_width=80)
        begin = [gr.Button(f"Try: {name}", size="sm", scale=0, min_width=40) for name in examples]
    controls = settings_controls(models.describer is not None)
    start, stop = start_and_stop("Compare")
    status = status_line("pair")
    words = gr.HTML("", elem_id="pair-words", elem_classes="words-line")
    view = view_field("pair")
    with gr.Row(elem_classes="tight"):
        buttons = [download_button(f"Download {what}") for what in ("the picture", "JSON", "the report")]
    cleared: dict[Any, Any] = {view: "", words: ""} | dict.fromkeys(buttons, no_download())
    for one in (before, after):
        tell_at_choice(one, sessions, status, cleared)
    for button, pair in zip(begin, examples.values(), strict=True):
        button.click(
            lambda pair=pair: cleared | {before: pair[0], after: pair[1], status: ""},
            None,
            [before, after, status, *cleared],
            show_progress="hidden",
            queue=False,
        )

    def work(first, second, method, align, kind, size, sensitivity, most, ignore, request: gr.Request):
        if first is None or second is None:
            raise Waiting("There are not two pictures yet: put one into each field.")
        how = settings_of(method, align, kind, size, sensitivity, most, ignore)
        yield cleared | {status: status_html("Comparing …")}
        began = time.monotonic()
        seen = comparing.see(first, second, how, models)
        took = f"Compared in {time.monotonic() - began:.1f} s."
        yield {
            status: status_html(f"{showing.summary(seen, how)} {took}"),
            view: showing.view(seen, how),
            words: _said("…") if models.describer is not None else "",
        }
        told = comparing.describe(seen, how, models)
        yield {words: _shown(told) if models.describer is not None else ""}
        files = showing.written(first, second, seen, told, how, sessions.folder(session_of(request)))
        yield dict(zip(buttons, map(has_download, files), strict=True))

    swapped = swap.click(None, [before, after], [after, before], js="(before, after) => [before, after]")
    ignored = view.select(_ignored, controls[-1], controls[-1], show_progress="hidden", queue=False)
    *clicked, places = controls
    again = [swapped.then, ignored.then, places.submit, *(one.input for one in clicked), *([load] if given else [])]
    ends = [before.change, after.change]
    run_work(start, stop, work, [before, after, *controls], [status, *cleared], again, ends)


def _ignored(event: gr.EventData, places: str | None) -> str:
    """The places that are not compared, and one more that was drawn."""
    box = ", ".join(str(int(one)) for one in event._data["box"])
    return "\n".join(filter(None, ((places or "").strip(), box)))


def _shown(words: Words) -> str:
    """Words about a pair unlike the training set wait behind a click."""
    if not words.said:
        return _said(f"None: {words.why}.")
    if not words.unlike:
        return _said(f"{words.said}.", _OWN_WORDS if words.unlike is None else "")
    hidden = tag("details", tag("summary", "Show anyway"), tag("p", f"{words.said}."))
    return together([_said(f"This pair is {MAY_MEAN_NOTHING}."), hidden])


def _said(what: str, more: str = "") -> Html:
    return tag("p", tag("b", "In words: "), what, tag("span", f" {more}", class_="soft") if more else None)
