from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from tabular.errors import IntegrityError, NotFoundError, TableError, UnavailableError
from tabular.infra.database import Database
from tabular.infra.database.models import Garbage, Job, Model, new_id
from tabular.worker.jobs import FIT, GENERATE, Jobs, Lease, LostLeaseError
from tabular.worker.leases import Watch

RESULT = {"key": "k", "size": 1, "sha256": "0" * 64, "details": {}}


class Clock:
    """A wall clock that a test sets."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jobs(database: Database, clock: Clock) -> Jobs:
    return Jobs(database, max_tries=3, retry_delay=2.0, outage_limit=3600.0, clock=clock)


def submit(jobs: Jobs, database: Database, kind: str = GENERATE, **more: str) -> str:
    with database.transaction() as session:
        return jobs.submit(session, kind, {"rows": 1}, created_by="me", **more).id


def claim(jobs: Jobs) -> Lease:
    lease = jobs.claim("worker")
    assert lease is not None
    return lease


def garbage(database: Database) -> set[str]:
    with database.session() as session:
        return set(session.scalars(select(Garbage.prefix)))


def test_a_job_runs_and_succeeds(jobs: Jobs, database: Database) -> None:
    job_id = submit(jobs, database)
    lease = claim(jobs)
    assert (lease.job.id, lease.attempt, lease.job.worker) == (job_id, 1, "worker")
    assert not jobs.beat(lease, 0.25).cancel
    assert jobs.get(job_id).progress == 0.25
    jobs.finish(lease, RESULT)
    job = jobs.get(job_id)
    assert (job.status, job.progress, job.result) == ("succeeded", 1.0, RESULT)
    assert jobs.claim("worker") is None
    assert garbage(database) == set()


def test_a_fit_makes_its_model_usable_in_the_same_transaction(
    jobs: Jobs, database: Database, clock: Clock
) -> None:
    model_id = new_id("mdl")
    with database.transaction() as session:
        session.add(
            Model(
                id=model_id,
                name="m",
                engine="trees",
                preset="balanced",
                seed=0,
                created_at=clock(),
                created_by="me",
            )
        )
    submit(jobs, database, FIT, model_id=model_id)
    jobs.finish(claim(jobs), {**RESULT, "details": {"training_rows": 5}})
    with database.session() as session:
        model = session.scalars(select(Model)).one()
    assert (model.object_key, model.size, model.details) == ("k", 1, {"training_rows": 5})


def test_the_oldest_is_claimed_first(jobs: Jobs, database: Database) -> None:
    ids = [submit(jobs, database) for _ in range(3)]
    assert [claim(jobs).job.id for _ in range(3)] == ids


def test_many_workers_never_get_the_same_job(jobs: Jobs, database: Database) -> None:
    ids = {submit(jobs, database) for _ in range(40)}
    claimed: list[str] = []

    def work() -> None:
        while (lease := jobs.claim("worker")) is not None:
            claimed.append(lease.job.id)
            jobs.finish(lease, RESULT)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == 40
    assert set(claimed) == ids


def test_a_worker_that_was_taken_for_dead_changes_nothing(jobs: Jobs, database: Database) -> None:
    job_id = submit(jobs, database)
    zombie = claim(jobs)
    (pulse,) = jobs.running()
    assert jobs.expire(pulse) == "queued"
    for late in (
        lambda: jobs.beat(zombie, 0.5),
        lambda: jobs.finish(zombie, RESULT),
        lambda: jobs.fail(zombie, UnavailableError("x"), retry=True),
        lambda: jobs.postpone(zombie, UnavailableError("x"), spent=1.0),
        lambda: jobs.release(zombie),
        lambda: jobs.cancelled(zombie),
    ):
        with pytest.raises(LostLeaseError):
            late()
    assert jobs.get(job_id).status == "queued"
    assert jobs.get(job_id).result is None


def test_the_second_attempt_wins_over_the_first(
    jobs: Jobs, database: Database, clock: Clock
) -> None:
    job_id = submit(jobs, database)
    zombie = claim(jobs)
    jobs.expire(jobs.running()[0])
    clock.advance(60)
    second = claim(jobs)
    assert second.attempt == 2
    with pytest.raises(LostLeaseError):
        jobs.finish(zombie, {**RESULT, "key": "zombie"})
    jobs.finish(second, {**RESULT, "key": "second"})
    with pytest.raises(LostLeaseError):
        jobs.finish(zombie, {**RESULT, "key": "zombie"})
    result = jobs.get(job_id).result
    assert result is not None
    assert result["key"] == "second"
    assert garbage(database) == {f"jobs/{job_id}/1"}


def test_a_job_is_tried_three_times_with_growing_delays(
    jobs: Jobs, database: Database, clock: Clock
) -> None:
    job_id = submit(jobs, database)
    error = IntegrityError("the object is damaged", hint="upload it again")
    assert jobs.fail(claim(jobs), error, retry=True) == "queued"
    clock.advance(1.9)
    assert jobs.claim("worker") is None
    clock.advance(0.2)
    assert jobs.fail(claim(jobs), error, retry=True) == "queued"
    clock.advance(7.9)
    assert jobs.claim("worker") is None
    clock.advance(0.2)
    assert jobs.fail(claim(jobs), error, retry=True) == "failed"
    job = jobs.get(job_id)
    assert job.error == error.as_dict()
    assert job.finished_at is not None
    assert garbage(database) == {f"jobs/{job_id}"}


def test_an_outage_is_no_try_and_waits_longer_each_time(
    jobs: Jobs, database: Database, clock: Clock
) -> None:
    job_id = submit(jobs, database)
    error = UnavailableError("the store is away", where="s3://bucket", hint="start it")
    for delay in (2, 2, 4, 8, 16, 32, 60, 60, 60):
        assert jobs.postpone(claim(jobs), error, spent=0.0) == "queued"
        assert jobs.get(job_id).error == error.as_dict()
        clock.advance(delay - 0.1)
        assert jobs.claim("worker") is None, delay
        clock.advance(0.2)
    for _ in range(2):  # every try is left
        assert jobs.fail(claim(jobs), IntegrityError("x"), retry=True) == "queued"
        clock.advance(60)
    assert jobs.fail(claim(jobs), IntegrityError("x"), retry=True) == "failed"


def test_an_outage_ends_the_job_after_its_limit_and_says_so(
    jobs: Jobs, database: Database, clock: Clock
) -> None:
    job_id = submit(jobs, database)
    error = UnavailableError("the store is away", where="s3://bucket")
    rounds = 1
    while jobs.postpone(claim(jobs), error, spent=30.0) == "queued":
        clock.advance(60)
        rounds += 1
    assert rounds == 41  # of 90 s each, the first few shorter
    job = jobs.get(job_id)
    assert job.error == {
        "code": "unavailable.outage",
        "message": "given up after 1 h of outage: the store is away",
        "where": "s3://bucket",
        "hint": "submit it again once the service is well; "
        "TABULAR_OUTAGE_LIMIT is how long it waits",
    }
    assert garbage(database) == {f"jobs/{job_id}"}


def test_what_nobody_takes_is_told_why_and_stays_due(
    jobs: Jobs, database: Database, clock: Clock
) -> None:
    full = UnavailableError("the disk is full", hint="make room", code="unavailable.disk-full")
    lying = submit(jobs, database)
    clock.advance(9)
    young = submit(jobs, database)
    clock.advance(1)
    for _ in range(2):  # workers without room
        assert jobs.neglected(full, 10.0) == []
    assert jobs.get(young).error is None
    told = jobs.get(lying)
    assert (told.error, told.outage, told.tries, told.attempt) == (full.as_dict(), 10.0, 0, 0)
    taken = claim(jobs)
    assert (taken.job.id, taken.attempt) == (lying, 1)
    clock.advance(20)
    jobs.neglected(full, 10.0)
    assert (jobs.get(lying).status, jobs.get(lying).outage) == ("running", 10.0)
    assert jobs.get(young).error == full.as_dict()


def test_what_nobody_takes_for_too_long_has_failed(
    jobs: Jobs, database: Database, clock: Clock
) -> None:
    full = UnavailableError("the disk is full", hint="make room", code="unavailable.disk-full")
    job_id = submit(jobs, database)
    parted = submit(jobs, database)
    clock.advance(1)
    jobs.claim("a")
    whole = claim(jobs)
    assert whole.job.id == parted
    jobs.split(whole, [(0, 1), (1, 1)])
    jobs.release(Lease(jobs.get(job_id), 1))
    rounds, failed = 0, []
    while not failed:
        clock.advance(300)
        rounds += 1
        failed = list(jobs.neglected(full, 300.0))
    assert (rounds, failed) == (12, [GENERATE, GENERATE])
    for name in (job_id, parted):
        job = jobs.get(name)
        assert (job.status, job.error["code"]) == ("failed", "unavailable.outage")
        assert job.error["message"] == "given up after 1 h of outage: the disk is full"
        assert job.error["hint"].startswith("make room; submit it again")
    assert jobs.running() == []


def test_a_clock_set_forward_does_not_end_a_job_that_waits_for_an_outage(
    jobs: Jobs, database: Database, clock: Clock
) -> None:
    job_id = submit(jobs, database)
    jobs.postpone(claim(jobs), UnavailableError("x"), spent=0.0)
    clock.advance(86_400)
    assert jobs.postpone(claim(jobs), UnavailableError("x"), spent=0.0) == "queued"
    clock.advance(-90_000)
    assert claim(jobs).job.id == job_id


def test_an_error_that_another_try_cannot_mend_ends_the_job(jobs: Jobs, database: Database) -> None:
    submit(jobs, database)
    assert jobs.fail(claim(jobs), TableError("no"), retry=False) == "failed"


def test_a_job_that_kills_workers_stands_behind_the_untried(
    jobs: Jobs, database: Database, clock: Clock
) -> None:
    poison = submit(jobs, database)
    claim(jobs)
    jobs.expire(jobs.running()[0])
    good = [submit(jobs, database) for _ in range(2)]
    clock.advance(60)
    assert [claim(jobs).job.id for _ in range(3)] == [*good, poison]


def test_a_clock_set_back_does_not_hold_a_retry_up(
    jobs: Jobs, database: Database, clock: Clock
) -> None:
    job_id = submit(jobs, database)
    jobs.fail(claim(jobs), UnavailableError("x"), retry=True)
    assert jobs.claim("worker") is None
    clock.advance(-3600)
    assert claim(jobs).job.id == job_id


def test_release_gives_the_job_back_and_is_no_try(jobs: Jobs, database: Database) -> None:
    job_id = submit(jobs, database)
    for attempt in range(1, 6):
        lease = claim(jobs)
        assert (lease.job.id, lease.attempt, lease.job.tries) == (job_id, attempt, 1)
        jobs.release(lease)


def test_a_waiting_job_is_cancelled_at_once(jobs: Jobs, database: Database) -> None:
    job_id = submit(jobs, database)
    assert jobs.cancel(job_id).status == "cancelled"
    assert jobs.claim("worker") is None
    assert jobs.cancel(job_id).status == "cancelled"


def test_a_running_job_hears_of_its_cancelling_with_its_heartbeat(
    jobs: Jobs, database: Database
) -> None:
    job_id = submit(jobs, database)
    lease = claim(jobs)
    assert jobs.cancel(job_id).status == "running"
    assert jobs.beat(lease, 0.5).cancel
    jobs.cancelled(lease)
    assert jobs.get(job_id).status == "cancelled"
    assert garbage(database) == {f"jobs/{job_id}"}


@pytest.mark.parametrize("end", ["expire", "fail", "postpone", "release"])
def test_a_cancelled_job_is_not_tried_again(jobs: Jobs, database: Database, end: str) -> None:
    job_id = submit(jobs, database)
    lease = claim(jobs)
    jobs.cancel(job_id)
    if end == "expire":
        jobs.expire(jobs.running()[0])
    elif end == "fail":
        jobs.fail(lease, UnavailableError("x"), retry=True)
    elif end == "postpone":
        jobs.postpone(lease, UnavailableError("x"), spent=1.0)
    else:
        jobs.release(lease)
    assert jobs.get(job_id).status == "cancelled"


def test_a_job_that_has_ended_stays_when_cancelled(jobs: Jobs, database: Database) -> None:
    job_id = submit(jobs, database)
    jobs.finish(claim(jobs), RESULT)
    assert jobs.cancel(job_id).status == "succeeded"
    with pytest.raises(NotFoundError):
        jobs.cancel("job_" + "0" * 20)


def test_only_the_last_sign_of_life_can_be_expired(jobs: Jobs, database: Database) -> None:
    submit(jobs, database)
    lease = claim(jobs)
    (old,) = jobs.running()
    jobs.beat(lease, 0.1)
    assert jobs.expire(old) is None
    jobs.beat(lease, 0.2)


def test_a_job_is_lost_when_its_pulse_stands_still_for_a_lease(
    jobs: Jobs, database: Database, clock: Clock
) -> None:
    submit(jobs, database)
    lease = claim(jobs)
    ticks = 0.0
    watch = Watch(30.0, clock=lambda: ticks)
    assert watch.lost(jobs.running()) == []
    ticks = 15.0
    assert watch.lost(jobs.running()) == []
    ticks = 29.0
    jobs.beat(lease, 0.1)
    assert watch.lost(jobs.running()) == []
    clock.advance(-86_400)  # what the wall clock says plays no part
    ticks = 44.0
    assert watch.lost(jobs.running()) == []
    ticks = 58.9
    assert watch.lost(jobs.running()) == []
    ticks = 59.1
    assert [pulse.attempt for pulse in watch.lost(jobs.running())] == [1]


def test_no_job_is_lost_because_nobody_could_look(jobs: Jobs, database: Database) -> None:
    submit(jobs, database)
    claim(jobs)
    ticks = 0.0
    watch = Watch(30.0, clock=lambda: ticks)
    watch.lost(jobs.running())
    ticks = 3600.0  # the database was away, for the job's own worker too
    assert watch.lost(jobs.running()) == []
    ticks = 3614.9
    assert watch.lost(jobs.running()) == []
    ticks = 3615.1
    assert len(watch.lost(jobs.running())) == 1


def test_rolled_back_submissions_leave_no_job(jobs: Jobs, database: Database) -> None:
    with pytest.raises(RuntimeError), database.transaction() as session:
        jobs.submit(session, FIT, {}, created_by="me")
        raise RuntimeError
    with database.session() as session:
        assert session.scalar(select(Job)) is None
