"""Run the notebooks as a reader would: execute, make the site, and say what each one measured."""

from __future__ import annotations

import ast
import io
import os
import subprocess
import sys
import tempfile
import threading
import time
import tokenize
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers import website
from helpers.journal import alone
from helpers.runtime import ROOT, cores, rank, read_json, write_whole

NOTEBOOKS = ROOT / "notebooks"
ROOM = 3_500_000_000  # bytes that have to be free for each notebook where several run at a time
WORKERS = "notebook"  # how the names of the threads begin that execute notebooks at a time
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


@dataclass
class Run:
    """What became of one notebook.

    Attributes
    ----------
    name : file name without suffix.
    title : first heading.
    seconds : wall-clock time of the execution.
    memory : bytes, the most that its kernel and what the kernel starts had together; what several processes share, as
        the code of a library, counted once (on Linux).
    metrics : the checked values, as `check()` recorded them.
    error : None, or which cell failed and how.
    """

    name: str
    title: str
    seconds: float = 0.0
    memory: int = 0
    metrics: dict[str, dict] = field(default_factory=dict)
    error: str | None = None


def run(
    selection: str,
    parameters: dict[str, str],
    build: Path,
    folder: Path = NOTEBOOKS,
    save: bool = False,
    solutions: bool = False,
    jobs: int = 1,
) -> int:
    """Execute the selected notebooks into `build`, make the site in `build/site`, print a table.

    The site has the notebooks that were executed now, and of the others those in `folder`.

    Parameters
    ----------
    selection : how the file names begin, as "01"; empty for all.
    parameters : notebook parameters by name, values as typed on a command line.
    build : the folder for executed notebooks, their outputs and the site.
    folder : where the notebooks lie.
    save : put the executed notebooks, if all went well, back into `folder`, and the figures that they left in
        `images/` of their output folder into the project's: that is how a changed notebook is made ready to commit.
        Only with the default parameters.
    solutions : execute the solutions to the exercises, in `solutions/` of the folder, instead of the notebooks.
    jobs : notebooks at a time, 1 or more, as `execute_all` takes them; fewer where cores or free memory are short.

    Returns
    -------
    int
        0, or 1 where a notebook failed; the others run all the same.

    Raises
    ------
    ValueError
        No notebook is named so, one does not declare a parameter, `jobs` is below 1, `build` is where the notebooks
        lie, or another run writes to it.
    """
    if jobs < 1:
        raise ValueError(f"jobs is {jobs}: give 1 or more")
    paths = select(selection, folder / "solutions" if solutions else folder)
    values = {name: parse(value) for name, value in parameters.items()}
    for path in paths:
        refuse_unknown(path, values)
    if save and any(_changed(path, values) for path in paths):
        raise ValueError(
            "--save keeps what a reader sees, which is the run with the default parameters: drop the others"
        )
    if rank():
        return _train_along(paths, values)
    build = build.resolve()
    if build == paths[0].parent.resolve():
        raise ValueError(
            f"{build} holds the notebooks themselves, which would be lost: choose another folder to build in"
        )
    build.mkdir(parents=True, exist_ok=True)
    with alone(build, build / ".lock"):
        runs, together = execute_all(paths, values, build, jobs)
        for path, one in zip(paths, runs, strict=True):
            if save and not one.error:
                write_clean(build / path.name, path)
                publish_images(build / path.stem)
        executed = {path.name: build / path.name for path in paths if (build / path.name).is_file()}
        website.build(website.pages_of(folder, executed), build / "site", report(runs, solutions))
    print(table(runs))
    if len(runs) > 1:
        print(_line(together))
    print(f"\nread them: {build / 'site' / 'index.html'}")
    return int(any(one.error for one in runs))


