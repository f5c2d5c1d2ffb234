"""Accepting a job exactly once, also when the client asks again because it heard no answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tabular.api.dependencies import Parts
from tabular.errors import ConflictError, NotFoundError
from tabular.infra.auth.principal import Principal
from tabular.infra.database.models import IdempotencyKey, Job
from tabular.worker.jobs import find

IdempotencyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Your name for this request: sent again, it makes no second job.",
    ),
]


class Submission:
    """A dependency: one request for a job.

    Attributes:
        service: the parts.
        headers: of the answer, once the job is accepted; put there unless a route makes its own.
    """

    def __init__(
        self,
        request: Request,
        response: Response,
        service: Parts,
        key: IdempotencyHeader = None,
    ) -> None:
        self.service = service
        self.headers: dict[str, str] = {}
        self._response = response
        self._asked = (request.method, request.url.path)
        self._key = key

    def once(self, principal: Principal, body: BaseModel, make: Callable[[Session], Job]) -> Job:
        """Make a job, or find the one that the same request has made.

        Args:
            principal: who asks; names of requests are each key's own.
            body: what was asked.
            make: adds the job and its rows to the transaction.

        Raises:
            ConflictError: the request's name was used for another request.
        """
        job, replayed = self._made_or_found(principal, body, make)
        self.headers["Location"] = f"/v1/jobs/{job.id}"
        if replayed:
            self.headers["Idempotency-Replayed"] = "true"
        else:
            self.service.wake(job.id)
        self._response.headers.update(self.headers)
        return job

    def _made_or_found(
        self, principal: Principal, body: BaseModel, make: Callable[[Session], Job]
    ) -> tuple[Job, bool]:
        asked = [*self._asked, body.model_dump(mode="json")]
        fingerprint = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        try:
            with self.service.database.transaction() as session:
                known = _known(session, principal, self._key, fingerprint)
                if known is not None:
                    return known, True
                job = make(session)
                if self._key is not None:
                    session.add(_record(principal, self._key, fingerprint, job))
                    session.flush()
                return job, False
        except IntegrityError:
            # The same request came twice at once, and the other one was first.
            with self.service.database.session() as session:
                known = _known(session, principal, self._key, fingerprint)
            if known is None:
                raise
            return known, True


Submitted = Annotated[Submission, Depends()]


def _record(principal: Principal, key: str, fingerprint: str, job: Job) -> IdempotencyKey:
    return IdempotencyKey(
        api_key_id=principal.id,
        key=key,
        fingerprint=fingerprint,
        job_id=job.id,
        created_at=datetime.now(UTC),
    )


def _known(session: Session, principal: Principal, key: str | None, fingerprint: str) -> Job | None:
    if key is None:
        return None
    row = session.scalar(
        select(IdempotencyKey).where(
            IdempotencyKey.api_key_id == principal.id, IdempotencyKey.key == key
        )
    )
    if row is None:
        return None
    if row.fingerprint != fingerprint:
        raise ConflictError(
            "this Idempotency-Key was used for another request",
            where="Idempotency-Key",
            hint="send a new one with each new request",
            code="conflict.idempotency-key",
        )
    try:
        return find(session, row.job_id)
    except NotFoundError as error:
        raise ConflictError(
            f"the job that this Idempotency-Key made, {row.job_id}, was deleted",
            where="Idempotency-Key",
            hint="send a new one to have it done again",
            code="conflict.idempotency-key",
        ) from error
