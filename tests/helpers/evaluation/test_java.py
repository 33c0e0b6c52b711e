"""The scorers' Java: programs in place of `java` that fail as real ones do, and SPICE's options on the real one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from helpers.evaluation import captioning, java

REAL = shutil.which("java")
needs_java = pytest.mark.skipif(REAL is None, reason="there is no Java, which the scorers need")
pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="the programs in place of java are shell scripts"),
]
REFERENCES = {1: ["the red car is gone", "a red car left"], 2: ["there is a person now"]}
SAID = {1: "the red car is gone", 2: "there is a person now"}
NO_MEMORY = "Could not reserve enough space"


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Puts a shell script in the place of `java`."""

    def put(body: str) -> None:
        program = tmp_path / "bin" / "java"
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\n" + body)
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")

    return put


def only(program: str, body: str) -> str:
    """A script that does so for one of the scorers' programs, and is the real Java for the others."""
    return f'case "$*" in *{program}*) {body};; esac\nexec {REAL} "$@"\n'


def in_time(do, seconds=60):
    """What a call returns; it must not hang, and no lock or process of it may hold up what follows."""
    found = []
    caller = threading.Thread(target=lambda: found.append(do()), daemon=True)
    caller.start()
    caller.join(seconds)
    assert not caller.is_alive()
    return found[0]


def test_without_java_one_sentence_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(java.JavaMissing, match="need Java 8 or newer and there is no `java` on the path"):
        captioning.score(REFERENCES, SAID)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            'echo "Unable to locate a Java Runtime." >&2; exit 1',
            "ended with status 1: Unable to locate a Java Runtime;",
        ),
        ("exit 1", "ended with status 1: it said nothing"),
        ("kill -9 $$", "was ended by signal 9"),
        ("echo hello", "says 'hello' instead of a version"),
        ("""echo 'java version "1.7.0_80"' >&2""", 'says version "1.7: install'),
        ("exec sleep 100", "did not end within 1 seconds"),
        ("sleep 100 & wait", "did not end within 1 seconds"),
    ],
)
def test_a_java_that_does_not_work_is_as_none(fake, monkeypatch, body, message):
    """Whatever is asked for: a stub of macOS, one that dies, one that never ends, also with a child of its own."""
    fake(body + "\n")
    monkeypatch.setattr(java, "START_LIMIT", 1)
    started = time.monotonic()
    with pytest.raises(java.JavaMissing) as caught:
        captioning.score(REFERENCES, SAID, metrics=["BLEU-1"])
    assert message in str(caught.value)
    assert "install Java 8 or newer" in str(caught.value)
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    ("version", "major"), [("1.8.0_412", 8), ("11.0.2", 11), ("17.0.15", 17), ("25", 25), ("26-ea", 26)]
)
def test_versions_are_read(fake, version, major):
    fake(f"""echo 'openjdk version "{version}" 2025-04-15' >&2\n""")
    assert java.java_version() == major


@needs_java
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (f'echo "Error: {NO_MEMORY}" >&2; exit 1', f"METEOR's Java ended with status 1: Error: {NO_MEMORY}"),
        ("read line; exit 1", "METEOR's Java ended with status 1: it said nothing"),
        ("exec 0<&-; exit 1", "METEOR's Java ended with status 1"),
        ("exec 0<&- 1>&- 2>&-; exit 0", "METEOR's Java gave 0 scores for 2 captions"),
        ('echo "Segment 1 score: 0.5"; exit 0', "METEOR's Java gave 1 scores for 2 captions"),
        ("kill -9 $$", "METEOR's Java was ended by signal 9"),
    ],
)
def test_a_meteor_that_fails_is_absent_with_its_reason(fake, body, reason):
    fake(only("meteor", body))
    found = in_time(lambda: captioning.score(REFERENCES, SAID, metrics=["BLEU-1", "METEOR"]))
    assert dict(found) == pytest.approx({"BLEU-1": 1})
    assert reason in found.absent["METEOR"]


