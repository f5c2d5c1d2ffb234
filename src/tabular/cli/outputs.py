"""Files a command will write: looked at before the work, whole or not there after it."""

from __future__ import annotations

import os
from pathlib import Path

from tabular.errors import InputError


def require_writable(path: Path, *inputs: Path) -> None:
    """Refuse an output that could only fail, or destroy an input, before any work is done.

    Args:
        path: file to be written.
        inputs: files the command reads; none of them may be overwritten.

    Raises:
        InputError: no such folder, not a file, no right to write, or one of the inputs.
    """
    folder = path.parent
    if not folder.is_dir():
        raise InputError(
            "the folder of the output does not exist",
            where=str(path),
            hint=f"make it first: mkdir -p {folder}",
        )
    if path.is_dir():
        raise InputError("the output is a folder", where=str(path), hint="name a file in it")
    if not os.access(folder, os.W_OK):
        raise InputError(
            "the folder of the output cannot be written to",
            where=str(folder),
            hint="choose another folder",
        )
    for given in inputs:
        if path.exists() and given.exists() and path.samefile(given):
            raise InputError(
                "the output would overwrite the input",
                where=str(path),
                hint="name another output file",
            )


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        InputError: it cannot be written; what was there before is unharmed.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InputError(f"cannot be written: {error.strerror}", where=str(path)) from error
