"""Running another program to its end, so that a missing or hanging one is a sentence.

`subprocess.run` has exceptions of its own for these, which are no `TabularError` and no `OSError`
of ours: they would reach the user as a traceback, or end the supervisor.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tabular.errors import EngineError, WaitTimeoutError


def run(
    argv: Sequence[str],
    *,
    what: str,
    timeout: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    text: str = "",
    hint: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program that ends by itself; its exit code is the caller's to judge.

    Args:
        argv: the command; no secret in it.
        what: it does, for the message, e.g. ``podman inspect``.
        timeout: seconds; it is killed after them.
        env: its whole environment; this process's own by default.
        cwd: its working folder.
        text: for its stdin.
        hint: what to type when it hangs.

    Raises:
        EngineError: it cannot be started.
        WaitTimeoutError: it did not end in time.
    """
    try:
        return subprocess.run(
            argv, input=text, capture_output=True, text=True, check=False, timeout=timeout,
            env=None if env is None else dict(env), cwd=cwd,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        # The exception would carry the output, and with it perhaps a secret.
        raise WaitTimeoutError(f"{what} did not end within {timeout:g} s", hint=hint) from None
    except OSError as error:
        raise EngineError(f"{what} cannot be started: {error}", hint=hint) from error
