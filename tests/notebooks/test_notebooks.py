"""The committed notebooks: static checks in seconds, then one execution each; a new notebook inherits them all."""

from __future__ import annotations

import copy
import io
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import nbformat
import notebook_checks as checks
import numpy as np
import pandas
import psutil
import pytest
from PIL import Image
from support import PARAMETERS, ROOT, run_offline, write_notebook

from course import executing, memory, running
from course.executing import ROOM, THREADS, execute, shared
from course.notebooks import parse, publish_images, select, write_clean
from course.reports import runs_table
from helpers import scenes
from helpers.changes import write_dataset
from whatchanged.files import alone, read_json

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def load(path):
    return nbformat.read(path, as_version=4)


@every_notebook
@pytest.mark.parametrize("rule", checks.STATIC, ids=lambda rule: rule.__name__)
def test_static(path, rule):
    assert rule(load(path)) == []


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
@pytest.mark.parametrize("rule", checks.ALWAYS, ids=lambda rule: rule.__name__)
def test_static_of_solutions(path, rule):
    assert rule(load(path)) == []


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_every_exercise_has_its_solution(path):
    def text(notebook):
        return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")

    (asked,) = [one for one in NOTEBOOKS if one.stem[:2] == path.stem[:2]]
    exercises = text(load(asked)).split("## Exercises")[1].split("## Where to go next")[0]
    numbers = set(re.findall(r"^(\d+)\. ", exercises, re.MULTILINE))
    headings = re.findall(r"^## ([\d and,]+):", text(load(path)), re.MULTILINE)
    assert set(re.findall(r"\d+", " ".join(headings))) == numbers
    assert f"solutions/{path.name}" in exercises


def test_bootstrap_is_the_same_in_all():
    notebooks = [load(path) for path in NOTEBOOKS + SOLUTIONS]
    assert checks.same_bootstrap(notebooks) == []
    notebooks.append(broken(lambda notebook, cells: cells[0].update(source=cells[0].source + "\nprint(1)")))
    assert checks.same_bootstrap(notebooks) == [f"notebook {len(notebooks)} sets up in its own way"]


def set_up(folder, **environment):
    """Run the setup cell in a folder; returns the process and, on success, where it found the helpers."""
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "COURSE_REPOSITORY")}
    source = checks.bootstrap(load(NOTEBOOKS[0])) + "\nprint(runtime.ROOT)"
    command = [sys.executable, "-c", source]
    return subprocess.run(command, cwd=folder, env=clean | environment, capture_output=True, text=True, check=False)


def test_setup_inside_the_project_does_nothing():
    for folder in (ROOT, ROOT / "notebooks"):
        there = sorted(folder.iterdir())
        done = set_up(folder)
        assert done.stdout.strip() == str(ROOT), done.stderr
        assert sorted(folder.iterdir()) == there


def test_setup_finds_the_project_on_a_mounted_drive(tmp_path):
    drive, empty = tmp_path / "drive", tmp_path / "empty"
    empty.mkdir()
    for house in ("helpers", "whatchanged"):
        shutil.copytree(ROOT / house, drive / "my course" / house)
    done = set_up(empty, COURSE_DRIVE=str(drive))
    assert done.stdout.strip() == str(drive / "my course"), done.stderr


