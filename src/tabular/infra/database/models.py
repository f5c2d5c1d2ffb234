"""The tables, in one place, because their rows refer to each other.

Every table has `seq`, the order of insertion (lists are paged by it, and jobs queue by it,
which no change of a clock can disturb) and a random `id` that the outside sees.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Double, ForeignKey, Index, MetaData, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tabular.infra.database.columns import Document, Moment, Sequence

NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


def new_id(prefix: str) -> str:
    """A fresh id of 80 random bits: ``PREFIX_`` and 20 hex digits."""
    return f"{prefix}_{secrets.token_hex(10)}"


class Base(DeclarativeBase):
    """Common to all tables."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = {float: Double()}


class ApiKey(Base):
    """A key that was issued. The secret itself is kept nowhere."""

    __tablename__ = "api_keys"

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    secret_hash: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[str]] = mapped_column(Document)
    role: Mapped[str | None] = mapped_column(String(16))
    plan: Mapped[str] = mapped_column(String(64), default="default")
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    revoked_at: Mapped[datetime | None] = mapped_column(Moment)
    last_used_at: Mapped[datetime | None] = mapped_column(Moment)
    rotated_at: Mapped[datetime | None] = mapped_column(Moment)
    previous_hash: Mapped[str | None] = mapped_column(String(64))
    previous_until: Mapped[datetime | None] = mapped_column(Moment)


class SignInSession(Base):
    """A sign-in that was accepted. Of its token only the hash is kept.

    Attributes:
        key_id: of the key that was exchanged for it, whose row then says what it may do.
    """

    __tablename__ = "sign_in_sessions"

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(40), unique=True)
    secret_hash: Mapped[str] = mapped_column(String(64))
    principal_id: Mapped[str] = mapped_column(String(40), index=True)
    name: Mapped[str] = mapped_column(String(200))
    key_id: Mapped[str | None] = mapped_column(String(40), index=True)
    roles: Mapped[list[str]] = mapped_column(Document)
    groups: Mapped[list[str]] = mapped_column(Document)
    plan: Mapped[str] = mapped_column(String(64))
    client: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment, index=True)
    revoked_at: Mapped[datetime | None] = mapped_column(Moment)


class AuditEvent(Base):
    """Something that matters for security and happened; see `infra.auth.audit`."""

    __tablename__ = "audit_events"

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(40), unique=True)
    at: Mapped[datetime] = mapped_column(Moment, index=True)
    event: Mapped[str] = mapped_column(String(40))
    outcome: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str | None] = mapped_column(String(64))
    principal_id: Mapped[str | None] = mapped_column(String(40))
    kind: Mapped[str | None] = mapped_column(String(8))
    name: Mapped[str | None] = mapped_column(String(200))
    resource: Mapped[str | None] = mapped_column(String(200))
    client: Mapped[str] = mapped_column(String(64))
    request_id: Mapped[str] = mapped_column(String(64))


class Dataset(Base):
    """A real table that was uploaded, read once from end to end, and found whole."""

    __tablename__ = "datasets"

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    format: Mapped[str] = mapped_column(String(16))
    size: Mapped[int] = mapped_column(Sequence)
    sha256: Mapped[str] = mapped_column(String(64))
    rows: Mapped[int] = mapped_column(Sequence)
    columns: Mapped[list[dict[str, Any]]] = mapped_column(Document)
    object_key: Mapped[str] = mapped_column(String(512))
    preview_key: Mapped[str] = mapped_column(String(512))
    profile_key: Mapped[str] = mapped_column(String(512))
    created_at: Mapped[datetime] = mapped_column(Moment)
    created_by: Mapped[str] = mapped_column(String(40))


class Model(Base):
    """A synthesizer that is to be fitted, or was. It outlives its dataset."""

    __tablename__ = "models"

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    dataset_id: Mapped[str | None] = mapped_column(
        ForeignKey("datasets.id", ondelete="SET NULL"), index=True
    )
    engine: Mapped[str] = mapped_column(String(64))
    preset: Mapped[str] = mapped_column(String(32))
    seed: Mapped[int] = mapped_column(Sequence)
    table_schema: Mapped[dict[str, Any] | None] = mapped_column(Document)
    object_key: Mapped[str | None] = mapped_column(String(512))
    size: Mapped[int | None] = mapped_column(Sequence)
    sha256: Mapped[str | None] = mapped_column(String(64))
    details: Mapped[dict[str, Any] | None] = mapped_column(Document)
    created_at: Mapped[datetime] = mapped_column(Moment)
    created_by: Mapped[str] = mapped_column(String(40))


