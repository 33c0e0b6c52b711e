"""Work that one button begins and another one ends at once."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import wraps
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any

import gradio as gr

_LOOK = 0.1  # seconds between two looks whether the work was stopped


class Waiting(ValueError):
    """What the work needs was not put in yet."""


def session_of(request: gr.Request) -> str:
    """Whose request it is."""
    return request.session_hash or ""


def status_html(text: str, role: str = "status") -> str:
    """A status, as HTML."""
    return f'<p role="{role}">{html.escape(text)}</p>'


@dataclass(eq=False)
class _Run:
    """One piece of work: what it was given, whether it is to end, and what is said then."""

    given: list[Any]
    ended: Event = field(default_factory=Event)
    said: str = ""


class _Work:
    """The runs of one piece of work, at most one of each session."""

    def __init__(self, work: Callable, status: gr.HTML, stop: gr.Button) -> None:
        self._work, self._status, self._stop = work, status, stop
        self._runs: dict[str, _Run] = {}

    def told(self, quiet: bool, *arguments: Any) -> Iterator[Any]:
        """Its steps, and at the end what became of it; `quiet` where nobody asked."""
        own, runs = _session_in(arguments), self._runs
        if own in runs:
            runs[own].ended.set()
        run = runs[own] = _Run(_values(arguments))
        steps: SimpleQueue[Any] = SimpleQueue()
        Thread(target=_go_through, args=(self._work, arguments, run.ended, steps), daemon=True).start()
        done = {self._stop: gr.update(interactive=False)}
        try:
            yield {self._stop: gr.update(interactive=True)}
            while (step := _next(steps, run.ended)) is not None:
                yield step
            if runs.get(own) is run:
                yield done | ({self._status: status_html(run.said)} if run.said else {})
        except Waiting as error:
            yield done if quiet else done | {self._status: status_html(str(error), "alert")}
        except (ValueError, OSError) as error:
            yield done | {self._status: status_html(str(error), "alert")}
        finally:  # also where gradio closes the generator
            run.ended.set()
            if runs.get(own) is run:  # not that of work begun since
                del runs[own]

    def stopped(self, request: gr.Request) -> None:
        """Its button was pressed."""
        if run := self._runs.get(session_of(request)):
            run.said = "Stopped."
            run.ended.set()

    def changed(self, *arguments: Any) -> Any:
        """Something was put in: a run that was given something else ends."""
        run = self._runs.get(_session_in(arguments))
        if run is None or run.given == _values(arguments):
            return gr.skip()
        run.ended.set()
        return ""


def run_work(
    start: gr.Button,
    stop: gr.Button,
    work: Callable,
    inputs: list,
    outputs: list,
    again: Sequence[Callable] = (),
    ends: Sequence[Callable] = (),
) -> None:
    """Work begins with one button and ends with the other, which can be pressed only meanwhile.

    The work goes through its steps in a thread of its own, so that the page answers at once when it is stopped; the
    step in which it is then still ends unseen. Of two pieces of work that one visitor began, the later one is shown.
    What a user can do something about is told in the status, the first of the outputs.

    Parameters
    ----------
    work : a generator function, of updates by component.
    again : other events on which it begins; silently not, where it is still `Waiting` for something.
    ends : events after which it may tell of what is no longer there: it ends where it was given something else.
    """
    status = outputs[0]
    one = _Work(work, status, stop)

    @wraps(work)  # gradio looks there for the request among the arguments
    def asked(*arguments: Any) -> Iterator[Any]:
        yield from one.told(False, *arguments)

    @wraps(work)
    def asked_again(*arguments: Any) -> Iterator[Any]:
        yield from one.told(True, *arguments)

    @wraps(work)
    def changed(*arguments: Any) -> Any:
        return one.changed(*arguments)

    how: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "always_last"}
    start.click(asked, inputs, [*outputs, stop], **how)
    for event in again:
        event(asked_again, inputs, [*outputs, stop], **how)
    stop.click(one.stopped, None, None, queue=False, show_progress="hidden")
    for event in ends:
        event(changed, inputs, status, queue=False, show_progress="hidden")


def _session_in(arguments: tuple) -> str:
    return next(session_of(one) for one in arguments if isinstance(one, gr.Request))


def _values(arguments: tuple) -> list[Any]:
    return [one for one in arguments if not isinstance(one, gr.Request)]


def _go_through(work: Callable, arguments: tuple, ended: Event, steps: SimpleQueue[Any]) -> None:
    """Put the steps of the work into a queue, then None or the error that ended it."""
    try:
        for step in work(*arguments):
            if ended.is_set():
                return
            steps.put(step)
        steps.put(None)
    except Exception as error:  # it is raised where it can be told
        steps.put(error)


def _next(steps: SimpleQueue[Any], ended: Event) -> Any:
    """The next step; None where there is no more, or where the work was stopped."""
    while not ended.is_set():
        try:
            step = steps.get(timeout=_LOOK)
        except Empty:
            continue
        if isinstance(step, Exception):
            raise step
        return step
    return None
