"""SIGKILL at twenty random moments of each kind of long work: `make faults`.

After each kill, what is there is whole; the same command in the end gives what an undisturbed run gives.
"""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from archived import zipped
from pyarrow import parquet
from serving import GOOD, Server, assert_good, registry
from support import ROOT

from helpers import scenes
from whatchanged import many
from whatchanged.images import write_image

KILLS = 20
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def run(command):
    """Run it to the end; its exit status."""
    return subprocess.run(command, env=ENVIRONMENT, cwd=ROOT, capture_output=True, text=True, check=False).returncode


def survives(command, begin_anew, check, status=0):
    """Kill the command at random moments of its life, so often; then let it end.

    begin_anew : called before the first run, and after one that ended before it could be killed.
    check : called after each kill: what is there must be whole.
    """
    begin_anew()
    began = time.perf_counter()
    assert run(command) == status
    life = time.perf_counter() - began
    begin_anew()
    rng, killed = np.random.default_rng(0), 0
    while killed < KILLS:
        process = subprocess.Popen(
            command,
            env=ENVIRONMENT,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(rng.uniform(0, life))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
            check()
        else:
            assert process.returncode == status
            begin_anew()
    assert run(command) == status


@pytest.fixture
def pairs(tmp_path):
    """The name of a CSV file with forty generated pairs."""
    rows = ["before,after"]
    for index in range(40):
        pair = scenes.scene_pair(0, index, changes=(1, 1))
        for side, image in (("before", pair.before), ("after", pair.after)):
            write_image(tmp_path / f"{index}_{side}.png", image)
        rows.append(f"{index}_before.png,{index}_after.png")
    table = tmp_path / "pairs.csv"
    table.write_text("\n".join(rows) + "\n")
    return table


def emptied(folder):
    """A function that removes a folder or a file, and what lies beside it under a similar name."""

    def begin_anew():
        for path in folder.parent.glob(f"*{folder.name}*"):
            subprocess.run(["rm", "-rf", str(path)], check=True)

    return begin_anew


def test_download(tmp_path):
    server = Server()
    server.files["data.zip"], server.slow = zipped([*GOOD, *((f"Positive/{i}.png", b"x") for i in range(3000))]), 0.005
    data = tmp_path / "data"
    command = [sys.executable, "download_and_unzip.py", "set", "--data-dir", str(data)]
    command += ["--registry", str(registry(tmp_path, server))]

    def check():
        if (data / "set").exists():
            assert_good(tmp_path)
            assert len(list((data / "set" / "Positive").iterdir())) == 3002

    survives(command, emptied(data), check)
    check()
    server.shutdown()
    server.server_close()


def test_diff_on_dask(pairs, tmp_path):
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-c",
        "from whatchanged import many; many.PART = 16; from whatchanged.__main__ import main; main()",
    ]
    command += ["diff", "--pairs", str(pairs), "--workers", "2", "--output-dir", str(out)]

    def names():
        tables = [parquet.read_table(path) for path in (out / many.RESULTS).glob("*.parquet")]
        return [name for table in tables for name in table["before"].to_pylist()]

    def check():
        assert len(names()) == len(set(names())), "a pair is there twice"

    survives(command, emptied(out), check)
    assert sorted(names()) == sorted(str(tmp_path / f"{index}_before.png") for index in range(40))


def test_describe(pairs, tmp_path):
    from tiny_models import describer

    out, model = tmp_path / "results.json", describer(tmp_path / "model")
    command = [sys.executable, "-m", "whatchanged", "describe", "--model-path", str(model), "--max-new-tokens", "5"]
    command += ["--input-dir", str(pairs), "--output-file", str(out)]

    def check():
        if out.exists():
            assert len(json.loads(out.read_text())["pairs"]) == 40

    survives(command, emptied(out), check)
    assert [one["error"] for one in json.loads(out.read_text())["pairs"]] == [""] * 40


def test_training(tmp_path):
    folder, output = tmp_path / "run", tmp_path / "output.pt"
    command = [sys.executable, "tests/scripts/train_script.py", str(folder), str(output), "--resume", "--epochs", "30"]

    def check():
        history = folder / "history.json"
        assert not history.exists() or json.loads(history.read_text())["epochs"] is not None

    undisturbed = [*command[:2], str(tmp_path / "other"), str(tmp_path / "other.pt"), "--epochs", "30"]
    assert run(undisturbed) == 0
    survives(command, emptied(folder), check)
    one, other = (torch.load(path, weights_only=False) for path in (output, tmp_path / "other.pt"))
    assert all(torch.equal(one["weights"][name], value) for name, value in other["weights"].items()), (
        "not the same bits"
    )
    assert one["history"] == other["history"]


def test_keras_training(tmp_path):
    folder = tmp_path / "run"
    command = [sys.executable, "tests/scripts/keras_script.py", str(folder), "resume"]

    def check():
        best = folder / "best.keras"
        assert not best.exists() or zipfile.is_zipfile(best), "a half model is taken for whole"

    survives(command, emptied(folder), check)
    check()
    assert [line.split(",")[0] for line in (folder / "epochs.csv").read_text().splitlines()] == ["epoch", *"0123"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_course(tmp_path, jobs):
    """The notebooks in the folder are the old or the new ones, and the results of checks are there whole."""
    from support import write_notebook

    cell = "from helpers import runtime\nruntime.start(OUTPUT_DIR, 0)\nruntime.check('X', X, at_least=0)\nprint(X)"
    folder, build = tmp_path / "notebooks", tmp_path / "build"
    folder.mkdir()
    for number in (1, 2):
        write_notebook(folder, f"0{number}_x", f"OUTPUT_DIR = '{build}/0{number}_x'\nX = {number}", cell)
    script = (
        "import sys; from pathlib import Path; from course import running\n"
        f"sys.exit(running.run('', {{}}, Path(sys.argv[2]), Path(sys.argv[1]), save=True, jobs={jobs}))"
    )

    def check():
        for path in folder.glob("*.ipynb"):
            nbformat.validate(nbformat.read(path, as_version=4))
        for path in build.glob("*/metrics.json"):
            assert json.loads(path.read_text())["X"]["passed"]

    survives([sys.executable, "-c", script, str(folder), str(build)], emptied(build), check)
    for number in (1, 2):
        printed = nbformat.read(folder / f"0{number}_x.ipynb", as_version=4).cells[1].outputs[0].text
        assert printed.splitlines()[-1] == str(number)


def test_sweep(tmp_path):
    from support import write_notebook

    cell = "from helpers import runtime\nruntime.start(OUTPUT_DIR, 0)\nruntime.check('square', X * X, at_least=0)"
    write_notebook(tmp_path, "01_square", "OUTPUT_DIR = 'nowhere'\nX = 1", cell)
    script, out = tmp_path / "run.py", tmp_path / "out"
    script.write_text(
        "from pathlib import Path; from course import sweep; here = Path(__file__).parent\n"
        "rows = [{'X': x} for x in (1, 2, 3)]\n"
        "if __name__ == '__main__': sweep.sweep(here / '01_square.ipynb', rows, here / 'out')"
    )

    def check():
        for path in Path(out).glob("*/result.json"):
            assert json.loads(path.read_text())["result"]["error"] == ""

    survives([sys.executable, str(script)], emptied(out), check)
    assert [json.loads(path.read_text())["result"]["square"] for path in sorted(out.glob("*/result.json"))]
    assert (out / "results.csv").read_text().count("\n") == 4