def test_setup_clones_the_address_it_is_given(tmp_path):
    source = tmp_path / "source"
    for house in ("helpers", "whatchanged"):
        shutil.copytree(ROOT / house, source / house)
    git = ["git", "-C", str(source), "-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True)
    empty = tmp_path / "empty"
    empty.mkdir()
    done = set_up(empty, COURSE_REPOSITORY=str(source), COURSE_DRIVE=str(tmp_path / "none"))
    assert done.stdout.strip() == str(empty / "course"), done.stderr


def test_setup_without_an_address_says_what_to_do(tmp_path):
    done = set_up(tmp_path, COURSE_DRIVE=str(tmp_path / "none"))
    assert done.returncode == 1
    assert done.stderr.strip() == "The course is not here: set COURSE_REPOSITORY to the git address of your copy."


def test_solutions_are_executed_from_their_own_folder(tmp_path, capsys):
    write_notebook(tmp_path, "01_x", PARAMETERS, "print('notebook', X)")
    (tmp_path / "solutions").mkdir()
    path = write_notebook(tmp_path / "solutions", "01_solutions", PARAMETERS, "print('solution', X)")
    assert running.run("01", {}, tmp_path / "build", tmp_path, save=True, solutions=True) == 0
    assert load(path).cells[-1].outputs[0].text == "solution 1\n"
    assert not load(tmp_path / "01_x.ipynb").cells[-1].outputs
    assert "01_solutions" in capsys.readouterr().out
    site = tmp_path / "build" / "site" / "notebooks"
    assert (site / "solutions" / "01_solutions.html").is_file()
    assert (site / "01_x.html").is_file()


@pytest.mark.slow
def test_a_notebook_alone_in_an_empty_folder_clones_the_course_and_runs(tmp_path):
    """As in Colab: the setup cell clones the address it is given, and everything below works from the clone."""
    shutil.copyfile(NOTEBOOKS[0], tmp_path / "mine.ipynb")
    offline = {"PYTHONPATH": str(ROOT / "tests" / "offline")}
    environment = os.environ | offline | {"COURSE_REPOSITORY": str(ROOT), "COURSE_DRIVE": str(tmp_path / "none")}
    command = [sys.executable, "-m", "papermill", "mine.ipynb", "done.ipynb", "--no-progress-bar"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    metrics = json.loads((tmp_path / "course" / "build" / "01_classic_diff" / "metrics.json").read_text())
    assert len(metrics) == 4
    assert all(one["passed"] for one in metrics.values())


@pytest.mark.parametrize("changed", [False, True])
def test_nbval_compares_figures(tmp_path, changed):
    draw = "import matplotlib.pyplot as plt\nfrom helpers import plotting\nfigure, axis = plt.subplots()\n"
    draw += "axis.plot([1, 2, 3])\nplotting.show(figure, 'A line that rises.')"
    path = write_notebook(tmp_path, "01_x", PARAMETERS, draw)
    assert running.run("", {}, tmp_path / "build", tmp_path, save=True) == 0
    if changed:
        notebook = load(path)
        noise = np.random.default_rng(0).integers(0, 256, checks.figures(notebook)[1][0].shape).astype(np.uint8)
        replace_figure(notebook.cells[1], noise)
        nbformat.write(notebook, path)
    plugins = os.pathsep.join(str(folder) for folder in (ROOT / "tests", ROOT))
    command = [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-current-env", "-p", "nbval_figures"]
    command += ["-m", "slow", str(path)]  # as `make test` does; cells that were not slow would be left out
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": plugins}, capture_output=True, text=True, check=False
    )
    seen = changed and checks.LEAST_SSIM > 0
    assert done.returncode == int(seen), done.stdout + done.stderr
    assert ("a figure changed" in done.stdout) is seen


# Each rule is shown to fail on a notebook that breaks it.


def broken(change):
    notebook = copy.deepcopy(load(NOTEBOOKS[0]))
    change(notebook, checks.code_cells(notebook))
    return notebook


def _with_output(**output):
    def change(notebook, cells):
        cells[0].outputs = [nbformat.v4.new_output(**output)]

    return change


def _parameter(line):
    def change(notebook, cells):
        cell = next(cell for cell in cells if "parameters" in checks.tags(cell))
        cell.source += "\n" + line

    return change


def _untag(notebook, cells):
    for cell in cells:
        cell.metadata = {}


def _no_alt(notebook, cells):
    for cell in cells:
        for output in cell.outputs:
            output.pop("metadata", None)
            if "data" in output:
                output["metadata"] = {}


def _other_source(notebook, cells):
    (output,) = next(cell for cell in cells if cell.source.startswith("show_source(")).outputs
    output.data["text/plain"] = output.data["text/plain"].replace("return", "yield")


def _other_number(notebook, cells):
    output = next(output for cell in cells for output in cell.outputs if output.output_type == "execute_result")
    output.execution_count += 1


def _set(**values):
    def change(notebook, cells):
        for name, value in values.items():
            setattr(cells[3], name, value)

    return change


BREAKS = [
    (checks.valid_format, lambda notebook, cells: notebook.cells[0].pop("source")),
    (checks.valid_format, lambda notebook, cells: notebook.metadata.kernelspec.update(name="python3.11")),
    (checks.ruff_clean, _set(source="import json")),
    (checks.one_parameters_cell, _untag),
    (checks.one_parameters_cell, _parameter("NEVER_READ = 1  # none")),
    (checks.one_parameters_cell, _parameter("SEED = int(3)  # seed")),
    (checks.one_parameters_cell, _parameter("SEED: int = 3  # seed")),
    (checks.one_parameters_cell, _parameter("SEED = 3")),
    (checks.outputs_present, _set(execution_count=None)),
    (checks.outputs_present, lambda notebook, cells: [cell.update(outputs=[]) for cell in cells]),
    (checks.outputs_present, _other_number),
    (checks.no_noise, _with_output(output_type="error", ename="ValueError", evalue="no", traceback=[])),
    (checks.no_noise, _with_output(output_type="stream", name="stderr", text="oops")),
    (checks.no_noise, _with_output(output_type="stream", name="stdout", text="UserWarning: mind this")),
    (checks.no_noise, _with_output(output_type="stream", name="stdout", text="saved to /home/me/x.png")),
    (checks.no_noise, lambda notebook, cells: notebook.metadata.update(widgets={})),
    (checks.figures_described, _no_alt),
    (checks.figures_described, lambda n, cells: n.cells.append(nbformat.v4.new_markdown_cell("![](a.png)"))),
    (checks.small_enough, _set(source="x = 1\n" * 26)),
    (checks.small_enough, _set(source="x = [\n" + "    1,\n" * 44 + "]")),
    (checks.ruff_clean, _set(source=f"x = {'1' * 85}")),
    (checks.small_enough, lambda n, cells: n.cells.extend(nbformat.v4.new_code_cell("1") for _ in range(45))),
    (checks.small_enough, _with_output(output_type="stream", name="stdout", text="x" * 2_000_000)),
    (checks.short_cells, lambda n, cells: [cell.update(source="x = 1\n" * 9) for cell in cells]),
    (checks.sources_current, _other_source),
    (checks.says_where_it_fails, lambda n, cells: n.update(cells=[c for c in n.cells if c.cell_type == "code"])),
]


@pytest.mark.parametrize(("rule", "change"), BREAKS, ids=[f"{rule.__name__}-{i}" for i, (rule, _) in enumerate(BREAKS)])
def test_static_rule_notices(rule, change):
    assert rule(broken(change)) != []


def test_a_changed_figure_is_noticed_and_named():
    committed, fresh = load(NOTEBOOKS[0]), load(NOTEBOOKS[0])
    assert checks.figures_differ(committed, fresh) == []
    index, pictures = next(iter(checks.figures(fresh).items()))
    noisy = np.random.default_rng(0).integers(0, 256, pictures[0].shape).astype(np.uint8)
    replace_figure(fresh.cells[index], noisy)
    assert [fault for fault in checks.figures_differ(committed, fresh) if f"cell {index} " in fault]
    replace_figure(fresh.cells[index], noisy[:-5])
    assert "another number or size" in checks.figures_differ(committed, fresh)[0]


def replace_figure(cell, picture):
    import base64

    data = io.BytesIO()
    Image.fromarray(picture).save(data, "png")
    output = next(o for o in cell.outputs if "image/png" in o.get("data", {}))
    output.data["image/png"] = base64.b64encode(data.getvalue()).decode()


def test_two_runs_at_once_in_one_folder_are_refused(tmp_path):
    write_notebook(tmp_path, "01_x", PARAMETERS, "print(X)")
    build = tmp_path / "build"
    with alone(build, build / ".lock"), pytest.raises(ValueError, match="is being written by another run"):
        running.run("", {}, build, tmp_path)
    assert running.run("", {}, build, tmp_path) == 0


def test_the_memory_of_a_notebook_is_measured(tmp_path):
    write_notebook(tmp_path, "01_x", PARAMETERS, "import time\nheld = b'x' * 400_000_000\ntime.sleep(2)")
    (tmp_path / "build").mkdir()
    one = execute(tmp_path / "01_x.ipynb", {}, tmp_path / "build")
    assert one.error is None
    assert 400e6 < one.memory < 700e6
    assert f"{one.memory / 1e6:.0f}" in runs_table([one])


MEET = """import os, time
from pathlib import Path
{held}
Path(OUTPUT_DIR).with_suffix(".here").touch()
last = time.monotonic() + 120
while len(list(Path(OUTPUT_DIR).parent.glob("*.here"))) < 2:
    assert time.monotonic() < last, "the other notebook does not come"
    time.sleep(0.1)
time.sleep(2)
print(os.environ["OMP_NUM_THREADS"], Path.cwd())
"""


def test_two_notebooks_at_a_time_meet_and_share_the_cores(tmp_path, capsys, monkeypatch):
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(executing, "cores", lambda: 6)
    monkeypatch.setattr(executing, "ROOM", 0)
    build = tmp_path / "build"
    write_notebook(tmp_path, "01_large", PARAMETERS, MEET.format(held="held = b'x' * 400_000_000"))
    write_notebook(tmp_path, "02_small", PARAMETERS, MEET.format(held=""))
    assert running.run("", {}, build, tmp_path, jobs=2) == 0
    for name in ("01_large", "02_small"):
        assert load(build / f"{name}.ipynb").cells[-1].outputs[0].text == f"3 {ROOT}\n"
    rows = [line.rsplit(maxsplit=3) for line in capsys.readouterr().out.splitlines()[1:4]]
    assert [row[0] for row in rows] == ["01_large", "02_small", "together, 2 at a time"]
    large, small, together = (int(row[2]) for row in rows)
    assert large > small + 350
    assert together > large + 0.9 * small
    assert "OMP_NUM_THREADS" not in os.environ


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell what processes share")
def test_memory_that_processes_share_counts_once():
    forked = "import os, time; held = b'x' * 300_000_000; os.fork(); os.fork(); time.sleep(4)"
    with memory.peak_memory() as peak:
        subprocess.run([sys.executable, "-c", forked], check=True)
    assert 300e6 < peak.bytes < 400e6


def test_threads_that_the_caller_has_set_stay(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with shared(2):
        found = [os.environ[name] for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "MKL_NUM_THREADS")]
        assert found == ["7", "3", "7"]
    assert "MKL_NUM_THREADS" not in os.environ


@pytest.mark.parametrize(
    ("jobs", "notebooks", "free", "cores", "found"),
    [(2, 5, 2.0, 8, 2), (2, 1, 2.0, 8, 1), (3, 5, 2.5, 8, 2), (2, 5, 0.5, 8, 1), (4, 5, 9.0, 1, 1)],
)
def test_no_more_notebooks_at_a_time_than_fit(monkeypatch, capsys, jobs, notebooks, free, cores, found):
    monkeypatch.setattr(executing, "cores", lambda: cores)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=free * ROOM))
    assert executing._at_a_time(jobs, notebooks) == found
    told = f"{found} at a time: {free * ROOM / 1e9:.1f} GB of memory are free" in capsys.readouterr().err
    assert told == (found < min(jobs, notebooks, cores))


