"""Generated secrets as files of mode 0600, and their removal from whatever is shown.

A secret's value exists in its file and in the process that reads it. Templates, plans and state
hold its name; a child process gets the path by a ``*_FILE`` variable.
"""

from __future__ import annotations

import secrets
import stat
from pathlib import Path

from tabular.deploy.files import storage_error, write_bytes
from tabular.deploy.stack import Resource
from tabular.deploy.standalone.layout import Layout
from tabular.errors import EngineError

REDACTED = "***"
_SHORTEST = 12


def secret_path(layout: Layout, resource: Resource, release: str) -> Path:
    """File of a secret. One made from a pattern belongs to its release, for it names ports."""
    if "pattern" in resource.properties:
        return layout.secret(f"{release}.{resource.id}", kept=False)
    return layout.secret(resource.id, kept=resource.stateful)


def generate(path: Path, length: int) -> None:
    """Write a new random secret, unless there is one already.

    Args:
        path: the file.
        length: bytes of randomness; written as URL-safe text.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise storage_error(error, path) from error
    if not path.exists():
        write_bytes(path, secrets.token_urlsafe(length).encode() + b"\n")


def read(path: Path) -> str:
    """The secret.

    Raises:
        EngineError: it is gone; what it protected cannot be read without it.
    """
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise EngineError(
            f"the secret {path.name} cannot be read: {error.strerror}",
            where=str(path),
            hint="restore the file from a backup; `drift` lists what else is missing",
            code="engine.secret-missing",
        ) from error


def problem(path: Path) -> str | None:
    """What is wrong with a secret's file: gone, or open to others; None if nothing is."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return "missing"
    return f"mode {mode:04o}, not 0600" if mode & 0o077 else None


def redact(text: str, layout: Layout) -> str:
    """The text without any secret of this deployment."""
    for folder in (layout.state / "secrets", layout.data / "secrets"):
        if not folder.is_dir():
            continue
        for file in sorted(folder.iterdir()):
            value = file.read_text(encoding="utf-8", errors="replace").strip()
            if len(value) >= _SHORTEST:
                text = text.replace(value, REDACTED)
    return text
