"""Quotas that any number of submissions at once cannot overshoot, and usage that counts once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from tabular.errors import QuotaError, QuotaSpentError, TabularError
from tabular.infra.database import Database
from tabular.infra.database.models import Dataset, Job
from tabular.infra.database.usage_models import UsageDay
from tabular.infra.plans import Plan
from tabular.worker import accounting
from tabular.worker.jobs import GENERATE, Jobs, Lease
from tabular.worker.quotas import admit, check_storage, locked_standing

WHO = "0123456789abcdef"
THREADS = 20


def now() -> datetime:
    return datetime.now(UTC)


def jobs_of(database: Database) -> Jobs:
    return Jobs(database, max_tries=3, retry_delay=0.0)


def submit(database: Database, plan: Plan, rows: int, who: str = WHO) -> str:
    """As the API does it: weighed and promised in one transaction."""
    with database.transaction() as session:
        admit(session, who, plan, now(), rows=rows, jobs=1)
        return jobs_of(database).submit(session, GENERATE, {"rows": rows}, created_by=who).id


def claimed(database: Database) -> Lease:
    lease = jobs_of(database).claim("w")
    assert lease is not None
    return lease


def result(rows: int, size: int = 10) -> dict[str, Any]:
    return {"key": "k", "size": size, "sha256": "0" * 64, "format": "csv", "rows": rows}


def standing(database: Database, at: datetime | None = None) -> accounting.Standing:
    with database.session() as session:
        return accounting.standing(session, WHO, at or now())


def at_once(work: Callable[[int], object]) -> list[TabularError]:
    """What was raised by 20 threads that begin together."""
    refused: list[TabularError] = []
    begin = threading.Barrier(THREADS)

    def run(number: int) -> None:
        begin.wait()
        try:
            work(number)
        except QuotaError as error:
            refused.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return refused


@pytest.mark.parametrize(
    ("plan", "code"),
    [
        (Plan(rows_per_day=700), "quota.rows-per-day"),
        (Plan(rows_per_month=700), "quota.rows-per-month"),
        (Plan(concurrent_jobs=7), "quota.concurrent-jobs"),
    ],
)
def test_twenty_at_once_do_not_overshoot(database: Database, plan: Plan, code: str) -> None:
    refused = at_once(lambda _: submit(database, plan, 100))
    assert {error.code for error in refused} == {code}
    assert len(refused) == THREADS - 7
    assert standing(database).rows_promised == 700
    submit(database, plan, 100, who="another")


def test_uploads_at_once_do_not_overshoot(database: Database) -> None:
    plan = Plan(storage_bytes=750)

    def store(number: int) -> None:
        with database.transaction() as session:
            check_storage(plan, locked_standing(session, WHO, now()), 100)
            session.add(dataset(f"ds_{number}", 100))

    assert len(at_once(store)) == THREADS - 7
    assert standing(database).stored == 700


def dataset(name: str, size: int) -> Dataset:
    return Dataset(
        id=name,
        name="t",
        format="csv",
        size=size,
        sha256="",
        rows=1,
        columns=[],
        object_key="",
        preview_key="",
        profile_key="",
        created_at=now(),
        created_by=WHO,
    )


def test_promises_become_rows_in_one_moment_while_others_submit(database: Database) -> None:
    plan = Plan(rows_per_day=1000)
    for _ in range(5):
        submit(database, plan, 100)
    leases = [claimed(database) for _ in range(5)]

    def work(number: int) -> None:
        if number < 5:
            jobs_of(database).finish(leases[number], result(100))
        else:
            submit(database, plan, 100)

    refused = at_once(work)
    assert len(refused) == 10, "five finish, five are promised, whatever came first"
    found = standing(database)
    assert (found.rows_today, found.rows_promised) == (500, 500)


def test_a_job_that_is_tried_again_and_taken_away_counts_once(database: Database) -> None:
    submit(database, Plan(rows_per_day=100), 100)
    jobs = jobs_of(database)
    first = claimed(database)
    jobs.fail(first, TabularError("killed"), retry=True)
    second = claimed(database)
    assert standing(database).rows_promised == 100
    jobs.finish(second, result(100, size=5_000_000_000))
    for late in (first, second):
        with pytest.raises(Exception, match=late.job.id):
            jobs.finish(late, result(100))
    found = standing(database)
    assert (found.rows_today, found.rows_promised, found.jobs) == (100, 0, 0)
    assert found.stored == 5_000_000_000
    with database.session() as session:
        (day,) = session.scalars(select(UsageDay))
        assert (day.rows, day.jobs, day.bytes_stored) == (100, 1, 5_000_000_000)


def test_what_fails_is_cancelled_or_deleted_gives_its_part_back(database: Database) -> None:
    plan = Plan(rows_per_day=200, concurrent_jobs=2)
    jobs = jobs_of(database)
    cancelled = submit(database, plan, 100)
    submit(database, plan, 100)
    jobs.cancel(cancelled)
    jobs.fail(claimed(database), TabularError("no"), retry=False)
    assert standing(database) == accounting.Standing(0, 0, 0, 0, 0)
    kept = submit(database, plan, 200)
    jobs.finish(claimed(database), result(200, size=77))
    assert standing(database).stored == 77
    with database.transaction() as session:
        job = session.scalar(select(Job).where(Job.id == kept))
        session.delete(job)
    found = standing(database)
    assert (found.stored, found.rows_today) == (0, 200), "space comes back, rows do not"


def test_days_and_months_begin_anew(database: Database) -> None:
    plan = Plan(rows_per_day=100, rows_per_month=150)
    last = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
    for moment in (last - timedelta(days=1), last):
        with database.transaction() as session:
            accounting.used(session, WHO, moment, rows=75)
    with database.transaction() as session, pytest.raises(QuotaSpentError) as caught:
        admit(session, WHO, plan, last, rows=50)
    assert caught.value.code == "quota.rows-per-month"
    assert caught.value.resets_at == datetime(2026, 12, 1, tzinfo=UTC)
    assert (caught.value.limit, caught.value.used, caught.value.retry_after) == (150, 150, 60)
    with database.transaction() as session:
        admit(session, WHO, plan, last + timedelta(minutes=1), rows=100)


def test_a_reservation_counts_until_it_is_settled_or_too_old(database: Database) -> None:
    moment = now()
    with database.transaction() as session:
        held = accounting.reserve(session, WHO, 60, moment)
    assert standing(database).rows_promised == 60
    assert standing(database, moment + accounting.RESERVED).rows_promised == 0
    with database.transaction() as session:
        accounting.settle(session, held)
    assert standing(database).rows_promised == 0


def test_one_generation_has_a_limit_of_its_own(database: Database) -> None:
    with pytest.raises(QuotaError) as caught:
        submit(database, Plan(max_job_rows=99), 100)
    assert (caught.value.code, caught.value.limit) == ("quota.job-rows", 99)
    submit(database, Plan(max_job_rows=100), 100)
