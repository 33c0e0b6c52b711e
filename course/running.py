"""Run the notebooks as a reader would: execute, make the site, and say what each one measured."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from course import website
from course.executing import execute, execute_all
from course.notebooks import NOTEBOOKS, cells_of, publish_images, select, write_clean
from course.parameters import changed, read_typed
from course.reports import line_of, report, runs_table
from helpers.runtime import ROOT
from whatchanged.devices import rank
from whatchanged.files import alone


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

    The site has the notebooks that were executed now, and of the others those in `folder`. One that fails leaves what
    its last good run left, in `build` and on the site, and lies beside it as `NAME.failed`.

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
        No notebook is named so, one does not declare a parameter or declares it of another kind, `jobs` is below 1,
        `build` is where the notebooks lie, or another run writes to it.
    """
    if jobs < 1:
        raise ValueError(f"jobs is {jobs}: give 1 or more")
    paths = select(selection, folder / "solutions" if solutions else folder)
    tasks = [(path, read_typed(path, parameters)) for path in paths]
    if save and any(changed(*task) for task in tasks):
        raise ValueError(
            "--save keeps what a reader sees, which is the run with the default parameters: drop the others"
        )
    if rank():
        return _train_along(tasks)
    build = build.resolve()
    if build == paths[0].parent.resolve():
        raise ValueError(
            f"{build} holds the notebooks themselves, which would be lost: choose another folder to build in"
        )
    build.mkdir(parents=True, exist_ok=True)
    with alone(build, build / ".lock"):
        runs, together = execute_all(tasks, build, jobs)
        for path, one in zip(paths, runs, strict=True):
            if save and not one.error:
                write_clean(build / path.name, path)
                publish_images(build / path.stem)
        executed = {path.name: build / path.name for path in paths if (build / path.name).is_file()}
        failed = {path.name: one.notebook for path, one in zip(paths, runs, strict=True) if one.error and one.notebook}
        website.build(website.pages_of(folder, executed, failed), build / "site", report(runs, solutions))
    print(runs_table(runs))
    if len(runs) > 1:
        print(line_of(together))
    print(f"\nread them: {build / 'site' / 'index.html'}")
    return int(any(one.error for one in runs))


def launch_processes(path: Path, processes: int, arguments: list[str]) -> int:
    """Run `python -m course` with these arguments in so many processes that train together; the exit status.

    Every process executes the notebook at `path`, and `training.fit` gives each its share of the pictures. ValueError
    where the notebook does not train by it.
    """
    code = ("".join(cell["source"]) for cell in cells_of(path) if cell["cell_type"] == "code")
    if not any("training.fit(" in source for source in code):
        raise ValueError(
            f"{path.stem} does not train by whatchanged.training, which shares the work: leave --processes out"
        )
    return subprocess.run([*launcher(processes), "--module", "course", *arguments], cwd=ROOT, check=False).returncode


def launcher(processes: int) -> list[str]:
    """The command that starts a script in so many processes of this machine, a GPU each or on the CPU."""
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines=1"]
    command += [f"--num_processes={processes}", "--mixed_precision=no", "--dynamo_backend=no", "--main_process_port=0"]
    return command


def _train_along(tasks: list[tuple[Path, dict[str, Any]]]) -> int:
    """What the processes after the first do: execute too, for the sake of training, and leave nothing behind."""
    with tempfile.TemporaryDirectory() as scratch:
        for _, values in tasks:
            values.pop("OUTPUT_DIR", None)
        errors = [one.error for one in (execute(*task, Path(scratch)) for task in tasks) if one.error]
    print(*(f"process {rank()}: {error}" for error in errors), sep="\n", file=sys.stderr)
    return int(bool(errors))
