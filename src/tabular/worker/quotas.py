"""Quotas of plans, enforced where work is accepted.

Submissions of one principal are weighed one after the other: each locks that one's account, sees
what is used and promised, and is itself promised in the same transaction. So any number of them
at once cannot overshoot. The lock comes after all others of a submission, so none wait crosswise.
"""

from __future__ import annotations

import math
from datetime import datetime

from sqlalchemy.orm import Session

from tabular.errors import QuotaError, QuotaSpentError
from tabular.infra.database.upsert import add_to
from tabular.infra.database.usage_models import UsageAccount
from tabular.infra.plans import Plan
from tabular.worker.accounting import Standing, day_after, month_after, standing

BUSY_RETRY = 10.0  # seconds that are told to wait while too many jobs wait or run


def admit(
    session: Session,
    principal_id: str,
    plan: Plan,
    now: datetime,
    *,
    rows: int = 0,
    jobs: int = 0,
) -> None:
    """Return when the plan allows this work; the account stays locked until the transaction ends.

    Args:
        session: the transaction in which the work is accepted.
        principal_id: who asks.
        plan: that one's.
        now: the moment.
        rows: to be generated.
        jobs: to be added.

    Raises:
        QuotaError: too many rows for one job, or no storage left.
        QuotaSpentError: rows of the day or month, or places for jobs, are used up for now.
    """
    check_job_rows(plan, rows)
    if not plan.counts_work:
        return
    found = locked_standing(session, principal_id, now)
    check_storage(plan, found, 0)
    if jobs:
        _check_jobs(plan, found, jobs)
    if rows:
        _check_rows(plan, found, rows, now)


def locked_standing(session: Session, principal_id: str, now: datetime) -> Standing:
    """What a principal has used, with its account locked until the transaction ends."""
    add_to(session, UsageAccount, {"principal_id": principal_id}, {"weighed": 1})
    return standing(session, principal_id, now)


def check_job_rows(plan: Plan, rows: int) -> None:
    """Return when one generation may have so many rows.

    Raises:
        QuotaError: it may not.
    """
    limit = plan.max_job_rows
    if limit is not None and rows > limit:
        raise QuotaError(
            f"the plan allows {limit:,} rows in one generation, and {rows:,} were asked for",
            hint="ask for fewer rows, in several jobs with different seeds, or for another plan",
            code="quota.job-rows",
            limit=limit,
            used=0,
            requested=rows,
        )


def check_storage(plan: Plan, found: Standing, size: int) -> None:
    """Return when so many bytes more may be kept; with none, when there is any space left.

    Raises:
        QuotaError: they may not.
    """
    limit = plan.storage_bytes
    if limit is not None and (found.stored + size > limit or (not size and found.stored >= limit)):
        raise QuotaError(
            f"the plan's storage of {limit:,} bytes is used up: {found.stored:,} are kept",
            hint="delete datasets, models or jobs that are not needed, or ask for another plan",
            code="quota.storage",
            limit=limit,
            used=found.stored,
            requested=size or None,
        )


def _check_jobs(plan: Plan, found: Standing, jobs: int) -> None:
    limit = plan.concurrent_jobs
    if limit is not None and found.jobs + jobs > limit:
        raise QuotaSpentError(
            f"the plan allows {limit:,} jobs that wait or run, and {found.jobs:,} do",
            hint="wait until one has ended, or cancel one: POST /v1/jobs/{job_id}/cancel",
            code="quota.concurrent-jobs",
            limit=limit,
            used=found.jobs,
            requested=jobs,
            retry_after=BUSY_RETRY,
        )


def _check_rows(plan: Plan, found: Standing, rows: int, now: datetime) -> None:
    periods = (
        ("day", plan.rows_per_day, found.rows_today, day_after(now)),
        ("month", plan.rows_per_month, found.rows_this_month, month_after(now)),
    )
    for name, limit, made, resets_at in reversed(periods):  # the longer wait is the true one
        taken = made + found.rows_promised
        if limit is None or taken + rows <= limit:
            continue
        promised = f", {found.rows_promised:,} of them by jobs that run" * bool(found.rows_promised)
        raise QuotaSpentError(
            f"the plan allows {limit:,} rows a {name}; {taken:,} are taken{promised}, and "
            f"{rows:,} were asked for",
            hint=f"ask for at most {max(0, limit - taken):,} rows, wait until "
            f"{resets_at:%Y-%m-%dT%H:%MZ}, or ask for another plan",
            code=f"quota.rows-per-{name}",
            limit=limit,
            used=taken,
            requested=rows,
            resets_at=resets_at,
            retry_after=math.ceil((resets_at - now).total_seconds()),
        )
