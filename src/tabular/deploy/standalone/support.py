"""What one host can give of each field of the spec; all others are refused by name."""

from __future__ import annotations

from tabular.deploy.capability import SEVERAL_PLACES, CapabilityTable, emulated, native, unsupported

_ONE_HOST = "one host, so there is only one place; leave it out"
_CLOUD = "belongs to a cloud; choose that provider, or leave it out"
_PROXY = "put a reverse proxy of your own in front, or choose another provider"
_GENERATED = "generated on this host; leave it out"
_BACKUP = "run `inferloop-tabular backup create --to URL` by a timer of your own, such as cron"
_METRICS = "scrape /metrics with a Prometheus of your own"

CAPABILITIES: CapabilityTable = {
    "provider": native(),
    "environment": native("isolates state and data"),
    "region": unsupported(_ONE_HOST),
    "account": unsupported(_ONE_HOST),
    "ha": emulated("processes are started again; the host itself is one"),
    "topology": native("single"),
    "providers": SEVERAL_PLACES,
    "data": unsupported(_ONE_HOST),
    "compute.type": native("process or container"),
    "compute.instances": emulated("API processes that share one port"),
    "compute.workers": native("worker processes"),
    "compute.cpu": emulated("shared with the host"),
    "compute.memory": emulated("shared with the host"),
    "compute.cpu_limit": emulated("shared with the host"),
    "compute.memory_limit": emulated("shared with the host"),
    "compute.gpu": emulated("none; `required` is refused"),
    "compute.min_instances": emulated("the number of processes does not change by itself"),
    "compute.max_instances": emulated("the number of processes does not change by itself"),
    "compute": unsupported(_CLOUD),
    "storage.type": native("files on this host: object, file or local"),
    "storage.size": emulated("as much as the disk has; no quota"),
    "storage.replication": emulated("one copy"),
    "storage": unsupported(_CLOUD),
    "database.type": native("sqlite (default) or an embedded postgresql"),
    "database.version": emulated("the version of the installed server"),
    "database.size": emulated("as much as the disk has; no quota"),
    "database.ha": emulated("one server, started again when it dies"),
    "database.name": unsupported(_GENERATED),
    "database.username": unsupported(_GENERATED),
    "database.password": unsupported(_GENERATED),
    "database": unsupported(_CLOUD),
    "cache.type": native("redis and valkey start a Valkey server; memory needs none"),
    "cache.size": native("memory limit of the server"),
    "cache.version": emulated("the version of the installed server"),
    "cache.ha": emulated("one server, started again when it dies"),
    "cache.password": unsupported(_GENERATED),
    "cache": unsupported(_CLOUD),
    "queue.type": native("a folder: native or filesystem"),
    "queue.visibility_timeout": native("lease of a job"),
    "queue.max_attempts": native("tries of a job"),
    "queue": unsupported("the queue is a folder here and carries only ids; leave it out"),
    "monitoring.enabled": emulated("/metrics is always there"),
    "monitoring.retention": emulated("metrics are offered, not kept"),
    "monitoring.log_retention": emulated("logs are kept by size, 16 to 32 MiB for each process"),
    "monitoring": unsupported(_METRICS),
    "networking.flow_logs": unsupported(_PROXY),
    "networking": unsupported(_PROXY),
    "backup": unsupported(_BACKUP),
    "image": emulated("only with --runtime container"),
    "security": unsupported("data stays on this host's disk; encrypt that disk"),
    "policy": native("checked by the orchestrator"),
    "onprem": unsupported("use --provider onprem"),
    "overrides": native("overrides.standalone: port, settings"),
}
