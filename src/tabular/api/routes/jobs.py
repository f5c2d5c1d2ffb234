"""``/v1/jobs``: what was accepted, how far it is, and what came of it."""

from __future__ import annotations

import functools
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Path, Query, Response, WebSocket
from sqlalchemy import select

from tabular.api.admission import until_refused
from tabular.api.credentials import BEARER_PROTOCOL
from tabular.api.dependencies import Parts, Requires
from tabular.api.downloads import MEDIA_TYPES, download
from tabular.api.following import converse, last_event_id
from tabular.api.paging import Paged
from tabular.api.removal import delete_job
from tabular.api.schemas import JobOut, JobPage, JobStatus
from tabular.api.service import Service
from tabular.api.views import error_out, job_out
from tabular.errors import ConflictError
from tabular.infra.auth.principal import Principal
from tabular.infra.database.models import Job
from tabular.infra.websocket import event_id, follow
from tabular.worker.jobs import ENDED, GENERATE, SUCCEEDED
from tabular.worker.results import file_of
from tabular.worker.retention import require_kept

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
progress = APIRouter()

Reader = Annotated[Principal, Depends(Requires("jobs:read"))]
Writer = Annotated[Principal, Depends(Requires("jobs:write"))]
Generator = Annotated[Principal, Depends(Requires("generate"))]
JobId = Annotated[str, Path(pattern=r"^job_[0-9a-f]{20}$")]

PROTOCOL = "tabular.progress.v1"
LOOK = 0.5  # seconds between looks into the database while no event comes
_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_FILES = {kind.partition(";")[0]: _BINARY for kind in MEDIA_TYPES.values()}


@router.get("")
def list_jobs(
    service: Parts,
    page: Paged,
    _: Reader,
    status: Annotated[JobStatus | None, Query()] = None,
) -> JobPage:
    """Every job, or those of one status."""
    query = select(Job) if status is None else select(Job).where(Job.status == status)
    with service.database.session() as session:
        rows, following = page.of(session, query, Job.seq)
        items = [job_out(row, service.settings.result_retention) for row in rows]
        return JobPage(items=items, next=following)


@router.get("/{job_id}")
def get_job(service: Parts, job_id: JobId, _: Reader) -> JobOut:
    """One job."""
    return job_out(service.jobs.get(job_id), service.settings.result_retention)


@router.post("/{job_id}/cancel")
def cancel_job(service: Parts, job_id: JobId, _: Writer) -> JobOut:
    """Cancel a job: at once if it waits, within seconds if it runs. One that ended stays."""
    return job_out(service.jobs.cancel(job_id), service.settings.result_retention)


@router.delete("/{job_id}", status_code=204)
def delete(service: Parts, job_id: JobId, _: Writer) -> Response:
    """Delete a job that has ended, with its rows. That of a model or evaluation goes after it."""
    delete_job(service, job_id)
    return Response(status_code=204)


@router.get(
    "/{job_id}/result",
    response_class=Response,
    responses={
        200: {"description": "The rows.", "content": _FILES},
        206: {"description": "A range of them.", "content": _FILES},
    },
)
def result(
    service: Parts,
    job_id: JobId,
    _: Generator,
    wanted: Annotated[str | None, Header(alias="Range", include_in_schema=False)] = None,
) -> Response:
    """The generated rows as a file; ``Repr-Digest`` has its SHA-256, one range may be asked.

    Rows older than ``result_expires_at`` are gone (410): the same request gives them again.
    """
    job = service.jobs.get(job_id)
    if job.kind != GENERATE or job.status != SUCCEEDED or job.result is None:
        raise ConflictError(
            f"there are no rows: the job is a {job.kind} job that is {job.status}",
            where=job.id,
            hint="wait until the status of a generate job is succeeded",
        )
    require_kept(job)
    kept = job.result
    return download(
        service.store,
        file_of(kept),
        media_type=MEDIA_TYPES[kept["format"]],
        filename=f"{job.id}.{kept['format']}",
        wanted=wanted,
    )


@progress.websocket("/v1/jobs/{job_id}/progress")
async def follow_job(websocket: WebSocket, job_id: JobId) -> None:
    """The states of a job as they change, as JSON messages, up to its end.

    Sign in with the ``Authorization`` header, or, in a browser, with the session's cookie or the
    subprotocols ``tabular.progress.v1`` and ``tabular.bearer.KEY``. Whoever comes back gives the
    ``event_id`` of the last message as ``?last_event_id=``, to any replica: nothing older is
    sent again, and the final state always is. When the credential ends, so does this (1008).
    """
    service: Service = websocket.app.state.service
    principal: Principal = websocket.state.principal
    principal.require("jobs:read")
    after = last_event_id(websocket.query_params.get("last_event_id"))
    await to_thread.run_sync(service.jobs.get, job_id)  # refuse before the handshake
    offered = websocket.scope.get("subprotocols", [])
    assert not PROTOCOL.startswith(BEARER_PROTOCOL)
    await websocket.accept(PROTOCOL if PROTOCOL in offered else None)

    async def read_state() -> dict[str, Any]:
        return _state(await to_thread.run_sync(service.jobs.get, job_id))

    states = follow(service.hub, job_id, read_state, is_final=_is_final, interval=LOOK, after=after)
    await converse(
        websocket,
        states,
        service.settings.websocket_patience,
        functools.partial(until_refused, service, websocket, "jobs:read"),
    )


def _state(job: Job) -> dict[str, Any]:
    state: dict[str, Any] = {
        "id": job.id,
        "status": job.status,
        "progress": round(job.progress, 4),
        "event_id": event_id(job.beat),
    }
    if job.status in ENDED:
        state["error"] = error_out(job.error).model_dump() if job.error else None
    return state


def _is_final(state: dict[str, Any]) -> bool:
    return state["status"] in ENDED
