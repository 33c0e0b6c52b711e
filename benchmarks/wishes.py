"""What users of picture diffs ask for most, asked of this project and of other tools: a table of what each did.

`make bench-peers` installs them into build/peers. Each is run on small generated pairs; the verdict comes from its exit
status and from what it wrote. A tool that is not there is left out, and named.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import judged
import peers
import tables
from wished import draw_pairs

JAVASCRIPT = Path(__file__).resolve().parent / "javascript"
FOLDER = peers.PEERS / "wishes"  # there, JavaScript finds what is installed beside it
WRITTEN = ("diff.png", "found.json", "report.html", "test-results", "playwright-report")
ROUNDS = 15  # of two commands, in turns


@dataclass(frozen=True)
class Tool:
    """Commands as they are typed, by wish; `plain` where there is no option for it."""

    typed: dict[str, str]
    differ: int  # its exit status where pictures differ
    about: str  # what lists its options


TOOLS = {
    "pixelmatch": Tool(
        {
            "plain": "pixelmatch {before} {after} diff.png",
            "ignore": "node libraries.mjs pixelmatch_ignore {before} {after}",
            "picture": "node libraries.mjs pixelmatch_ignore {before} {after}",
            "limit": "node libraries.mjs pixelmatch_limit {before} {after} {limit}",
            "mask": "node libraries.mjs pixelmatch_mask {before} {after}",
        },
        66,
        "pixelmatch; cat ../node_modules/pixelmatch/README.md",
    ),
    "odiff": Tool(
        {
            "plain": "odiff {before} {after} diff.png",
            "ignore": "odiff {before} {after} diff.png -i 340:100-399:139",
            "limit": "node libraries.mjs odiff_limit {before} {after} {limit}",
            "mask": "odiff {before} {after} diff.png --diff-mask",
        },
        22,
        "odiff --help",
    ),
    "Playwright": Tool(
        {
            "plain": "BEFORE={before} AFTER={after} playwright test -u none -g plain",
            "ignore": "BEFORE={before} AFTER={after} playwright test -u none -g ignore",
            "limit": "BEFORE={before} AFTER={after} LIMIT={limit} playwright test -u none -g limit",
            "folders": "FOLDERS=1 playwright test -u none -g folders",
        },
        1,
        "playwright test --help; cat ../node_modules/playwright/types/test.d.ts",
    ),
    "blazediff": Tool(
        {
            "plain": "blazediff {before} {after} diff.png",
            "limit": "node libraries.mjs blazediff_limit {before} {after} {limit}",
            "mask": "blazediff {before} {after} diff.png --diff-mask",
        },
        1,
        "blazediff --help",
    ),
    "this project": Tool(
        {
            "plain": "whatchanged {before} {after} --json found.json",
            "ignore": "whatchanged {before} {after} --ignore 340,100,60,40",
            "picture": "whatchanged {before} {after} --mask compared.png",
            "limit": "whatchanged {before} {after} --fail-above {limit}px",
            "mask": "whatchanged {before} {after} --mask-output diff.png",
            "report": "whatchanged {before} {after} --report report.html",
            "folders": "whatchanged {before} {after}",
        },
        1,
        "whatchanged diff --help",
    ),
}

PAIR = {"before": "before.png", "after": "after.png"}
OTHER = PAIR | {"after": "both.png"}
WISHES = {
    "sizes": ("sizes that differ", judged.sizes, [PAIR | {"after": "tall.png"}]),
    "ignore": ("ignore regions", judged.silent_then_told, [PAIR, OTHER]),
    "picture": ("ignore what a picture says", judged.silent_then_told, [PAIR, OTHER]),
    "limit": ("thresholds that fail", judged.silent_then_told, [PAIR | {"limit": "2500"}, PAIR | {"limit": "2300"}]),
    "rows": ("inserted rows", judged.rows, [PAIR | {"after": "rows.png"}]),
    "mask": ("a mask", judged.mask, [PAIR]),
    "report": ("a report", judged.report, [PAIR]),
    "folders": ("folders, with what was added and removed", judged.folders, [{"before": "before", "after": "after"}]),
    "pages": ("pages", judged.pages, [{one: f"{one}.{end}" for one in PAIR} for end in ("tiff", "gif")]),
}
WORDS = {  # what an option for it would be called
    "sizes": "layout size dimension",
    "ignore": "ignore region",
    "picture": "ignore mask",
    "limit": "fail max limit percent ratio",
    "rows": "insert shift align layout",
    "mask": "mask",
    "report": "report html",
    "folders": "folder director batch",
    "pages": "page frame tiff animat",
}


# ---------------------------------------------------------------------------------------------------------------------
# Running


def prepared() -> dict[str, str]:
    """Write the pairs and scripts; returns the environment in which commands are typed."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    draw_pairs(FOLDER)
    for script in JAVASCRIPT.iterdir():
        shutil.copy(script, FOLDER)
    ours = FOLDER / "bin" / "whatchanged"
    ours.parent.mkdir()
    ours.write_text(f'#!/bin/sh\nexec {sys.executable} -m whatchanged "$@"\n')
    ours.chmod(0o755)
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
    found = {"PATH": f"{ours.parent}:{peers.BIN}:{os.environ['PATH']}", "CHROMIUM": browser, "NO_COLOR": "1"}
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}  # no user has it
    return kept | found | {"PYTHONPATH": str(peers.ROOT)}


