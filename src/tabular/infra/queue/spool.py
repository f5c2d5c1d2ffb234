"""The embedded queue: a folder where each message is an empty file whose name is the message.

Kombu's own filesystem transport writes a message into a file that a reader may take before it
is complete, deletes it before it is acknowledged (a killed worker loses it) and looks once
a second. Here a create, a rename and an unlink are the whole protocol, each atomic:
``new/X`` waits, ``taken/X`` is being worked on, and one that stays there too long goes back.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from tabular.errors import UnavailableError
from tabular.infra.queue import Message, check_id

_LOG = logging.getLogger(__name__)
_POLL = 0.05  # seconds between looks into an empty folder; a look costs some 10 µs


class SpoolQueue:
    """A queue in a folder that several processes of one machine share.

    Args:
        root: the folder; made when missing.
        visibility_timeout: seconds before an unacknowledged message is delivered again.
        clock: wall-clock seconds, compared with the files' times.
    """

    def __init__(
        self,
        root: Path,
        *,
        visibility_timeout: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._new = root / "new"
        self._taken = root / "taken"
        self._root = root
        self._visibility = visibility_timeout
        self._clock = clock
        self._known: deque[str] = deque()
        self._lock = threading.Lock()
        self._next_return = 0.0

    @property
    def where(self) -> str:
        """The folder as a URL."""
        return self._root.as_uri().replace("file:", "filesystem:", 1)

    def send(self, id: str) -> None:
        """Create the message's file; names sort by the time of sending."""
        name = f"{time.time_ns():020d}-{secrets.token_hex(4)}-{check_id(id)}"
        with self._explained():
            self._make_folders()
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            os.close(os.open(self._new / name, flags, 0o600))

    def receive(self, timeout: float) -> Message | None:
        """Take the oldest message, looking every 50 ms until the time is up."""
        deadline = time.monotonic() + timeout
        while True:
            with self._explained():
                self._return_expired()
                name = self._take()
            if name is not None:
                return self._message(name)
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            time.sleep(min(_POLL, left))

    def ping(self) -> None:
        """Create and remove a file in the folder."""
        with self._explained():
            self._make_folders()
            probe = self._root / f"ping-{secrets.token_hex(4)}"
            probe.touch()
            probe.unlink()

    def close(self) -> None:
        """Nothing is held open; what this process took comes back after the time-out."""

    def _make_folders(self) -> None:
        for folder in (self._new, self._taken):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _take(self) -> str | None:
        """Claim one file by renaming it; only one of several receivers succeeds."""
        with self._lock:
            if not self._known:
                with contextlib.suppress(FileNotFoundError):
                    self._known.extend(sorted(os.listdir(self._new)))  # noqa: PTH208 - names only
            while self._known:
                name = self._known.popleft()
                with contextlib.suppress(FileNotFoundError):
                    os.utime(self._new / name, (self._clock(),) * 2)
                    (self._new / name).rename(self._taken / name)
                    return name
        return None

    def _return_expired(self) -> None:
        """Put back what was taken too long ago; a look every quarter of the time-out."""
        if time.monotonic() < self._next_return:
            return
        self._next_return = time.monotonic() + self._visibility / 4
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self._taken):
                with contextlib.suppress(FileNotFoundError):
                    if self._clock() - entry.stat().st_mtime >= self._visibility:
                        Path(entry.path).rename(self._new / entry.name)

    def _message(self, name: str) -> Message:
        id = name.split("-", 2)[2]
        return Message(id, lambda: self._settle(name, None), lambda: self._settle(name, self._new))

    def _settle(self, name: str, back: Path | None) -> None:
        """Remove a taken message or put it back; too late is no error."""
        try:
            if back is None:
                (self._taken / name).unlink(missing_ok=True)
            else:
                with contextlib.suppress(FileNotFoundError):
                    (self._taken / name).rename(back / name)
        except OSError as error:
            _LOG.warning("queue message not settled, it will come again: %s", error.strerror)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UnavailableError(
                f"the queue's folder cannot be used: {error.strerror}",
                where=self.where,
                hint="check TABULAR_QUEUE_URL, the folder's owner and the free space",
            ) from error
