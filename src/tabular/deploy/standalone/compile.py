"""From the portable spec to one host: what is asked, what is given, what is refused.

A plain function: it looks neither at this host nor at the clock, so the same spec and the same
package give the same bytes everywhere. What any single host gives only in part is listed as
reduced, never dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.capability import require_choices, require_supported, without_noes
from tabular.deploy.spec import Deployment, asked, canonical
from tabular.deploy.spec.quantities import format_cores, format_duration, format_size
from tabular.deploy.stack import Reduction, Stack
from tabular.deploy.standalone.compose import IMAGES, build_compose
from tabular.deploy.standalone.judged import require_right
from tabular.deploy.standalone.layout import PROVIDER
from tabular.deploy.standalone.support import CAPABILITIES
from tabular.deploy.standalone.template import CACHE_MEMORY, Wanted, build
from tabular.deploy.target import Target
from tabular.errors import UnsupportedError, UsageError, nearest
from tabular.infra.config import is_secret, variable, variables
from tabular.version import __version__

RUNTIMES = ("process", "container")
MAX_PROCESSES = 64
_IMAGE = re.compile(r"[\w.-]+(:\d+)?(/[\w.-]+)*(:[\w.-]+)?(@sha256:[0-9a-f]{64})?", re.ASCII)
_MANAGED = frozenset(
    variable(name)
    for name in (
        "host", "port", "provider", "environment", "release", "database_url", "storage_url",
        "cache_url", "queue_url", "secret_key", "metrics_port",
    )
)  # fmt: skip
_CHOICES = {
    "compute.type": (*RUNTIMES, None),
    "compute.gpu": ("none", "optional"),
    "storage.type": ("object", "file", "local"),
    "database.type": ("sqlite", "postgresql", None),
    "cache.type": ("redis", "valkey", "memory"),
    "queue.type": ("native", "filesystem"),
    "topology": ("single",),
}


def target_of(deployment: Deployment) -> Target:
    """Where the deployment goes on this machine."""
    return Target(PROVIDER, deployment.metadata.name, deployment.spec.environment)


def compile_stack(deployment: Deployment, runtime: str | None, code: str) -> Stack:
    """Compile a spec for one host.

    Args:
        deployment: the spec.
        runtime: ``process`` or ``container``; None for what the spec says.
        code: digest of the package that is to run, as the version is part of what is compiled.

    Raises:
        UnsupportedError: it asks for what no single host gives.
        UsageError: a setting under ``overrides.standalone`` that nothing reads.
    """
    said = asked(deployment)
    require_supported(PROVIDER, CAPABILITIES, without_noes(said))
    require_choices(PROVIDER, deployment.spec, _CHOICES)
    spec = deployment.spec
    runtime = runtime or spec.compute.type or RUNTIMES[0]
    if runtime == "process" and spec.image is not None:
        raise UnsupportedError(
            f"{PROVIDER} runs the installed package as processes, which need no image",
            where="spec.image",
            hint="leave it out, or deploy with --runtime container",
        )
    overrides = overrides_of(said.get("overrides", {}).get(PROVIDER, {}))
    if runtime == "process" and overrides["images"]:
        raise UnsupportedError(
            f"{PROVIDER} runs the installed package as processes, which need no images",
            where=f"spec.overrides.{PROVIDER}.images",
            hint="leave it out, or deploy with --runtime container",
        )
    cache = spec.cache if spec.cache and spec.cache.type != "memory" else None
    wanted = Wanted(
        target=target_of(deployment),
        runtime=runtime,
        api=_processes("compute.instances", spec.compute.instances),
        workers=_processes("compute.workers", spec.compute.workers),
        database=spec.database.type or "sqlite",
        cache=cache is not None,
        cache_memory=(cache.size if cache else None) or CACHE_MEMORY,
        port=overrides["port"],
        settings=dict(sorted({**queue_settings(deployment), **overrides["settings"]}.items())),
        images=overrides["images"],
        spec=canonical(deployment),
        code=code,
        tags=dict(sorted(deployment.metadata.labels.items())),
        reductions=tuple(reductions(deployment, runtime)),
    )
    if runtime == "process":
        return build(wanted)
    return build_compose(wanted, image_of(deployment))


def image_of(deployment: Deployment) -> str | None:
    """Reference of the published image; None to build this version's own."""
    image = deployment.spec.image
    if image is None:
        return None
    if image.digest:
        return f"{image.repository}@{image.digest}"
    return f"{image.repository}:{image.tag or __version__}"


def _processes(path: str, count: int) -> int:
    if not 1 <= count <= MAX_PROCESSES:
        raise UnsupportedError(
            f"{PROVIDER} runs 1 to {MAX_PROCESSES} processes of a kind, not {count}",
            where=f"spec.{path}",
            hint="to stop a deployment use `inferloop-tabular destroy`, which keeps its data",
        )
    return count


def queue_settings(deployment: Deployment) -> dict[str, str]:
    """The service's settings that ``spec.queue`` comes to."""
    queue = deployment.spec.queue
    found: dict[str, str] = {}
    if queue and queue.max_attempts:
        found[variable("job_max_attempts")] = str(queue.max_attempts)
    if queue and queue.visibility_timeout:
        found[variable("job_lease")] = f"{queue.visibility_timeout.total_seconds():g}"
    return found


