"""Folders for files that live as long as one task, on this machine's own disk."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

_PREFIX = "tabular-task-"


def make() -> str:
    """A new folder that only this user can look into."""
    return tempfile.mkdtemp(prefix=_PREFIX)


def remove(folder: str) -> None:
    """Remove one that `make` made, and nothing else; both ends of a pipe may try."""
    if Path(folder).name.startswith(_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)