def launch(path: Path, processes: int, arguments: list[str]) -> int:
    """Run `python -m helpers` with these arguments in so many processes that train together; the exit status.

    Every process executes the notebook at `path`, and `training.fit` gives each its share of the pictures. ValueError
    where the notebook does not train by it.
    """
    if "training.fit(" not in path.read_text(encoding="utf-8"):
        raise ValueError(
            f"{path.stem} does not train by helpers.training, which shares the work: leave --processes out"
        )
    return subprocess.run([*launcher(processes), "--module", "helpers", *arguments], cwd=ROOT, check=False).returncode


def launcher(processes: int) -> list[str]:
    """The command that starts a script in so many processes of this machine, a GPU each or on the CPU."""
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines=1"]
    command += [f"--num_processes={processes}", "--mixed_precision=no", "--dynamo_backend=no", "--main_process_port=0"]
    return command


def _train_along(paths: list[Path], values: dict[str, Any]) -> int:
    """What the processes after the first do: execute too, for the sake of training, and leave nothing behind."""
    values = {name: value for name, value in values.items() if name != "OUTPUT_DIR"}
    with tempfile.TemporaryDirectory() as scratch:
        errors = [one.error for one in (execute(path, values, Path(scratch)) for path in paths) if one.error]
    print(*(f"process {rank()}: {error}" for error in errors), sep="\n", file=sys.stderr)
    return int(bool(errors))


def select(selection: str, folder: Path = NOTEBOOKS) -> list[Path]:
    """The notebooks whose file name begins with `selection`, sorted."""
    everything = sorted(folder.glob("*.ipynb"))
    chosen = [path for path in everything if path.name.startswith(selection)]
    if not chosen:
        names = ", ".join(path.stem for path in everything) or "none there"
        raise ValueError(f"no notebook begins with {selection!r}: choose from {names}")
    return chosen


def select_one(selection: str, folder: Path = NOTEBOOKS) -> Path:
    """The one notebook whose file name begins with `selection`."""
    path, *others = select(selection, folder)
    if others:
        raise ValueError(f"{selection!r} is how {1 + len(others)} notebooks begin: name one, as {path.stem}")
    return path


def parse(value: str) -> Any:
    """A parameter as typed: a Python literal (3, 0.5, None, True, "text") or else text as it stands."""
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value


def declared(path: Path) -> dict[str, str]:
    """Names in the cell tagged `parameters`, with their defaults as written."""
    return {name.id: ast.unparse(value) for name, value in _assigned(_parameters_cell(path)).items()}


def _parameters_cell(path: Path) -> str:
    cells = website.cells_of(path)
    sources = ["".join(c["source"]) for c in cells if "parameters" in c["metadata"].get("tags", [])]
    if len(sources) != 1:
        raise ValueError(f"{path.name} has {len(sources)} cells tagged `parameters`: it must have one")
    try:
        ast.parse(sources[0])
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"{path.name} has a cell tagged `parameters` that is not Python: {error}") from error
    return sources[0]


def _assigned(source: str) -> dict[ast.Name, ast.expr]:
    return {
        target: statement.value
        for statement in ast.parse(source).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }


def comments(path: Path) -> dict[str, str]:
    """What the cell tagged `parameters` says of each of them."""
    source = _parameters_cell(path)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    lines = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    return {name.id: lines.get(name.lineno, "") for name in _assigned(source)}


def refuse_unknown(path: Path, parameters: dict[str, Any]) -> None:
    """Raise for a parameter that the notebook does not declare; papermill alone would only warn."""
    known = declared(path)
    for name in parameters:
        if name not in known:
            raise ValueError(f"{path.stem} has no parameter {name!r}: it has {', '.join(known)}")


