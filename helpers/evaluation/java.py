"""The Java programs of the caption scorers: each runs to its end or is ended, and a failure says why."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import repeat
from pathlib import Path

import numpy as np

from helpers.runtime import ROOT

START_LIMIT = 120.0  # seconds that a program may take to start: METEOR reads its tables for 5 to 20
PER_CAPTION = 0.2  # seconds more for each caption; METEOR needs a hundredth of it
PER_PARSE = 10.0  # the same for SPICE, which parses each sentence
_WORDS = 200  # how much of a program's own words an error repeats
_SPICE_JARS = ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar")
# What fst, in which SPICE keeps parsed sentences, looks into; Java 17 and later keep it closed.
_OPENED = ("lang", "math", "net", "text", "util", "util.concurrent")


class JavaMissing(RuntimeError):
    """The scorers need Java, and there is none that works."""


class JavaFailed(RuntimeError):
    """A Java program of the scorers did not do its work: why, in one sentence."""


def java_version() -> int:
    """The major version of the `java` on the path: 8, 17, 25.

    Raises
    ------
    JavaMissing
        There is none, it does not run, as the stub that macOS has in its place, or it is older than 8.
    """
    way_out = "install Java 8 or newer, as Debian's default-jre-headless"
    if shutil.which("java") is None:
        raise JavaMissing(f"the caption metrics need Java 8 or newer and there is no `java` on the path: {way_out}")
    try:
        with _workplace() as folder:
            words = "\n".join(_run(["-version"], folder, "the `java` on the path", START_LIMIT))
    except JavaFailed as error:
        raise JavaMissing(f"the caption metrics need Java 8 or newer: {error}; {way_out}") from error
    found = re.search(r'version "(?:1\.)?(\d+)', words)
    if found is None or int(found[1]) < 8:
        told = found[0] if found else f"{_told(words) or 'nothing'!r} instead of a version"
        raise JavaMissing(
            f"the caption metrics need Java 8 or newer, and the `java` on the path says {told}: {way_out}"
        )
    return int(found[1])


def tokenized(captions: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Stanford's tokens of each caption, in lower case, without punctuation, joined by spaces.

    Parameters
    ----------
    captions : name -> its captions. An empty one stays empty.

    Raises
    ------
    JavaFailed
        The tokenizer's Java died, or did not write a line for each caption.
    """
    from pycocoevalcap.tokenizer.ptbtokenizer import PUNCTUATIONS, STANFORD_CORENLP_3_4_1_JAR

    # It keeps captions apart by their lines; METEOR keeps its fields apart by bars.
    lines = [" ".join(one.replace("|||", " ").split()) or "." for given in captions.values() for one in given]
    with _workplace() as folder:
        _write_lines(folder / "captions", lines)
        _write_lines(folder / "files", ["captions tokens"])  # to a file: what else is said on stdout shifts no line
        jar = _package("tokenizer") / STANFORD_CORENLP_3_4_1_JAR
        options = ["edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase", "-ioFileList", "files"]
        _run(["-cp", str(jar), *options], folder, "the tokenizer's Java", START_LIMIT + PER_CAPTION * len(lines))
        tokens = _read(folder / "tokens").split("\n")[:-1]
    if len(tokens) != len(lines):
        raise JavaFailed(f"the tokenizer's Java wrote {len(tokens)} lines for {len(lines)} captions")
    plain = iter(" ".join(word for word in line.split() if word not in PUNCTUATIONS) for line in tokens)
    return {name: [next(plain) for _ in given] for name, given in captions.items()}


def meteor(truth: Mapping[str, Sequence[str]], given: Mapping[str, Sequence[str]]) -> tuple[list, list]:
    """METEOR of tokenized captions, over all and each, of two files rather than in a dialogue that may stall.

    It wants as many references for each caption. The first stands in for those that lack: the best counts.
    """
    from pycocoevalcap.meteor.meteor import METEOR_JAR

    most = max(len(own) for own in truth.values())
    padded = [one for name in given for one in [*truth[name], *repeat(truth[name][0], most - len(truth[name]))]]
    with _workplace() as folder:
        _write_lines(folder / "given", [" ".join(one.split()) for (one,) in given.values()])
        _write_lines(folder / "truth", padded)
        command = ["-Xmx2G", "-jar", str(_package("meteor") / METEOR_JAR), "given", "truth"]
        command += ["-l", "en", "-norm", "-r", str(most)]
        said, _ = _run(command, folder, "METEOR's Java", START_LIMIT + PER_CAPTION * len(padded))
    each = [float(value) for value in re.findall(r"^Segment \d+ score:\s+(\S+)$", said, re.MULTILINE)]
    whole = re.findall(r"^Final score:\s+(\S+)$", said, re.MULTILINE)
    if len(each) != len(given) or len(whole) != 1:
        raise JavaFailed(f"METEOR's Java gave {len(each)} scores for {len(given)} captions: {_told(said)!r}")
    return [float(whole[0])], [each]


