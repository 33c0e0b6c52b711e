"""Notebooks executed through papermill, several at a time where cores and memory allow."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from course.memory import peak_memory
from course.notebooks import NOTEBOOKS, join_streams, title
from course.parameters import changed, declared
from course.reports import Run, line_of
from course.results import last_good_kept
from helpers.runtime import ROOT
from whatchanged.devices import cores, rank
from whatchanged.files import read_json

ROOM = 4_000_000_000  # bytes that have to be free for each notebook where several run at a time
WORKERS = "notebook"  # how the names of the threads begin that execute notebooks at a time
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


def execute_all(tasks: Sequence[tuple[Path, dict[str, Any]]], build: Path, jobs: int) -> tuple[list[Run], Run]:
    """Execute notebooks, each on its share of the cores.

    Parameters
    ----------
    tasks : notebooks, each with its parameters, as for `execute`.
    build : as for `execute`.
    jobs : how many at a time; fewer where cores or free memory are short.

    Returns
    -------
    list of Run, Run
        Of each notebook, in the order of `tasks`, and of all together. Those that ask what others trained, and have a
        parameter `MODELS` for it, come after these.
    """
    jobs, began = _at_a_time(jobs, len(tasks)), time.perf_counter()
    asking = [task for task in tasks if "MODELS" in declared(task[0])]
    others, names = [task for task in tasks if task not in asking], [path.stem for path, _ in tasks]
    with peak_memory() as peak:
        done = _runs(others, build, jobs) + _runs(asking, build, jobs)
    runs = sorted(done, key=lambda one: names.index(one.name))
    error = next((one.error for one in runs if one.error), None)
    name = f"together, {jobs} at a time" if jobs > 1 else "together"
    return runs, Run(name, "", time.perf_counter() - began, peak.bytes, error=error)


def _runs(tasks: Sequence[tuple[Path, dict[str, Any]]], build: Path, jobs: int) -> list[Run]:
    """Where there are several jobs the last notebook begins, which takes longest."""
    stopped, order = threading.Event(), -1 if jobs > 1 else 1
    with shared(jobs) if jobs > 1 else nullcontext(), ThreadPoolExecutor(jobs, WORKERS) as pool:
        try:
            begun = [pool.submit(execute, *task, build, stopped) for task in tasks[::order]]
            while wait(begun, timeout=0.5).not_done:
                pass  # not one wait without end: where another thread takes the Ctrl-C, nothing ends that
            return [one.result() for one in begun[::order]]
        except BaseException:  # stopped by the reader: nothing goes on behind the back
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            threading.Thread(target=_kill_kernels).start()  # in a thread, which a second Ctrl-C does not stop
            raise


def _kill_kernels() -> None:
    """Kill what this process started till no notebook is left; again and again, since a kernel may just be starting."""
    import psutil

    while any(thread.name.startswith(WORKERS) for thread in threading.enumerate()):
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                process.kill()
        time.sleep(0.2)


def usual_jobs() -> int:
    """Notebooks at a time where nobody says how many: two, with a core each. They are done sooner than one after the
    other on both cores, and as soon on an older processor. With more than four cores one for each two.
    """
    return min(cores(), max(2, cores() // 2))


def _at_a_time(jobs: int, notebooks: int) -> int:
    """How many notebooks run at a time: `jobs`, or as many as there are, or as cores and free memory allow."""
    import psutil

    jobs, free = min(jobs, notebooks, cores()), psutil.virtual_memory().available
    if jobs > 1 and free < jobs * ROOM:
        jobs = max(1, int(free // ROOM))
        print(f"{jobs} at a time: {free / 1e9:.1f} GB of memory are free, each takes {ROOM / 1e9}", file=sys.stderr)
    return jobs


@contextmanager
def shared(jobs: int) -> Iterator[None]:
    """Processes that are started meanwhile compute on their share of the cores, so many at a time, and leave the memory
    of a GPU to each other. What the caller's environment says of it stays.
    """
    threads = os.environ.get("OMP_NUM_THREADS", str(max(1, cores() // jobs)))
    asked = dict.fromkeys(THREADS, threads) | {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    asked = {name: value for name, value in asked.items() if name not in os.environ}
    os.environ.update(asked)
    try:
        yield
    finally:
        for name in asked:
            del os.environ[name]


def execute(path: Path, parameters: dict[str, Any], build: Path, stopped: threading.Event | None = None) -> Run:
    """Execute one notebook through papermill into `build`, with a bar of its cells, and a line when it ends.

    Where it fails, what `last_good_kept` tells of happens; and where `stopped` was set meanwhile, KeyboardInterrupt:
    that its kernel is gone is then no fault of the notebook.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError
    from tqdm import tqdm

    result = Run(path.stem, title(path))
    output = Path(parameters.get("OUTPUT_DIR", build / path.stem))
    parameters = changed(path, parameters)
    if build != ROOT / "build" and "OUTPUT_DIR" in declared(path):
        parameters["OUTPUT_DIR"] = str(output)
    first, metrics = rank() == 0, NOTEBOOKS / output / "metrics.json"
    if first:
        tqdm.write(f"{path.stem}: {result.title}", sys.stderr)
    # Not papermill's cwd, which moves this whole process there; a name in the command by which to find the kernel; and
    # no line of each kernel's about TCP, between the bars.
    mark = f"--Session.username={path.stem}"
    options: dict[str, Any] = {"resources": {"metadata": {"path": str(ROOT)}}, "kernel_name": "python3"}
    options |= {"extra_arguments": [mark, "--log-level=ERROR"], "progress_bar": first and {"desc": path.stem}}
    began = time.perf_counter()
    with last_good_kept(result, build / path.name, metrics) as target:
        try:
            with peak_memory(mark) as peak:
                papermill.execute_notebook(path, target, parameters, **options)
        except PapermillExecutionError as error:
            result.error = f"cell [{error.exec_count}] raised {error.ename}: {error.evalue}"
        except Exception as error:  # a kernel that dies or does not start must not stop the other notebooks
            result.error = f"{type(error).__name__}: {error}"
        if result.error and stopped and stopped.is_set():
            raise KeyboardInterrupt
        result.seconds, result.memory = time.perf_counter() - began, peak.bytes
        if metrics.is_file():
            result.metrics = read_json(metrics)
        if target.is_file():
            join_streams(target)
    if first:
        tqdm.write(line_of(result), sys.stderr)
    return result
