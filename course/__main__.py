"""The course's own machinery: `python -m course run`, `train`, `sweep`, `site`, `address`, and what takes long once."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from course import address, notebooks, running, website
from course.parameters import declared, read_typed
from whatchanged.commands.status import TROUBLE, announce, answer, count, refuse_cluster


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    return answer(parser(), arguments)


def parser() -> argparse.ArgumentParser:
    """All commands, each with its options."""
    whole = argparse.ArgumentParser(prog="python -m course", description="Execute the notebooks, and make the website.")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    for add in (
        _add_run,
        _add_train,
        _add_sweep,
        _add_ladder,
        _add_ablation,
        _add_leak,
        _add_people,
        _add_site,
        _add_address,
    ):
        add(commands)
    return whole


def _add_train(commands) -> None:
    train = commands.add_parser(
        "train",
        help="run a notebook with parameters of your own",
        description="Run one notebook. Its parameters are options: EPOCHS is --epochs, DATA_DIR is --data-dir (or"
        " --data_dir)."
        " `train NN --help` lists them. Results go to build/NAME.",
    )
    train.add_argument("notebook", metavar="NN", help="how the notebook's name begins, as 02")
    train.add_argument("options", nargs=argparse.REMAINDER, metavar="--PARAMETER VALUE", help="as --epochs 3")
    train.set_defaults(run=_train)


def _train(options: argparse.Namespace) -> int:
    path = notebooks.select_one(options.notebook)
    parser = argparse.ArgumentParser(
        prog=f"python -m course train {options.notebook}",
        description=f"Run {path.stem} with parameters of your own.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.add_argument("--build", default="build", metavar="DIR", help="where everything goes (build)")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="that train together, or GPUs (1)")
    for name, one in declared(path).items():
        help_ = f"{one.comment} ({one.default!r})".replace("%", "%%")
        parser.add_argument(f"--{_flag(name)}", dest=name, metavar="VALUE", help=help_)
    typed = [re.sub("^--[a-z_]+", lambda name: name[0].replace("_", "-"), word) for word in options.options]
    parameters = vars(parser.parse_args(typed))
    processes, build = parameters.pop("processes"), Path(parameters.pop("build"))
    if processes == 1:
        return running.run(path.stem, parameters, build)
    if processes < 1:
        raise ValueError(f"--processes is {processes}: give 1 or more")
    read_typed(path, parameters)  # here, so that what is wrong is told once
    arguments = [f"--{_flag(name)}={value}" for name, value in parameters.items()]
    return running.launch_processes(path, processes, ["train", path.stem, "--build", str(build.absolute()), *arguments])


def _flag(parameter: str) -> str:
    """The option that sets a notebook's parameter, without its dashes."""
    return parameter.lower().replace("_", "-")


def _add_sweep(commands) -> None:
    sweep = commands.add_parser(
        "sweep",
        help="run a notebook with many sets of parameters",
        description="Run one notebook once for each row of a CSV file whose columns are its parameters, as SEED,EPOCHS."
        " What the notebook checks comes out as one table, results.csv, and one figure, results.png. A sweep that was"
        " stopped goes on when the same command is given again; runs that failed are tried again.",
        epilog="Exit status: 0 all runs went well, 2 trouble.",
    )
    sweep.add_argument("notebook", metavar="NN", help="how the notebook's name begins, as 02")
    sweep.add_argument("table", metavar="CSV", help="a column a parameter, a row a run; empty is the default")
    sweep.add_argument("--build", default="build/sweep", metavar="DIR", help="results go to DIR/NAME (build/sweep)")
    sweep.add_argument("--workers", type=int, metavar="N", help="runs at a time on this machine (1)")
    sweep.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster to run on, as tcp://host:8786")
    sweep.set_defaults(run=_sweep)