@needs_java
def test_a_meteor_that_never_answers_is_ended(fake, monkeypatch, tmp_path):
    """With a child of its own, as a wrapper has: that one is ended too."""
    fake(only("meteor", f"sleep 300 & echo $! > {tmp_path / 'child'}; wait"))
    tokens = {1: ["a car"], 2: ["a dog"]}
    monkeypatch.setattr(java, "START_LIMIT", 2)
    with pytest.raises(java.JavaFailed, match="METEOR's Java did not end within 2 seconds"):
        in_time(lambda: _raised(lambda: java.meteor(tokens, tokens)))()
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 10
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(child)


def _raised(do):
    """A call's exception, for the thread that waits for it: a function that raises it."""
    try:
        do()
    except Exception as error:
        caught = error

        def again():
            raise caught

        return again
    return lambda: None


def _runs(process: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
    return state.stdout.strip() not in ("", "Z")


@needs_java
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (f'echo "Error: {NO_MEMORY}" >&2; exit 1', f"the tokenizer's Java ended with status 1: Error: {NO_MEMORY}"),
        ("exit 0", "the tokenizer's Java wrote 0 lines for 5 captions"),
        ("echo one > tokens; exit 0", "the tokenizer's Java wrote 1 lines for 5 captions"),
    ],
)
def test_without_the_tokenizer_there_is_nothing(fake, body, message):
    fake(only("PTBTokenizer", body))
    with pytest.raises(java.JavaMissing, match=message):
        captioning.score(REFERENCES, SAID)


@needs_java
@pytest.mark.parametrize("noise", ["a wrapper's greeting", "0.5"])
def test_what_a_wrapper_prints_shifts_no_caption(fake, monkeypatch, noise):
    fake(f'echo "{noise}"; echo "{noise}" >&2\nexec {REAL} "$@"\n')
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Dgreeting=1")
    found = captioning.score(REFERENCES, SAID | {2: "a dog"}, metrics=["ROUGE-L", "METEOR"])
    precision, recall, beta = (
        1 / 2,
        1 / 5,
        1.2,
    )  # "a" is one of two words that were said and one of five in the reference
    f = (1 + beta**2) * precision * recall / (recall + beta**2 * precision)
    assert found.each["ROUGE-L"] == pytest.approx([1, f])
    assert found.each["METEOR"][0] == pytest.approx(1)
    assert found.each["METEOR"][1] < 0.2


@needs_java
def test_tokens_are_those_of_the_package():
    """Whatever is in a caption, and with one for each line."""
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    captions = {
        "a": ['It\'s NOT "there" (any more)...', "a caf\u00e9 \u2014 \u7ea2\u8272"],
        "b": ["50% of $3.50; no-one!"],
        "c": ["x" * 300],
    }
    directly = PTBTokenizer().tokenize({name: [{"caption": one} for one in own] for name, own in captions.items()})
    assert java.tokenized(captions) == directly
    odd = {"d": ["", "a\r\nb\u2028c\x0bd", "\ud800 e"], "e": ["the ||| end"], "f": ["..."]}
    assert java.tokenized(odd) == {"d": ["", "a b c d", "e"], "e": ["the end"], "f": [""]}


# ---------------------------------------------------------------------------------------------------------------------
# SPICE


@pytest.fixture
def spice_models(tmp_path, monkeypatch):
    """A project whose models of SPICE lie where the download puts them; they are empty."""
    monkeypatch.setattr(java, "ROOT", tmp_path)
    folder = tmp_path / "data" / "spice-models" / "stanford-corenlp-full-2015-12-09"
    folder.mkdir(parents=True)
    for jar in java._SPICE_JARS:
        (folder / jar).touch()
    return folder


STUB = """case "$*" in
*-version*) echo 'openjdk version "{version}"' >&2;;
*SpiceScorer*) printf '%s\\n' "$@" > {told}; cp {scores} scores.json;;
esac
"""


