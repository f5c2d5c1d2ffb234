"""The states of a job to one client, however slowly it reads.

Each message is the whole state, so of several that wait only the newest is worth sending: one
state waits at most, whatever comes in. A client that takes nothing for long is given up, since
its connection, its subscription and its place would be held for ever.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from anyio import CancelScope, create_task_group, fail_after, move_on_after
from anyio import Event as Flag
from starlette.websockets import WebSocket, WebSocketDisconnect

from tabular.errors import InputError, TabularError
from tabular.infra.websocket import Event

# Close codes of a websocket.
DONE, GONE, TOO_SLOW, REFUSED, TRY_AGAIN = 1000, 1006, 1008, 1008, 1013
LAST_WORD = 1.0  # seconds to be told why, for a client that takes nothing

_LARGEST = 2**63
_LOG = logging.getLogger(__name__)


def last_event_id(text: str | None) -> int | None:
    """The number of the last state that a client has seen.

    Raises:
        InputError: it is none of ours.
    """
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text) < _LARGEST):
        raise InputError(
            "last_event_id is a whole number from 0",
            where="last_event_id",
            hint="give the event_id of the last message, or leave it out",
        )
    return int(text)


class _Newest:
    """One place for the newest state; whoever is slow finds that and no older one."""

    def __init__(self) -> None:
        self._state: Event | None = None
        self._changed = Flag()
        self.end: int | None = None

    def put(self, state: Event) -> None:
        self._state = state
        self._changed.set()

    def close(self, code: int) -> None:
        self.end = code
        self._changed.set()

    async def get(self) -> Event | None:
        """The newest state, or None after the last."""
        while self._state is None and self.end is None:
            self._changed = Flag()
            await self._changed.wait()
        state, self._state = self._state, None
        return state


async def relay(
    states: AsyncIterator[Event], send: Callable[[Event], Awaitable[None]], patience: float
) -> int:
    """Send states as they come, and of those that cannot be sent in time only the newest.

    Args:
        states: up to the last one.
        send: waits as long as the client does not take what was sent before.
        patience: seconds that it may wait.

    Returns:
        The code to close with; `GONE` when there is nothing to close.
    """
    newest = _Newest()

    async def collect() -> None:
        try:
            async for state in states:
                newest.put(state)
            newest.close(DONE)
        except TabularError as error:  # no database, or no job any more: the next try says so
            _LOG.warning("progress ends: %s", error)
            newest.close(TRY_AGAIN)

    async with create_task_group() as tasks:
        tasks.start_soon(collect)
        while (state := await newest.get()) is not None:
            try:
                with fail_after(patience):
                    await send(state)
            except TimeoutError:
                _LOG.info("a client took nothing for %g s", patience)
                newest.end = TOO_SLOW
                break
            except (WebSocketDisconnect, RuntimeError):
                # The server says it by a RuntimeError when it gave up a client without pongs.
                newest.end = GONE
                break
        tasks.cancel_scope.cancel()
    assert newest.end is not None
    return newest.end


async def converse(
    websocket: WebSocket,
    states: AsyncIterator[Event],
    patience: float,
    until_refused: Callable[[], Awaitable[None]],
) -> None:
    """Relay states until their end, or until the client leaves, is too slow or may no more.

    Args:
        websocket: accepted.
        states: up to the last one.
        patience: seconds that the client may take nothing.
        until_refused: returns once the client may not follow any longer.
    """
    async with create_task_group() as tasks:
        relaying = CancelScope()

        async def until_gone() -> None:
            """Nothing is expected from the client but its end."""
            try:
                while True:
                    await websocket.receive_text()
            except (WebSocketDisconnect, KeyError):
                tasks.cancel_scope.cancel()

        async def refuse() -> None:
            await until_refused()
            relaying.cancel()

        tasks.start_soon(until_gone)
        tasks.start_soon(refuse)
        code = REFUSED
        with relaying:
            code = await relay(states, websocket.send_json, patience)
        if code != GONE:
            with (
                suppress(WebSocketDisconnect, RuntimeError),
                move_on_after(LAST_WORD if code in (TOO_SLOW, REFUSED) else patience),
            ):
                await websocket.close(code)
        tasks.cancel_scope.cancel()
