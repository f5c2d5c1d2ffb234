"""What must hold once all faults are mended, whatever happened before."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import select

from tabular.errors import UnavailableError
from tabular.infra.database.models import Dataset, Evaluation, Garbage, Job, Model
from tabular.worker.garbage import GarbageBin
from tests.soak.clients import Client, Ledger
from tests.soak.topology import Topology

DRAIN = 90.0  # seconds in which what was accepted has to end
PATIENCE = 60.0  # seconds that the store may take to come back
GROWTH = 256 * 1024**2  # bytes; what a process may grow by


async def settle(client: Client, ledger: Ledger) -> None:
    """Hear of every job how it ended, and look at every row that is there."""
    for name in list(ledger.bodies):  # those that never had an answer get theirs now
        if name not in ledger.jobs:
            await client.insist(name, patience=20)
    until = time.monotonic() + DRAIN
    while waiting := [job for job in ledger.accepted if not _known(ledger, job)]:
        if time.monotonic() > until:
            ledger.wrong.append(f"{len(waiting)} jobs do not end: {waiting[:5]}")
            break
        for job in waiting:
            state = await client.state(job, patience=10)
            if state is None and job in ledger.deleted:
                ledger.ended[job] = {"status": "deleted", "kind": "generate", "result": None}
        await asyncio.sleep(0.5)
    await _look_at_rows(client, ledger)


def _known(ledger: Ledger, job: str) -> bool:
    return job in ledger.ended


async def _look_at_rows(client: Client, ledger: Ledger) -> None:
    same: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for job, state in ledger.ended.items():
        if state["status"] == "failed" and not (state["error"] or {}).get("message"):
            ledger.wrong.append(f"{job} failed without a reason")
        if not state.get("result"):
            continue
        params = state["params"]
        asked = (state["model_id"], params["rows"], params["seed"], params["format"])
        same[asked].add(state["result"]["sha256"])
        if state["result"]["rows"] != params["rows"]:
            ledger.wrong.append(f"{job}: {state['result']['rows']} of {params['rows']} rows")
        if job not in ledger.deleted and await client.download(job) is None:
            ledger.wrong.append(f"{job}: its rows cannot be had")
    for asked, sums in same.items():
        if len(sums) > 1:
            ledger.wrong.append(f"{asked} gave {len(sums)} different files")


def verify(parts: Topology, ledger: Ledger, memory: dict[str, int]) -> dict[str, str]:
    """Look behind the API; what must not be is added to `ledger.wrong`.

    Returns:
        What was looked at, in words.
    """
    for name, ids in ledger.jobs.items():
        if len(ids) > 1:
            ledger.wrong.append(f"Idempotency-Key {name} made {len(ids)} jobs")
    checked = {"jobs": _check_jobs(parts, ledger), "objects": _check_objects(parts, ledger)}
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


def _check_jobs(parts: Topology, ledger: Ledger) -> str:
    """The database has the jobs that were accepted, and not one more."""
    with parts.inside() as (database, _), database.session() as session:
        there = set(session.scalars(select(Job.id)))
        prepared = set(
            session.scalars(
                select(Job.id)
                .where(Job.model_id.in_([model for model, _ in ledger.models]))
                .where(Job.kind == "fit")
            )
        )
    accepted = set(ledger.accepted)
    if extra := there - accepted - prepared:
        ledger.wrong.append(f"{len(extra)} jobs that nobody was told of: {sorted(extra)[:5]}")
    if lost := accepted - there - ledger.deleted:
        ledger.wrong.append(f"{len(lost)} accepted jobs are gone: {sorted(lost)[:5]}")
    return f"{len(accepted)} accepted, {len(there)} kept"


def _check_objects(parts: Topology, ledger: Ledger) -> str:
    """After garbage collection every object is one that the database knows."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return _looked_at_objects(parts, ledger)
        except UnavailableError as error:  # a store that was killed late comes back slowly
            if time.monotonic() > until:
                ledger.wrong.append(f"the store does not come back: {error.message}")
                return "not seen"
        time.sleep(1)


def _looked_at_objects(parts: Topology, ledger: Ledger) -> str:
    with parts.inside() as (database, store):
        later = datetime.now(UTC) + timedelta(days=2)
        GarbageBin(database, store, clock=lambda: later).empty()
        blobs = store.sweep(older_than=-60)
        keys = list(store.keys_below(""))
        with database.session() as session:
            named = list(session.scalars(select(Garbage.prefix)))
            known = {f"datasets/{found}" for found in session.scalars(select(Dataset.id))}
            jobs = select(Job.id).where(Job.status == "succeeded")
            known |= {f"jobs/{found}" for found in session.scalars(jobs)}
            uses = (select(Model.id), select(Evaluation.id))
            counts = [len(list(session.scalars(use))) for use in uses]
    if named:
        ledger.wrong.append(f"garbage that stays: {named[:5]}")
    orphans = [key for key in keys if "/".join(key.split("/")[:2]) not in known]
    if orphans:
        ledger.wrong.append(f"{len(orphans)} objects that nobody refers to: {orphans[:5]}")
    return (
        f"{len(keys)} objects, {blobs} half-written ones swept, no orphan"
        if not orphans
        else f"{len(orphans)} orphans of {len(keys)}"
    ) + f"; {counts[0]} models, {counts[1]} evaluations"
