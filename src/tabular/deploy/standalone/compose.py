"""The native template of the container runtime: a compose file, as plain data.

Every container has a read-only root, no capabilities and an ordinary user. Secrets are files
that the container mounts; their place on the host is a reference until the file is applied.
"""

from __future__ import annotations

from typing import Any

from tabular.deploy.image.names import PYTHON_IMAGE, own_image
from tabular.deploy.stack import Resource, Stack
from tabular.deploy.standalone.model import DESCRIPTION, SECRET
from tabular.deploy.standalone.template import FORMAT, SECRET_BYTES, Wanted

SERVICE = "Compose::Service"
VOLUME = "Compose::Volume"
POSTGRES_IMAGE = "docker.io/library/postgres:18"
VALKEY_IMAGE = "docker.io/valkey/valkey:9"
IMAGES = {"base": PYTHON_IMAGE, "database": POSTGRES_IMAGE, "cache": VALKEY_IMAGE}
SERVERS = ("database", "cache")
API_PORT = 8000
DEFAULT_PORT = 8000
METRICS_PORT = 9464
_HEALTHCHECK = {"interval": "10s", "timeout": "5s", "start_period": "60s", "retries": 3}
_ASK = "import urllib.request as r; r.urlopen('http://127.0.0.1:{}', timeout=4)"
USER = "10001:10001"
# The password comes from a file through a pipe, so that no process list shows it.
_VALKEY = (
    'printf "requirepass %s\\nsave \\"\\"\\nmaxmemory {memory}\\nmaxmemory-policy allkeys-lru\\n" '
    '"$$(cat /run/secrets/cache-password)" | exec valkey-server -'
)


def project(wanted: Wanted) -> str:
    """Name of the compose project; part of every container's and volume's name."""
    return f"inferloop-{wanted.target.environment}-{wanted.target.name}"


def build_compose(wanted: Wanted, image: str | None) -> Stack:
    """The stack; a plain function of its input.

    Args:
        wanted: what the spec comes to.
        image: reference of a published image; None to build the installed code's own.
    """
    name = project(wanted)
    volumes = {key: {"name": f"{name}-{key}"} for key in _volumes(wanted)}
    secrets = _secrets(wanted)
    services = {
        key: {"container_name": f"{name}-{key}", **service}
        for key, service in _services(wanted, image or own_image(wanted.code))
    }
    file: dict[str, Any] = {
        "name": name,
        "services": services,
        "volumes": volumes,
        "secrets": {r.id: {"file": f"${{secret-file:{r.id}}}"} for r in secrets},
    }
    resources = (
        *(Resource(key, VOLUME, dict(v), stateful=key != "queue") for key, v in volumes.items()),
        *secrets,
        *(Resource(key, SERVICE, service) for key, service in services.items()),
        Resource("description", DESCRIPTION, {"spec": dict(wanted.spec)}),
    )
    return Stack(
        target=wanted.target,
        template={
            "apiVersion": FORMAT,
            "runtime": "container",
            "build": image is None,
            "code": wanted.code if image is None else "",
            "base": wanted.images.get("base", PYTHON_IMAGE),
            "compose": file,
            "resources": {"api": {"Properties": {"port": wanted.port or DEFAULT_PORT}}},
            "spec": wanted.spec,
        },
        resources=resources,
        spec=wanted.spec,
        tags=wanted.tags,
        reductions=wanted.reductions,
    )


def _volumes(wanted: Wanted) -> tuple[str, ...]:
    return ("storage", "queue", "sqlite" if wanted.database == "sqlite" else "postgres")


def _secrets(wanted: Wanted) -> tuple[Resource, ...]:
    def generated(name: str, *, stateful: bool) -> Resource:
        return Resource(name, SECRET, {"bytes": SECRET_BYTES, "mode": "0600"}, stateful=stateful)

    def derived(name: str, pattern: str) -> Resource:
        return Resource(name, SECRET, {"pattern": pattern, "mode": "0600"})

    found = [generated("secret-key", stateful=True)]
    if wanted.database == "postgresql":
        url = "postgresql+psycopg://tabular:${secret:database-password}@database:5432/tabular"
        found += [generated("database-password", stateful=True), derived("database-url", url)]
    if wanted.cache:
        url = "redis://:${secret:cache-password}@cache:6379/0"
        found += [generated("cache-password", stateful=False), derived("cache-url", url)]
    return tuple(found)


