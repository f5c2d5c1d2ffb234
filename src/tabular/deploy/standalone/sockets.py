"""The API's listening socket: opened once, inherited by every process that serves it.

So the port is never free between two releases, and a connection that waits belongs to no single
process: whoever serves takes it. See docs/adr/0008.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path

from tabular.deploy.standalone.ports import LOCALHOST, holder
from tabular.errors import EngineError

BACKLOG = 2048
_ANSWER = 5.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Inherited:
    """What a process gets along.

    Attributes:
        arguments: to be added to its command.
        descriptors: that it inherits under the same numbers.
        probe: port on which this process alone answers; 0 where there is none.
        opened: made for it alone: to be closed here once it has started.
    """

    arguments: list[str] = field(default_factory=list)
    descriptors: tuple[int, ...] = ()
    probe: int = 0
    opened: tuple[socket.socket, ...] = ()

    def close(self) -> None:
        """Let go of what only the started process needs."""
        for one in self.opened:
            one.close()


class Sockets:
    """The listening sockets of one deployment, by port.

    Args:
        folder: in which keepers are asked; readable by this user alone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[int, socket.socket] = {}

    def of(self, port: int) -> socket.socket:
        """The socket: the one held, the keeper's, or a new one.

        Raises:
            EngineError: somebody else listens there.
        """
        if port not in self._held:
            self._held[port] = self._handed_over(port) or listening(port)
        return self._held[port]

    def for_api(self, port: int) -> Inherited:
        """The shared socket, and one on which this process alone is asked for its health."""
        shared, own = self.of(port), listening(0)
        numbers = (shared.fileno(), own.fileno())
        arguments = [word for number in numbers for word in ("--fd", str(number))]
        return Inherited(arguments, numbers, own.getsockname()[1], (own,))

    def for_keeper(self, port: int) -> Inherited:
        """The shared socket, and the one on which it is asked for."""
        shared = self.of(port)
        control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # By a relative name: the address of a UNIX socket is shorter than many a path.
        with contextlib.chdir(self._folder):
            name = _control(port)
            Path(name).unlink(missing_ok=True)
            control.bind(name)
        control.listen()
        numbers = (shared.fileno(), control.fileno())
        return Inherited([str(number) for number in numbers], numbers, opened=(control,))

    def keep_only(self, ports: set[int]) -> None:
        """Close those that are not needed any more."""
        for port in set(self._held) - ports:
            self._held.pop(port).close()
            (self._folder / _control(port)).unlink(missing_ok=True)

    def _handed_over(self, port: int) -> socket.socket | None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(_ANSWER)
            try:
                with contextlib.chdir(self._folder):
                    asking.connect(_control(port))
                _, descriptors, _, _ = socket.recv_fds(asking, 1, 1)
            except OSError as error:
                _log.info("no keeper of port %d answers: %s", port, error)
                return None
        if not descriptors:
            return None
        os.set_inheritable(descriptors[0], False)
        found = socket.socket(fileno=descriptors[0])
        if found.getsockname()[:2] == (LOCALHOST, port):
            return found
        found.close()
        return None


def _control(port: int) -> str:
    return f"port-{port}.sock"


def listening(port: int) -> socket.socket:
    """A new listening socket on this host; 0 for any free port.

    Raises:
        EngineError: somebody else listens there.
    """
    # Named as TCP, since asyncio turns Nagle's algorithm off only for sockets that are.
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((LOCALHOST, port))
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        if error.errno != errno.EADDRINUSE:
            raise
        raise EngineError(
            f"port {port} is in use by {holder(port)}",
            where=f"{LOCALHOST}:{port}",
            hint="stop that process, or deploy with another port",
            code="engine.port-in-use",
        ) from error
    made.setblocking(False)
    return made
