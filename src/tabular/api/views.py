"""Rows of the database as answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tabular.api.schemas import (
    DatasetOut,
    ErrorOut,
    EvaluationOut,
    JobOut,
    ModelOut,
    ResultOut,
)
from tabular.errors import UnavailableError
from tabular.infra.database.models import Dataset, Evaluation, Job, Model
from tabular.synth.hints import API, told
from tabular.worker.jobs import EVALUATE, FIT, GENERATE, SUCCEEDED
from tabular.worker.retention import expires_at


def job_out(job: Job, retention: timedelta | None) -> JobOut:
    """A job; of its result only what is for the outside.

    Args:
        job: its row.
        retention: how long results are kept; None for ever.
    """
    result = None
    known = set(JobOut.model_fields) - {"result_expires_at"}
    if job.kind == GENERATE and job.status == SUCCEEDED and job.result is not None:
        result = ResultOut(url=f"/v1/jobs/{job.id}/result", **_named(job.result, ResultOut))
    return JobOut.model_validate(
        {
            **{name: getattr(job, name) for name in known},
            "result_expires_at": expires_at(job, retention),
            "error": error_out(job.error) if job.error else None,
            "result": result,
        }
    )


def dataset_out(dataset: Dataset) -> DatasetOut:
    """A dataset."""
    return DatasetOut.model_validate(dataset, from_attributes=True)


def model_out(model: Model, job: Job) -> ModelOut:
    """A model with the state of its job."""
    known = set(ModelOut.model_fields) - {"status", "job_id"}
    values = {name: getattr(model, name) for name in known}
    return ModelOut(**values, status=job.status, job_id=job.id)


def evaluation_out(evaluation: Evaluation, job: Job) -> EvaluationOut:
    """An evaluation with the state of its job, without its report."""
    known = ("id", "dataset_id", "holdout_dataset_id", "generation_job_id", "created_at")
    done = evaluation.page_key is not None
    return EvaluationOut.model_validate(
        {
            **{name: getattr(evaluation, name) for name in known},
            "job_id": job.id,
            "status": job.status,
            "report_url": f"/v1/evaluations/{evaluation.id}/report" if done else None,
        }
    )


def fit_jobs(session: Session, models: Sequence[Model]) -> dict[str, Job]:
    """The job that fits each model, by the model's id."""
    ids = [model.id for model in models]
    found = session.scalars(select(Job).where(Job.kind == FIT, Job.model_id.in_(ids)))
    return {str(job.model_id): job for job in found}


def evaluation_jobs(session: Session, evaluations: Sequence[Evaluation]) -> dict[str, Job]:
    """The job of each evaluation, by the evaluation's id."""
    ids = [evaluation.id for evaluation in evaluations]
    found = session.scalars(select(Job).where(Job.kind == EVALUATE, Job.evaluation_id.in_(ids)))
    return {str(job.evaluation_id): job for job in found}


def error_out(error: dict[str, Any]) -> ErrorOut:
    """Why a job failed; the places of our own stores are nobody's business outside."""
    ours = str(error["code"]).startswith(UnavailableError.code)
    hint = told(error.get("hint"), API)
    return ErrorOut(**{**error, "hint": hint, "where": None if ours else error.get("where")})


def _named(values: dict[str, object], shape: type[ResultOut]) -> dict[str, object]:
    return {name: value for name, value in values.items() if name in shape.model_fields}
