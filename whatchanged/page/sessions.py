"""A private folder for each visitor of the page; all of it goes when they leave."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path


class Sessions:
    """A private folder for each visitor, and the uploads that are theirs; all of it goes when they leave."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folders: dict[str, Path] = {}
        self._uploads: dict[str, set[Path]] = {}
        self._originals: dict[str, str] = {}

    def folder(self, session: str) -> Path:
        """A new folder for the session, under a name that nobody can guess."""
        own = self._folders.setdefault(session, self.root / secrets.token_urlsafe(24))
        place = own / secrets.token_urlsafe(8)
        place.mkdir(parents=True)
        return place

    def keep(self, session: str, paths: list[str]) -> None:
        """Note uploads of the session."""
        self._uploads.setdefault(session, set()).update(map(Path, paths))

    def shown_as(self, path: str, copy: str) -> str:
        """Note that a copy stands for an upload where it is shown; the copy."""
        self._originals[copy] = path
        return copy

    def original(self, path: str) -> str:
        """The upload that a copy stands for; what is no copy is its own."""
        return self._originals.get(path, path)

    def end(self, session: str) -> None:
        """Delete what the session has. A file that another one uploaded, too, stays with that."""
        mine = self._uploads.pop(session, set())
        for path in mine.difference(*self._uploads.values()):
            path.unlink(missing_ok=True)
        if session in self._folders:
            own = f"{self._folders[session]}/"
            self._originals = {copy: path for copy, path in self._originals.items() if not copy.startswith(own)}
            shutil.rmtree(self._folders.pop(session), ignore_errors=True)
