"""Records of long runs: what a kill, a second run, another file and a broken line leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from support import SCRIPTS

from whatchanged.journal import Journal


def journal(path, **about):
    return Journal(path, "pairs", about or {"model": "a"}, key=lambda record: record["id"])


def test_records_appear_whole_at_the_end(tmp_path):
    path = tmp_path / "out.json"
    with journal(path) as one:
        assert one.missing([1, 2]) == [1, 2]
        one.add({"id": 2})
        one.add({"id": 1})
        assert not path.exists()
        one.finish([1, 2])
    assert json.loads(path.read_text()) == {"model": "a", "pairs": [{"id": 1}, {"id": 2}]}
    assert [name.name for name in tmp_path.iterdir() if name.name[0] != "."] == ["out.json"]


def test_a_second_run_goes_on_and_tries_errors_again(tmp_path):
    path = tmp_path / "out.json"
    with journal(path) as one:
        one.add({"id": 1, "said": "x"})
        one.add({"id": 2, "error": "bad"})
    with journal(path) as two:
        assert two.missing([1, 2, 3]) == [2, 3]
        two.add({"id": 2})
        two.add({"id": 3, "error": "bad"})
        two.finish([1, 2, 3])
    with journal(path) as three:
        assert three.missing([1, 2, 3, 4]) == [3, 4]
        assert three.done[1] == {"id": 1, "said": "x"}


def test_a_kill_costs_the_record_in_work(tmp_path):
    path = tmp_path / "out.json"
    command = [sys.executable, str(SCRIPTS / "journal_script.py")]
    first = subprocess.run(command, cwd=tmp_path, check=False)
    assert first.returncode == -signal.SIGKILL
    assert not path.exists()
    subprocess.run(command, cwd=tmp_path, env=os.environ | {"ALL": "1"}, check=True)
    records = json.loads(path.read_text())["pairs"]
    assert [record["id"] for record in records] == list(range(5))
    assert len({record["by"] for record in records[:3]}) == 1
    assert records[2]["by"] != records[3]["by"]


def test_what_does_not_belong_together_is_refused(tmp_path):
    path = tmp_path / "out.json"
    with journal(path) as one:
        one.add({"id": 1})
        with pytest.raises(ValueError, match="is being written by another run"), journal(path):
            pass
    with (
        pytest.raises(ValueError, match="begun with model 'a', not 'b': choose another file"),
        journal(path, model="b"),
    ):
        pass
    with journal(path) as two:
        assert two.missing([1]) == []
        two.finish([1])
    with pytest.raises(ValueError, match="begun with model 'a'"), journal(path, model="b"):
        pass
    with (
        pytest.raises(ValueError, match="begun by another version, which did not know size: choose another file"),
        journal(path, model="a", size="pad"),
    ):
        pass
    for content in ("[1, 2]", "{}", "no JSON", '{"pairs"'):
        (tmp_path / "other.json").write_text(content)
        with pytest.raises(ValueError, match="other.json holds no 'pairs'"), journal(tmp_path / "other.json"):
            pass
        assert (tmp_path / "other.json").read_text() == content
    with pytest.raises(ValueError, match="nowhere is no folder"), journal(tmp_path / "nowhere" / "x.json"):
        pass


def test_lines_of_records_begin_anew_after_a_run_that_finished(tmp_path):
    path = tmp_path / "out.jsonl"
    for said in ("first", "second"):
        with Journal(path, None, {"model": "a"}, key=lambda record: record["id"]) as one:
            assert one.missing([1]) == [1]
            one.add({"id": 1, "said": said})
            one.finish([1, 1])
        assert (
            path.read_text() == json.dumps({"id": 1, "said": said}) + "\n" + json.dumps({"id": 1, "said": said}) + "\n"
        )
    with Journal(path, None, {"model": "a"}, key=lambda record: record["id"]) as one:
        one.add({"id": 2})
    assert "second" in path.read_text(), "the finished file stays until the next is whole"
    with Journal(path, None, {"model": "a"}, key=lambda record: record["id"]) as one:
        assert one.missing([1, 2]) == [1]


def test_what_is_not_fresh_is_done_again_however_often_it_is_stopped(tmp_path):
    path, changed = tmp_path / "out.json", set()

    def opened():
        return Journal(path, "pairs", {}, lambda record: record["id"], lambda record: record["id"] not in changed)

    with opened() as one:
        one.add({"id": 1})
        one.add({"id": 2})
    changed.add(1)
    for _ in range(2):  # the second time the journal is newer than the change
        with opened() as two:
            assert two.missing([1, 2]) == [1]
        changed.clear()


@pytest.mark.parametrize("name", ["pairs", None])
def test_what_is_for_the_next_run_alone_is_not_in_the_file(tmp_path, name):
    path = tmp_path / "out.json"
    for _ in range(2):
        with Journal(path, name, {}, lambda record: record["id"], lambda record: record.get("_seen") == 7) as one:
            if one.missing([1]):
                one.add({"id": 1, "_seen": 7})
    with Journal(path, name, {}, lambda record: record["id"]) as one:
        assert one.done[1]["_seen"] == 7
        one.finish([1])
    assert '"id": 1' in path.read_text()
    assert "_seen" not in path.read_text()


def test_a_journal_may_be_discarded(tmp_path):
    path = tmp_path / "out.json"
    with journal(path) as one:
        one.add({"id": 1})
        one.discard()
    assert [name.name for name in tmp_path.iterdir() if name.name[0] != "."] == []


@pytest.mark.parametrize("line", ["junk", "[1]", '{"model": "a"}\n3'])
def test_a_damaged_journal_is_named(tmp_path, line):
    (tmp_path / "out.json.journal").write_text(line + "\n")
    with pytest.raises(ValueError, match=r"out.json.journal is no journal of an earlier run .*: delete it"):
        journal(tmp_path / "out.json").__enter__()
