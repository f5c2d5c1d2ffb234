"""An emulator of Amazon SQS: the one of AWS, addressed by queue URLs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.ministack import KEY_ID, REGION, SECRET, ministack_server

CREDENTIALS = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}


@dataclass(frozen=True)
class Sqs:
    """A running emulator."""

    port: int
    pid: int

    def url(self, queue: str) -> str:
        """The queue URL of a name."""
        return f"sqs://{queue}?region={REGION}&endpoint=http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def sqs_server(folder: Path, *, port: int | None = None) -> Iterator[Sqs]:
    """Run the emulator for the time of the block; it keeps nothing."""
    with ministack_server(folder, port=port) as server:
        yield Sqs(port=server.port, pid=server.pid)
