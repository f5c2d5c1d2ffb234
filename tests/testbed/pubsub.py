"""An emulator of Google Cloud Pub/Sub's REST interface: `drongo`, which others wrote.

It hands out each message once: what is neither acknowledged nor given back does not come again
when its deadline has passed.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import parts
from tests.testbed.ports import free_port, wait_for_port
from tests.testbed.process import running


@dataclass(frozen=True)
class PubSub:
    """A running emulator."""

    port: int

    def url(self, queue: str) -> str:
        """The queue URL of a name."""
        return f"gcpubsub://test-project/{queue}?endpoint=http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def pubsub_server(folder: Path, *, port: int | None = None) -> Iterator[PubSub]:
    """Run the emulator for the time of the block; it keeps nothing."""
    parts.module("drongo", package="drongo")
    port = free_port() if port is None else port
    command = [sys.executable, "-c", "from drongo.cli import main; main()"]
    command += ["server", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, log=folder / "drongo.log"):
        wait_for_port(port)
        yield PubSub(port)
