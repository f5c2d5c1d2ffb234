"""What must hold once all faults are mended, whatever happened before, as the API tells it.

A run in which nothing was asked, nothing broke or everything failed proves nothing, so it does
not pass: see `judge`. What stands behind the API is looked at in `inspection`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from tests.soak.chaos import FULL_DISK, MACHINE, NETWORK
from tests.soak.clients import LARGE, Client
from tests.soak.ledger import ASKED, GONE, Ledger, job_path

DRAIN = 150.0  # seconds in which what was accepted has to end; a fifth try waits for 128
PATIENCE = 30.0  # seconds; nothing is broken any more
LEAST_A_SECOND = 0.5  # accepted jobs; an idle machine of two cores takes three to four
LEAST_GOOD = 0.95  # share of jobs that succeeded or were cancelled
# Faults that explain why a job failed after all its tries.
EXPLAINED: Mapping[str, Sequence[str]] = {
    "job.worker-lost": ("kill worker", "freeze worker"),
    "unavailable.integrity": ("flip-up", "flip-down"),
    "unavailable.disk-full": (FULL_DISK,),
}
_SHOWN = 5


async def settle(
    clients: Sequence[Client], ledger: Ledger, *, drain: float = DRAIN, patience: float = PATIENCE
) -> None:
    """Hear of every job how it ended, and look at everything that is said to be there.

    Args:
        clients: who look.
        ledger: what was promised; what is wrong is added to it.
        drain: seconds in which all jobs have to end.
        patience: seconds in which each request has to be answered.
    """
    for client in clients:
        client.patience = patience
    await _answer(clients, ledger)
    await _drain(clients, ledger, drain)
    await _resolve_removals(clients, ledger)
    await _look_at_rows(clients, ledger)
    await _use_models(clients, ledger)
    there = [one for one in ledger.datasets if f"/v1/datasets/{one}" not in ledger.removals]
    await _each(clients, there, Client.look_at_dataset)
    reports = {ledger.ended[job]["evaluation_id"] for job in ledger.succeeded("evaluate")}
    await _each(clients, sorted(filter(None, reports)), Client.look_at_report)
    gone = [path for path, state in ledger.removals.items() if state == GONE]
    await _each(clients, gone, Client.look_for)


async def _each(
    clients: Sequence[Client],
    items: Iterable[str],
    work: Callable[[Client, str], Awaitable[object]],
) -> None:
    """Do all with all clients, each one thing after the other."""
    left = iter(items)

    async def some(client: Client) -> None:
        for item in left:
            await work(client, item)

    await asyncio.gather(*(some(client) for client in clients))


async def _answer(clients: Sequence[Client], ledger: Ledger) -> None:
    """Those who never had an answer get theirs now."""
    open_ = [name for name in ledger.bodies if name not in ledger.jobs.keys() | ledger.refused]
    await _each(clients, open_, Client.insist)
    silent = [name for name in open_ if name not in ledger.jobs.keys() | ledger.refused]
    if silent:
        ledger.wrong.append(f"{len(silent)} requests are not answered: {silent[:_SHOWN]}")


async def _drain(clients: Sequence[Client], ledger: Ledger, seconds: float) -> None:
    until = time.monotonic() + seconds
    while waiting := [job for job in ledger.accepted if job not in ledger.ended]:
        if time.monotonic() > until:
            ledger.wrong.append(f"{len(waiting)} jobs do not end: {waiting[:_SHOWN]}")
            return
        await _each(clients, waiting, Client.state)
        await asyncio.sleep(0.5)


async def _resolve_removals(clients: Sequence[Client], ledger: Ledger) -> None:
    asked = [path for path, state in ledger.removals.items() if state == ASKED]
    await _each(clients, asked, Client.remove)
    silent = [path for path, state in ledger.removals.items() if state == ASKED]
    if silent:
        ledger.wrong.append(f"{len(silent)} removals are not answered: {silent[:_SHOWN]}")


async def _look_at_rows(clients: Sequence[Client], ledger: Ledger) -> None:
    """Every result that was not removed can be had, with its checksum."""
    kept = [
        job
        for job in ledger.succeeded("generate")
        if ledger.ended[job]["result"] and ledger.removal(job) is None
    ]

    async def look(client: Client, job: str) -> None:
        if await client.download(job) is None:
            client.wrong(f"{job}: its rows cannot be had")

    await _each(clients, kept, look)


async def _use_models(clients: Sequence[Client], ledger: Ledger) -> None:
    """Every model that was fitted gives rows."""
    models = [ledger.ended[job]["model_id"] for job in ledger.succeeded("fit")]

    async def use(client: Client, model: str) -> None:
        if not await client.inline(model, 5, 0, "csv"):
            client.wrong(f"no rows of the model {model}")

    await _each(clients, filter(None, models), use)


def judge(
    ledger: Ledger,
    done: Counter[str],
    met: Counter[str],
    left_out: Mapping[str, str],
    *,
    seconds: float,
) -> list[str]:
    """What is wrong with what clients were told, and with the run itself."""
    return [
        *_faults(done, met, left_out),
        *_amounts(ledger, seconds),
        *_twice(ledger),
        *_ends(ledger, done),
        *_sums(ledger),
    ]


def _faults(done: Counter[str], met: Counter[str], left_out: Mapping[str, str]) -> Iterable[str]:
    for kind in (*MACHINE, *NETWORK):
        if kind in left_out:
            continue
        if not done[kind]:
            yield f"the fault {kind} did not happen"
        elif kind in (FULL_DISK, *NETWORK) and not met[kind]:
            yield f"nobody met the fault {kind}"


def _amounts(ledger: Ledger, seconds: float) -> Iterable[str]:
    accepted = ledger.accepted
    if len(accepted) < max(1.0, LEAST_A_SECOND * seconds):
        yield f"only {len(accepted)} jobs were accepted in {seconds:g} s"
    ends = Counter(state["status"] for state in ledger.ended.values())
    good = ends["succeeded"] + ends["cancelled"]
    if good < LEAST_GOOD * len(accepted):
        yield f"only {good} of {len(accepted)} jobs succeeded or were cancelled"
    for kind in ("fit", "generate", "evaluate"):
        if not ledger.succeeded(kind):
            yield f"no {kind} job succeeded"
    if not any(
        ledger.ended[job]["params"]["rows"] == LARGE for job in ledger.succeeded("generate")
    ):
        yield "no job in parts succeeded"
    if not ledger.followed:
        yield "no websocket told of an end"


def _twice(ledger: Ledger) -> Iterable[str]:
    names: dict[str, list[str]] = {}
    for name, ids in ledger.jobs.items():
        if len(ids) > 1:
            yield f"Idempotency-Key {name} made {len(ids)} jobs"
        for job in ids:
            names.setdefault(job, []).append(name)
    for job, several in names.items():
        if len(several) > 1:
            yield f"{job} was given to {len(several)} different requests: {several}"


def _ends(ledger: Ledger, done: Counter[str]) -> Iterable[str]:
    """What is wrong with the ends of jobs; that one does not end was said before."""
    asked = {job: ledger.bodies[name][1] for name, ids in ledger.jobs.items() for job in ids}
    for job, state in ledger.ended.items():
        told = ledger.followed.get(job, state["status"])
        if told != state["status"]:
            yield f"{job}: a websocket told {told}, and it is {state['status']}"
        if state["status"] == "failed":
            yield from _failure(job, state, done)
        elif state["status"] == "succeeded":
            yield from _success(job, state, asked.get(job, {}))


def _failure(job: str, state: Mapping[str, Any], done: Counter[str]) -> Iterable[str]:
    error = state["error"] or {}
    if not error.get("message") or not error.get("code"):
        yield f"{job} failed without a reason"
    elif not any(done[kind] for kind in EXPLAINED.get(error["code"], ())):
        yield f"{job} failed with {error['code']}, which no fault explains: {error['message']}"


def _success(job: str, state: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterable[str]:
    made = {"fit": "model_id", "evaluate": "evaluation_id", "generate": "result"}[state["kind"]]
    if not state.get(made):
        yield f"{job}: a {state['kind']} succeeded without {made}"
        return
    if state["kind"] != "generate":
        return
    params, result = {**state["params"], "model_id": state["model_id"]}, state["result"]
    if result["rows"] != params["rows"]:
        yield f"{job}: {result['rows']} of {params['rows']} rows"
    if any(params.get(name) != value for name, value in asked.items()):
        yield f"{job}: {asked} was asked, {params} was done"


def _sums(ledger: Ledger) -> Iterable[str]:
    """The same request gives the same bytes, as a job or at once."""
    sums = {asked: set(found) for asked, found in ledger.sums.items()}
    for job in ledger.succeeded("generate"):
        state = ledger.ended[job]
        if state["result"]:
            params = state["params"]
            asked = (state["model_id"], params["rows"], params["seed"], params["format"])
            sums.setdefault(asked, set()).add(state["result"]["sha256"])
    for asked, found in sums.items():
        if len(found) > 1:
            yield f"{asked} gave {len(found)} different files"


def log_lines(log: str) -> Iterable[str]:
    """Lines of a log that no fault explains."""
    for line in log.splitlines():
        if "Traceback" in line or "unexpected error" in line:
            yield f"in the log: {line[:1500]}"


def still_there(ledger: Ledger) -> set[str]:
    """Accepted jobs that must be there."""
    return {job for job in ledger.accepted if ledger.removals.get(job_path(job)) != GONE}
