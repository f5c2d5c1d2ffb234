"""``/v1/models``: what was learned from a dataset."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Path, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from tabular.api import lookup
from tabular.api.dependencies import Parts, Requires
from tabular.api.paging import Paged
from tabular.api.schemas import FitAccepted, FitRequest, ModelOut, ModelPage
from tabular.api.submitting import Submitted
from tabular.api.views import fit_jobs, job_out, model_out
from tabular.errors import InputError
from tabular.infra.auth.principal import Principal
from tabular.infra.database.models import Dataset, Job, Model, new_id
from tabular.worker.jobs import FIT
from tabular.worker.objects import job_folder
from tabular.worker.quotas import admit

if TYPE_CHECKING:
    from tabular.synth.schema import TableSchema

router = APIRouter(prefix="/v1/models", tags=["models"])

Reader = Annotated[Principal, Depends(Requires("models:read"))]
Writer = Annotated[Principal, Depends(Requires("models:write"))]
ModelId = Annotated[str, Path(pattern=r"^mdl_[0-9a-f]{20}$")]


@router.post("", status_code=202)
def fit(
    service: Parts,
    submission: Submitted,
    body: FitRequest,
    principal: Writer,
) -> FitAccepted:
    """Fit a model to a dataset. The model can be used once its job has succeeded.

    What cannot be learned is refused at once (422): a table of one row, a column with a
    `problem`, a schema that does not fit the dataset's columns.
    """
    given = _checked(body)

    def make(session: Session) -> Job:
        dataset = lookup.dataset(session, body.dataset_id, lock=True)
        _require_fit(dataset, given)
        model = Model(
            id=new_id("mdl"),
            name=body.name or dataset.name,
            dataset_id=dataset.id,
            engine=body.engine,
            preset=body.preset,
            seed=body.seed,
            table_schema=body.table_schema,
            created_at=datetime.now(UTC),
            created_by=principal.id,
        )
        session.add(model)
        session.flush()
        admit(session, principal.id, service.plans.of(principal), datetime.now(UTC), jobs=1)
        return service.jobs.submit(
            session,
            FIT,
            {"engine": body.engine, "preset": body.preset, "seed": body.seed},
            created_by=principal.id,
            dataset_id=dataset.id,
            model_id=model.id,
        )

    job = submission.once(principal, body, make)
    with service.database.session() as session:
        model = lookup.model(session, str(job.model_id))
    return FitAccepted(
        job=job_out(job, service.settings.result_retention), model=model_out(model, job)
    )


def _checked(body: FitRequest) -> TableSchema:
    """The schema that was given; refuses now what the job would have to.

    Raises:
        InputError: an unknown engine, or a schema that cannot be read.
    """
    from tabular.synth.engines import engine_class  # brings Arrow, which starting needs not
    from tabular.synth.schema import TableSchema

    engine_class(body.engine)
    return TableSchema.from_dict(body.table_schema or {}, where="schema")


def _require_fit(dataset: Dataset, given: TableSchema) -> None:
    """Refuse a table of which the job would say that it cannot be learned.

    Raises:
        TableError, InputError: see `check_fit`.
    """
    from tabular.synth.foresight import check_fit

    try:
        check_fit(dataset.rows, dataset.columns, given)
    except InputError as error:
        error.where = error.where or dataset.name
        raise


@router.get("")
def list_models(service: Parts, page: Paged, _: Reader) -> ModelPage:
    """Every model, those that are still being fitted too."""
    with service.database.session() as session:
        rows, following = page.of(session, select(Model), Model.seq)
        jobs = fit_jobs(session, rows)
        return ModelPage(items=[model_out(row, jobs[row.id]) for row in rows], next=following)


@router.get("/{model_id}")
def get_model(service: Parts, model_id: ModelId, _: Reader) -> ModelOut:
    """One model."""
    with service.database.session() as session:
        row = lookup.model(session, model_id)
        return model_out(row, fit_jobs(session, [row])[row.id])


@router.delete("/{model_id}", status_code=204)
def delete_model(service: Parts, model_id: ModelId, _: Writer) -> Response:
    """Delete a model. Rows that it generated stay."""
    with service.database.transaction() as session:
        row = lookup.model(session, model_id, lock=True)
        lookup.refuse_if_used(session, "model", Job.model_id == model_id)
        folder = job_folder(fit_jobs(session, [row])[row.id].id)
        session.delete(row)
        service.garbage.throw(session, folder)
    service.garbage.empty(folder)
    return Response(status_code=204)
