"""The verdict of `make soak` fails for a run that proves nothing, and for every broken promise."""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.soak.chaos import FULL_DISK, MACHINE, NETWORK
from tests.soak.clients import LARGE, Client
from tests.soak.ledger import Ledger
from tests.soak.report import quantile
from tests.soak.soaked import ALL, OTHER, Soaked
from tests.soak.topology import Roll
from tests.soak.verdict import log_lines, settle

# The run itself.


def _nothing(ledger: Ledger) -> str:
    ledger.jobs.clear()
    ledger.ended.clear()
    return "only 0 jobs were accepted"


def _all_failed(ledger: Ledger) -> str:
    error = {"code": "job.worker-lost", "message": "lost"}
    for state in ledger.ended.values():
        state.update(status="failed", error=error, result=None)
    return "jobs succeeded or were cancelled"


def _failed(code: str, message: str) -> Callable[[Ledger], str]:
    def plant(ledger: Ledger) -> str:
        state = ledger.ended[ledger.succeeded("generate")[0]]
        state.update(status="failed", error={"code": code, "message": message}, result=None)
        return "which no fault explains" if message else "failed without a reason"

    return plant


def _without(kind: str, made: str) -> Callable[[Ledger], str]:
    def plant(ledger: Ledger) -> str:
        ledger.ended[ledger.succeeded(kind)[0]][made] = None
        return f"a {kind} succeeded without {made}"

    return plant


def _never(kind: str) -> Callable[[Ledger], str]:
    def plant(ledger: Ledger) -> str:
        for job in ledger.succeeded(kind):
            ledger.ended[job]["status"] = "cancelled"
        return f"no {kind} job succeeded"

    return plant


def _no_parts(ledger: Ledger) -> str:
    for job in ledger.succeeded("generate"):
        if ledger.ended[job]["params"]["rows"] == LARGE:
            ledger.ended[job]["status"] = "cancelled"
    return "no job in parts succeeded"


def _two_for_one(ledger: Ledger) -> str:
    next(iter(ledger.jobs.values())).add("job_twice")
    return "made 2 jobs"


def _one_for_two(ledger: Ledger) -> str:
    first, second, *_ = ledger.jobs.values()
    second.clear()
    second.update(first)
    return "was given to 2 different requests"


def _too_few_rows(ledger: Ledger) -> str:
    ledger.ended[ledger.succeeded("generate")[0]]["result"]["rows"] = 9
    return "9 of 10 rows"


def _something_else(ledger: Ledger) -> str:
    ledger.ended[ledger.succeeded("generate")[0]]["params"]["seed"] = 8
    return "was asked,"


def _other_bytes(ledger: Ledger) -> str:
    ledger.ended[ledger.succeeded("generate")[0]]["result"]["sha256"] = OTHER
    return "gave 2 different files"


def _other_end(ledger: Ledger) -> str:
    ledger.followed[ledger.succeeded("generate")[0]] = "failed"
    return "a websocket told failed"


def _nobody_listened(ledger: Ledger) -> str:
    ledger.followed.clear()
    return "no websocket told of an end"


RUNS = {
    "nothing was accepted": _nothing,
    "everything failed": _all_failed,
    "failed for no known reason": _failed("job.unexpected", "an unexpected KeyError"),
    "failed without a reason": _failed("", ""),
    "rows without a result": _without("generate", "result"),
    "a fit without a model": _without("fit", "model_id"),
    "an evaluation without a report": _without("evaluate", "evaluation_id"),
    "no fit": _never("fit"),
    "no evaluation": _never("evaluate"),
    "no parts": _no_parts,
    "two jobs for one request": _two_for_one,
    "one job for two requests": _one_for_two,
    "too few rows": _too_few_rows,
    "something else was done": _something_else,
    "other bytes": _other_bytes,
    "another end": _other_end,
    "no websocket": _nobody_listened,
}


@pytest.mark.parametrize("plant", RUNS.values(), ids=RUNS)
def test_a_run_that_proves_nothing_does_not_pass(
    told: Soaked, plant: Callable[[Ledger], str]
) -> None:
    expected = plant(told.ledger)
    found = told.judged()
    assert any(expected in what for what in found), found


@pytest.mark.parametrize("kind", [*MACHINE, *NETWORK])
def test_every_fault_has_to_happen(told: Soaked, kind: str) -> None:
    assert told.judged(ALL - Counter([kind])) == [f"the fault {kind} did not happen"]


