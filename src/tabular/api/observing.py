"""What the API finds out for each scrape: how the parts are, what waits, who works, what room is.

These are facts of the platform and not of one process, so they are asked for and not counted.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from anyio import to_thread
from sqlalchemy import func, select
from sqlalchemy.engine import make_url

from tabular.api.service import Service
from tabular.errors import ConfigError, UnavailableError
from tabular.infra import certificates
from tabular.infra.auth.audit import BACKUP_MADE
from tabular.infra.database.models import ApiKey, AuditEvent, Job
from tabular.infra.metrics import Described
from tabular.infra.metrics import catalogue as c
from tabular.infra.urls import local_path, split
from tabular.worker import presence
from tabular.worker.jobs import QUEUED

_LOG = logging.getLogger(__name__)
FRESH = 1.0  # seconds that what was found out counts: anybody may scrape, as often as they like
SELDOM = 60.0  # seconds that the last backup counts: where there is none, all of audit is read
_Sample = tuple[Described, tuple[str, ...], float]


class Observer:
    """What was found out last, for every scrape of the next moment.

    Args:
        service: the parts.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = asyncio.Lock()
        self._last: list[_Sample] = []
        self._at = float("-inf")
        self._backup: datetime | None = None
        self._looked = float("-inf")

    async def samples(self, checks: Mapping[str, Any]) -> list[_Sample]:
        """See `observe`."""
        async with self._lock:
            if time.monotonic() - self._at >= FRESH:
                self._last = await to_thread.run_sync(self._look, checks)
                self._at = time.monotonic()
        return self._last

    def _look(self, checks: Mapping[str, Any]) -> list[_Sample]:
        return [*observe(self._service, checks), *self._backed_up(checks)]

    def _backed_up(self, checks: Mapping[str, Any]) -> Iterator[_Sample]:
        if checks["database"]["status"] == "ok" and time.monotonic() - self._looked >= SELDOM:
            try:
                self._backup = _last_backup(self._service)
            except UnavailableError as error:
                _LOG.warning("the last backup is not known: %s", error.message)
                return
            self._looked = time.monotonic()
        if self._backup is not None:
            age = (datetime.now(UTC) - self._backup).total_seconds()
            yield c.BACKUP_AGE, (), max(0.0, age)


def observe(service: Service, checks: Mapping[str, Any]) -> list[_Sample]:
    """The samples of one scrape; what cannot be found out is left out.

    Args:
        service: the parts.
        checks: what `health.Readiness` found.
    """
    found: list[_Sample] = [
        (c.PART_UP, (part,), float(state["status"] == "ok")) for part, state in checks.items()
    ]
    if checks["database"]["status"] == "ok":
        try:
            found += _work(service)
        except UnavailableError as error:
            _LOG.warning("what waits is not known: %s", error.message)
    found += _room(service)
    found += _certificates(service)
    return found


def _work(service: Service) -> Iterator[_Sample]:
    now = datetime.now(UTC)
    with service.database.session() as session:
        query = select(func.count(), func.min(Job.created_at)).where(Job.status == QUEUED)
        waiting, oldest = session.execute(query).one()
        workers = presence.count(session, now=now)
    since = max(0.0, (now - oldest).total_seconds()) if oldest else 0.0
    yield c.JOBS_WAITING, (), float(waiting)
    yield c.OLDEST_WAITING, (), since
    yield c.WORKERS, (), float(workers)


def _last_backup(service: Service) -> datetime | None:
    """When the last backup was whole; where there is none, when it could have been."""
    made = select(func.max(AuditEvent.at)).where(AuditEvent.event == BACKUP_MADE)
    with service.database.session() as session:
        found: datetime | None = session.scalar(made)
        return found or session.scalar(select(func.min(ApiKey.created_at)))


def _room(service: Service) -> Iterator[_Sample]:
    """The disks that this machine has something of ours on."""
    settings = service.settings
    places: dict[str, Path] = {}
    if settings.storage_url.startswith("file:"):
        parts = split(settings.storage_url, ("file",), what="storage")
        places["storage"] = local_path(parts, what="storage")
    if service.database.is_sqlite:
        places["database"] = Path(str(make_url(settings.database_url).database)).parent
    for part, folder in places.items():
        try:
            room = shutil.disk_usage(folder)
        except OSError as error:
            _LOG.warning("the room of %s is not known: %s", part, error.strerror)
            continue
        yield c.DISK_FREE, (part,), float(room.free)
        yield c.DISK_SIZE, (part,), float(room.total)


def _certificates(service: Service) -> Iterator[_Sample]:
    """Of each file the certificate that ends first."""
    now = datetime.now(UTC)
    for file in service.settings.certificates:
        try:
            left = min(certificates.ends(Path(file))) - now
        except ConfigError as error:
            _LOG.warning("the end of a certificate is not known: %s", error)
            continue
        yield c.CERTIFICATE_LEFT, (Path(file).name,), left.total_seconds()
