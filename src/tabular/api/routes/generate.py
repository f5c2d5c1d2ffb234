"""``/v1/generate``: synthetic rows, as a job or at once."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, BinaryIO

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Response
from fastapi.responses import JSONResponse, StreamingResponse
from sqlalchemy.orm import Session

from tabular.api import lookup
from tabular.api.dependencies import Parts, Requires
from tabular.api.downloads import MEDIA_TYPES, headers_of
from tabular.api.schemas import GenerateRequest, GenerationAccepted
from tabular.api.service import Service
from tabular.api.submitting import Submission, Submitted
from tabular.api.views import job_out
from tabular.errors import InputError, TabularError, TooLargeError, UnavailableError
from tabular.infra.auth.principal import Principal
from tabular.infra.database.models import Job, Model
from tabular.worker import accounting, scratch
from tabular.worker.jobs import GENERATE
from tabular.worker.quotas import admit, check_job_rows
from tabular.worker.tasks import generation_task
from tabular.worker.wire import TIMEOUT

router = APIRouter(prefix="/v1/generate", tags=["generate"])

Generator = Annotated[Principal, Depends(Requires("generate"))]
INLINE_LIMIT = 60.0  # seconds
_PIECE = 256 * 1024
_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}


@router.post(
    "",
    status_code=202,
    response_model=GenerationAccepted,
    responses={
        200: {
            "description": "The rows themselves, where they were asked for.",
            "content": {kind.partition(";")[0]: _BINARY for kind in MEDIA_TYPES.values()},
        }
    },
)
async def generate(
    service: Parts,
    submission: Submitted,
    body: GenerateRequest,
    principal: Generator,
    prefer: Annotated[str, Header(description="`wait`: answer with the rows if few.")] = "",
) -> Response:
    """Generate rows from a fitted model.

    The answer is a job (202), or the rows themselves (200) for ``"inline": true`` or
    ``Prefer: wait`` and few rows. Same model, rows, seed and conditions: same rows.
    """
    few = body.rows <= service.settings.inline_rows
    if body.inline and not few:
        raise TooLargeError(
            f"at most {service.settings.inline_rows:,} rows can be waited for",
            where="rows",
            hint="leave `inline` out: the rows become a job",
        )
    waits = few and _prefers_wait(prefer)
    if body.inline or waits:
        headers = {"Preference-Applied": "wait"} if waits else {}
        work = functools.partial(_inline, service, body, headers, principal)
        return await to_thread.run_sync(work, limiter=service.generations)
    return await to_thread.run_sync(functools.partial(_as_job, submission, body, principal))


def _as_job(submission: Submission, body: GenerateRequest, principal: Principal) -> Response:
    def make(session: Session) -> Job:
        model = lookup.model(session, body.model_id, lock=True)
        params = body.model_dump(include={"rows", "seed", "format", "where"})
        generation_task(model, params)  # refuses a model that is not fitted
        _check_where(body, model)
        plan = submission.service.plans.of(principal)
        admit(session, principal.id, plan, datetime.now(UTC), rows=body.rows, jobs=1)
        return submission.service.jobs.submit(
            session, GENERATE, params, created_by=principal.id, model_id=model.id
        )

    job = submission.once(principal, body, make)
    shown = job_out(job, submission.service.settings.result_retention)
    content = GenerationAccepted(job=shown).model_dump(mode="json")
    return JSONResponse(content, 202, submission.headers)


def _check_where(body: GenerateRequest, model: Model) -> None:
    """Refuse now the conditions that the job would have to.

    Raises:
        InputError: see `check_where`.
    """
    if body.where:
        from tabular.synth.foresight import check_where  # brings Arrow

        try:
            check_where(body.where, (model.details or {}).get("columns", ()))
        except InputError as error:
            error.where = error.where or "where"
            raise


def _inline(
    service: Service, body: GenerateRequest, headers: dict[str, str], principal: Principal
) -> Response:
    """Generate within the request, in the child, over a file of this machine."""
    with service.database.session() as session:
        task = generation_task(lookup.model(session, body.model_id), body.model_dump())
    with scratch.made(scratch.INLINE) as folder:
        path = folder / f"rows.{body.format}"
        with _accounted(service, principal, body.rows), service.metrics.generation() as generation:
            try:
                service.generator.run(
                    {"kind": "generate", **task, "path": str(path)},
                    on_progress=lambda _, rows: generation.rows(rows),
                    limit=INLINE_LIMIT,
                )
            except TabularError as error:
                if error.code != TIMEOUT:
                    raise
                raise UnavailableError(error.message, code=TIMEOUT) from error  # no bug: a 503
        stream = path.open("rb")  # has no name from here on: whoever leaves leaves nothing
    sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    name = f"synthetic-{body.rows}-rows.{body.format}"
    headers = {**headers, **headers_of(sha256, name), "Content-Length": str(size)}
    return StreamingResponse(_pieces(stream), 200, headers, MEDIA_TYPES[body.format])


@contextlib.contextmanager
def _accounted(service: Service, principal: Principal, rows: int) -> Iterator[None]:
    """Rows that are promised before they are made, and counted when they were."""
    plan, reservation = service.plans.of(principal), None
    check_job_rows(plan, rows)
    if plan.counts_work:
        with service.database.transaction() as session:
            now = datetime.now(UTC)
            admit(session, principal.id, plan, now, rows=rows)
            reservation = accounting.reserve(session, principal.id, rows, now)
    try:
        yield
    except BaseException:
        with service.database.transaction() as session:
            accounting.settle(session, reservation)
        raise
    with service.database.transaction() as session:
        accounting.settle(session, reservation)
        accounting.used(session, principal.id, datetime.now(UTC), rows=rows)


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    """A file in pieces; it is closed afterwards."""
    with stream:
        while piece := stream.read(_PIECE):
            yield piece


def _prefers_wait(header: str) -> bool:
    """Whether a ``Prefer`` header (RFC 7240) has ``wait`` or ``wait=SECONDS``."""
    names = (part.partition(";")[0].partition("=")[0] for part in header.split(","))
    return any(name.strip().lower() == "wait" for name in names)
