"""The code of a release: a copy of the installed package, from which its processes start for life.

An upgrade of the package replaces its files under the release that serves. Were processes started
from the installed files, the first one that dies would come back as code of another release, on a
schema that nobody has migrated, and a rollback could bring back anything but the code. Copies are
named by what is in them, so that releases of the same code share one. See docs/adr/0010.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tabular.deploy.files import storage_error
from tabular.deploy.image.code import PACKAGE, Code, Files, digest, files_in
from tabular.deploy.stack import Stack
from tabular.deploy.standalone.layout import Layout
from tabular.deploy.standalone.model import Release
from tabular.errors import EngineError, StalePlanError

_HALF = ".half-"
_FLUSHES = 8  # at a time: a file system commits them together


def code_of(stack: Stack) -> str:
    """Digest of the code that a stack was compiled for; "" where it was not written down."""
    return str(stack.template.get("code", ""))


def problem(layout: Layout, wanted: str) -> str | None:
    """What is wrong with a copy: ``missing`` or ``altered``; None if nothing is."""
    place = layout.code(wanted)
    if not place.is_dir():
        return "missing"
    try:
        return None if digest(dict(files_in(place))) == wanted else "altered"
    except FileNotFoundError:
        # An operation that ends at this moment removes it.
        return "missing"


def keep(layout: Layout, code: Code, wanted: str) -> None:
    """Have a whole copy of the code, and never half a one under its name.

    Only for who holds the client's lock: nobody else then makes or removes copies.

    Raises:
        StalePlanError: what is installed is not that code any more.
        PreflightError: the disk is full, read-only, or not ours.
    """
    if problem(layout, wanted) is None:
        return
    files = code.read()
    if digest(files) != wanted:
        raise StalePlanError(
            "the installed code is not the one that the plan was made with",
            where=str(code.folder),
            hint="plan again, look at it, and apply that",
        )
    place = layout.code(wanted)
    half = place.with_name(f"{_HALF}{secrets.token_hex(4)}")
    try:
        # Nobody else copies now: what is there was left by a client that was killed.
        _remove(place.parent, _is_half)
        _write(half, files)
        if place.exists():
            place.rename(place.with_name(f"{half.name}-before"))
        half.rename(place)
        _flush(place.parent)
        _remove(place.parent, _is_half)
    except OSError as error:
        shutil.rmtree(half, ignore_errors=True)
        raise storage_error(error, place) from error


def _is_half(name: str) -> bool:
    return name.startswith(_HALF)


def _write(folder: Path, files: Files) -> None:
    """Write files, and have them on the disk before anybody may take them for whole."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_bytes(content)
    with ThreadPoolExecutor(_FLUSHES, thread_name_prefix="flush") as pool:
        list(pool.map(_flush, (folder / name for name in files)))


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(layout: Layout, kept: Collection[str]) -> None:
    """Remove every copy but those that are named, and what was half written or half removed."""
    _remove(layout.codes, lambda name: name not in kept)


def _remove(folder: Path, unwanted: Callable[[str], bool]) -> None:
    """Remove folders; renamed before, so that a kill in the middle leaves no half one to use."""
    # Halves come first, so that none is in the way of another's new name.
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if unwanted(path.name):
            dying = path
            if not _is_half(path.name):
                dying = path.rename(path.with_name(f"{_HALF}{path.name}"))
            shutil.rmtree(dying)


def variables(layout: Layout, release: Release, base: Mapping[str, str]) -> dict[str, str]:
    """An environment in which Python finds the release's own code before any other.

    Raises:
        EngineError: it is gone; what is installed may not be taken for it.
    """
    wanted = code_of(release.stack)
    if not wanted:
        return dict(base)
    place = layout.code(wanted)
    if not (place / PACKAGE / "__init__.py").is_file():
        raise EngineError(
            f"the code of {release.id} is gone",
            where=str(place),
            hint="deploy again: the installed code takes its place",
            code="engine.code-missing",
        )
    others = [base["PYTHONPATH"]] if base.get("PYTHONPATH") else []
    return {**base, "PYTHONPATH": os.pathsep.join([str(place), *others])}