def _sweep(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from course.sweep import parameter_rows, sweep

    refuse_cluster(options)
    path = notebooks.select_one(options.notebook)
    rows, folder = parameter_rows(options.table, path), Path(options.build) / path.stem
    with tqdm(total=len(rows), unit="run", disable=None) as bar:
        where = {"scheduler": options.scheduler, "workers": options.workers or 1}
        table = sweep(path, rows, folder, announce=announce, progress=bar.update, **where)
    print(table.to_string(index=False))
    failed = int((table["error"] != "").sum())
    print(f"\n{count(len(rows), 'run')}, {failed} failed: {folder / 'results.csv'}")
    return TROUBLE if failed else 0


def _add_run(commands) -> None:
    run = commands.add_parser(
        "run",
        help="execute the notebooks and render them",
        description="Execute the notebooks through papermill, and make the website of them, build/site.",
    )
    run.add_argument("--notebook", default="", metavar="NN", help="only the notebook whose name begins so, as 01")
    run.add_argument("--profile", choices=("quick", "full"), default="quick", help="generated or real data (quick)")
    run.add_argument(
        "-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="as EPOCHS 3"
    )
    run.add_argument("--build", default="build", metavar="DIR", help="where everything goes (build)")
    run.add_argument("--save", action="store_true", help="put the executed notebooks back, ready to commit")
    run.add_argument("--solutions", action="store_true", help="the solutions to the exercises instead")
    usual = "notebooks at a time (in the quick profile 2, or one for each two cores, as far as memory goes; else 1)"
    run.add_argument("--jobs", type=int, metavar="N", help=usual)
    run.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from course.executing import usual_jobs

    parameters = dict(options.parameter)
    if not options.solutions:  # they have no profile: they are what a reader tries out
        parameters = {"PROFILE": options.profile} | parameters
    # What is kept is what a reader sees of a notebook that has the computer to itself.
    several = parameters.get("PROFILE") == "quick" and not options.save
    usual = usual_jobs() if several else 1
    jobs = usual if options.jobs is None else options.jobs
    where = {"save": options.save, "solutions": options.solutions, "jobs": jobs}
    return running.run(options.notebook, parameters, Path(options.build), **where)


def _add_ladder(commands) -> None:
    ladder = commands.add_parser(
        "ladder",
        help="train what a notebook changes one thing at a time",
        description="Train each rung of notebook 03's ladder, from the original recipe to the course's form, with some"
        " seeds, and keep what they reach in notebooks/results/03_ladder.json. What is kept and current is not trained"
        " again, so that a run that was stopped goes on; a change of code or settings makes it stale.",
    )
    ladder.add_argument("notebook", choices=("03",), metavar="NN", help="the notebook, 03")
    ladder.add_argument("--rungs", nargs="+", default=[], metavar="NAME", help="as 'a window' (all)")
    ladder.add_argument("--seeds", nargs="+", type=int, default=[], metavar="N", help="a training each (0 1 2)")
    ladder.add_argument("--short", action="store_true", help="only the short forms, a few seconds each")
    ladder.set_defaults(run=_ladder)


def _ladder(options: argparse.Namespace) -> int:
    from course import ladder

    kept = ladder.climb(names=options.rungs, seeds=options.seeds or ladder.SEEDS, short=options.short)
    print(f"{count(len(kept), 'training')} in {ladder.LADDER_FILE}")
    return 0


def _add_ablation(commands) -> None:
    ablation = commands.add_parser(
        "ablation",
        help="train a notebook's model less one part each",
        description="Train notebook 04's network or 05's T-BLIP2 less one part each, and 05's DDLA, with some seeds,"
        " and keep what each reaches in notebooks/results/NN_ablation.json. What is kept and current is not trained"
        " again, so that a run that was stopped goes on; a change of code or settings makes it stale.",
    )
    ablation.add_argument("notebook", choices=("04", "05"), metavar="NN", help="the notebook, 04 or 05")
    ablation.add_argument("--rows", nargs="+", default=[], metavar="NAME", help="as 'no ITM' (all)")
    ablation.add_argument("--seeds", nargs="+", type=int, default=[], metavar="N", help="a training each (all kept)")
    ablation.set_defaults(run=_ablation)


def _ablation(options: argparse.Namespace) -> int:
    if options.notebook == "04":
        from course import branches

        path = branches.DESIGNS_FILE
        kept = branches.compare_designs(names=options.rows, seeds=options.seeds or branches.DESIGN_SEEDS)
    else:
        from course import ablation

        path = ablation.ABLATION_FILE
        kept = ablation.ablate(names=options.rows, seeds=options.seeds or ablation.ABLATION_SEEDS)
    print(f"{count(len(kept), 'training')} in {path}")
    return 0


def _add_leak(commands) -> None:
    leak = commands.add_parser(
        "leak",
        help="train on crops of walls, divided by walls or at random",
        description="Measure what a random split of crops is worth to a network whose every weight learns, on"
        " photographs of brick walls. It takes a quarter of an hour, and is kept in notebooks/results/02_leak.json.",
    )
    leak.add_argument("walls", metavar="DIR", help="holds the photographs in Positive/ and Negative/")
    leak.add_argument("--rows", nargs="+", default=[], metavar="NAME", help="as 'ImageNet, by walls' (all)")
    leak.set_defaults(run=_leak)


def _leak(options: argparse.Namespace) -> int:
    from course import leak

    kept = leak.measure(Path(options.walls), names=options.rows)
    print(f"{count(len(kept), 'row')} in {leak.LEAK_FILE}")
    return 0


def _add_people(commands) -> None:
    people = commands.add_parser(
        "people",
        help="score what people wrote of Spot-the-Diff",
        description="Measure what notebook 05 shows of Spot-the-Diff's sentences by the official scorers: captions that"
        " fit any pair, and one person against another. It takes minutes, and is kept in"
        " notebooks/results/05_people.json.",
    )
    people.add_argument("--data-dir", metavar="DIR", help="holds val.json and test.json (data/spot-the-diff)")
    people.set_defaults(run=_people)


def _people(options: argparse.Namespace) -> int:
    from course import people

    folder = options.data_dir or people.annotations_folder()
    if folder is None:
        raise ValueError("there are no annotations of Spot-the-Diff: python download_and_unzip.py spot-the-diff")
    print(f"{count(len(people.keep_people(folder)), 'record')} in {people.PEOPLE_FILE}")
    return 0


def _add_site(commands) -> None:
    site = commands.add_parser(
        "site",
        help="make the website of the notebooks",
        description="Render the notebooks with the outputs they have; nothing is executed.",
    )
    site.add_argument("--build", default="build", metavar="DIR", help="the site goes to DIR/site (build)")
    site.set_defaults(run=_site)


def _site(options: argparse.Namespace) -> int:
    target = Path(options.build) / "site"
    print(*website.build(website.pages_of(notebooks.NOTEBOOKS), target), sep="\n", end="")
    print(f"read it: {target.resolve() / 'index.html'}")
    return 0


def _add_address(commands) -> None:
    where = commands.add_parser(
        "address",
        help="say where the course's repository is",
        description="Write the address of a copy on GitHub into pyproject.toml, and for Colab a badge and the address"
        " to clone into all notebooks and the README. An empty one, '', takes them out again.",
    )
    where.add_argument("repository", metavar="ADDRESS", help="as https://github.com/owner/name")
    where.set_defaults(run=_address)


def _address(options: argparse.Namespace) -> int:
    changed = address.set_repository(options.repository)
    print(f"{count(len(changed), 'file')} changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
