"""The tables of usage: what each principal did on each day, and what it is doing now.

Apart from `models`, because only accounting knows them. What is kept (storage) and what was
promised to jobs is not here: it is read off the datasets, models and jobs themselves, so that it
can never differ from them.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from tabular.infra.database.columns import Moment, Sequence
from tabular.infra.database.models import Base, Dataset, Job, Model

Index("ix_jobs_created_by_status", Job.created_by, Job.status)
Index("ix_datasets_created_by", Dataset.created_by)
Index("ix_models_created_by", Model.created_by)


class UsageDay(Base):
    """What a principal did on a day of UTC; only ever added to."""

    __tablename__ = "usage_days"
    __table_args__ = (UniqueConstraint("principal_id", "day"),)

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    principal_id: Mapped[str] = mapped_column(String(40))
    day: Mapped[date] = mapped_column(index=True)
    rows: Mapped[int] = mapped_column(Sequence, default=0)
    jobs: Mapped[int] = mapped_column(Sequence, default=0)
    bytes_uploaded: Mapped[int] = mapped_column(Sequence, default=0)
    bytes_downloaded: Mapped[int] = mapped_column(Sequence, default=0)
    bytes_stored: Mapped[int] = mapped_column(Sequence, default=0)


class UsageAccount(Base):
    """The row that submissions of a principal lock, so that they are weighed one by one."""

    __tablename__ = "usage_accounts"

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    principal_id: Mapped[str] = mapped_column(String(40), unique=True)
    weighed: Mapped[int] = mapped_column(Sequence, default=0)


class UsageReservation(Base):
    """Rows that are being generated within a request, and so are not a job's.

    Attributes:
        expires_at: when they count no more; whoever held them has been killed.
    """

    __tablename__ = "usage_reservations"

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(40), unique=True)
    principal_id: Mapped[str] = mapped_column(String(40), index=True)
    rows: Mapped[int] = mapped_column(Sequence)
    expires_at: Mapped[datetime] = mapped_column(Moment)
