"""Deletion of jobs and evaluations with everything that they made.

A model and an evaluation show the state of the job that makes them, so that job stays as long as
they do; and deleting them needs a right of their own, which deleting a job must not go round.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from tabular.api import lookup
from tabular.api.service import Service
from tabular.api.views import evaluation_jobs
from tabular.errors import ConflictError
from tabular.infra.database.models import Evaluation, Job, Model
from tabular.worker.jobs import ENDED, FIT, find
from tabular.worker.objects import job_folder


def delete_job(service: Service, job_id: str) -> None:
    """Delete a job that has ended, with its rows.

    Raises:
        NotFoundError: no such job.
        ConflictError: it has not ended, or something that stays is made of it.
    """
    with service.database.transaction() as session:
        job = find(session, job_id, lock=True)
        if job.status not in ENDED:
            raise ConflictError(
                f"the job is {job.status}",
                where=job.id,
                hint=f"POST /v1/jobs/{job.id}/cancel first",
            )
        _refuse_if_made(session, job)
        judged = select(Evaluation.id).where(Evaluation.generation_job_id == job.id)
        lookup.refuse_if_used(session, "job", Job.evaluation_id.in_(judged))
        session.delete(job)
        service.garbage.throw(session, job_folder(job.id))
    service.garbage.empty(job_folder(job_id))


def delete_evaluations(
    service: Service, session: Session, *which: ColumnElement[bool]
) -> list[str]:
    """Delete evaluations that have ended, in a transaction; their jobs stay.

    Args:
        service: the parts.
        session: the transaction.
        *which: conditions.

    Returns:
        The folders of their reports, to be emptied after the transaction.

    Raises:
        ConflictError: one is needed by a job that waits or runs.
    """
    # Jobs first, as everybody does: two that lock crosswise would wait for each other.
    making = Job.evaluation_id.in_(select(Evaluation.id).where(*which))
    session.scalars(select(Job).where(making).order_by(Job.seq).with_for_update()).all()
    rows = list(session.scalars(select(Evaluation).where(*which).with_for_update()))
    jobs = evaluation_jobs(session, rows)
    for row in rows:
        lookup.refuse_if_used(session, "evaluation", Job.evaluation_id == row.id)
    folders = [job_folder(jobs[row.id].id) for row in rows]
    for row, folder in zip(rows, folders, strict=True):
        session.delete(row)
        service.garbage.throw(session, folder)
    return folders


def _refuse_if_made(session: Session, job: Job) -> None:
    made: tuple[tuple[type[Model] | type[Evaluation], str | None, str], ...] = (
        (Model, job.model_id if job.kind == FIT else None, "models"),
        (Evaluation, job.evaluation_id, "evaluations"),
    )
    for table, row_id, path in made:
        if row_id is not None and session.scalar(select(table.id).where(table.id == row_id)):
            raise ConflictError(
                f"the job stays as long as {row_id}, which it made",
                where=job.id,
                hint=f"DELETE /v1/{path}/{row_id} first",
            )