def typed(command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command as a user types it, without what an earlier one wrote."""
    for name in WRITTEN:
        path = FOLDER / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    how = {"capture_output": True, "text": True, "check": False, "timeout": 120, "stdin": subprocess.DEVNULL}
    return subprocess.run(command, shell=True, cwd=FOLDER, env=environment, **how)


def asked(tool: Tool, wish: str, environment: dict[str, str]) -> tuple[str, str, str, list[int]]:
    """What a tool did with one wish: verdict, what was seen, the command as typed, exit statuses."""
    _, judge, runs = WISHES[wish]
    command = tool.typed.get(wish, tool.typed["plain"])
    if "test -u none -g ignore" in command:  # a page is compared with a screenshot of it
        typed("BEFORE=before.png AFTER=before.png playwright test -u all -g ignore", environment)
    results = []
    for run in runs:
        done = typed(command.format(**run), environment)
        results.append(judged.read(FOLDER, tool.differ, done.returncode, done.stdout + done.stderr))
    verdict, seen = judge(*results)
    return verdict, seen, command.format(**runs[0]), [one.status for one in results]


# ---------------------------------------------------------------------------------------------------------------------
# Tables


def shown(name: str, wish: str, command: str) -> str:
    """A command as the table shows it; of a script, the line that does it."""
    if name == "Playwright":
        script = (JAVASCRIPT / "wishes.spec.mjs").read_text()
        return re.search(rf"test\([\"`]{command.split()[-1]}.*?(expect\([^\n]*);", script, re.S)[1]
    if command.startswith("node "):
        script = (JAVASCRIPT / "libraries.mjs").read_text()
        return re.search(rf"^  {command.split()[2]}: (?:async )?\(\) => (.*),$", script, re.M)[1]
    return command


def named(wish: str, about: str) -> str:
    """The options of a tool whose name has a word of the wish, from its own help."""
    words = "|".join(WORDS[wish].split())
    forms = rf"--[\w-]*(?:{words})[\w-]*", rf"`\w*(?:{words})\w*`", rf"\w*(?:{words})\w*(?=\?:)"
    names = [name.strip("`") for name in re.findall(rf"(?<!\w)(?:{'|'.join(forms)})", about, re.I)]
    names = [f"`{name}`" for name in dict.fromkeys(names)]
    return ", ".join(names[:6]) + (" and more" if names[6:] else "") or "none"


def wishes(tools: dict[str, Tool], environment: dict[str, str]) -> Iterator[str]:
    """A table of verdicts, and one of what was typed and seen, as lines of Markdown."""
    help_of = {name: typed(tool.about, environment) for name, tool in tools.items()}
    done = {(wish, name): asked(tool, wish, environment) for wish in WISHES for name, tool in tools.items()}
    yield f"| wish | {' | '.join(tools)} |"
    yield "| --- |" + " --- |" * len(tools)
    for wish, (title, _, _) in WISHES.items():
        cells = [done[wish, name][0] + ("*" if done[wish, name][2].startswith("node ") else "") for name in tools]
        yield f"| {title} | {' | '.join(cells)} |"
    yield from ("", "| wish | tool | typed | exit status | seen |", "| --- | --- | --- | --- | --- |")
    for (wish, name), (verdict, seen, command, statuses) in done.items():
        line = shown(name, wish, command).replace("|", "\\|")
        if verdict != judged.YES:
            about = help_of[name].stdout + help_of[name].stderr
            seen += f"; options named like {', '.join(WORDS[wish].split())}: {named(wish, about)}"
        quote, status = "``" if "`" in line else "`", ", ".join(map(str, statuses))
        yield f"| {WISHES[wish][0]} | {name} | {quote}{line}{quote} | {status} | {verdict}: {seen} |"


def speed(environment: dict[str, str]) -> Iterator[str]:
    """The whole command with JSON alone, beside odiff, which writes its picture; in turns."""
    before, after = peers.photographs(FOLDER, "1080p")
    commands = {
        "odiff, its picture": f"odiff {before} {after} diff.png",
        "this project, JSON": f"whatchanged {before} {after} --json found.json",
        "Python, NumPy, OpenCV and Pillow started": f"{sys.executable} -c 'import cv2, numpy, PIL.Image'",
    }
    took: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            began = time.perf_counter()
            done = typed(command, environment)
            took[name].append(time.perf_counter() - began)
            if done.returncode not in (0, 1, 22):
                raise SystemExit(f"{command}: {done.stderr}")
    middle = {name: statistics.median(times) for name, times in took.items()}
    yield from (f"| 1080p, middle of {ROUNDS} in turns | seconds | ratio | fastest |", "| --- | --- | --- | --- |")
    for name, seconds in middle.items():
        ratio = seconds / middle["odiff, its picture"]
        yield f"| {name} | {seconds:.3f} | {ratio:.2f} | {min(took[name]):.3f} |"


def main() -> None:
    """Ask every tool every wish, and write the tables into README.md, between their two marks."""
    environment = prepared()
    there = {
        name: tool
        for name, tool in TOOLS.items()
        if shutil.which(re.match(r"\w+", tool.about)[0], path=environment["PATH"])
    }
    missing = [name for name in TOOLS if name not in there]
    about = tables.about("numpy", "opencv-python") + (
        f" Not installed, left out: {', '.join(missing)}." if missing else ""
    )
    lines = [about, "", *wishes(there, environment), ""]
    tables.write("wishes", lines + list(speed(environment) if "odiff" in there else []))


if __name__ == "__main__":
    main()
