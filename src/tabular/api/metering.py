"""What the gate itself measures and bounds by plan: bytes that leave, and open websockets."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from anyio import CancelScope, to_thread
from starlette.types import Scope

from tabular.api.service import Service
from tabular.errors import QuotaSpentError, UnavailableError
from tabular.infra.auth.principal import Principal
from tabular.infra.places import RENEW_EVERY
from tabular.worker import accounting

_LOG = logging.getLogger(__name__)


async def count_download(service: Service, scope: Scope, sent: int) -> None:
    """Count the bytes that were handed to the connection, once the answer has ended."""
    principal: Principal | None = scope["state"].get("principal")
    if not sent or principal is None:
        return

    def count() -> None:
        with service.database.transaction() as session:
            accounting.used(session, principal.id, datetime.now(UTC), bytes_downloaded=sent)

    try:
        await to_thread.run_sync(count)
    except UnavailableError as error:
        _LOG.error("%d bytes downloaded by %s are not counted: %s", sent, principal.id, error)
        service.metrics.error("usage")


@contextlib.asynccontextmanager
async def open_websocket(service: Service, scope: Scope) -> AsyncIterator[None]:
    """Hold one of the places that a principal has for websockets.

    Raises:
        QuotaSpentError: all are held.
    """
    principal: Principal | None = scope["state"].get("principal")
    limit = None if principal is None else service.plans.of(principal).max_websockets
    if scope["type"] != "websocket" or principal is None or limit is None:
        yield
        return
    token = secrets.token_hex(8)
    take = functools.partial(service.places.take, principal.id, token, limit)
    if not await to_thread.run_sync(take):
        raise QuotaSpentError(
            f"the plan allows {limit:,} websockets at once, and as many are open",
            hint="close one, or ask for the state: GET /v1/jobs/{job_id}",
            code="quota.websockets",
            limit=limit,
            used=limit,
            requested=1,
            retry_after=RENEW_EVERY,
        )

    async def renew() -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY)
            await to_thread.run_sync(take)

    renewing = asyncio.create_task(renew())
    try:
        yield
    finally:
        renewing.cancel()
        with CancelScope(shield=True):  # a server that stops cancels this, and the place stays
            await to_thread.run_sync(service.places.give_back, principal.id, token)