def _hardened() -> dict[str, Any]:
    return {
        "read_only": True,
        "tmpfs": ["/tmp"],  # noqa: S108 - inside the container
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "restart": "unless-stopped",
        "stop_grace_period": "30s",
    }


def _healthcheck(place: str) -> dict[str, Any]:
    return {**_HEALTHCHECK, "test": ["CMD", "python", "-c", _ASK.format(place)]}


def _services(wanted: Wanted, image: str) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    if wanted.database == "postgresql":
        found.append(("database", _postgres(wanted.images.get("database", POSTGRES_IMAGE))))
    if wanted.cache:
        found.append(
            ("cache", _valkey(wanted.images.get("cache", VALKEY_IMAGE), wanted.cache_memory))
        )
    needed = [key for key, _ in found]
    common: dict[str, Any] = {
        **_hardened(),
        "image": image,
        "user": USER,
        "environment": _environment(wanted),
        "secrets": [r.id for r in _secrets(wanted) if not r.id.endswith("-password")],
        "volumes": ["storage:/data/objects", "queue:/data/queue"]
        + (["sqlite:/data/sqlite"] if wanted.database == "sqlite" else []),
        "depends_on": needed,
    }
    port = wanted.port or DEFAULT_PORT
    api = {
        **common,
        "command": ["python", "-m", "tabular.api", "serve"],
        # The image says it too, but podman builds images of the OCI's format, which cannot.
        "healthcheck": _healthcheck(f"{API_PORT}/ready"),
    }
    found.append(("api", {**api, "ports": [f"127.0.0.1:{port}:{API_PORT}"]}))
    worker = {**common, "command": ["python", "-m", "tabular.worker"]}
    # No folder is shared with the API, so each worker tells of itself.
    worker["environment"] = {
        **common["environment"],
        "TABULAR_METRICS_PORT": str(METRICS_PORT),
    }
    worker["healthcheck"] = _healthcheck(f"{METRICS_PORT}/health")
    found += [(f"worker-{number}", worker) for number in range(wanted.workers)]
    return found


def _environment(wanted: Wanted) -> dict[str, str]:
    settings = {
        "TABULAR_PROVIDER": wanted.target.provider,
        "TABULAR_ENVIRONMENT": wanted.target.environment,
        "TABULAR_STORAGE_URL": "file:///data/objects",
        "TABULAR_QUEUE_URL": "filesystem:///data/queue",
        "TABULAR_SECRET_KEY_FILE": "/run/secrets/secret-key",
        "TABULAR_RELEASE": "${release}",
        **wanted.settings,
    }
    if wanted.database == "sqlite":
        settings["TABULAR_DATABASE_URL"] = "sqlite:////data/sqlite/tabular.db"
    else:
        settings["TABULAR_DATABASE_URL_FILE"] = "/run/secrets/database-url"
    if wanted.cache:
        settings["TABULAR_CACHE_URL_FILE"] = "/run/secrets/cache-url"
    return settings


def _postgres(image: str) -> dict[str, Any]:
    return {
        "image": image,
        "environment": {
            "POSTGRES_USER": "tabular",
            "POSTGRES_DB": "tabular",
            "POSTGRES_PASSWORD_FILE": "/run/secrets/database-password",
        },
        "secrets": ["database-password"],
        "volumes": ["postgres:/var/lib/postgresql"],
        "restart": "unless-stopped",
        "stop_signal": "SIGINT",
        "stop_grace_period": "60s",
    }


def _valkey(image: str, memory: int) -> dict[str, Any]:
    return {
        **_hardened(),
        "image": image,
        "user": "999:1000",
        "secrets": ["cache-password"],
        "command": ["sh", "-c", _VALKEY.format(memory=memory)],
    }
