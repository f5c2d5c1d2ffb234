"""The shapes of usage."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel, Field


class Totals(BaseModel):
    """What was done in some time."""

    rows: int = Field(description="Generated, by jobs and within requests.")
    jobs: int = Field(description="That succeeded.")
    bytes_uploaded: int
    bytes_downloaded: int = Field(description="Of rows: bodies of answers, as far as they went.")
    bytes_stored: int = Field(description="Added to storage, whether or not still kept.")


class UsageDayOut(Totals):
    """A day of UTC."""

    day: date


class QuotasOut(BaseModel):
    """What the plan allows; null is no limit of the plan's own."""

    rate_limit: str | None
    rows_per_day: int | None
    rows_per_month: int | None
    max_job_rows: int | None
    concurrent_jobs: int | None
    storage_bytes: int | None
    max_upload_bytes: int | None
    max_websockets: int | None


class UsageOut(BaseModel):
    """What one principal did, holds and may still do."""

    principal_id: str
    name: str
    plan: str
    quotas: QuotasOut
    storage_bytes: int = Field(description="Datasets, models and generated rows that are kept.")
    rows_today: int
    rows_this_month: int
    rows_promised: int = Field(description="To jobs that wait or run; they count as taken.")
    jobs_waiting_or_running: int
    day_resets_at: datetime
    month_resets_at: datetime
    days: list[UsageDayOut]
    total: Totals = Field(description="Of the days asked for.")


class PrincipalUsage(Totals):
    """What one principal did in the range."""

    principal_id: str


class PrincipalUsagePage(BaseModel):
    """Principals, the one that began last first."""

    items: list[PrincipalUsage]
    next: str | None
