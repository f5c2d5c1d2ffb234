"""`python -m tests.soak`: load and faults for SOAK_SECONDS, then a verdict; exit code 1: it failed.

Settings: SOAK_SECONDS (180), SOAK_CLIENTS (200), SOAK_SEED (1), SOAK_RESULTS (a file to which the
report is appended), SOAK_LOGS (a new folder that gets the logs).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil

from tests.platform import ENDED, table
from tests.soak.chaos import Chaos
from tests.soak.clients import Client, watch_loop, who
from tests.soak.inspection import inspect
from tests.soak.ledger import Ledger
from tests.soak.report import report
from tests.soak.topology import Topology, topology
from tests.soak.verdict import judge, log_lines, settle

SECONDS = float(os.environ.get("SOAK_SECONDS", "180"))
CLIENTS = int(os.environ.get("SOAK_CLIENTS", "200"))
SEED = int(os.environ.get("SOAK_SEED", "1"))
MODELS = 4
LOOKING = 8  # clients that look at everything at the end, at once
GROWTH = 256 * 1024**2  # bytes; what a process may grow by


class Watch:
    """How long each stretch of the run took."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self.took: dict[str, float] = {}

    def ended(self, what: str) -> None:
        """Note that something ended now."""
        now = time.monotonic()
        self.took[what], self._since = now - self._since, now


def main() -> int:
    """Soak, verify, report."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up when a run is ended
    load, watch = os.getloadavg()[0], Watch()
    before = _children()
    with tempfile.TemporaryDirectory(prefix="tabular-soak-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with topology(folder) as parts:
            ledger, chaos, memory = asyncio.run(_soak(parts, watch))
            checked = _look_behind(parts, ledger, memory)
            watch.ended("looking behind it")
            log = parts.processes.log
            if keep := os.environ.get("SOAK_LOGS"):
                shutil.copytree(folder, keep, ignore=shutil.ignore_patterns("data", "disk"))
        ledger.wrong += log_lines(log)
    watch.ended("end")
    if left := _children() - before:
        ledger.wrong.append(f"processes that are left: {sorted(left)}")
    ledger.wrong += judge(ledger, chaos.done, chaos.met, chaos.left_out, seconds=SECONDS)
    text = report(
        ledger,
        chaos,
        checked,
        clients=CLIENTS,
        seconds=SECONDS,
        seed=SEED,
        load=load,
        took=watch.took,
    )
    sys.stdout.write(text)
    if results := os.environ.get("SOAK_RESULTS"):
        with Path(results).open("a") as file:
            file.write(text)
    return 1 if ledger.wrong else 0


def _children() -> set[int]:
    return {process.pid for process in psutil.Process().children(recursive=True)}


async def _soak(parts: Topology, watch: Watch) -> tuple[Ledger, Chaos, dict[str, int]]:
    ledger, chaos = Ledger(), Chaos(parts, SEED)
    headers = {"Authorization": f"Bearer {parts.key}"}
    limits = httpx.Limits(max_connections=CLIENTS + 50, max_keepalive_connections=CLIENTS)
    async with httpx.AsyncClient(
        base_url=parts.processes.url, headers=headers, timeout=20, limits=limits
    ) as http:
        clients = [
            Client(http, ledger, SEED * 100_000 + number, parts.inline_key)
            for number in range(CLIENTS)
        ]
        ledger.principals = (await who(http, parts.key), await who(http, parts.inline_key))
        await _prepare(clients[0], ledger)
        memory = parts.memory()
        watch.ended("start")
        until = time.monotonic() + SECONDS
        running = (client.run(chaos.going) for client in clients)
        await asyncio.gather(chaos.run(until), watch_loop(ledger, chaos.going), *running)
        sys.stderr.write(f"{len(ledger.accepted)} jobs accepted; faults {dict(chaos.done)}\n")
        watch.ended("load and faults")
        await settle(clients[:LOOKING], ledger)
        watch.ended("settling")
    return ledger, chaos, memory


async def _prepare(client: Client, ledger: Ledger) -> None:
    """Models that all clients use, of datasets that stay, and one dataset more."""
    for number in range(MODELS + 1):
        dataset = await client.upload(table(500 + 100 * number))
        assert dataset is not None, (ledger.codes, ledger.wrong)
        if number == MODELS:
            return
        job = await client.submit("/v1/models", {"dataset_id": dataset})
        assert job is not None, (ledger.codes, ledger.wrong)
        while (state := await client.state(job)) is None or state["status"] not in ENDED:
            await asyncio.sleep(0.1)
        assert state["status"] == "succeeded", state
        ledger.sources[state["model_id"]] = dataset


def _look_behind(parts: Topology, ledger: Ledger, memory: dict[str, int]) -> dict[str, str]:
    with parts.inside() as (database, store):
        checked = inspect(database, store, ledger)
    parts.call_roll(all_must_live=True)
    ledger.wrong += parts.roll.deaths
    checked["fleet"] = (
        f"{len(parts.apis)} APIs, {len(parts.workers)} workers and {len(parts.servers)} servers; "
        f"{len(parts.roll.killed)} killed and replaced, {len(parts.roll.deaths)} ended otherwise"
    )
    after = parts.memory()
    for kind, size in after.items():
        if size > memory[kind] + GROWTH:
            ledger.wrong.append(f"{kind}: {memory[kind]:,} bytes before, {size:,} after")
    checked["memory"] = ", ".join(
        f"{kind} {memory[kind] >> 20} to {size >> 20} MB" for kind, size in after.items()
    )
    ready = httpx.get(f"{parts.processes.url}/ready", timeout=20)
    if ready.status_code != 200:
        ledger.wrong.append(f"not ready at the end: {ready.text[:300]}")
    return checked


if __name__ == "__main__":
    sys.exit(main())
