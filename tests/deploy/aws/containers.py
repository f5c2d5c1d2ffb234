"""AWS whose containers really run: a script stands for the image that they are made of."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.testbed.ministack import MiniStack, ministack_server


@contextlib.contextmanager
def running_containers(folder: Path, script: str) -> Iterator[MiniStack]:
    """The emulator, with this script as the ``python`` of every container.

    Args:
        folder: of the emulator and the script.
        script: for a shell; ``{folder}`` in it becomes the folder, ``{python}`` our own Python.
    """
    program = folder / "python"
    program.write_text(script.format(folder=folder, python=sys.executable), encoding="utf-8")
    program.chmod(0o755)
    with ministack_server(folder, jobs=program) as aws:
        yield aws