@pytest.mark.parametrize("kind", [FULL_DISK, *NETWORK])
def test_somebody_has_to_meet_a_fault(told: Soaked, kind: str) -> None:
    assert told.judged(met=ALL - Counter([kind])) == [f"nobody met the fault {kind}"]


def test_a_fault_that_cannot_be_here_is_named_instead(told: Soaked) -> None:
    left_out = {FULL_DISK: "needs root"}
    rest = ALL - Counter([FULL_DISK])
    assert told.judged(rest, rest, left_out=left_out) == []


def test_a_failure_is_explained_only_by_a_fault_that_happened(told: Soaked) -> None:
    _failed("unavailable.integrity", "damaged")(told.ledger)
    told.ledger.sums.clear()
    flips = Counter(["flip-up", "flip-down"])
    assert any("no fault explains" in what for what in told.judged(ALL - flips))
    assert not any("no fault explains" in what for what in told.judged())


def test_few_jobs_for_a_long_run_do_not_pass(told: Soaked) -> None:
    assert any("jobs were accepted in 180 s" in what for what in told.judged(seconds=180))


def test_a_bug_in_the_log_is_found() -> None:
    log = '{"message": "well"}\n{"exception": "Traceback (most recent call last)"}\n'
    assert len(list(log_lines(log))) == 1


# Processes.


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def _called(roll: Roll, process: subprocess.Popen[bytes], *, at_the_end: bool = False) -> list[str]:
    roll.call([("worker", process.pid, process.poll() is None)], all_must_live=at_the_end)
    return roll.deaths


def test_a_process_that_ends_by_itself_is_found_once(sleeper: subprocess.Popen[bytes]) -> None:
    roll = Roll()
    assert _called(roll, sleeper) == []
    sleeper.kill()
    sleeper.wait()
    _called(roll, sleeper)
    assert _called(roll, sleeper, at_the_end=True) == [
        f"worker {sleeper.pid} ended by itself; see its log"
    ]


def test_a_process_that_was_killed_has_to_be_replaced(sleeper: subprocess.Popen[bytes]) -> None:
    roll = Roll()
    roll.killed.add(sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    assert _called(roll, sleeper) == []
    assert _called(roll, sleeper, at_the_end=True) == [f"worker {sleeper.pid} is not running"]


# Requests.


def _refusing(status: int) -> httpx.AsyncClient:
    def answer(request: httpx.Request) -> httpx.Response:
        if status == 0:
            raise httpx.ReadTimeout("nothing came", request=request)
        return httpx.Response(status, json={"code": "x"})

    return httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://soak")


def _asked(status: int, work: Callable[[Client], Any]) -> Ledger:
    ledger = Ledger()

    async def ask() -> None:
        async with _refusing(status) as http:
            client = Client(http, ledger, 1, "key")
            client.patience = 0
            await work(client)

    asyncio.run(ask())
    return ledger


def test_requests_without_an_answer_count_with_their_time() -> None:
    ledger = _asked(0, lambda client: client.ask("GET /", "GET", "/"))
    assert (
        ledger.unanswered["GET /"] == len(ledger.times["GET /"]) == len(ledger.waits["GET /"]) == 1
    )


def test_the_slowest_of_a_hundred_is_the_p99() -> None:
    assert quantile(sorted([20.0, *[0.1] * 99]), 0.99) == 20.0
    assert quantile([], 0.99) is None


def test_a_500_is_wrong() -> None:
    ledger = _asked(500, lambda client: client.ask("GET /", "GET", "/"))
    assert ledger.wrong and "500" in ledger.wrong[0]


def test_requests_that_nobody_answers_are_found() -> None:
    ledger = Ledger()
    ledger.bodies["name"] = ("/v1/generate", {})

    async def settled() -> None:
        async with _refusing(503) as http:
            client = Client(http, ledger, 1, "key")
            await settle([client], ledger, drain=0, patience=0)

    asyncio.run(settled())
    assert any("1 requests are not answered" in what for what in ledger.wrong)


def test_a_no_to_what_must_be_there_is_wrong() -> None:
    body = {"dataset_id": "ds_lost"}
    assert _asked(404, lambda client: client.submit("/v1/models", body)).wrong
