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

from tests.platform import fitted, table, upload
from tests.soak.chaos import Chaos
from tests.soak.clients import MODELS, Client, Ledger
from tests.soak.report import report
from tests.soak.topology import Topology, topology
from tests.soak.verdict import settle, verify

SECONDS = float(os.environ.get("SOAK_SECONDS", "180"))
CLIENTS = int(os.environ.get("SOAK_CLIENTS", "200"))
SEED = int(os.environ.get("SOAK_SEED", "1"))


def main() -> int:
    """Soak, verify, report."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up when a run is ended
    load = os.getloadavg()[0]
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    with tempfile.TemporaryDirectory(prefix="tabular-soak-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with topology(folder) as parts:
            ledger, chaos, memory = asyncio.run(_soak(parts))
            checked = verify(parts, ledger, memory)
            log = parts.processes.log
            if keep := os.environ.get("SOAK_LOGS"):
                shutil.copytree(folder, keep, ignore=shutil.ignore_patterns("data"))
        for line in log.splitlines():
            if "Traceback" in line or "unexpected error" in line:
                ledger.wrong.append(f"in the log: {line[:1500]}")
    left = {process.pid for process in psutil.Process().children(recursive=True)} - before
    if left:
        ledger.wrong.append(f"processes that are left: {sorted(left)}")
    text = report(ledger, chaos, checked, clients=CLIENTS, seconds=SECONDS, seed=SEED, load=load)
    sys.stdout.write(text)
    if results := os.environ.get("SOAK_RESULTS"):
        with Path(results).open("a") as file:
            file.write(text)
    return 1 if ledger.wrong else 0


async def _soak(parts: Topology) -> tuple[Ledger, Chaos, dict[str, int]]:
    ledger, chaos = Ledger(), Chaos(parts, SEED)
    headers = {"Authorization": f"Bearer {parts.key}"}
    await asyncio.to_thread(_prepare, parts, ledger, headers)
    memory = parts.memory()
    limits = httpx.Limits(max_connections=CLIENTS + 50, max_keepalive_connections=CLIENTS)
    async with httpx.AsyncClient(
        base_url=parts.processes.url, headers=headers, timeout=20, limits=limits
    ) as http:
        clients = [Client(http, ledger, SEED * 1000 + number) for number in range(CLIENTS)]
        until = time.monotonic() + SECONDS
        await asyncio.gather(chaos.run(until), *(client.run(until) for client in clients))
        sys.stderr.write(f"{len(ledger.accepted)} jobs accepted; faults {dict(chaos.done)}\n")
        await settle(clients[0], ledger)
    return ledger, chaos, memory


def _prepare(parts: Topology, ledger: Ledger, headers: dict[str, str]) -> None:
    with httpx.Client(base_url=parts.processes.url, headers=headers, timeout=60) as client:
        for number in range(MODELS):
            dataset, model = fitted(client, 500 + 100 * number)
            ledger.models.append((model, dataset))
        spare = upload(client, table(300))
        ledger.datasets[spare] = client.get(f"/v1/datasets/{spare}").json()["sha256"]


if __name__ == "__main__":
    sys.exit(main())
