"""A real Prometheus, and promtool, from Debian's package."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.testbed import parts
from tests.testbed.ports import free_port
from tests.testbed.process import running


class Prometheus:
    """A running server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """The instant vector of an expression."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", answer
        return list(answer["data"]["result"])

    def until(self, expression: str, timeout: float = 30.0) -> list[dict[str, Any]]:
        """The first vector that is not empty."""
        deadline = time.monotonic() + timeout
        while not (found := self.ask(expression)):
            assert time.monotonic() < deadline, expression
            time.sleep(0.2)
        return found


def promtool(*arguments: str) -> str:
    """What promtool says; it fails the test when it finds something wrong."""
    program = parts.debian("promtool", package="prometheus")
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextlib.contextmanager
def prometheus_server(config: Path) -> Iterator[Prometheus]:
    """Run a server with a configuration file; its data lies beside that."""
    program = parts.debian("prometheus", package="prometheus")
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        str(program),
        f"--config.file={config}",
        f"--storage.tsdb.path={config.parent / 'tsdb'}",
        f"--web.listen-address={url.removeprefix('http://')}",
    ]
    with running(command, log=config.parent / "prometheus.log"):
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{url}/-/ready").status_code == 200:
                    break
            assert time.monotonic() < deadline, (config.parent / "prometheus.log").read_text()
            time.sleep(0.1)
        yield Prometheus(url)
