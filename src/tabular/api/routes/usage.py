"""``/v1/usage``: what was used, what is held, and what the plan still allows."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BeforeValidator
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tabular.api.dependencies import Parts, Requires
from tabular.api.paging import Paged
from tabular.api.usage_schemas import (
    PrincipalUsage,
    PrincipalUsagePage,
    QuotasOut,
    Totals,
    UsageDayOut,
    UsageOut,
)
from tabular.errors import InputError, NotFoundError
from tabular.infra.auth.principal import Principal
from tabular.infra.auth.scopes import ADMIN
from tabular.infra.database.models import ApiKey, SignInSession
from tabular.infra.database.usage_models import UsageDay
from tabular.infra.plans import Plans
from tabular.worker.accounting import day_after, month_after, standing

router = APIRouter(prefix="/v1/usage", tags=["usage"])

Anyone = Annotated[Principal, Depends(Requires())]
Admin = Annotated[Principal, Depends(Requires(ADMIN))]
MOST_DAYS = 366
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_COUNTS = tuple(Totals.model_fields)


def _written_out(value: Any) -> Any:
    """Only a date as it is written, not the seconds since 1970 that would be taken for one."""
    if isinstance(value, str) and not _DATE.fullmatch(value):
        raise ValueError("write a day such as 2026-11-30")
    return value


Day = Annotated[date, BeforeValidator(_written_out)]


class Days:
    """A range of days of UTC, both ends included; the present month when none is given."""

    def __init__(
        self,
        first: Annotated[Day | None, Query(alias="from", description="First day, UTC.")] = None,
        last: Annotated[Day | None, Query(alias="to", description="Last day, UTC.")] = None,
    ) -> None:
        self.last = last or max(datetime.now(UTC).date(), first or date.min)
        self.first = first or self.last.replace(day=1)
        if not timedelta() <= self.last - self.first < timedelta(days=MOST_DAYS):
            raise InputError(
                f"{self.first} to {self.last} is no range of 1 to {MOST_DAYS} days",
                where="from",
                hint="write such as ?from=2026-11-01&to=2026-11-30",
            )


Ranged = Annotated[Days, Depends()]


@router.get("")
def usage(
    service: Parts,
    days: Ranged,
    principal: Anyone,
    wanted: Annotated[
        str | None,
        Query(alias="principal", max_length=40, description="Of another; for administrators."),
    ] = None,
) -> UsageOut:
    """What one principal did on each day, holds now, and may still do by its plan.

    Without `principal` one's own. Days without anything are left out.
    """
    other = wanted is not None and wanted != principal.id
    if other:
        principal.require(ADMIN)
    with service.database.session() as session:
        who = _found(session, str(wanted), service.plans) if other else principal
        return _usage(session, who, days, service.plans)


@router.get("/principals")
def usage_of_all(service: Parts, days: Ranged, page: Paged, _: Admin) -> PrincipalUsagePage:
    """The sums of everybody who did something in the range, newest first."""
    sums = (func.sum(getattr(UsageDay, name)).label(name) for name in _COUNTS)
    grouped = (
        select(func.max(UsageDay.seq).label("seq"), UsageDay.principal_id, *sums)
        .where(UsageDay.day >= days.first, UsageDay.day <= days.last)
        .group_by(UsageDay.principal_id)
        .subquery()
    )
    query = select(grouped).order_by(grouped.c.seq.desc()).limit(page.limit + 1)
    if page.before is not None:
        query = query.where(grouped.c.seq < page.before)
    with service.database.session() as session:
        rows = list(session.execute(query).mappings())
    shown = rows[: page.limit]
    return PrincipalUsagePage(
        items=[PrincipalUsage.model_validate(dict(row)) for row in shown],
        next=str(shown[-1]["seq"]) if len(rows) > page.limit else None,
    )


def _usage(session: Session, who: Principal, days: Days, plans: Plans) -> UsageOut:
    now = datetime.now(UTC)
    rows = session.scalars(
        select(UsageDay)
        .where(UsageDay.principal_id == who.id)
        .where(UsageDay.day >= days.first, UsageDay.day <= days.last)
        .order_by(UsageDay.day)
    ).all()
    held, plan = standing(session, who.id, now), plans.of(who)
    return UsageOut(
        principal_id=who.id,
        name=who.name,
        plan=who.plan,
        quotas=QuotasOut.model_validate(plan.model_dump()),
        storage_bytes=held.stored,
        rows_today=held.rows_today,
        rows_this_month=held.rows_this_month,
        rows_promised=held.rows_promised,
        jobs_waiting_or_running=held.jobs,
        day_resets_at=day_after(now),
        month_resets_at=month_after(now),
        days=[UsageDayOut.model_validate(row, from_attributes=True) for row in rows],
        total=Totals(**{name: sum(getattr(row, name) for row in rows) for name in _COUNTS}),
    )


def _found(session: Session, principal_id: str, plans: Plans) -> Principal:
    """A key, or a person by the newest session; of others only what they used is known.

    Raises:
        NotFoundError: nobody of that id was ever seen.
    """
    key = session.scalar(select(ApiKey).where(ApiKey.id == principal_id))
    if key is not None:
        return Principal(id=key.id, name=key.name, scopes=frozenset(), plan=key.plan)
    signed_in = session.scalar(
        select(SignInSession)
        .where(SignInSession.principal_id == principal_id)
        .order_by(SignInSession.seq.desc())
        .limit(1)
    )
    if signed_in is not None:
        person = Principal(
            id=principal_id,
            name=signed_in.name,
            scopes=frozenset(),
            kind="user",
            roles=tuple(signed_in.roles),
            groups=tuple(signed_in.groups),
            plan=signed_in.plan,
        )
        return plans.assigned(person)
    used = select(UsageDay.seq).where(UsageDay.principal_id == principal_id)
    if session.scalar(used.limit(1)) is None:
        raise NotFoundError(
            "no such principal", where=principal_id, hint="GET /v1/usage/principals lists them"
        )
    return Principal(id=principal_id, name=principal_id, scopes=frozenset(), kind="user")
