"""README, docs/, CONTRIBUTING and CHANGELOG: links lead somewhere, commands are understood, snippets run."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from support import ROOT

import course.__main__
import whatchanged.__main__
from course.notebooks import cells_of, select_one
from course.parameters import declared

PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OWN = re.compile(r"^(?:\.venv[/\\](?:bin|Scripts)[/\\])?(?:python -m )?(whatchanged|course|download_and_unzip.py) ")


def prose(path: Path) -> str:
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def anchors(path: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_what_is_there(page):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(target)
    assert broken == []


def test_the_readme_is_short_and_leads_to_every_page():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 160
    assert [page.name for page in PAGES[1:] if f"]({page.relative_to(ROOT).as_posix()}" not in text] == []
    assert len(re.findall(r"^!\[", text, re.MULTILINE)) == 7, "one of each notebook, and the page"


def commands(page: Path) -> list[str]:
    """Every line of a fence, and every piece of code in the text, that may be a command."""
    text = page.read_text(encoding="utf-8")
    lines = [line for _, body in FENCE.findall(text) for line in body.replace("\\\n", " ").splitlines()]
    return [line.strip() for line in lines + re.findall(r"`([^`\n]+)`", FENCE.sub("", text))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_understood(page, monkeypatch):
    """Each as it stands, by the parser of its program; the options of a notebook are those it declares."""
    monkeypatch.setattr(argparse.ArgumentParser, "error", lambda self, message: pytest.fail(f"{line}: {message}"))
    for line in commands(page):
        if line.endswith(":") or not (found := OWN.match(line)) or found[1] == "download_and_unzip.py":
            continue
        words = shlex.split(line[found.end() :].replace("\\", "/"), comments=True)
        parser = {"whatchanged": whatchanged.__main__, "course": course.__main__}[found[1]].parser()
        if found[1] == "whatchanged":
            words = whatchanged.__main__.with_command(words)
        if len(words) == 1 or "--help" in words:  # spoken of: it is there
            with pytest.raises(SystemExit, match="0"):
                parser.parse_args([words[0], "--help"])
            continue
        options = parser.parse_args(words)
        if found[1] == "course" and words[0] == "train":
            known = {f"--{name.lower().replace('_', '-')}" for name in declared(select_one(words[1]))}
            given = {word for word in words[2:] if word.startswith("--")}
            assert given <= known | {"--build", "--processes"}, line
        for name, _ in getattr(options, "parameter", []):
            assert name in declared(select_one(options.notebook)), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_targets_of_make_are_there(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    named = {found for line in commands(page) for found in re.findall(r"^make ([a-z][a-z-]*)\b", line)}
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_sections_of_notebooks_are_called_so(page):
    for number, heading in re.findall(r'notebook (\d\d), "([^"]+)"', page.read_text(encoding="utf-8")):
        texts = ["".join(cell["source"]) for cell in cells_of(select_one(number)) if cell["cell_type"] == "markdown"]
        assert re.search(rf"^#+ {re.escape(heading)}$", "\n".join(texts), re.MULTILINE), (number, heading)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_and_names_are_there(page):
    """`helpers/caption_sets.py` is a file, and `helpers.caption_sets.vist` is a name in it."""
    if page.name == "CHANGELOG.md":
        pytest.skip("it tells of modules that went")
    code = re.findall(r"`([^`\n]+)`", prose(page))
    paths = [one for one in code if re.fullmatch(r"(whatchanged|helpers|course|tests|benchmarks)/[\w/.-]+", one)]
    assert [one for one in paths if not (ROOT / one).exists()] == []
    for one in code:
        found = re.fullmatch(r"((?:whatchanged|helpers|course)(?:\.[a-z]\w*)*)\.(\w+)(\(.*\))?", one)
        if found:
            module = ROOT.joinpath(*found[1].split("."))
            texts = [path for path in (module.with_suffix(".py"), module / "__init__.py") if path.is_file()]
            inside = module / found[2], module / f"{found[2]}.py"
            written = texts and re.search(rf"\b{found[2]}\b", texts[0].read_text(encoding="utf-8"))
            assert written or any(path.exists() for path in inside), one


def test_what_the_guide_points_to_is_there():
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Where is ...?")[1]
    found = re.findall(r"`([\w.]+)` in \[[^\]]*\]\(([^)]+\.py)\)", guide)
    assert len(found) >= 4
    for name, path in found:
        assert re.search(rf"^ *(def|class) {name.split('.')[-1]}\b", (ROOT / path).read_text(), re.MULTILINE), name


@pytest.mark.parametrize("house", ["whatchanged", "helpers", "course"])
def test_the_floors_are_those_of_the_contracts(house):
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (one["layers"] for one in contracts if one.get("containers") == [house])
    section = prose(ROOT / "docs" / "architecture.md").split(f"\n### {house}\n")[1].split("\n## ")[0].split("\n### ")[0]
    rows = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
    told = [{name.removesuffix(".py").rstrip("/") for name in re.findall("`([^`]+)`", row)} for row in rows]
    assert told == [set(re.findall(r"\w+", layer)) for layer in reversed(layers)]


class Told:
    """`whatchanged.detect`, which keeps what it found last."""

    detect = staticmethod(whatchanged.detect)

    def __call__(self, *given, **options):
        self.found = self.detect(*given, **options)
        return self.found


@pytest.mark.parametrize("name", ["README.md", "docs/your_pictures.md"])
def test_snippets_run_on_small_pictures(tmp_path, monkeypatch, name):
    """Those without a trained model, one after the other; a square was added."""
    before = np.full((60, 80, 3), 200, np.uint8)
    after = before.copy()
    after[20:40, 30:50] = (200, 30, 30)
    for side, picture in (("before", before), ("after", after)):
        cv2.imwrite(str(tmp_path / f"{side}.png"), picture[..., ::-1])
    (tmp_path / "pairs.csv").write_text("before,after\nbefore.png,after.png\n")
    monkeypatch.chdir(tmp_path)
    bodies = [body for kind, body in FENCE.findall((ROOT / name).read_text(encoding="utf-8")) if kind == "python"]
    plain = [body for body in bodies if "models" not in body]
    monkeypatch.setattr(whatchanged, "detect", told := Told())
    assert len(plain) >= 1
    for body in plain:
        known: dict = {}
        exec(compile(body, name, "exec"), known)
        found = known.get("found") or told.found
        ((x, y, width, height),) = found.boxes.tolist()
        assert np.abs(np.array([x, y, x + width, y + height]) - [30, 20, 50, 40]).max() <= 4
    assert (tmp_path / "changes.png").is_file() == (name != "README.md")


LINES = ["The door is open.", "Nobody is at home.", "A letter lies on the table.", "The cat sleeps.", "It rains."]


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """The pairs that the page on pictures tells of, in the current folder."""
    gray = np.full((60, 80, 3), 200, np.uint8)
    square = gray.copy()
    square[20:40, 30:50] = (200, 30, 30)
    for name, picture in (("before", gray), ("after", square)):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    lines = [*LINES, "The lamp is still on."]
    for name, left in (("before", lines), ("after", [*lines[:2], *lines[3:]])):
        page = Image.new("RGB", (320, 200), "white")
        for number, line in enumerate(left):
            place = (20, 16 + 28 * number)
            ImageDraw.Draw(page).text(place, line, "black", ImageFont.load_default(16))
        page.save(tmp_path / f"page_{name}.png")
        cup = ROOT / "whatchanged" / "page" / "examples" / f"coffee, the camera moved {name}.png"
        shutil.copyfile(cup, tmp_path / f"cup_{name}.png")
    monkeypatch.chdir(tmp_path)


def numbers_and_words(text):
    """The text with every number replaced, and the numbers."""
    number = r"\d+(?:\.\d+)?"
    return re.sub(number, "0", text), [float(one) for one in re.findall(number, text)]


def test_the_examples_of_each_kind_print_what_the_page_says(pictures, capsys):
    """In words; in numbers, up to two pixels, as fonts and codecs have versions."""
    text = (ROOT / "docs" / "your_pictures.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```sh\nwhatchanged ([^\n]*)\n```\n\n```text\n(.*?)```$", text, re.MULTILINE | re.DOTALL)
    assert [re.findall(r"\(tolerant, (\w+)\)", printed) for _, printed in examples] == [
        ["exact"],
        ["layout"],
        ["camera"],
    ]
    for command, printed in examples:
        assert whatchanged.__main__.main(shlex.split(command)) == 1
        said = capsys.readouterr().out
        told, expected = numbers_and_words(said), numbers_and_words(printed)
        assert told[0] == expected[0]
        assert told[1] == pytest.approx(expected[1], rel=0.02, abs=2), said
        assert told[1][0] == pytest.approx(expected[1][0], abs=0.001)


def test_the_json_is_as_the_page_says(pictures):
    text = (ROOT / "docs" / "your_pictures.md").read_text(encoding="utf-8")
    section = text.split("### As JSON")[1].split("\n### ")[0]
    ((_, example),) = FENCE.findall(section)
    assert whatchanged.__main__.main(["diff", "before.png", "after.png", "--json", "changes.json"]) == 1
    record = json.loads(Path("changes.json").read_text())
    assert record == json.loads(example)
    told = {name for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert told == {*record, *record["regions"][0], "pages"}


@pytest.mark.process
def test_the_training_script_leaves_what_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    script, recipe, *_ = (body for kind, body in FENCE.findall(page) if kind == "python")
    known: dict = {}
    for body in (script, recipe):
        exec(compile(body, "docs/training.md", "exec"), known)
        assert max(epoch["val_accuracy"] for epoch in known["history"].epochs) > 0.9
    told = set(re.findall(r"^\| `([\w.-]+)/?` ", page, re.MULTILINE))
    left = {path.name for path in Path("run").iterdir() if not path.name.startswith(".")}
    assert {"history.json", "best.safetensors"} <= told & left
    assert all(re.sub(r"\d{8}", "00000040", name) in told for name in left)


@pytest.mark.process
def test_the_examples_of_t_blip2_run(tmp_path, monkeypatch):
    """A loop, a data set, parts of one's own; what was saved comes back in a fresh process that imports the parts."""
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8").split("## T-BLIP2")[1].split("\n## ")[0]
    loop, data, parts, built = (body for kind, body in FENCE.findall(page) if kind == "python")
    known: dict = {}
    exec(compile(loop, "docs/training.md", "exec"), known)
    first = sum(known["loss"].parts.values()).item()
    exec(compile(data, "docs/training.md", "exec"), known)
    square = np.full((60, 80, 3), 128, np.uint8)
    square[20:40, 30:50] = 220
    said = known["model"].train()(square, np.full_like(square, 128), known["captions"][0])
    assert set(said.parts) == {"lm", "itm", "itc", "words"}
    assert first < 5, "at random it is 9 and more"
    epochs = json.loads(Path("squares/history.json").read_text())["epochs"]
    assert len([one["train_lm"] for one in epochs]) == 2
    assert {"best.safetensors", "history.json", "model"} <= {path.name for path in Path("squares").iterdir()}
    Path("my_parts.py").write_text(parts)
    run = [sys.executable, "-c", built]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    load = "from whatchanged.models.tblip2 import EnhancedDiffBLIP2\nmodel = EnhancedDiffBLIP2.from_pretrained('own')"
    for code, returned in (("import my_parts\n" + load, 0), (load, 1)):
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == returned, done.stderr
    assert "the detector 'quarters' is missing: import the module that calls register_detector" in done.stderr
