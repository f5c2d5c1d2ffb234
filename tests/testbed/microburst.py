"""A proxy that fails as AWS fails: `microburst`, which others wrote.

It stands before an endpoint and answers some calls with throttling or server errors in AWS's own
words, cuts connections, or truncates bodies. It keeps a list of what it did, so a test can tell
a fault that was survived from one that never came.
"""

from __future__ import annotations

import contextlib
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.testbed.ports import free_port, wait_for_port
from tests.testbed.process import running
from tests.testbed.venvs import venv

PINNED = "microburst==0.10.0"

Rule = Mapping[str, Any]


@dataclass(frozen=True)
class Microburst:
    """A running proxy."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        """The endpoint to give to clients in place of the real one."""
        return f"http://127.0.0.1:{self.port}"

    def fail(self, *rules: Rule) -> None:
        """From now on fail by these rules only, and forget what was done before.

        A rule names ``service`` and ``operation`` and what to do: ``error`` (code, status),
        ``reset``, ``timeout_ms``, ``latency`` (ms) or ``response`` (``truncate_frac``,
        ``abort_frac``, ``corrupt_bytes``); ``times`` bounds it.
        """
        self._control("DELETE", "fired")
        self._control("POST", "rules", list(rules))

    def fired(self) -> list[dict[str, Any]]:
        """What was done since `fail`: ``service``, ``operation``, ``action`` of each fault."""
        done: list[dict[str, Any]] = self._control("GET", "fired")
        return done

    def _control(self, method: str, path: str, body: Sequence[Rule] | None = None) -> Any:
        asked = urllib.request.Request(
            f"{self.url}/_microburst/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return json.load(answer)


@contextlib.contextmanager
def microburst_server(folder: Path, upstream: str) -> Iterator[Microburst]:
    """Run the proxy before the endpoint `upstream` for the time of the block."""
    port = free_port()
    env = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    command = [venv(PINNED) / "microburst", "--upstream", upstream]
    command += ["--port", str(port), "--no-resign"]
    with running(command, log=folder / "microburst.log", env=env) as process:
        wait_for_port(port)
        _read_models(f"http://127.0.0.1:{port}")
        yield Microburst(port=port, pid=process.pid)


def _read_models(url: str) -> None:
    """Make the first call, at which the proxy reads every service's model: some seconds long.

    A client would take the delay for a timeout and call again.
    """
    with contextlib.suppress(urllib.error.HTTPError):
        urllib.request.urlopen(f"{url}/?warm-up", timeout=120).close()