def test_no_notebook_at_a_time_is_refused(tmp_path):
    with pytest.raises(ValueError, match="jobs is 0: give 1 or more"):
        running.run("", {}, tmp_path, tmp_path, jobs=0)


def is_running(pid):
    """Whether that process is there and not merely unburied, which is its parent's task."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# Another thread of the process takes the signal, and the main one, which has to act on it, sleeps on: it waits for the
# notebooks by then, as both have a kernel.
TAKEN_ELSEWHERE = """
import signal, threading, time
def stop():
    while len([*Path(sys.argv[1]).glob("build/*.kernel")]) < 2:
        time.sleep(0.1)
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
threading.Thread(target=stop, daemon=True).start()
"""
# The first notebook is handed over, and nothing has come back of it yet.
WHILE_HANDING_OVER = """
hand_over = executing.ThreadPoolExecutor.submit
def submit(*args, **kwargs):
    hand_over(*args, **kwargs)
    raise KeyboardInterrupt
executing.ThreadPoolExecutor.submit = submit
"""


@pytest.mark.parametrize(
    ("begun", "signals", "within"),
    [(0, 1, ""), (2, 1, ""), (0, 2, ""), (2, 0, TAKEN_ELSEWHERE), (0, 0, WHILE_HANDING_OVER)],
    ids=["starting", "running", "impatient", "taken elsewhere", "handing over"],
)
def test_stopping_two_notebooks_at_a_time_leaves_no_kernel(tmp_path, begun, signals, within):
    noted = "import os, time\nfrom pathlib import Path\n(Path(OUTPUT_DIR).parent / f'{os.getpid()}.kernel').touch()"
    for number in (1, 2, 3):
        write_notebook(tmp_path, f"0{number}_x", PARAMETERS, noted, "time.sleep(600)")
    script = (
        "import sys; from pathlib import Path; from course import executing, running\n"
        f"executing.cores, executing.ROOM = lambda: 2, 0\n{within}\n"
        "running.run('', {}, Path(sys.argv[1]) / 'build', Path(sys.argv[1]), jobs=2)"
    )

    def kernels():
        return [int(path.stem) for path in (tmp_path / "build").glob("*.kernel")]

    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as started:
        try:
            started.stderr.readline()  # the name of the notebook that begins; no kernel is there yet
            last = time.monotonic() + 120
            while len(kernels()) < begun and started.poll() is None and time.monotonic() < last:
                time.sleep(0.1)
            for _ in range(signals):
                started.send_signal(signal.SIGINT)
                time.sleep(0.03)
            assert "KeyboardInterrupt" in started.communicate(timeout=60)[1]
        finally:
            started.kill()
    assert begun <= len(kernels()) <= 2, "the third began after all, or the second did not"
    assert not any(map(is_running, kernels()))


def test_notebooks_are_not_executed_over_themselves(tmp_path):
    path = write_notebook(tmp_path, "01_x", PARAMETERS, "print(X)")
    with pytest.raises(ValueError, match="holds the notebooks themselves"):
        running.run("", {}, tmp_path, tmp_path)
    assert path.is_file()


def test_a_notebook_that_does_not_fit_on_the_disk_leaves_the_old_one(tmp_path):
    path = write_notebook(tmp_path, "01_x", PARAMETERS, "print(X)")
    executed = write_notebook(tmp_path, "executed", PARAMETERS, "print(X)  # " + "long " * 1000)
    before, (soft, hard) = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            write_clean(executed, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before


def test_a_failing_notebook_is_named_and_the_others_run(tmp_path, capsys):
    checked = "from helpers import runtime\nruntime.start(OUTPUT_DIR, 0)\nruntime.check('X', X, at_least=3)"
    write_notebook(tmp_path, "01_bad", PARAMETERS, "print(1)", "1 / (X - 3)")
    write_notebook(tmp_path, "02_good", PARAMETERS, checked)
    assert running.run("", {"PROFILE": "quick", "X": "3"}, tmp_path / "build", tmp_path) == 1
    out = capsys.readouterr().out
    assert "cell [4] raised ZeroDivisionError" in out
    assert "X: 3 (>= 3)" in out
    assert "raised ZeroDivisionError" in (tmp_path / "build" / "site" / "report.html").read_text()
    assert "02_good.html" in (tmp_path / "build" / "site" / "index.html").read_text()
    assert "ZeroDivisionError" in (tmp_path / "build" / "site" / "notebooks" / "01_bad.html").read_text()


def test_a_check_that_does_not_hold_fails_the_run(tmp_path, capsys):
    checked = "from helpers import runtime\nruntime.start(OUTPUT_DIR, 0)\nruntime.check('X', X, at_least=3)"
    write_notebook(tmp_path, "01_low", PARAMETERS, checked)
    assert running.run("01", {}, tmp_path / "build", tmp_path) == 1
    assert "X: 1 (>= 3)  FAILED" in capsys.readouterr().out


def test_the_network_is_blocked(tmp_path):
    path = ROOT / "notebooks" / "zz_network.ipynb"
    try:
        source = "import urllib.request\nurllib.request.urlopen('http://example.org', timeout=5)"
        write_notebook(path.parent, path.stem, 'PROFILE = "quick"', source)
        process = run_offline(path, tmp_path)
    finally:
        path.unlink()
    assert process.returncode == 1
    assert "network is blocked" in process.stdout


def test_unknown_parameter_and_notebook_are_refused(tmp_path):
    write_notebook(tmp_path, "01_x", PARAMETERS)
    with pytest.raises(ValueError, match="no parameter 'SEDE': it has PROFILE, OUTPUT_DIR, X"):
        running.run("", {"SEDE": "3"}, tmp_path / "build", tmp_path)
    with pytest.raises(ValueError, match="no notebook begins with '07': choose from 01_x"):
        running.run("07", {}, tmp_path / "build", tmp_path)
    with pytest.raises(ValueError, match="default parameters"):
        running.run("", {"X": "2"}, tmp_path / "build", tmp_path, save=True)


@pytest.mark.parametrize(
    ("typed", "value"), [("3", 3), ("0.5", 0.5), ("None", None), ("True", True), ("full", "full"), ("a/b c", "a/b c")]
)
def test_parameters_as_typed(typed, value):
    assert parse(typed) == value


def test_saved_notebook_is_clean(tmp_path):
    path = write_notebook(tmp_path, "01_x", PARAMETERS, "X", "print(X)")
    assert running.run("", {}, tmp_path / "build", tmp_path, save=True) in (0,)
    saved = load(path)
    assert [cell.execution_count for cell in saved.cells] == [1, 2, 3]
    assert saved.cells[1].outputs[0].execution_count == 2  # papermill had a cell with OUTPUT_DIR before it
    assert saved.cells[-1].outputs[0].text == "1\n"
    assert str(ROOT) not in nbformat.writes(saved).replace("../build", "")
    assert "papermill" not in nbformat.writes(saved)


@pytest.mark.slow
@pytest.mark.own_data
@pytest.mark.real
def test_resnet18_on_real_photographs(real_data, tmp_path):
    """Cracks in brickwork: the notebook runs as it is, and compares both starts over five folds, with intervals."""
    folder = real_data / "brickwork-cracks"
    process = run_offline(ROOT / "notebooks" / "02_resnet18_defects.ipynb", tmp_path, "-p", "DATA_DIR", str(folder))
    assert process.returncode == 0, process.stdout + process.stderr
    output = tmp_path / "02_resnet18_defects"
    assert json.loads((output / "metrics.json").read_text())["fine-tuned accuracy over guessing"]["passed"]
    measured = json.loads((output / "cross_validation.json").read_text())
    assert measured.keys() == {"from textures", "from scratch"}
    printed = nbformat.writes(load(tmp_path / "02_resnet18_defects.ipynb"))
    for name, interval in measured.items():
        assert interval["low"] < interval["value"] < interval["high"]
        assert interval["low"] > 0.85, "either start learns real cracks from 316 photographs"
        assert f"{name:<14} {interval['value']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]" in printed


@pytest.mark.slow
@pytest.mark.own_data
def test_dbt_resnet50_on_pairs_of_ones_own(tmp_path):
    """One folder without splits, and a CSV file of pairs to judge, one of them broken."""
    pairs = (scenes.subtle_pair(0, index, size=64, things=(1, 2), nuisance=None) for index in range(360))
    folder = write_dataset(tmp_path / "mine", pairs)
    lines = ["before,after", "mine/before/000001.png,mine/after/000001.png", "mine/before/000002.png,none.png"]
    (tmp_path / "inbox.csv").write_text("\n".join(lines))
    given = {"DATA_DIR": folder, "INBOX": tmp_path / "inbox.csv", "IMAGE_SIZE": 64, "EPOCHS": 8}
    arguments = [part for name, value in given.items() for part in ("-p", name, str(value))]
    process = run_offline(ROOT / "notebooks" / "03_dbt_resnet50.ipynb", tmp_path, *arguments)
    assert process.returncode == 0, process.stdout + process.stderr
    output = tmp_path / "03_dbt_resnet50"
    measured = json.loads((output / "metrics.json").read_text())
    assert measured["mean accuracy over guessing"]["passed"]
    assert measured["attention points at the change"]["passed"]
    first, second = pandas.read_csv(output / "inbox.csv").to_dict("records")
    assert isinstance(first["changed"], str)
    assert "none.png does not exist" in second["error"]


@pytest.mark.slow
@pytest.mark.own_data
@pytest.mark.real
def test_dual_attention_on_real_photographs_with_csv_files(real_data, tmp_path):
    """Cracks in brickwork, laid out as the original's pictures: the notebook runs as it is, and gives an interval.

    Without EPOCHS it would train each network for eighteen, which takes more than twice as long.
    """
    folder = tmp_path / "bricks"
    for label, name in enumerate(("Negative", "Positive")):
        (folder / str(label)).mkdir(parents=True)
        photographs = sorted((real_data / "brickwork-cracks" / name).iterdir())
        for path in photographs:
            shutil.copyfile(path, folder / str(label) / f"{name}_{path.name}")
        rows = [f"{name}_{path.name},{label}" for path in photographs]
        (folder / f"{label}.csv").write_text("\n".join(["image_name,target", *rows]))
    given = ["-p", "DATA_DIR", str(folder), "-p", "EPOCHS", "4"]
    process = run_offline(ROOT / "notebooks" / "04_keras_dual_attention.ipynb", tmp_path, *given)
    assert process.returncode == 0, process.stdout + process.stderr
    output = tmp_path / "04_keras_dual_attention"
    assert json.loads((output / "metrics.json").read_text())["test accuracy over guessing"]["passed"]
    measured = json.loads((output / "results.json").read_text())
    printed = nbformat.writes(load(tmp_path / "04_keras_dual_attention.ipynb"))
    for interval in measured["accuracy"].values():
        assert interval["low"] <= interval["value"] <= interval["high"]
        assert f"{interval['value']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]" in printed


@pytest.mark.slow
@pytest.mark.own_data
def test_t_blip2_on_pairs_of_ones_own(tmp_path):
    """A folder in Spot-the-Diff's format: trained for an epoch, then judged again from what was saved."""
    folder = tmp_path / "mine"
    for number, (part, count) in enumerate((("train", 64), ("val", 8), ("test", 8))):
        (folder / part).mkdir(parents=True)
        records = []
        for index in range(count):
            pair = scenes.scene_pair(number, index, changes=(index % 3, index % 3))
            for name, picture in ((f"{number}{index:03}", pair.before), (f"{number}{index:03}_2", pair.after)):
                Image.fromarray(picture).save(folder / part / f"{name}.png")
            records.append({"img_id": f"{number}{index:03}", "sentences": list(pair.captions)})
        (folder / f"{part}.json").write_text(json.dumps(records))
    given = ["-p", "DATA_DIR", str(folder), "-p", "EPOCHS", "1", "-p", "ABLATION_EPOCHS", "0"]
    said = []
    for more in ([], ["-p", "MODE", "test"]):
        process = run_offline(ROOT / "notebooks" / "05_t_blip2.ipynb", tmp_path, *given, *more)
        assert process.returncode == 0, process.stdout + process.stderr
        measured = json.loads((tmp_path / "05_t_blip2" / "results.json").read_text())
        said.append(measured["scores"]["T-BLIP2"])
        assert measured["pairs"] == 8
    assert said[0] == pytest.approx(said[1]), "the model in CHECKPOINT is the one that was trained"


