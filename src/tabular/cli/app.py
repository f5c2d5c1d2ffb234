"""The way in. Imports nothing before it can be interrupted: the commands come with `main`."""

from __future__ import annotations

import sys

INTERRUPTED = 130


def main() -> None:
    """Entry point of ``inferloop-tabular``: runs a command and ends with its exit code."""
    try:
        from tabular.cli.tree import run

        code = run()
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        code = INTERRUPTED
    raise SystemExit(code)
