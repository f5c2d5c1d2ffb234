"""Which code a supervisor runs, so that a client of other code replaces it instead of waiting.

A version number is not enough: a checkout changes under the same number, and what the two write
for each other in files changes with it.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from tabular.deploy.standalone.code import code_of
from tabular.deploy.standalone.model import Release
from tabular.version import __version__


@functools.cache
def program() -> str:
    """Version and a digest of this room's code, e.g. ``0.1.0+3f2a9c04d1e7``.

    Computed once in a process: it stands for the code that the process loaded.
    """
    digest = hashlib.sha256()
    for module in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(module.name.encode() + b"\0" + module.read_bytes())
    return f"{__version__}+{digest.hexdigest()[:12]}"


def code_note(release: Release) -> str:
    """What to say of a release of other code than this that has no copy of it; "" for the others.

    The first releases of 0.1.0 kept spec and settings alone, and start from what is installed.
    """
    if release.stack.template["runtime"] != "process" or code_of(release.stack):
        return ""
    if release.program in ("", program()):
        return ""
    return (
        f"{release.id} was deployed with code {release.program}, of which no copy was kept: its "
        f"processes start from what is installed, {program()}; deploy again to give it its own"
    )