def spice(truth: Mapping[str, Sequence[str]], given: Mapping[str, Sequence[str]]) -> tuple[list, list]:
    """SPICE of tokenized captions, over all and each; what it parsed once it keeps in `data/.spice-cache`."""
    library = _package("spice")
    jars = [str(library / "spice-1.0.jar"), *(str(_spice_jar(jar, library / "lib")) for jar in _SPICE_JARS)]
    entries = [{"image_id": i, "test": given[name][0], "refs": list(truth[name])} for i, name in enumerate(given)]
    with _workplace() as folder:
        (folder / "captions.json").write_text(json.dumps(entries), encoding="utf-8")
        command = [*_opened(), "-Xmx8G", "-cp", os.pathsep.join(jars), "edu.anu.spice.SpiceScorer", "captions.json"]
        command += [*_spice_cache(), "-out", "scores.json", "-subset", "-silent"]
        count = sum(1 + len(own) for own in truth.values())
        said, warned = _run(command, folder, "SPICE's Java", START_LIMIT + PER_PARSE * count)
        try:
            scores = {one["image_id"]: one["scores"]["All"]["f"] for one in json.loads(_read(folder / "scores.json"))}
            each = [float("nan" if scores[i] is None else scores[i]) for i in range(len(given))]
        except (ValueError, KeyError, TypeError) as error:
            raise JavaFailed(f"SPICE's Java wrote no scores: {_told(warned) or _told(said)!r}") from error
    return [float(np.mean(each))], [each]


def _opened() -> list[str]:
    """The options that let fst in; Java 8 knows none of them, and needs none."""
    return [] if java_version() < 9 else [f"--add-opens=java.base/java.{one}=ALL-UNNAMED" for one in _OPENED]


def _spice_cache() -> list[str]:
    """Where SPICE keeps what it parsed; its data base is compiled for one kind of processor only."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return []
    cache = ROOT / "data" / ".spice-cache"
    cache.mkdir(parents=True, exist_ok=True)
    return ["-cache", str(cache)]


def _spice_jar(jar: str, library: Path) -> Path:
    """A jar of SPICE's models: beside its code, or where it was downloaded."""
    downloaded = ROOT / "data" / "spice-models"
    for found in (library / jar, *downloaded.rglob(jar)):
        if found.is_file():
            return found
    raise JavaFailed(
        f"SPICE needs {jar} of Stanford CoreNLP, which is not here: python download_and_unzip.py spice-models fetches"
        " it"
    )


# ---------------------------------------------------------------------------------------------------------------------
# A program


def _package(name: str) -> Path:
    """The folder of a part of pycocoevalcap, which is not imported for it."""
    found = find_spec(f"pycocoevalcap.{name}")
    assert found is not None
    assert found.submodule_search_locations is not None
    return Path(next(iter(found.submodule_search_locations)))


@contextlib.contextmanager
def _workplace() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        yield Path(name)


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))


def _read(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""


def _run(arguments: Sequence[str], folder: Path, what: str, limit: float) -> tuple[str, str]:
    """Run `java` in a folder; what it wrote to stdout and stderr.

    It reads and writes files: a pipe may fill up, or close, and then both sides wait for ever. It gets a session of its
    own, so that what it starts itself is ended with it.
    """
    out, err = folder / ".stdout", folder / ".stderr"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        try:
            process = subprocess.Popen(
                [shutil.which("java") or "java", *arguments],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        except OSError as error:
            raise JavaFailed(f"{what} cannot be started: {error.strerror or error}") from error
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired as error:
            raise JavaFailed(f"{what} did not end within {limit:.0f} seconds") from error
        finally:
            _end(process)
    said, warned = _read(out), _read(err)
    if status:
        ended = f"ended with status {status}" if status > 0 else f"was ended by signal {-status}"
        raise JavaFailed(f"{what} {ended}: {_told(warned) or _told(said) or 'it said nothing'}")
    return said, warned


def _end(process: subprocess.Popen) -> None:
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _told(words: str) -> str:
    """The line of a program's words that says most: the first of an error, else the last."""
    lines = [line.strip() for line in words.splitlines() if line.strip() and not line.startswith("Picked up ")]
    errors = [line for line in lines if re.search(r"error|exception", line, re.IGNORECASE)]
    return (errors[:1] or lines[-1:] or [""])[0][:_WORDS].rstrip(".")
