"""Rows by id, or the error that says how to find the right one."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from tabular.errors import ConflictError, NotFoundError
from tabular.infra.database.models import Dataset, Evaluation, Job, Model
from tabular.worker.jobs import QUEUED, RUNNING

Row = TypeVar("Row", Dataset, Model, Evaluation)


def dataset(session: Session, dataset_id: str, *, lock: bool = False) -> Dataset:
    """A dataset.

    Raises:
        NotFoundError: no such dataset.
    """
    return _row(session, Dataset, dataset_id, "dataset", lock=lock)


def model(session: Session, model_id: str, *, lock: bool = False) -> Model:
    """A model.

    Raises:
        NotFoundError: no such model.
    """
    return _row(session, Model, model_id, "model", lock=lock)


def evaluation(session: Session, evaluation_id: str) -> Evaluation:
    """An evaluation.

    Raises:
        NotFoundError: no such evaluation.
    """
    return _row(session, Evaluation, evaluation_id, "evaluation")


def _row(session: Session, kind: type[Row], row_id: str, name: str, *, lock: bool = False) -> Row:
    query = select(kind).where(kind.id == row_id)
    row = session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFoundError(f"no such {name}", where=row_id, hint=f"GET /v1/{name}s lists them")
    return row


def refuse_if_used(session: Session, what: str, *uses: object) -> None:
    """Return when no job that waits or runs needs it.

    Args:
        session: the transaction that is to delete it.
        what: its name for the error.
        *uses: conditions on jobs.

    Raises:
        ConflictError: one does.
    """
    for use in uses:
        job_id = session.scalar(
            select(Job.id).where(Job.status.in_((QUEUED, RUNNING)), use).limit(1)  # type: ignore[arg-type]
        )
        if job_id is not None:
            raise ConflictError(
                f"the {what} is needed by {job_id}",
                where=job_id,
                hint=f"wait for it, or POST /v1/jobs/{job_id}/cancel",
            )
