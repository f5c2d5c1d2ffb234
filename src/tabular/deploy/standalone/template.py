"""The native template of one host: folders, secrets, services and processes, as plain data.

References stand where this host's paths and ports will be: ``${directory:ID}``, ``${port:ID}``,
``${secret-file:ID}``, and in a secret's own pattern ``${secret:ID}``. So the same spec gives the
same bytes on every machine, and no secret is ever in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tabular.deploy.stack import Reduction, Resource, Stack
from tabular.deploy.standalone.model import DESCRIPTION, DIRECTORY, PROCESS, SECRET
from tabular.deploy.target import Target
from tabular.version import __version__

FORMAT = "standalone.inferloop.io/v1"
SECRET_BYTES = 48
CACHE_MEMORY = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a spec comes to on one host.

    Attributes:
        target: where.
        runtime: ``process`` or ``container``.
        api: number of API processes.
        workers: number of worker processes.
        database: ``sqlite`` or ``postgresql``.
        cache: run a Valkey server.
        cache_memory: its limit in bytes.
        port: of the API; None for a free one.
        settings: further ``TABULAR_*`` settings of the service.
        images: references that stand in for the usual images, by `compose.IMAGES`.
        spec: canonical spec.
        code: digest of the package that runs.
        tags: the user's labels.
        reductions: what one host gives only in part.
    """

    target: Target
    runtime: str = "process"
    api: int = 1
    workers: int = 1
    database: str = "sqlite"
    cache: bool = False
    cache_memory: int = CACHE_MEMORY
    port: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    reductions: tuple[Reduction, ...] = ()


def build(wanted: Wanted) -> Stack:
    """The stack; a plain function of its input."""
    resources = (
        Resource("storage", DIRECTORY, {"path": "objects"}, stateful=True),
        Resource("queue", DIRECTORY, {"path": "queue"}),
        Resource("metrics", DIRECTORY, {"path": "metrics"}),
        _secret("secret-key", stateful=True),
        *_database(wanted),
        *_cache(wanted),
        *_processes(wanted),
        # The deployment describes itself: a change of the spec alone is a change too.
        Resource("description", DESCRIPTION, {"spec": dict(wanted.spec)}),
    )
    return Stack(
        target=wanted.target,
        template={
            "apiVersion": FORMAT,
            "runtime": wanted.runtime,
            "code": wanted.code,
            "name": wanted.target.name,
            "environment": wanted.target.environment,
            "resources": {
                r.id: {"Type": r.type, "DependsOn": list(r.depends_on), "Stateful": r.stateful,
                       "Properties": dict(r.properties)}
                for r in resources
            },
            "spec": wanted.spec,
        },
        resources=resources,
        spec=wanted.spec,
        tags=wanted.tags,
        reductions=wanted.reductions,
    )  # fmt: skip


def _secret(name: str, *, stateful: bool = False) -> Resource:
    return Resource(name, SECRET, {"bytes": SECRET_BYTES, "mode": "0600"}, stateful=stateful)


def _derived(name: str, pattern: str, *depends_on: str) -> Resource:
    return Resource(name, SECRET, {"pattern": pattern, "mode": "0600"}, depends_on)


def _database(wanted: Wanted) -> tuple[Resource, ...]:
    if wanted.database == "sqlite":
        return (Resource("database", DIRECTORY, {"path": "sqlite"}, stateful=True),)
    url = "postgresql+psycopg://tabular:${secret:database-password}@127.0.0.1:${port:database}/tabular"
    return (
        _secret("database-password", stateful=True),
        Resource(
            "database",
            PROCESS,
            {"engine": "postgresql", "path": "postgres"},
            depends_on=("database-password",),
            stateful=True,
        ),
        _derived("database-url", url, "database", "database-password"),
    )


def _cache(wanted: Wanted) -> tuple[Resource, ...]:
    if not wanted.cache:
        return ()
    properties = {"engine": "valkey", "path": "valkey", "maxmemory": wanted.cache_memory}
    url = "redis://:${secret:cache-password}@127.0.0.1:${port:cache}/0"
    return (
        _secret("cache-password"),
        Resource("cache", PROCESS, properties, depends_on=("cache-password",)),
        _derived("cache-url", url, "cache", "cache-password"),
    )


def _processes(wanted: Wanted) -> tuple[Resource, ...]:
    settings = {
        "TABULAR_PROVIDER": wanted.target.provider,
        "TABULAR_ENVIRONMENT": wanted.target.environment,
        "TABULAR_STORAGE_URL": "file://${directory:storage}",
        "TABULAR_QUEUE_URL": "filesystem://${directory:queue}",
        "TABULAR_SECRET_KEY_FILE": "${secret-file:secret-key}",
        # One scrape of any API process gives the sum of all processes, the workers' included.
        "PROMETHEUS_MULTIPROC_DIR": "${directory:metrics}",
        **wanted.settings,
    }
    needs = ["storage", "queue", "metrics", "secret-key", "database"]
    if wanted.database == "sqlite":
        settings["TABULAR_DATABASE_URL"] = "sqlite:///${directory:database}/tabular.db"
    else:
        settings["TABULAR_DATABASE_URL_FILE"] = "${secret-file:database-url}"
        needs.append("database-url")
    if wanted.cache:
        settings["TABULAR_CACHE_URL_FILE"] = "${secret-file:cache-url}"
        needs.append("cache-url")
    else:
        settings["TABULAR_CACHE_URL"] = "memory://"
    package = f"inferloop-tabular=={__version__}"
    return tuple(
        Resource(
            name,
            PROCESS,
            {
                "command": name,
                "instances": count,
                "package": package,
                "code": wanted.code,
                "environment": settings,
                **more,
            },
            depends_on=tuple(needs),
        )
        for name, count, more in (
            ("api", wanted.api, {"port": wanted.port}),
            ("worker", wanted.workers, {}),
        )
    )
