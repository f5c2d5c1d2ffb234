"""What a child process is told to do: a job with everything looked up that it refers to.

The child gets keys of objects and numbers, never the database: it cannot change a row, so
whatever happens to it, the row says what is true.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tabular.errors import ConflictError, NotFoundError
from tabular.infra.database import Database
from tabular.infra.database.models import Dataset, Job, JobPart, Model
from tabular.worker import parts
from tabular.worker.jobs import EVALUATE, FIT, GENERATE, SUCCEEDED, Lease, find
from tabular.worker.retention import require_kept
from tabular.worker.wire import Task


def task_of(database: Database, lease: Lease) -> Task:
    """The task of a claimed job.

    Raises:
        NotFoundError: what it refers to was deleted in the meantime.
        GoneError: the rows that it is to evaluate were removed for their age.
        ConflictError: the generation that it is to evaluate gave no rows.
    """
    job = lease.job
    builders = {FIT: _fit, GENERATE: _generate, EVALUATE: _evaluate}
    with database.session() as session:
        if lease.part is not None:
            details = _part(session, job, lease.part)
        else:
            details = builders[job.kind](session, job)
    return {"kind": job.kind, "folder": lease.folder, **details}


def generation_task(model: Model, params: dict[str, Any]) -> Task:
    """What both a job and a request that waits need for generating rows.

    Raises:
        ConflictError: the model is not fitted.
    """
    if model.object_key is None:
        raise ConflictError(
            "the model is not fitted yet",
            where=model.id,
            hint=f"wait for its job: GET /v1/models/{model.id}",
        )
    return {
        "model": model.object_key,
        "rows": params["rows"],
        "seed": params["seed"],
        "where": params["where"],
        "format": params["format"],
    }


def _fit(session: Session, job: Job) -> Task:
    model = _model(session, job.model_id)
    return {
        "table": _table(session, job.dataset_id),
        "engine": model.engine,
        "preset": model.preset,
        "seed": model.seed,
        "schema": model.table_schema,
    }


def _generate(session: Session, job: Job) -> Task:
    return generation_task(_model(session, job.model_id), job.params)


def _part(session: Session, job: Job, part: JobPart) -> Task:
    if parts.is_join(part):
        made = parts.results(session, job.id)
        return {"kind": "join", "parts": made, "format": job.params["format"], "rows": part.start}
    return {**_generate(session, job), "part": True, "start": part.start, "rows": part.rows}


def _evaluate(session: Session, job: Job) -> Task:
    source = find(session, job.params["job_id"])
    if source.status != SUCCEEDED or source.result is None:
        raise ConflictError("the generation gave no rows", where=source.id)
    require_kept(source)
    holdout = job.params["holdout_dataset_id"]
    return {
        "real": _table(session, job.dataset_id),
        "synthetic": {
            **{name: source.result[name] for name in ("key", "pieces") if name in source.result},
            "format": source.result["format"],
            "name": f"the rows of {source.id}",
        },
        "holdout": _table(session, holdout) if holdout else None,
    }


def _model(session: Session, model_id: str | None) -> Model:
    model = session.scalar(select(Model).where(Model.id == model_id))
    if model is None:
        raise NotFoundError("the model was deleted", where=model_id)
    return model


def _table(session: Session, dataset_id: str | None) -> Task:
    dataset = session.scalar(select(Dataset).where(Dataset.id == dataset_id))
    if dataset is None:
        raise NotFoundError("the dataset was deleted", where=dataset_id)
    return {"key": dataset.object_key, "format": dataset.format, "name": dataset.name}
