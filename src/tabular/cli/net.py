"""The last net: what no command foresaw is told like any other error, and not as a traceback.

The traceback goes to a file that only its owner reads: it is for who mends the bug, and what an
exception says may hold something of the user's.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from pathlib import Path

from tabular.cli.output import tell
from tabular.errors import InternalError
from tabular.version import __version__

_PACKAGE = Path(__file__).resolve().parent.parent


def internal(error: Exception) -> InternalError:
    """The words for an exception that nobody foresaw; its traceback is in a file then.

    Args:
        error: as it was caught.
    """
    report = "".join(traceback.format_exception(error))
    text = f"inferloop-tabular {__version__}, Python {sys.version.split()[0]}\n{report}"
    try:
        descriptor, name = tempfile.mkstemp(prefix="inferloop-tabular-", suffix=".traceback")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
    except OSError:
        tell(text, markup=False)
        kept = "what is above"
    else:
        kept = name
    return InternalError(
        f"{type(error).__name__}: this is a bug in inferloop-tabular, or in a plug-in of it",
        where=_place(error),
        hint=f"report it with {kept}; read it first, it may name your data",
    )


def _place(error: Exception) -> str | None:
    """File and line of our own code that was running."""
    ours = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if _PACKAGE in Path(frame.filename).parents
    ]
    if not ours:
        return None
    return f"{Path(ours[-1].filename).relative_to(_PACKAGE.parent)}:{ours[-1].lineno}"