def execute_all(paths: Sequence[Path], parameters: dict[str, Any], build: Path, jobs: int) -> tuple[list[Run], Run]:
    """Execute notebooks, each on its share of the cores.

    Parameters
    ----------
    paths, parameters, build : as for `execute`.
    jobs : how many at a time; fewer where cores or free memory are short.

    Returns
    -------
    list of Run, Run
        Of each notebook, in the order of `paths`, and of all together.
    """
    jobs, began = _at_a_time(jobs, len(paths)), time.perf_counter()
    with _memory() as peak:
        runs = _runs(paths, parameters, build, jobs)
    error = next((one.error for one in runs if one.error), None)
    name = f"together, {jobs} at a time" if jobs > 1 else "together"
    return runs, Run(name, "", time.perf_counter() - began, peak.bytes, error=error)


def _runs(paths: Sequence[Path], parameters: dict[str, Any], build: Path, jobs: int) -> list[Run]:
    """Where there are several jobs the last notebook begins, which takes longest."""
    if jobs == 1:
        return [execute(path, parameters, build) for path in paths]
    with shared(jobs), ThreadPoolExecutor(jobs, WORKERS) as pool:
        try:
            begun = [pool.submit(execute, path, parameters, build) for path in reversed(paths)]
            while wait(begun, timeout=0.5).not_done:
                pass  # not one wait without end: where another thread takes the Ctrl-C, nothing ends that
            return [one.result() for one in reversed(begun)]
        except BaseException:  # stopped by the reader: nothing goes on behind the back
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


def execute(path: Path, parameters: dict[str, Any], build: Path) -> Run:
    """Execute one notebook through papermill into `build`, with a bar of its cells, and a line when it ends."""
    import papermill
    from papermill.exceptions import PapermillExecutionError
    from tqdm import tqdm

    result = Run(path.stem, website.title(path))
    output = Path(parameters.get("OUTPUT_DIR", build / path.stem))
    parameters = _changed(path, parameters)
    if build != ROOT / "build" and "OUTPUT_DIR" in declared(path):
        parameters["OUTPUT_DIR"] = str(output)
    (output / "metrics.json").unlink(missing_ok=True)
    target = build / path.name
    target.unlink(missing_ok=True)
    first = rank() == 0
    if first:
        tqdm.write(f"{path.stem}: {result.title}", sys.stderr)
    # Not papermill's cwd, which moves this whole process there; a name in the command by which to find the kernel; and
    # no line of each kernel's about TCP, between the bars.
    mark = f"--Session.username={path.stem}"
    options = {"resources": {"metadata": {"path": str(ROOT)}}, "extra_arguments": [mark, "--log-level=ERROR"]}
    options |= {"kernel_name": "python3", "progress_bar": first and {"desc": path.stem}}
    began = time.perf_counter()
    try:
        with _memory(mark) as peak:
            papermill.execute_notebook(path, target, parameters, **options)
    except PapermillExecutionError as error:
        result.error = f"cell [{error.exec_count}] raised {error.ename}: {error.evalue}"
    except Exception as error:  # a kernel that dies or does not start must not stop the other notebooks
        result.error = f"{type(error).__name__}: {error}"
    result.seconds, result.memory = time.perf_counter() - began, peak.bytes
    metrics = NOTEBOOKS / output / "metrics.json"
    if metrics.is_file():
        result.metrics = read_json(metrics)
    if target.is_file():
        join_streams(target)
    if first:
        tqdm.write(_line(result), sys.stderr)
    return result


@dataclass
class _Peak:
    bytes: int = 0


@contextmanager
def _memory(mark: str | None = None) -> Iterator[_Peak]:
    """The most memory that the processes which this one starts have together, looking twice a second; those alone in
    whose command the argument `mark` stands, and what they start, if it is given.
    """
    over, peak = threading.Event(), _Peak()

    def watch() -> None:
        highest = 0
        while not over.wait(0.5):
            processes = list(_started(mark))
            resident = sum(map(_resident, processes))
            if resident > 1.01 * highest:  # then it is worth the tens of milliseconds that the exact count takes
                highest, exact = resident, sum(map(_share, processes))
                peak.bytes = max(peak.bytes, exact or resident)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