def overrides_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """What ``spec.overrides.standalone`` says: port, settings by variable, images.

    Raises:
        UsageError: it says what nothing reads; names the key.
    """
    where = f"spec.overrides.{PROVIDER}"
    known = ("port", "settings", "images")
    for name in given:
        if name not in known:
            raise UsageError(
                f"{name!r} is no override of {PROVIDER}",
                where=f"{where}.{name}",
                hint=f"{nearest(name, known)}known: {', '.join(known)}",
            )
    port = given.get("port")
    if port is not None and (type(port) is not int or not 1 <= port <= 65_535):
        raise UsageError(
            f"{port!r} is no port", where=f"{where}.port", hint="a number from 1 to 65535"
        )
    settings = given.get("settings", {})
    if not isinstance(settings, Mapping):
        raise UsageError("settings is a block", where=f"{where}.settings", hint="log_level: DEBUG")
    free = {
        name.removeprefix("TABULAR_").lower(): name
        for name, field in variables().items()
        if name not in _MANAGED and not is_secret(field)
    }
    texts = dict(_setting(free, *item) for item in settings.items())
    plain = {name.removeprefix("TABULAR_").lower(): text for name, text in texts.items()}
    require_right(plain, f"{where}.settings")
    return {
        "port": port,
        "settings": texts,
        "images": _images(given.get("images", {}), f"{where}.images"),
    }


def _images(given: Any, where: str) -> dict[str, str]:
    """References of images from a registry of the user's own."""
    example = "database: registry.example.com/postgres:18"
    if not isinstance(given, Mapping):
        raise UsageError("images is a block", where=where, hint=example)
    for name, reference in given.items():
        if name not in IMAGES:
            hint = f"{nearest(name, IMAGES)}known: {', '.join(IMAGES)}"
            raise UsageError(f"{name!r} is no image of ours", where=f"{where}.{name}", hint=hint)
        if not isinstance(reference, str) or not _IMAGE.fullmatch(reference):
            said = f"{reference!r} is no reference of an image"
            raise UsageError(said, where=f"{where}.{name}", hint=example)
    return dict(sorted(given.items()))


def _setting(free: Mapping[str, str], name: str, value: Any) -> tuple[str, str]:
    where = f"spec.overrides.{PROVIDER}.settings.{name}"
    if name not in free:
        hint = f"{nearest(name, free)}known: {', '.join(sorted(free))}"
        raise UsageError(f"{name!r} is no setting that may be overridden", where=where, hint=hint)
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise UsageError("a setting is a text or a number", where=where, hint=f"{name}: 10")
    return free[name], str(value)


def reductions(deployment: Deployment, runtime: str) -> Iterator[Reduction]:
    """What one host gives only in part, for what the user really said."""
    spec = deployment.spec
    yield from _compute_reductions(deployment, runtime)
    said = spec.storage.model_fields_set
    if "size" in said and spec.storage.size:
        size = format_size(spec.storage.size)
        yield _reduced("storage.size", size, "what this host's disk has", "one disk, no quota")
    if "replication" in said and (spec.storage.replication or 1) > 1:
        copies = str(spec.storage.replication)
        yield _reduced("storage.replication", copies, "1", "one host keeps one copy")
    if spec.ha:
        yield _reduced("ha", "true", "false", "one host is one point of failure")
    yield from _server_reductions(deployment)
    monitoring = spec.monitoring
    if "enabled" in monitoring.model_fields_set and not monitoring.enabled:
        yield _reduced("monitoring.enabled", "false", "true", "/metrics is part of the service")
    if "retention" in monitoring.model_fields_set:
        kept = format_duration(monitoring.retention)
        yield _reduced("monitoring.retention", kept, "none", "metrics are offered at /metrics")
    if "log_retention" in monitoring.model_fields_set:
        kept = format_duration(monitoring.log_retention)
        yield _reduced("monitoring.log_retention", kept, "32 MiB a process", "logs rotate by size")


def _reduced(path: str, want: str, given: str, reason: str) -> Reduction:
    return Reduction(f"spec.{path}", want, given, reason)


def _compute_reductions(deployment: Deployment, runtime: str) -> Iterator[Reduction]:
    compute, cache = deployment.spec.compute, deployment.spec.cache
    counted_apart = cache is None or cache.type == "memory"
    if compute.instances > 1 and counted_apart and runtime == "process":
        given = f"each of {compute.instances} processes counts alone, so up to that many times"
        mend = "a cache in memory is not shared; set cache.type: redis for one count"
        yield _reduced("cache.type", "one rate limit for a key", given, mend)
    shared = "shared by all processes of this one host"
    if compute.instances > 1:
        given = f"{compute.instances} processes on one host"
        if runtime == "container":
            given = "1 container"
        yield _reduced("compute.instances", str(compute.instances), given, "one host")
    for name in ("cpu", "cpu_limit"):
        cores = getattr(compute, name)
        if cores is not None:
            text = str(format_cores(cores))
            yield _reduced(f"compute.{name}", text, "what this host has", shared)
    for name in ("memory", "memory_limit"):
        size = getattr(compute, name)
        if size is not None:
            text = format_size(size)
            yield _reduced(f"compute.{name}", text, "what this host has", shared)
    for name in ("min_instances", "max_instances"):
        count = getattr(compute, name)
        if count is not None and count != compute.instances:
            fixed = f"{compute.instances} processes"
            yield _reduced(f"compute.{name}", str(count), fixed, "one host does not scale")


def _server_reductions(deployment: Deployment) -> Iterator[Reduction]:
    database, cache = deployment.spec.database, deployment.spec.cache
    if database.size is not None:
        size = format_size(database.size)
        yield _reduced("database.size", size, "what this host's disk has", "one disk, no quota")
    if database.ha:
        yield _reduced("database.ha", "true", "false", "one server, started again when it dies")
    if database.version is not None:
        yield _reduced(
            "database.version", database.version, "the installed one", "comes with its package"
        )
    if cache is not None and cache.ha:
        yield _reduced("cache.ha", "true", "false", "one server, started again when it dies")
    if cache is not None and cache.version is not None:
        yield _reduced(
            "cache.version", cache.version, "the installed one", "comes with its package"
        )
