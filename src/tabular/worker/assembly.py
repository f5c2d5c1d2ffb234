"""A worker put together from settings."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from tabular.infra.config import Settings
from tabular.infra.database import Database, check_schema
from tabular.infra.monitoring import Metrics
from tabular.infra.queue import open_queue
from tabular.infra.storage import open_store
from tabular.infra.telemetry import Telemetry, open_telemetry
from tabular.infra.websocket import open_hub
from tabular.worker.garbage import GarbageBin
from tabular.worker.jobs import Jobs
from tabular.worker.presence import Presence
from tabular.worker.process import ChildProcess
from tabular.worker.retention import Retention
from tabular.worker.runner import Parts, Runner
from tabular.worker.tasks import task_of


def child_process(settings: Settings) -> ChildProcess:
    """The child in which the work of these settings is done."""
    return ChildProcess(
        settings.storage_url, secrets=settings.secret_values(), log_level=settings.log_level
    )


def worker_metrics(settings: Settings, telemetry: Telemetry) -> Metrics:
    """The metrics of a worker's process."""
    return Metrics(provider=settings.provider, region=settings.region, mirror=telemetry.instruments)


def build_runner(
    settings: Settings,
    *,
    alive: Callable[[], None] = lambda: None,
    telemetry: Telemetry | None = None,
    metrics: Metrics | None = None,
) -> Runner:
    """A worker that is ready to run.

    Args:
        settings: of the platform.
        alive: called by its loop as a sign of life.
        telemetry: records traces; as the settings say by default.
        metrics: of this process, when somebody else shows them too.

    Raises:
        ConfigError: a URL that has no driver, or an extra that is not installed.
    """
    database = Database(settings.database_url, again=settings.again("database_url"))
    store = open_store(settings.storage_url)
    telemetry = telemetry or open_telemetry(settings, "worker")
    name = f"{socket.gethostname()}:{os.getpid()}"
    parts = Parts(
        jobs=Jobs(
            database,
            max_tries=settings.job_max_attempts,
            outage_limit=settings.outage_limit,
        ),
        find_task=lambda lease: task_of(database, lease),
        child=child_process(settings),
        queue=open_queue(settings.queue_url),
        hub=open_hub(settings.cache_url),
        store=store,
        garbage=GarbageBin(database, store),
        retention=Retention(database, settings.result_retention),
        metrics=metrics or worker_metrics(settings, telemetry),
        check=lambda: check_schema(database),
        telemetry=telemetry,
        presence=Presence(database, name),
    )
    return Runner(
        parts,
        name=name,
        lease=settings.job_lease,
        limit=settings.job_timeout,
        part_rows=settings.part_rows,
        alive=alive,
    )
