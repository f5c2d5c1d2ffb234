"""The container runtime's compose file for whoever runs `docker compose` or `podman compose`.

The same containers as `deploy --runtime container` runs, without its engine: nothing is tried on a
port of its own before, and nothing is rolled back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tabular.deploy.export.portable import Containers, is_own, portable
from tabular.deploy.export.yaml_text import as_yaml
from tabular.deploy.image.code import Code, digest
from tabular.deploy.spec import Deployment
from tabular.deploy.standalone.compile import compile_stack

FILE = "compose.yaml"
SCRIPT = "make-secrets.sh"
READY = {
    "test": ["CMD-SHELL", "pg_isready --quiet --username tabular --dbname tabular"],
    "interval": "5s",
    "timeout": "5s",
    "start_period": "120s",
    "retries": 5,
}
_WORDS = "Written by `inferloop-tabular export`; README.md says how to use it."

_SCRIPT = """\
#!/bin/sh
# Makes the secrets that compose.yaml mounts. Those that are there already stay as they are.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
for name in {names}; do
  if [ ! -s "secrets/$name" ]; then
    value=$(openssl rand -hex 24)
    printf %s "$value" > "secrets/$name"
  fi
  # Containers run as other users; nobody else gets into the folder.
  chmod 444 "secrets/$name"
done
"""
_README = """\
# {project} with compose

    sh {script}
    docker compose up --detach --wait
    docker compose exec api python -m tabular.api create-key --name admin

The last line prints the first API key, once. Then the API is at http://{address}/docs.
`podman-compose` takes the same file. Put a reverse proxy with TLS in front before others reach it.

Secrets are files in `secrets/`, made once by `{script}`; the folder belongs into no
repository, and a copy of it to your backups: without `secret-key` they cannot be used.

The data is in volumes, which `docker compose down` keeps and `down --volumes` deletes:

{volumes}{image}
To change the deployment, export it again into this folder, and `docker compose up --detach --wait`.
{in_part}"""
_BUILD = """
The image is in no registry. Make it here, or on a machine whose images you can load:

    inferloop-tabular image build      # {image}

For a registry of your own, push it there, and name it in the spec (`spec.image`).
"""


def compose(deployment: Deployment) -> dict[str, bytes]:
    """The files.

    Raises:
        UnsupportedError: the spec asks for what no single host gives.
        EngineError: the installed package cannot be read.
    """
    stack = compile_stack(deployment, "container", digest(Code.installed().read()))
    containers = portable(stack)
    project = f"{deployment.metadata.name}-{deployment.spec.environment}"
    api = containers.services["api"]
    less = [f"- `{one.field}`: {one.given} ({one.reason})\n" for one in stack.reductions]
    readme = _README.format(
        project=project,
        script=SCRIPT,
        address=api["ports"][0].rpartition(":")[0],
        volumes="".join(f"- `{project}_{name}`\n" for name in containers.volumes),
        in_part="".join(["\n## What it gives in part\n\n", *less]) if less else "",
        image=_BUILD.format(image=api["image"]) if stack.template["build"] else "",
    )
    return {
        "README.md": readme.encode(),
        FILE: as_yaml(_file(project, containers), words=_WORDS),
        SCRIPT: _SCRIPT.format(names=" ".join(containers.secrets)).encode(),
    }


def _file(project: str, containers: Containers) -> dict[str, Any]:
    services = {name: dict(one) for name, one in containers.services.items()}
    servers = {
        name: {"condition": "service_healthy" if name == "database" else "service_started"}
        for name, one in services.items()
        if not is_own(one)
    }
    if "database" in services:
        services["database"]["healthcheck"] = READY
    migrated = {"migrate": {"condition": "service_completed_successfully"}}
    for one in services.values():
        if is_own(one):
            one["depends_on"] = {**servers, **migrated}
    services["worker"]["deploy"] = {"replicas": containers.workers}
    services["migrate"] = _migrate(services["api"], servers)
    return {
        "name": project,
        "services": services,
        "volumes": {name: {} for name in containers.volumes},
        "secrets": {name: {"file": f"./secrets/{name}"} for name in containers.secrets},
    }


def _migrate(api: Mapping[str, Any], servers: Mapping[str, Any]) -> dict[str, Any]:
    """Brings the database up to date, and ends."""
    kept = {key: one for key, one in api.items() if key not in ("ports", "healthcheck")}
    command = ["python", "-m", "tabular.api", "migrate"]
    return {**kept, "command": command, "restart": "no", "depends_on": dict(servers)}
