"""Whether a run was interrupted: what it is of is written down when it begins, and taken away when it is through."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from whatchanged.files import read_json, user_path, write_json

RUNNING = "running.json"


def interrupted(folder: str | Path, parameters: Mapping[str, Any]) -> bool:
    """Whether a run of the same parameters was begun in the folder and never `finished`; this one is begun now.

    Its answer is what `Keeping(resume=...)` takes, where that should not have to be said.

    Parameters
    ----------
    folder : of the run, made where there is none.
    parameters : what the run depends on; values as JSON has them.
    """
    folder = user_path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    now = json.loads(json.dumps(dict(parameters), default=str))  # tuples become lists, as they are read again
    again = (folder / RUNNING).is_file() and read_json(folder / RUNNING) == now
    write_json(folder / RUNNING, now)
    return again


def finished(folder: str | Path) -> None:
    """The run in the folder is through: the next one begins anew."""
    (user_path(folder) / RUNNING).unlink(missing_ok=True)
