"""``/v1/evaluations``: how good and how private generated rows are."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import select
from sqlalchemy.orm import Session

from tabular.api import lookup
from tabular.api.dependencies import Parts, Requires
from tabular.api.pages import REPORT_POLICY
from tabular.api.paging import Paged
from tabular.api.removal import delete_evaluations
from tabular.api.schemas import (
    EvaluateRequest,
    EvaluationAccepted,
    EvaluationOut,
    EvaluationPage,
)
from tabular.api.submitting import Submitted
from tabular.api.views import evaluation_jobs, evaluation_out, job_out
from tabular.errors import ConflictError
from tabular.infra.auth.principal import Principal
from tabular.infra.database.models import Evaluation, Job, new_id
from tabular.worker.jobs import EVALUATE, GENERATE, SUCCEEDED, find
from tabular.worker.quotas import admit
from tabular.worker.retention import require_kept

router = APIRouter(prefix="/v1/evaluations", tags=["evaluations"])

Evaluator = Annotated[Principal, Depends(Requires("evaluate"))]
EvaluationId = Annotated[str, Path(pattern=r"^ev_[0-9a-f]{20}$")]


@router.post("", status_code=202)
def evaluate(
    service: Parts,
    submission: Submitted,
    body: EvaluateRequest,
    principal: Evaluator,
) -> EvaluationAccepted:
    """Compare the rows of a generation with the real table, and with a holdout if there is one."""

    def make(session: Session) -> Job:
        return _submit(session, service, body, principal)

    job = submission.once(principal, body, make)
    with service.database.session() as session:
        row = lookup.evaluation(session, str(job.evaluation_id))
    shown = job_out(job, service.settings.result_retention)
    return EvaluationAccepted(job=shown, evaluation=evaluation_out(row, job))


def _submit(session: Session, service: Parts, body: EvaluateRequest, principal: Principal) -> Job:
    # In one order, whoever asks: two that lock crosswise would wait for each other.
    for dataset_id in sorted(filter(None, {body.dataset_id, body.holdout_dataset_id})):
        lookup.dataset(session, dataset_id, lock=True)
    source = find(session, body.job_id, lock=True)  # its rows must stay until they are judged
    if source.kind != GENERATE or source.status != SUCCEEDED:
        raise ConflictError(
            f"the job is a {source.kind} job that is {source.status}",
            where=source.id,
            hint="give the id of a generation that has succeeded",
        )
    require_kept(source)
    row = Evaluation(
        id=new_id("ev"),
        dataset_id=body.dataset_id,
        holdout_dataset_id=body.holdout_dataset_id,
        generation_job_id=source.id,
        created_at=datetime.now(UTC),
        created_by=principal.id,
    )
    session.add(row)
    session.flush()
    admit(session, principal.id, service.plans.of(principal), datetime.now(UTC), jobs=1)
    return service.jobs.submit(
        session,
        EVALUATE,
        {"job_id": source.id, "holdout_dataset_id": body.holdout_dataset_id},
        created_by=principal.id,
        dataset_id=body.dataset_id,
        evaluation_id=row.id,
    )


@router.get("")
def list_evaluations(service: Parts, page: Paged, _: Evaluator) -> EvaluationPage:
    """Every evaluation, without its report."""
    with service.database.session() as session:
        rows, following = page.of(session, select(Evaluation), Evaluation.seq)
        jobs = evaluation_jobs(session, rows)
        items = [evaluation_out(row, jobs[row.id]) for row in rows]
        return EvaluationPage(items=items, next=following)


@router.get("/{evaluation_id}")
def get_evaluation(service: Parts, evaluation_id: EvaluationId, _: Evaluator) -> EvaluationOut:
    """One evaluation; its report is there once its job has succeeded."""
    row, job = _found(service, evaluation_id)
    found = evaluation_out(row, job)
    if row.report_key is not None:
        found.report = json.loads(b"".join(service.store.get(row.report_key)))
    return found


@router.get(
    "/{evaluation_id}/report",
    response_class=Response,
    responses={200: {"description": "The page.", "content": {"text/html": {}}}},
)
def report(service: Parts, evaluation_id: EvaluationId, _: Evaluator) -> Response:
    """The report as one self-contained page with plots; it may load and execute nothing."""
    row, job = _found(service, evaluation_id)
    require_kept(job)
    if row.page_key is None:
        raise ConflictError(
            f"the report is not there: its job is {job.status}",
            where=job.id,
            hint=f"GET /v1/jobs/{job.id}",
        )
    headers = {"Content-Security-Policy": REPORT_POLICY}
    chunks = service.store.get(row.page_key)
    return StreamingResponse(chunks, 200, headers, "text/html; charset=utf-8")


@router.delete("/{evaluation_id}", status_code=204)
def delete(service: Parts, evaluation_id: EvaluationId, _: Evaluator) -> Response:
    """Delete an evaluation with its reports. The rows that it judged stay."""
    with service.database.transaction() as session:
        folders = delete_evaluations(service, session, Evaluation.id == evaluation_id)
        if not folders:
            lookup.evaluation(session, evaluation_id)  # tells that there is none
    for folder in folders:
        service.garbage.empty(folder)
    return Response(status_code=204)


def _found(service: Parts, evaluation_id: str) -> tuple[Evaluation, Job]:
    with service.database.session() as session:
        row = lookup.evaluation(session, evaluation_id)
        return row, evaluation_jobs(session, [row])[row.id]
