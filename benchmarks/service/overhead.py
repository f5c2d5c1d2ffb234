"""What a request costs beside its bare route, in one process: sign-in, limit, validation, metrics.

The bare application has the same handler, without gate and dependencies. Both are called through
ASGI in one event loop, without sockets, whose cost would be the same for both and flatter the
ratio; and both in turns, so that what else the machine does meets both. On a machine that does much
else the time that passes says little all the same, and the processor time of this process (all its
threads, the store's own work not) says it well; the goal is met when both ratios are within it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

from fastapi import FastAPI

from tabular.api.app import create_app
from tabular.api.routes import session as session_routes
from tabular.api.service import open_service
from tabular.api.views import job_out
from tabular.infra.auth.principal import Principal
from tabular.infra.config import load_settings
from tabular.infra.database import migrate
from tabular.infra.logs import configure_logging
from tabular.worker.jobs import GENERATE
from tests.platform import environment
from tests.testbed.valkey import valkey_server

PAIRS = 15
REQUESTS = 50  # of each in a turn
GOAL = 2.0
_Ask = Callable[[], Awaitable[None]]


class _Took(NamedTuple):
    """Microseconds of one request: those that passed, and those of this process's processor."""

    wall: float
    cpu: float


def measure() -> list[str]:
    """The lines of the report."""
    lines = [
        "A request with sign-in, limit, validation, logs and metrics beside its bare route: "
        f"medians of {PAIRS} pairs of {REQUESTS} requests that take turns, ratio of each pair, of "
        "the time that passed and of this process's processor time; "
        "ASGI calls in one event loop, without sockets; SQLite; log lines go to /dev/null. "
        f"Load {os.getloadavg()[0]:.1f} (1 min) at the start of this part.\n",
        "| limits in | route | ours µs | bare µs | ratio (quartiles) | ours CPU µs | bare CPU µs "
        "| ratio of CPU (quartiles) | goal |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for store in ("memory", "Valkey"):
        with tempfile.TemporaryDirectory() as folder:
            lines += _with_store(store, Path(folder))
    return [*lines, ""]


def _with_store(store: str, folder: Path) -> list[str]:
    if store == "memory":
        return asyncio.run(_measured(store, folder, "memory://"))
    with valkey_server(folder) as server:
        return asyncio.run(_measured(store, folder, server.url()))


async def _measured(store: str, folder: Path, cache: str) -> list[str]:
    limits = {"TABULAR_RATE_LIMIT": "1000000/minute", "TABULAR_CACHE_URL": cache}
    settings = load_settings({**environment(folder), **limits})
    service = open_service(settings)
    migrate(service.database)
    key = service.keys.issue("bench", ["admin"]).key
    with service.database.transaction() as session:
        params = {"rows": 5, "seed": 0, "format": "csv", "where": []}
        job = service.jobs.submit(session, GENERATE, params, created_by="bench").id
    ours, bare = create_app(settings, service=service), FastAPI()
    who = Principal(id="bench", name="bench", scopes=frozenset(["admin"]))

    @bare.get("/v1/whoami")
    def whoami() -> session_routes.WhoOut:
        return session_routes.whoami(who)

    @bare.get("/v1/jobs/{job_id}")
    def get_job(job_id: str) -> Any:
        return job_out(service.jobs.get(job_id), None)

    lines = []
    with Path(os.devnull).open("w", encoding="utf-8") as sink:
        configure_logging("INFO", secrets=settings.secret_values(), stream=sink)
        for path in ("/v1/whoami", f"/v1/jobs/{job}"):
            pair = _asking(ours, path, key), _asking(bare, path, key)
            name = path.replace(job, "{job_id}")
            lines.append(_row(store, name, [await _pair(*pair, n) for n in range(PAIRS + 1)][1:]))
            print(lines[-1], flush=True)
        logging.getLogger().handlers.clear()
    await service.limiter.close()
    service.close()
    return lines


def _asking(app: Any, path: str, key: str) -> _Ask:
    headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {key}".encode())]

    async def ask() -> None:
        status = 0

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        await app(scope, receive, send)
        if status != 200:
            raise RuntimeError(f"{path} answered {status}")

    return ask


async def _pair(ours: _Ask, bare: _Ask, turn: int) -> tuple[_Took, _Took]:
    if turn % 2:
        second = await _took(bare)
        return await _took(ours), second
    return await _took(ours), await _took(bare)


async def _took(ask: _Ask) -> _Took:
    began = time.perf_counter(), time.process_time()
    for _ in range(REQUESTS):
        await ask()
    ended = time.perf_counter(), time.process_time()
    return _Took(*((end - begin) / REQUESTS * 1e6 for begin, end in zip(began, ended, strict=True)))


def _row(store: str, path: str, pairs: list[tuple[_Took, _Took]]) -> str:
    cells, ratios = [store, f"`{path}`"], []
    for which in range(2):
        both = [(one[which], other[which]) for one, other in pairs]
        ours, bare = (statistics.median(column) for column in zip(*both, strict=True))
        low, ratio, high = statistics.quantiles([one / other for one, other in both], n=4)
        cells += [f"{ours:.0f}", f"{bare:.0f}", f"{ratio:.2f} ({low:.2f}-{high:.2f})"]
        ratios.append(ratio)
    verdict = "met" if max(ratios) <= GOAL else "missed"
    return f"| {' | '.join([*cells, verdict])} |"