def test_saving_publishes_the_figures(tmp_path):
    (tmp_path / "out" / "images").mkdir(parents=True)
    (tmp_path / "target").mkdir()
    (tmp_path / "out" / "images" / "a.png").write_bytes(b"x")
    publish_images(tmp_path / "out", tmp_path / "target")
    assert (tmp_path / "target" / "a.png").read_bytes() == b"x"


TRAINS = """
import os
from pathlib import Path
import torch
from helpers import runtime, training

output = runtime.start(OUTPUT_DIR, 0)

class Numbers(torch.utils.data.Dataset):
    def __len__(self):
        return 50

    def __getitem__(self, index):
        with Path(SEEN, os.environ.get("RANK", "0")).open("a") as seen:
            print(index, file=seen)
        return torch.tensor([index / 25 - 1]), int(index >= 25)

model = torch.nn.Linear(1, 2)
options = {"epochs": EPOCHS, "batch_size": 10, "learning_rate": 0.1, "folder": output / "line", "resume": RESUME}
history = training.fit(model, Numbers(), Numbers(), progress=False, **options)
runtime.check("accuracy", history.epochs[-1]["val_accuracy"], at_least=0.9)
"""


def test_a_notebook_trains_in_two_processes_and_goes_on_in_one(tmp_path):
    """Each reads its share of every epoch; only the first leaves files; one process goes on from their checkpoint."""
    seen = tmp_path / "seen"
    seen.mkdir()
    parameters = f"SEEN = {str(seen)!r}\nOUTPUT_DIR = 'nowhere'\nEPOCHS = 4\nRESUME = False"
    write_notebook(tmp_path, "02_line", parameters, TRAINS)
    script = tmp_path / "run.py"
    script.write_text(
        "import sys; from pathlib import Path; from course import running; here = Path(__file__).parent\n"
        "sys.exit(running.run('02', {}, here / 'build', here))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [*running.launcher(2), str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    read = [(seen / rank).read_text().split() for rank in "01"]
    assert min(map(len, read)) > 0.4 * sum(map(len, read)), "the work was not shared"
    assert sorted(map(int, read[0] + read[1])) == sorted(2 * 4 * list(range(50))), "to train and to validate, 4 epochs"
    folder = tmp_path / "build" / "02_line"
    assert read_json(folder / "metrics.json")["accuracy"]["passed"]
    kept = folder / "line"
    assert sorted(path.name for path in kept.iterdir() if path.name != ".lock") == [
        "best.safetensors",
        "checkpoint-00000015",
        "checkpoint-00000020",
        "history.json",
    ]
    assert running.run("02", {"EPOCHS": "6", "RESUME": "True"}, tmp_path / "build", tmp_path) == 0
    assert [epoch["epoch"] for epoch in read_json(kept / "history.json")["epochs"]] == [1, 2, 3, 4, 5, 6]


def test_processes_are_for_notebooks_that_share_the_work():
    (classic,) = select("01")
    with pytest.raises(ValueError, match="01_classic_diff does not train by helpers.training"):
        running.launch_processes(classic, 2, [])
