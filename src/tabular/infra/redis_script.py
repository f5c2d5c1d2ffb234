"""A script that Redis or Valkey runs, asked for by every request and so in the event loop itself.

The client of the package takes a connection from its pool, times each half of a command and keeps
statistics of it: together as long as the question takes, and as a change to a thread would. Its
connections alone, which know TLS, passwords and the protocol, do with a third of that.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Sequence
from typing import Any

from tabular.infra.breaker import PATIENCE, Breaker
from tabular.infra.redis_client import connections_in_loop, explained, redis_module

_AT_ONCE = 32  # questions of one event loop, and its connections at most


class Script:
    """One script of one server. Safe to use from several event loops.

    Args:
        url: of the server.
        text: Lua.
        what: the server is for, used in the error.
        breaker: of the server.

    Raises:
        ConfigError: the package is missing.
    """

    def __init__(self, url: str, text: str, *, what: str, breaker: Breaker) -> None:
        redis_module()
        self._url = url
        self._text = text
        self._what = what
        self._breaker = breaker
        self._lines: dict[asyncio.AbstractEventLoop, _Line] = {}

    async def run(self, keys: Sequence[str], arguments: Sequence[int]) -> Any:
        """What the script returns.

        Raises:
            UnavailableError: the server does not answer, or did not a moment ago.
        """
        line = self._line()
        # A place comes first: who has waited for one must see what others met meanwhile.
        async with line.places:
            with self._breaker.asking(), explained(self._url, self._what):
                return await line.ask((len(keys), *keys, *arguments))

    async def close(self) -> None:
        """Close the connections of the present event loop."""
        line = self._lines.pop(asyncio.get_running_loop(), None)
        if line is not None:
            await line.close()

    def _line(self) -> _Line:
        """The present event loop's: a connection belongs to the loop that opened it."""
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        if line is None:
            for ended in [one for one in tuple(self._lines) if one.is_closed()]:
                self._lines.pop(ended, None)
            line = self._lines[loop] = _Line(self._url, self._text)
        return line


class _Line:
    """The connections of one event loop; one that failed is not kept."""

    def __init__(self, url: str, text: str) -> None:
        self._redis = redis_module()
        self._pool = connections_in_loop(url, PATIENCE / 2)
        self._text = text
        self._digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self._idle: list[Any] = []
        self.places = asyncio.Semaphore(_AT_ONCE)

    async def ask(self, arguments: Sequence[str | int]) -> Any:
        connection = self._idle.pop() if self._idle else self._pool.make_connection()
        try:
            answer = await self._twice_at_most(connection, arguments)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._idle.append(connection)
        return answer

    async def close(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.disconnect(nowait=True)

    async def _twice_at_most(self, connection: Any, arguments: Sequence[str | int]) -> Any:
        begun = time.monotonic()
        try:
            return await self._once(connection, arguments)
        except TimeoutError:
            # Much later than it can be: this loop stood still, and the answer lay there unread.
            # To be asked again counts a request twice, and lets none through uncounted.
            if time.monotonic() - begun < 1.5 * PATIENCE:
                raise
        except self._redis.ConnectionError:
            # Connections are kept over a restart of the server, and that is no failure.
            pass
        return await self._once(connection, arguments)

    async def _once(self, connection: Any, arguments: Sequence[str | int]) -> Any:
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(self._redis.exceptions.NoScriptError):
                await connection.send_command("EVALSHA", self._digest, *arguments)
                return await connection.read_response()
            await connection.send_command("EVAL", self._text, *arguments)
            return await connection.read_response()