class Job(Base):
    """A piece of work that was accepted.

    Attributes:
        attempt: how often it was claimed; the fencing token: only the holder of the present
            number may change the row.
        tries: claims that count against `max_tries` (one given back unharmed does not).
        beat: raised by each heartbeat and each change, and never lowered, so that it puts the
            states of a job in order; whoever sees it stand still for the length of a lease,
            by a clock that cannot be set, may take the job away.
        parts: into how many parts the job was split, see `JobPart`; it has no worker then.
        not_before, requeued_at: a courtesy delay after a failed try; see `worker.jobs`.
        outage: seconds that tries and delays took which ended because the store or the
            database did not answer; such a try does not count, and this bounds them.
        expired_at: when its result was removed for its age; what it was is still known.
        traceparent: the trace that it is part of, as W3C Trace Context writes it.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_status_tries_seq", "status", "tries", "seq"),
        Index("ix_jobs_expired_at_finished_at", "expired_at", "finished_at"),
    )

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(40), unique=True)
    kind: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16))
    params: Mapped[dict[str, Any]] = mapped_column(Document)
    dataset_id: Mapped[str | None] = mapped_column(String(40), index=True)
    model_id: Mapped[str | None] = mapped_column(String(40), index=True)
    evaluation_id: Mapped[str | None] = mapped_column(String(40), index=True)
    attempt: Mapped[int] = mapped_column(default=0)
    tries: Mapped[int] = mapped_column(default=0)
    max_tries: Mapped[int]
    beat: Mapped[int] = mapped_column(Sequence, default=0)
    parts: Mapped[int | None]
    worker: Mapped[str | None] = mapped_column(String(200))
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    progress: Mapped[float] = mapped_column(default=0.0)
    error: Mapped[dict[str, Any] | None] = mapped_column(Document)
    result: Mapped[dict[str, Any] | None] = mapped_column(Document)
    not_before: Mapped[datetime | None] = mapped_column(Moment)
    requeued_at: Mapped[datetime | None] = mapped_column(Moment)
    outage: Mapped[float] = mapped_column(Double, default=0.0, server_default="0")
    expired_at: Mapped[datetime | None] = mapped_column(Moment)
    traceparent: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(Moment)
    started_at: Mapped[datetime | None] = mapped_column(Moment)
    finished_at: Mapped[datetime | None] = mapped_column(Moment)
    created_by: Mapped[str] = mapped_column(String(40))


class JobPart(Base):
    """A piece of a job that any worker may do, as long as the job runs; see `worker.parts`.

    What a job has by the same name means the same here. The rows go when the job ends.

    Attributes:
        job_attempt: the attempt of the job that was split.
        number: its place among the parts, from 0.
        place: its place among everything that waits, counted like the `seq` of jobs.
        start, rows: which rows; no rows for the last part, which joins the others.
    """

    __tablename__ = "job_parts"
    __table_args__ = (
        UniqueConstraint("job_id", "number"),
        Index("ix_job_parts_status_tries_place", "status", "tries", "place"),
    )

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(40), unique=True)
    job_id: Mapped[str] = mapped_column(String(40))
    job_attempt: Mapped[int]
    number: Mapped[int]
    place: Mapped[int] = mapped_column(Sequence)
    start: Mapped[int] = mapped_column(Sequence)
    rows: Mapped[int] = mapped_column(Sequence)
    status: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(default=0)
    tries: Mapped[int] = mapped_column(default=0)
    max_tries: Mapped[int]
    beat: Mapped[int] = mapped_column(Sequence, default=0)
    worker: Mapped[str | None] = mapped_column(String(200))
    progress: Mapped[float] = mapped_column(default=0.0)
    error: Mapped[dict[str, Any] | None] = mapped_column(Document)
    result: Mapped[dict[str, Any] | None] = mapped_column(Document)
    not_before: Mapped[datetime | None] = mapped_column(Moment)
    requeued_at: Mapped[datetime | None] = mapped_column(Moment)
    outage: Mapped[float] = mapped_column(Double, default=0.0, server_default="0")
    started_at: Mapped[datetime | None] = mapped_column(Moment)


class Evaluation(Base):
    """How good and how private the rows of one generation are, once its job has ended."""

    __tablename__ = "evaluations"

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(40), unique=True)
    dataset_id: Mapped[str] = mapped_column(String(40), index=True)
    holdout_dataset_id: Mapped[str | None] = mapped_column(String(40))
    generation_job_id: Mapped[str] = mapped_column(String(40), index=True)
    report_key: Mapped[str | None] = mapped_column(String(512))
    page_key: Mapped[str | None] = mapped_column(String(512))
    created_at: Mapped[datetime] = mapped_column(Moment)
    created_by: Mapped[str] = mapped_column(String(40))


class IdempotencyKey(Base):
    """A client's name for a request, and the job that it made, so that a repeat makes none."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (UniqueConstraint("api_key_id", "key"),)

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    api_key_id: Mapped[str] = mapped_column(String(40))
    key: Mapped[str] = mapped_column(String(255))
    fingerprint: Mapped[str] = mapped_column(String(64))
    job_id: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(Moment)


class Garbage(Base):
    """A folder of objects that no row refers to, or not yet.

    An upload names its folder here first and takes the name back in the transaction that makes
    the dataset; a deletion names it in the transaction that removes the row. Whatever dies in
    between, what is left over is known and gets removed.
    """

    __tablename__ = "garbage"

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    prefix: Mapped[str] = mapped_column(String(512), unique=True)
    pending: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(Moment)


class Worker(Base):
    """A worker process and when it last gave a sign of life; see `worker.presence`."""

    __tablename__ = "workers"

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    started_at: Mapped[datetime] = mapped_column(Moment)
    seen_at: Mapped[datetime] = mapped_column(Moment)


class Hold(Base):
    """Somebody copies the objects that rows of one moment refer to: until then, none is removed.

    Attributes:
        expires_at: when it ends by itself; who holds on moves it further.
    """

    __tablename__ = "holds"

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(40), unique=True)
    reason: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