@pytest.mark.parametrize(("version", "opened"), [("1.8.0_412", 0), ("17.0.15", 6), ("25", 6)])
def test_spice_gets_its_options_and_its_scores_go_to_their_captions(fake, spice_models, tmp_path, version, opened):
    scores = [{"image_id": i, "scores": {"All": {"f": value}}} for i, value in ((1, 0.25), (0, 0.75))]
    (tmp_path / "scores").write_text(json.dumps(scores))
    fake(STUB.format(version=version, told=tmp_path / "told", scores=tmp_path / "scores"))
    values, each = java.spice({"x": ["a car"], "y": ["a dog", ""]}, {"x": ["a car"], "y": ["a cat"]})
    assert (values, each) == ([0.5], [[0.75, 0.25]])
    told = (tmp_path / "told").read_text().splitlines()
    options = [one for one in told if one.startswith("--add-opens=java.base/java.")]
    assert len(options) == opened
    assert told.index("edu.anu.spice.SpiceScorer") > len(options)  # what comes after it is SPICE's own
    assert str(spice_models / java._SPICE_JARS[1]) in told[told.index("-cp") + 1].split(os.pathsep)


def test_a_spice_that_writes_nothing_is_absent_with_its_reason(fake, spice_models):
    fake("""echo 'java version "17"' >&2\n""")
    with pytest.raises(java.JavaFailed, match="SPICE's Java wrote no scores: 'java version"):
        java.spice({"x": ["a car"]}, {"x": ["a car"]})


@needs_java
def test_spice_without_its_models_is_absent_and_the_rest_is_there(monkeypatch, tmp_path):
    monkeypatch.setattr(java, "ROOT", tmp_path)
    if (java._package("spice") / "lib" / java._SPICE_JARS[0]).is_file():
        pytest.skip("SPICE has its models beside its code")
    found = captioning.score(REFERENCES, SAID, metrics=["BLEU-1", "SPICE"])
    assert list(found) == ["BLEU-1"]
    assert "python download_and_unzip.py spice-models" in found.absent["SPICE"]


CACHE = """
import edu.anu.spice.LmdbTupleDB;
import java.util.*;
public class Cache {
    public static void main(String[] given) {
        LmdbTupleDB cache = new LmdbTupleDB(given[0]);
        HashMap<String, ArrayList<ArrayList<String>>> one = new HashMap<>();
        one.put("a red car", new ArrayList<>(List.of(new ArrayList<>(List.of("car", "red")))));
        cache.putTransaction(one);
        System.out.println(cache.get("a red car"));
    }
}
"""


@needs_java
@pytest.mark.parametrize(
    "program", sorted({str(one) for one in Path("/usr/lib/jvm").glob("*/bin/java")} | {REAL}, key=str)
)
def test_the_options_let_spice_keep_what_it_parsed(tmp_path, program, monkeypatch):
    """With SPICE's own class, on every Java of this machine; from 17 on it fails without them."""
    monkeypatch.setattr(java, "ROOT", tmp_path)
    if not java._spice_cache():
        pytest.skip("SPICE's data base is compiled for x86-64 only")
    monkeypatch.setenv("PATH", f"{Path(program).parent}{os.pathsep}{os.environ['PATH']}")
    source, library = tmp_path / "Cache.java", java._package("spice") / "spice-1.0.jar"
    source.write_text(CACHE)
    options = java._opened()
    command = ["-cp", str(library), str(source), str(tmp_path / "data" / ".spice-cache")]
    done = subprocess.run([program, *options, *command], capture_output=True, text=True, check=False)
    if "jdk.compiler" in done.stderr:
        pytest.skip(f"{program} comes without a compiler")
    assert done.stdout.strip() == "[[car, red]]", done.stderr
    if java.java_version() >= 17:
        closed = subprocess.run([program, *command], capture_output=True, text=True, check=False)
        assert "InaccessibleObjectException" in closed.stderr


@needs_java
def test_spice_with_its_models(monkeypatch):
    """A sentence is itself, another order of it nearly, and something else is not."""
    try:
        java._spice_jar(java._SPICE_JARS[1], java._package("spice") / "lib")
    except java.JavaFailed as error:
        pytest.skip(str(error))
    references = {"x": ["a red car stands beside a tree"], "y": ["a man rides a horse"]}
    found = captioning.score(references, {"x": references["x"][0], "y": "two cats sleep"}, metrics=["SPICE"])
    assert found.each["SPICE"] == pytest.approx([1, 0])
