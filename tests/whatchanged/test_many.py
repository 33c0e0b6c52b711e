"""Pairs on a Dask cluster: every pair once, whatever dies on the way."""

import itertools
import json
import logging
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import dask
import pyarrow
import pytest
from comparisons import beginning, dying_once, odd, poisonous
from dask.distributed import LocalCluster
from PIL import Image
from pyarrow import parquet
from support import ROOT, dask_cluster

from helpers import scenes
from whatchanged import many
from whatchanged.__main__ import main
from whatchanged.detection import detect
from whatchanged.images import read_image, write_image
from whatchanged.pairs import find_pairs

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def scheduler():
    """The address of a cluster of one worker that nobody kills."""
    with LocalCluster(n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def pairs(tmp_path):
    """Five pairs of files, the last of them the same picture twice."""
    made = []
    for index in range(5):
        pair = scenes.scene_pair(0, index, changes=(1, 1))
        before = write_image(tmp_path / f"{index}.png", pair.before)
        made.append(
            (str(before), str(write_image(tmp_path / f"{index}_2.png", pair.after if index < 4 else pair.before)))
        )
    return made


def rows(folder):
    """All rows of the result, in whatever order."""
    return [
        row
        for path in sorted((folder / many.RESULTS).glob("*.parquet"))
        for row in parquet.read_table(path).to_pylist()
    ]


def quarantined(folder):
    return [json.loads(line) for line in (folder / many.QUARANTINE).read_text().splitlines()]


def test_the_result_is_that_of_detect(pairs, tmp_path, scheduler):
    outcome = many.compare_pairs(pairs, tmp_path / "out", scheduler=scheduler, announce=lambda text: None)
    assert (outcome.differ, outcome.same, outcome.bad, outcome.earlier) == (4, 1, [], 0)
    found = {(row["before"], row["after"]): row for row in rows(tmp_path / "out")}
    assert found.keys() == set(pairs)
    for before, after in pairs:
        row, alone = found[before, after], detect(read_image(before), read_image(after)).summary()
        assert row["similarity"] == pytest.approx(alone["similarity"])
        assert (row["kind"], row["note"]) == (alone["kind"], alone["note"])
        assert len(row["regions"]) == len(alone["regions"])
        for one, other in zip(row["regions"], alone["regions"], strict=True):
            assert one.pop("strength") == pytest.approx(other.pop("strength"), rel=1e-6)
            assert one == other


def test_every_page_is_in_the_result(pairs, tmp_path, scheduler):
    pages = [Image.open(pairs[index][side]) for index, side in ((0, 0), (4, 0), (0, 1), (4, 0))]
    for name, (first, second) in (("before", pages[:2]), ("after", pages[2:])):
        first.save(tmp_path / f"{name}.tif", save_all=True, append_images=[second])
    both = str(tmp_path / "before.tif"), str(tmp_path / "after.tif")
    many.compare_pairs([both, both[::-1], (both[0], pairs[0][0])], tmp_path / "out", scheduler=scheduler)
    there, back, shorter = rows(tmp_path / "out")
    expected = detect(*map(read_image, pairs[0])).regions
    assert [(one["x"], one["y"], one["what"], one["page"]) for one in there["regions"]] == [
        (one.x, one.y, one.what, 1) for one in expected
    ]
    assert {one["page"] for one in back["regions"]} == {1}
    (gone,) = shorter["regions"]
    assert (gone["what"], gone["page"], shorter["note"]) == ("removed", 2, "page 2: after has no such page")


def test_a_pair_that_cannot_be_read_is_kept_apart_and_tried_again(pairs, tmp_path, scheduler):
    good = Path(pairs[1][1]).read_bytes()
    Path(pairs[1][1]).write_text("no image")
    options = {"scheduler": scheduler, "announce": lambda text: None}
    outcome = many.compare_pairs([*pairs, pairs[0]], tmp_path / "out", **options)
    assert (outcome.differ, outcome.same, outcome.earlier) == (3, 1, 0)
    (bad,) = quarantined(tmp_path / "out")
    assert (bad["before"], bad["after"]) == pairs[1]
    assert "is not an image" in bad["reason"]
    Path(pairs[1][1]).write_bytes(good)
    outcome = many.compare_pairs(pairs, tmp_path / "out", **options)
    assert (outcome.differ, outcome.same, outcome.bad, outcome.earlier) == (4, 1, [], 4)
    assert quarantined(tmp_path / "out") == []
    assert Counter((row["before"], row["after"]) for row in rows(tmp_path / "out")) == Counter(pairs)


def test_an_error_that_nobody_foresaw_costs_its_own_pair_only(tmp_path, scheduler):
    numbers = [(str(index), str(index)) for index in range(40)]
    outcome = many.compare_pairs(numbers, tmp_path, scheduler=scheduler, announce=print, compare=odd)
    assert (outcome.same, outcome.bad) == (39, [("3", "3", "KeyError: 'three'")])


def test_the_pairs_of_a_killed_worker_are_done_again(tmp_path):
    numbers = [(str(index), str(index)) for index in range(200)]
    options = {"flag": str(tmp_path / "flag")}
    outcome = many.compare_pairs(numbers, tmp_path / "out", options, workers=2, announce=print, compare=dying_once)
    assert (tmp_path / "flag").exists(), "no worker was killed"
    assert (outcome.same, outcome.bad) == (200, [])
    assert Counter((row["before"], row["after"]) for row in rows(tmp_path / "out")) == Counter(numbers)


def test_a_worker_that_is_long_in_coming_back_is_not_given_up(tmp_path):
    """On a busy machine a start takes longer than Dask waits; so does any start where it waits a tenth of a second."""
    hasty = dask.config.set({"distributed.deploy.lost-worker-timeout": "0.1s"})
    with hasty, many.connected(None, 1, print) as client:
        task = client.submit(dying_once, "17", "17", {"flag": str(tmp_path / "flag")})
        assert task.result(timeout=60)["before"] == "17"
    assert (tmp_path / "flag").exists(), "no worker was killed"


def test_a_pair_that_kills_every_worker_is_kept_apart_and_no_other(tmp_path):
    numbers = [(str(index), str(index)) for index in range(100)]
    outcome = many.compare_pairs(numbers, tmp_path, workers=2, announce=print, compare=poisonous)
    assert outcome.bad == [("17", "17", "every worker that tried this pair died")]
    assert [one["before"] for one in quarantined(tmp_path)] == ["17"]
    assert Counter(row["before"] for row in rows(tmp_path)) == Counter(str(i) for i in range(100) if i != 17)


def test_a_killed_run_goes_on(pairs, tmp_path, monkeypatch):
    """SIGKILL after the first file of results: what is there stays, what is missing is added."""
    table = tmp_path / "pairs.csv"
    table.write_text("before,after\n" + "".join(f"{pairs[0][0]},{copy}\n" for copy in copies(pairs[0][1], 300)))
    script = "from whatchanged import many; many.PART = 32; from whatchanged.__main__ import main; main()"
    command = ["diff", "--pairs", str(table), "--workers", "1", "--output-dir", str(tmp_path / "out")]
    run = subprocess.Popen([sys.executable, "-c", script, *command], cwd=ROOT, stderr=subprocess.DEVNULL)
    while not list((tmp_path / "out" / many.RESULTS).glob("*.parquet")) and run.poll() is None:
        time.sleep(0.05)
    run.kill()
    run.wait()
    kept = rows(tmp_path / "out")
    assert 0 < len(kept) < 300, "it was not killed in the middle"
    assert main(command) == 1
    assert Counter(row["after"] for row in rows(tmp_path / "out")) == Counter(
        str(after) for _, after in find_pairs(table)
    )
    assert rows(tmp_path / "out")[: len(kept)] == kept


def copies(path, count):
    """The same file under so many names."""
    for number in range(count):
        copy = Path(path).with_name(f"copy_{number}.png")
        copy.hardlink_to(path)
        yield copy


def test_one_run_a_folder_and_the_same_options(pairs, tmp_path, scheduler):
    options = {"scheduler": scheduler, "announce": lambda text: None}

    def meddle(text):
        with pytest.raises(ValueError, match="is being written by another run"):
            many.compare_pairs(pairs, tmp_path / "out", **options)

    many.compare_pairs(pairs, tmp_path / "out", {"method": "pixel"}, scheduler=scheduler, announce=meddle)
    with pytest.raises(ValueError, match="was begun with {'method': 'pixel'}, not {}"):
        many.compare_pairs(pairs, tmp_path / "out", **options)


def test_a_folder_of_an_earlier_version_is_told_apart(pairs, tmp_path, capsys):
    """Its results had no kind, note and so on; its options no size."""
    (tmp_path / "out" / many.RESULTS).mkdir(parents=True)
    earlier = pyarrow.Table.from_pylist([{"before": "a", "after": "b", "similarity": 1.0, "regions": []}])
    parquet.write_table(earlier, tmp_path / "out" / many.RESULTS / "part-000000.parquet")
    (tmp_path / "out" / many.ABOUT).write_text('{"method": "tolerant", "resize": false}')
    assert main(["diff", "--pairs", str(tmp_path), "--workers", "1", "--output-dir", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "out was begun by another version, whose results have other columns: choose another folder" in line


def test_a_damaged_file_of_results_is_named(pairs, tmp_path, scheduler):
    options = {"scheduler": scheduler, "announce": lambda text: None}
    many.compare_pairs(pairs, tmp_path / "out", **options)
    (part,) = (tmp_path / "out" / many.RESULTS).glob("*.parquet")
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(ValueError, match="part-000000.parquet is damaged: delete it"):
        many.compare_pairs(pairs, tmp_path / "out", **options)


def test_the_command(pairs, tmp_path, scheduler, capsys):
    command = ["diff", "--pairs", str(tmp_path), "--scheduler", scheduler, "--output-dir", str(tmp_path / "out")]
    assert main(command) == 1
    told = capsys.readouterr()
    assert told.out == "5 pairs: 4 differ, 1 do not, 0 bad\n"
    assert "dashboard: http://127.0.0.1:" in told.err
    assert main(command) == 1
    assert capsys.readouterr().out == "5 pairs (5 by an earlier run): 4 differ, 1 do not, 0 bad\n"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--workers", "0"], "--workers is 0: give 1 or more"),
        (["--workers", "2", "--scheduler", "tcp://127.0.0.1:1"], "give one of them"),
        (["--scheduler", "tcp://127.0.0.1:1"], "there is no Dask scheduler at 'tcp://127.0.0.1:1'"),
        (["--scheduler", "nonsense://x"], "there is no Dask scheduler at 'nonsense://x'"),
    ],
)
def test_bad_flags(pairs, tmp_path, capsys, flags, message):
    assert main(["diff", "--pairs", str(tmp_path), "--output-dir", str(tmp_path / "out"), *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_workers_without_pairs(capsys):
    assert main(["diff", "a.png", "b.png", "--workers", "2"]) == 2
    assert "--workers and --scheduler go with --pairs" in capsys.readouterr().err


def test_workers_that_come_later_get_their_share(tmp_path, monkeypatch):
    monkeypatch.setattr(many, "BATCH", 1)
    monkeypatch.setattr(many, "AHEAD", 1)
    with LocalCluster(n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster:

        def one_more(count):
            cluster.scale(2)
            cluster.wait_for_workers(2, timeout=60)

        numbers = [(str(number), str(number)) for number in range(8)]
        ways = {"scheduler": cluster.scheduler_address, "announce": lambda text: None}
        many.compare_pairs(numbers, tmp_path / "out", **ways, compare=beginning, progress=one_more)
    began = sorted(row["similarity"] for row in rows(tmp_path / "out"))
    assert min(later - sooner for sooner, later in itertools.pairwise(began)) < 0.25, "never two at a time"


def test_a_cluster_without_a_worker_is_told_of_and_waited_for(pairs, tmp_path):
    told = []
    with LocalCluster(n_workers=0, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster:

        def announce(text):
            told.append(text)
            if "no worker" in text:
                cluster.scale(1)

        outcome = many.compare_pairs(pairs, tmp_path / "out", scheduler=cluster.scheduler_address, announce=announce)
        assert f"`PYTHONPATH=. dask worker {cluster.scheduler_address}`" in told[1]
    assert (outcome.differ, outcome.same) == (4, 1)


def test_a_scheduler_that_is_lost_is_told_of_and_what_had_come_is_kept(tmp_path, scheduler, caplog):
    numbers = [(str(number), str(number)) for number in range(200)]
    ways = {"compare": beginning, "announce": lambda text: None}
    with dask_cluster(tmp_path) as (address, process):
        ways["progress"] = lambda count: process.kill()
        with pytest.raises(ConnectionError, match=f"the Dask scheduler at '{address}' was lost"):
            many.compare_pairs(numbers, tmp_path / "out", scheduler=address, **ways)
    assert [one.message for one in caplog.records if one.levelno >= logging.ERROR] == []  # the sentence says it
    kept = len(rows(tmp_path / "out"))
    assert many.BATCH <= kept < 200
    ways["progress"] = lambda count: None
    outcome = many.compare_pairs(numbers[: kept + 2], tmp_path / "out", scheduler=scheduler, **ways)
    assert outcome.earlier + 2 >= kept
    assert len({row["before"] for row in rows(tmp_path / "out")}) == len(rows(tmp_path / "out")) >= kept + 2


@pytest.mark.parametrize("stranger", ["scheduler", "worker"])
def test_a_cluster_that_does_not_know_the_course_is_told_of(pairs, tmp_path, capsys, stranger):
    with dask_cluster(tmp_path, stranger) as (address, _):
        out = str(tmp_path / "out")
        assert main(["diff", "--pairs", str(tmp_path), "--scheduler", address, "--output-dir", out]) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith(
        f"whatchanged: the Dask cluster at '{address}' does not know whatchanged (No module named 'whatc"
    )
    assert line.endswith("in its folder with PYTHONPATH=.")
