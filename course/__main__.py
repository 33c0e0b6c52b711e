"""The course from the command line: `python -m helpers diff before.png after.png`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from helpers.runtime import CLASSIFIER, DESCRIBER, write_json

SAME, DIFFERENT, TROUBLE = 0, 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 no difference, 1 differences, 2 trouble."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except (ValueError, OSError, ConnectionError) as error:
        return _trouble(error)
    except KeyboardInterrupt:
        return _trouble("stopped")


def _trouble(message: object) -> int:
    print(f"helpers: {message}", file=sys.stderr)
    return TROUBLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m helpers", description="What changed between these two pictures?")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_add_diff, _add_describe, _add_app, _add_train, _add_sweep, _add_course, _add_site):
        add(commands)
    return parser


def _add_diff(commands) -> None:
    diff = commands.add_parser(
        "diff",
        help="find the regions in which two pictures differ",
        description="Find the regions in which two pictures differ. Without --method it uses the course's best"
        " configuration, which aligns the pictures, evens out their light and tolerates a pixel of misalignment.",
        epilog="Exit status: 0 no difference, 1 differences, 2 trouble (with --pairs: 2 where any pair is bad).",
    )
    diff.add_argument("before", nargs="?", help="image file")
    diff.add_argument("after", nargs="?", help="image file")
    methods = ("tolerant", "pixel", "ssim", "features")
    diff.add_argument("--method", choices=methods, default="tolerant", help="how the pictures are compared (tolerant)")
    diff.add_argument("--align", action=argparse.BooleanOptionalAction, help="register the after image first")
    diff.add_argument("--resize", action="store_true", help="compare pictures of different sizes at the smaller size")
    diff.add_argument("--sensitivity", type=float, default=1.0, help="above 1 reports weaker differences (1)")
    diff.add_argument("--weights", help="of the ResNet50 for features: imagenet or a checkpoint; without it, random")
    diff.add_argument("--output", metavar="PNG", help="write the pictures with the differences boxed")
    shown = "write both side by side, or the after picture alone (both)"
    diff.add_argument("--picture", choices=("both", "after"), help=shown)
    diff.add_argument("--json", metavar="FILE", help="write similarity and regions, in pixels of the before image")
    diff.add_argument("--pairs", metavar="CSV|FOLDER", help="compare many pairs: a CSV with before,after, or a folder")
    diff.add_argument("--output-dir", metavar="DIR", help="with --pairs: results.jsonl and one picture a pair go here")
    diff.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="with --pairs: for very many, N processes of this machine compare them; results go into Parquet files, no"
        " pictures, and a run that was stopped goes on when the same command is given again",
    )
    diff.add_argument("--scheduler", metavar="ADDRESS", help="the same on the Dask cluster there, as tcp://host:8786")
    diff.set_defaults(run=_diff)


def _diff(options: argparse.Namespace) -> int:
    single, on_dask = options.before is not None, options.workers is not None or options.scheduler
    if options.picture and (on_dask or not (options.output or options.output_dir)):
        raise ValueError("--picture goes with --output or --output-dir, and without --workers and --scheduler")
    if options.pairs:
        if single or options.output or options.json or not options.output_dir:
            raise ValueError("--pairs goes with --output-dir, and without image files, --output and --json")
        return _diff_on_dask(options) if on_dask else _diff_many(options)
    if on_dask:
        raise ValueError("--workers and --scheduler go with --pairs")
    if not single or options.after is None:
        raise ValueError("give two image files, or --pairs with --output-dir")
    if options.output_dir:
        raise ValueError("--output-dir goes with --pairs; for one pair use --output and --json")
    record = _compare(options, options.before, options.after, options.output)
    if options.json:
        write_json(options.json, record)
    _print(record)
    return DIFFERENT if record["regions"] else SAME


def _compare(options: argparse.Namespace, before: str | Path, after: str | Path, output: str | Path | None) -> dict:
    """Compare two files and, if asked, write the picture; returns the record that the JSON holds."""
    from concurrent.futures import ThreadPoolExecutor

    from helpers.loading import read_image, write_image

    with ThreadPoolExecutor(2) as readers:  # decoding does not hold the interpreter's lock
        pictures = readers.map(read_image, (before, after))
        from helpers.differences import detect  # while the pictures are decoded

        first, second = pictures
    found = detect(first, second, **_how(options))
    if output:
        from helpers.drawing import draw_regions

        write_image(output, draw_regions(first, second, found, options.picture or "both"))
    return {"before": str(before), "after": str(after)} | found.summary()


def _how(options: argparse.Namespace) -> dict:
    """The options of `differences.detect` among those of the command."""
    return {name: getattr(options, name) for name in ("method", "align", "resize", "sensitivity", "weights")}


def _diff_many(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from helpers.loading import find_pairs

    pairs = find_pairs(options.pairs)
    folder = Path(options.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    counts = {SAME: 0, DIFFERENT: 0, TROUBLE: 0}
    digits = len(str(len(pairs)))
    with (folder / "results.jsonl").open("w", encoding="utf-8") as results:
        for number, (before, after) in enumerate(tqdm(pairs, unit="pair", disable=None), start=1):
            picture = folder / f"{number:0{digits}d}_{before.stem}.png"
            try:
                record = _compare(options, before, after, picture)
                counts[DIFFERENT if record["regions"] else SAME] += 1
            except (ValueError, OSError) as error:
                record = {"before": str(before), "after": str(after), "method": options.method, "error": str(error)}
                counts[TROUBLE] += 1
            print(json.dumps(record), file=results, flush=True)
    return _summary(counts)


def _summary(counts: dict[int, int], earlier: int = 0) -> int:
    """Print how many pairs there were of each kind; returns the exit status."""
    total = sum(counts.values())
    before = f" ({earlier} by an earlier run)" if earlier else ""
    print(f"{_count(total, 'pair')}{before}: {counts[DIFFERENT]} differ, {counts[SAME]} do not, {counts[TROUBLE]} bad")
    return max((status for status, count in counts.items() if count), default=SAME)


def _diff_on_dask(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from helpers.loading import find_pairs
    from helpers.scale import compare_pairs

    _refuse_cluster(options)
    pairs = [tuple(str(one.absolute()) for one in pair) for pair in find_pairs(options.pairs)]
    with tqdm(total=len(pairs), unit="pair", disable=None) as bar:
        done = compare_pairs(
            pairs,
            options.output_dir,
            _how(options),
            scheduler=options.scheduler,
            workers=options.workers,
            announce=_announce,
            progress=bar.update,
        )
    return _summary({SAME: done.same, DIFFERENT: done.differ, TROUBLE: len(done.bad)}, done.earlier)


def _print(record: dict) -> None:
    print(f"similarity {record['similarity']:.4f} ({record['method']})")
    for number, region in enumerate(record["regions"], start=1):
        place = f"x={region['x']} y={region['y']} width={region['width']} height={region['height']}"
        print(f"{number}: {place} area={region['area']} strength={region['strength']:.2f}")
    if not record["regions"]:
        print("no difference")


def _add_describe(commands) -> None:
    describe = commands.add_parser(
        "describe",
        help="say in words what changed between two pictures",
        description="Say in words what changed between two pictures, or those of many pairs, by a model of notebook 05."
        " A run that was stopped goes on where it was when the same command is given again.",
        epilog="Exit status: 0 described, 2 trouble (with --input-dir: 2 where any pair is bad).",
    )
    describe.add_argument("--image1", metavar="FILE", help="the picture before")
    describe.add_argument("--image2", metavar="FILE", help="the picture after")
    describe.add_argument(
        "--model-path", metavar="DIR", default=DESCRIBER, help="a trained model (that of notebook 05)"
    )
    describe.add_argument(
        "--input-dir",
        metavar="PAIRS",
        help="a folder with x_before.png and x_after.png, x.png and x_2.png, or before/x.png and after/x.png; or a CSV"
        " file with the columns before,after",
    )
    describe.add_argument("--output-file", metavar="JSON", help="with --input-dir: the captions go here")
    describe.add_argument("--num-beams", type=int, default=1, metavar="N", help="beam search over N beginnings (1)")
    describe.add_argument("--max-new-tokens", type=int, default=50, metavar="N", help="longest caption (50)")
    describe.set_defaults(run=_describe)


def _describe(options: argparse.Namespace) -> int:
    single = options.image1 is not None and options.image2 is not None
    many = options.input_dir is not None and options.output_file is not None
    given = (options.image1, options.image2, options.input_dir, options.output_file)
    if single == many or sum(one is not None for one in given) != 2:
        raise ValueError("give --image1 and --image2, or --input-dir and --output-file")
    if many:
        return _describe_many(options)
    from helpers.loading import read_pair

    pictures = read_pair(options.image1, options.image2)  # a bad one is told before the model loads
    print(_describer(options)(*pictures))
    return 0


def _describer(options: argparse.Namespace) -> Callable[..., str]:
    from helpers.models.tblip2 import Describer

    return Describer(options.model_path, num_beams=options.num_beams, max_new_tokens=options.max_new_tokens)


def _describe_many(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from helpers.captioned import describe_files
    from helpers.journal import Journal
    from helpers.loading import find_pairs

    pairs = [(str(before), str(after)) for before, after in find_pairs(options.input_dir)]
    about = {"model": str(options.model_path), "num_beams": options.num_beams, "max_new_tokens": options.max_new_tokens}
    with Journal(options.output_file, "pairs", about, key=lambda one: (one["before"], one["after"])) as journal:
        missing = journal.missing(pairs)
        describe = _describer(options) if missing else None
        for before, after in tqdm(missing, unit="pair", disable=None):
            journal.add({"before": before, "after": after} | describe_files(describe, before, after))
        journal.finish(pairs)
    bad = sum(bool(journal.done[pair]["error"]) for pair in pairs)
    earlier = f" ({len(pairs) - len(missing)} by an earlier run)" if len(missing) < len(pairs) else ""
    print(f"{_count(len(pairs), 'pair')}: {len(pairs) - bad} described{earlier}, {bad} bad")
    return TROUBLE if bad else 0


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"


def _add_app(commands) -> None:
    app = commands.add_parser(
        "app",
        help="open the interactive page",
        description="Serve a page that compares pictures, describes what changed, and looks for defects. Stop it with"
        " Ctrl-C.",
    )
    app.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 lets others in (127.0.0.1)")
    app.add_argument("--port", type=int, help="port to listen on (the first free one from 7860)")
    app.add_argument("--model-path", metavar="DIR", default=DESCRIBER, help="describes (that of notebook 05)")
    app.add_argument("--defect-model", metavar="FILE", default=CLASSIFIER, help="judges surfaces (that of notebook 02)")
    app.set_defaults(run=_app)


def _app(options: argparse.Namespace) -> int:
    from helpers.app import launch

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # what visitors left is deleted on the way out
    launch(options.host, options.port, describer=options.model_path, classifier=options.defect_model, block=True)
    return 0


def _add_train(commands) -> None:
    train = commands.add_parser(
        "train",
        help="run a notebook with parameters of your own",
        description="Run one notebook. Its parameters are options: EPOCHS is --epochs, DATA_DIR is --data-dir."
        " `train NN --help` lists them. Results go to build/NAME.",
    )
    train.add_argument("notebook", metavar="NN", help="how the notebook's name begins, as 02")
    train.add_argument("options", nargs=argparse.REMAINDER, metavar="--PARAMETER VALUE", help="as --epochs 3")
    train.set_defaults(run=_train)


def _train(options: argparse.Namespace) -> int:
    from helpers import course

    path = course.select_one(options.notebook)
    parser = argparse.ArgumentParser(
        prog=f"python -m helpers train {options.notebook}",
        description=f"Run {path.stem} with parameters of your own.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.add_argument("--build", default="build", metavar="DIR", help="where everything goes (build)")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="that train together, or GPUs (1)")
    explained = course.comments(path)
    for name, value in course.declared(path).items():
        parser.add_argument(
            f"--{_flag(name)}", dest=name, metavar="VALUE", help=f"{explained[name]} ({value})".replace("%", "%%")
        )
    parameters = vars(parser.parse_args(options.options))
    processes, build = parameters.pop("processes"), Path(parameters.pop("build"))
    if processes == 1:
        return course.run(path.stem, parameters, build)
    if processes < 1:
        raise ValueError(f"--processes is {processes}: give 1 or more")
    arguments = [part for name, value in parameters.items() for part in (f"--{_flag(name)}", value)]
    return course.launch(path, processes, ["train", path.stem, "--build", str(build.absolute()), *arguments])


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

    from helpers import course
    from helpers.sweep import parameter_rows, sweep

    _refuse_cluster(options)
    path = course.select_one(options.notebook)
    rows, folder = parameter_rows(options.table, path), Path(options.build) / path.stem
    with tqdm(total=len(rows), unit="run", disable=None) as bar:
        where = {"scheduler": options.scheduler, "workers": options.workers or 1}
        table = sweep(path, rows, folder, announce=_announce, progress=bar.update, **where)
    print(table.to_string(index=False))
    failed = int((table["error"] != "").sum())
    print(f"\n{_count(len(rows), 'run')}, {failed} failed: {folder / 'results.csv'}")
    return TROUBLE if failed else 0


def _refuse_cluster(options: argparse.Namespace) -> None:
    """ValueError where --workers and --scheduler say nothing sensible together."""
    if options.workers is not None and options.scheduler:
        raise ValueError(
            "--workers starts a cluster on this machine, --scheduler takes one that runs: give one of them"
        )
    if options.workers is not None and options.workers < 1:
        raise ValueError(f"--workers is {options.workers}: give 1 or more")


def _announce(text: str) -> None:
    print(text, file=sys.stderr)


def _add_course(commands) -> None:
    course = commands.add_parser(
        "course",
        help="execute the notebooks and render them",
        description="Execute the notebooks through papermill, render them to HTML, and link them in an index page.",
    )
    course.add_argument("--notebook", default="", metavar="NN", help="only the notebook whose name begins so, as 01")
    course.add_argument("--profile", choices=("quick", "full"), default="quick", help="generated or real data (quick)")
    course.add_argument(
        "-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="as EPOCHS 3"
    )
    course.add_argument("--build", default="build", metavar="DIR", help="where everything goes (build)")
    course.add_argument("--save", action="store_true", help="put the executed notebooks back, ready to commit")
    course.add_argument("--solutions", action="store_true", help="the solutions to the exercises instead")
    usual = "notebooks at a time (in the quick profile 2, or one for each two cores, as far as memory goes; else 1)"
    course.add_argument("--jobs", type=int, metavar="N", help=usual)
    course.set_defaults(run=_course)


def _course(options: argparse.Namespace) -> int:
    from helpers.course import run, usual_jobs

    parameters = dict(options.parameter)
    if not options.solutions:  # they have no profile: they are what a reader tries out
        parameters = {"PROFILE": options.profile} | parameters
    # What is kept is what a reader sees of a notebook that has the computer to itself.
    several = parameters.get("PROFILE") == "quick" and not options.save
    usual = usual_jobs() if several else 1
    jobs = usual if options.jobs is None else options.jobs
    where = {"save": options.save, "solutions": options.solutions, "jobs": jobs}
    return run(options.notebook, parameters, Path(options.build), **where)


def _add_site(commands) -> None:
    site = commands.add_parser(
        "site",
        help="make the website of the notebooks",
        description="Render the notebooks with the outputs they have; nothing is executed.",
    )
    site.add_argument("--build", default="build", metavar="DIR", help="the site goes to DIR/site (build)")
    site.set_defaults(run=_site)


def _site(options: argparse.Namespace) -> int:
    from helpers import course, website

    target = Path(options.build) / "site"
    print(*website.build(website.pages_of(course.NOTEBOOKS), target), sep="\n", end="")
    print(f"read it: {target.resolve() / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
