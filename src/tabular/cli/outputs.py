"""Files a command will write: looked at before the work, whole or not there after it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from tabular.errors import InputError
from tabular.synth.landing import landing


def require_writable(path: Path, *inputs: Path) -> None:
    """Refuse an output that could only fail, or destroy an input, before any work is done.

    Args:
        path: file to be written.
        inputs: files the command reads; none of them may be overwritten.

    Raises:
        InputError: no such folder, not a file, no right to write, or one of the inputs.
    """
    shown = path
    if _is_pipe(path):
        return
    path = path.resolve()
    folder = path.parent
    if not folder.is_dir():
        raise InputError(
            "the folder of the output does not exist",
            where=str(shown),
            hint=f"make it first: mkdir -p {shlex.quote(str(folder))}",
        )
    if path.is_dir():
        raise InputError("the output is a folder", where=str(shown), hint="name a file in it")
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
                where=str(shown),
                hint="name another output file",
            )


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        InputError: it cannot be written; what was there before is unharmed.
    """
    try:
        target = landing(path)
        if target is None:
            path.write_text(text, encoding="utf-8")
            return
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(path)) from error
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InputError(f"cannot be written: {error.strerror}", where=str(path)) from error


def _is_pipe(path: Path) -> bool:
    """Whether the output is a pipe or a device, which is written to as it is.

    Raises:
        InputError: it is none and no file either, or may not be written to.
    """
    try:
        straight = landing(path) is None
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot be written: {reason}", where=str(path)) from error
    if straight and not os.access(path, os.W_OK):
        raise InputError("the output cannot be written to", where=str(path))
    return straight
