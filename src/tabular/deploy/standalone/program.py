"""Which code a supervisor runs, so that a client of other code replaces it instead of waiting.

A version number is not enough: a checkout changes under the same number, and what the two write
for each other in files changes with it.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

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
    """What to say of a release deployed with other code than this; "" where it is the same.

    A release keeps its spec and settings. The code belongs to the installed package: a container
    has its own in its image, a process is started from whatever is installed.
    """
    if release.stack.template["runtime"] != "process" or release.program in ("", program()):
        return ""
    return (
        f"{release.id} was deployed with code {release.program}, installed is {program()}: "
        "a rollback brings back the spec, not the code; to go back to that code, install it "
        "and deploy again"
    )