def _started(mark: str | None) -> Iterator[Any]:
    """The processes that this one starts, if `mark` is given those with it in their command, and what they start."""
    import psutil

    for child in psutil.Process().children():
        with suppress(psutil.Error):  # it has just ended
            if mark is None or mark in child.cmdline():
                yield from (child, *child.children(recursive=True))


def _resident(process: Any) -> int:
    """Bytes of a process in memory, 0 where it has ended."""
    import psutil

    with suppress(psutil.Error):
        return process.memory_info().rss
    return 0


def _share(process: Any) -> int:
    """The same, but of what several share, as the code of a library, its part; 0 where the system does not tell."""
    import psutil

    with suppress(psutil.Error, AttributeError):
        return process.memory_full_info().pss
    return 0


def join_streams(path: Path) -> None:
    """Make one output of what a cell printed in several goes: where it is split depends on the moment."""
    import nbformat
    from nbconvert.preprocessors import CoalesceStreamsPreprocessor

    notebook, _ = CoalesceStreamsPreprocessor().preprocess(nbformat.read(path, as_version=4), {})
    nbformat.write(notebook, path)


def _changed(path: Path, parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters whose value is not the notebook's own default."""
    known = declared(path)
    return {name: value for name, value in parameters.items() if repr(value) != repr(ast.literal_eval(known[name]))}


def write_clean(executed: Path, target: Path) -> None:
    """The executed notebook without the paths, times and versions that papermill notes in it."""
    import nbformat

    notebook = nbformat.read(executed, as_version=4)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    notebook.cells = [cell for cell in notebook.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    for cell in notebook.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = {"tags": tags} if tags else {}
    for count, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), start=1):
        cell.execution_count = count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
    write_whole(target, (nbformat.writes(notebook) + "\n").encode())


def publish_images(output: Path, target: Path = ROOT / "images") -> None:
    """Put the figures that a notebook left in `images/` of its output folder where the README finds them."""
    for picture in sorted((output / "images").glob("*.png")):
        write_whole(target / picture.name, picture.read_bytes())


def table(runs: list[Run]) -> str:
    """Plain text: a line a notebook, and under it a line a checked metric, or the cell that failed."""
    lines = [f"{'notebook':<28}{'seconds':>8}{'MB':>8}  checked"]
    for one in runs:
        lines.append(_line(one))
        for name, entry in one.metrics.items():
            mark = "" if entry["passed"] else "  FAILED"
            lines.append(f"{'':46}{name}: {value_of(entry)} ({entry['bound']}){mark}")
        if one.error:
            lines.append(f"{'':46}{one.error}")
    return "\n".join(lines)


def _line(one: Run) -> str:
    return f"{one.name:<28}{one.seconds:>8.1f}{one.memory / 1e6:>8.0f}  {'FAILED' if one.error else 'passed'}"


def report(runs: list[Run], solutions: bool = False) -> str:
    """A page of the site, Markdown: what these executions took and measured, or how they failed."""
    folder = "notebooks/solutions" if solutions else "notebooks"
    lines = ["# What this run measured", "", "| notebook | seconds | memory, MB | checked |"]
    lines.append("| --- | --- | --- | --- |")
    for one in runs:
        checked = f"**failed**: {one.error}" if one.error else ""
        measured = "; ".join(f"{name} {value_of(entry)} ({entry['bound']})" for name, entry in one.metrics.items())
        cells = "; ".join(part for part in (checked, measured) if part).replace("|", "\\|").replace("\n", " ")
        took = f"{one.seconds:.0f} | {one.memory / 1e6:.0f}"
        lines.append(f"| [{one.title}]({folder}/{one.name}.ipynb) | {took} | {cells} |")
    return "\n".join(lines)


def value_of(entry: dict) -> str:
    """The value of a checked metric as text, four digits or "nan"."""
    return "nan" if entry["value"] is None else f"{entry['value']:.4g}"
