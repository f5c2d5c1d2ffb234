"""``/v1/datasets``: real tables."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from sqlalchemy import or_, select

from tabular.api import lookup
from tabular.api.dependencies import Parts, Requires
from tabular.api.paging import Paged
from tabular.api.removal import delete_evaluations
from tabular.api.schemas import DatasetOut, DatasetPage, PreviewOut
from tabular.api.uploads import incoming, store_dataset
from tabular.api.views import dataset_out
from tabular.infra.auth.principal import Principal
from tabular.infra.database.models import Dataset, Evaluation, Job
from tabular.worker.objects import dataset_folder

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])

Reader = Annotated[Principal, Depends(Requires("datasets:read"))]
Writer = Annotated[Principal, Depends(Requires("datasets:write"))]
DatasetId = Annotated[str, Path(pattern=r"^ds_[0-9a-f]{20}$")]

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_BODIES: dict[str, Any] = {
    "text/csv": _BINARY,
    "application/vnd.apache.parquet": _BINARY,
    "application/x-ndjson": _BINARY,
    "application/octet-stream": _BINARY,
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "required": ["file"],
            "properties": {
                "file": {"type": "string", "format": "binary"},
                "name": {"type": "string"},
            },
        }
    },
}


@router.post(
    "",
    status_code=201,
    response_model=DatasetOut,
    openapi_extra={"requestBody": {"required": True, "content": _BODIES}},
)
async def upload(
    request: Request,
    response: Response,
    service: Parts,
    principal: Writer,
    name: Annotated[str | None, Query(max_length=200)] = None,
) -> DatasetOut:
    """Upload a table: CSV, Parquet or JSON lines, as the body or as ``file`` of a form.

    The format is that of the media type, or of the name's suffix. Text is UTF-8 unless the media
    type says otherwise, as in `text/csv; charset=windows-1252` (in a form: of the part); it is
    kept as UTF-8, which `size` and `sha256` are of. A compressed body is refused with 415; a
    `Content-Digest` with a SHA-256 is compared with what arrived. The answer comes once the whole
    table has been read. An upload of which no byte comes for 30 s, or less than 1 KiB/s on the
    average, is ended with 408; one key may have 16 uploads under way in each process, and more get
    429.
    """
    with service.upload_slots.taken(principal.id):
        table = await incoming(request, name, service.pace)
        row = await store_dataset(service, principal, table)
    response.headers["Location"] = f"/v1/datasets/{row.id}"
    return dataset_out(row)


@router.get("")
def list_datasets(service: Parts, page: Paged, _: Reader) -> DatasetPage:
    """Every dataset."""
    with service.database.session() as session:
        rows, following = page.of(session, select(Dataset), Dataset.seq)
        return DatasetPage(items=[dataset_out(row) for row in rows], next=following)


@router.get("/{dataset_id}")
def get_dataset(service: Parts, dataset_id: DatasetId, _: Reader) -> DatasetOut:
    """One dataset."""
    with service.database.session() as session:
        return dataset_out(lookup.dataset(session, dataset_id))


@router.get("/{dataset_id}/preview")
def preview(service: Parts, dataset_id: DatasetId, _: Reader) -> PreviewOut:
    """Its first rows, at most 100. These are real rows."""
    return PreviewOut.model_validate(_document(service, dataset_id, "preview_key"))


@router.get("/{dataset_id}/profile")
def profile(service: Parts, dataset_id: DatasetId, _: Reader) -> dict[str, Any]:
    """Each column in numbers, none of which is a single row's value.

    A value is named only where twenty rows hold it, and ranges are rounded. There is no exact
    form: profiles are what is passed on, and whoever may read the rows has the preview.
    """
    found: dict[str, Any] = _document(service, dataset_id, "profile_key")
    return found


@router.delete("/{dataset_id}", status_code=204)
def delete_dataset(service: Parts, dataset_id: DatasetId, _: Writer) -> Response:
    """Delete a dataset and its objects. Models that learned from it stay.

    Evaluations that compared with it are deleted too: their reports show its statistics.
    """
    folder = dataset_folder(dataset_id)
    with service.database.transaction() as session:
        row = lookup.dataset(session, dataset_id, lock=True)
        holdouts = select(Evaluation.id).where(Evaluation.holdout_dataset_id == dataset_id)
        lookup.refuse_if_used(
            session, "dataset", Job.dataset_id == dataset_id, Job.evaluation_id.in_(holdouts)
        )
        reports = delete_evaluations(
            service,
            session,
            or_(Evaluation.dataset_id == dataset_id, Evaluation.holdout_dataset_id == dataset_id),
        )
        session.delete(row)
        service.garbage.throw(session, folder)
    for unreferenced in (folder, *reports):
        service.garbage.empty(unreferenced)
    return Response(status_code=204)


def _document(service: Parts, dataset_id: str, key: str) -> Any:
    with service.database.session() as session:
        row = lookup.dataset(session, dataset_id)
    return json.loads(b"".join(service.store.get(getattr(row, key))))
