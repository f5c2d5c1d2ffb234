"""Which code a supervisor runs, so that a client of other code replaces it instead of waiting.

A version number is not enough: a checkout changes under the same number, and what the two write
for each other in files changes with it.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

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
