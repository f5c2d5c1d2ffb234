"""The script that makes the secrets once and deploys, and the words beside it."""

from __future__ import annotations

from tabular.deploy.export.portable import Containers
from tabular.deploy.export.swarm.stack import PUBLISH, STACK, label

_SCRIPT = """\
#!/bin/sh
# Makes the secrets that are not there yet, and deploys; run it again for every change.
# ./deploy.sh [--publish PORT]    on a manager of the swarm
set -eu
cd "$(dirname "$0")"
stack={name}
publish=""
case "$#:${{1:-}}" in
  0:) ;;
  2:--publish) publish=$2 ;;
  *) echo "usage: deploy.sh [--publish PORT]" >&2; exit 2 ;;
esac
if ! docker node ls >/dev/null; then
  echo "error: this is no manager of a swarm" >&2
  echo "  hint: docker swarm init, or run it on a manager (docker context use …)" >&2
  exit 1
fi
if [ -z "$(docker node ls --quiet --filter "node.label={label}=data")" ]; then
  echo "error: no node is labelled to have the data" >&2
  echo "  hint: docker node update --label-add {label}=data NODE" >&2
  exit 1
fi
for name in {secrets}; do
  if ! docker secret inspect "$stack-$name" >/dev/null 2>&1; then
    value=$(openssl rand -hex 24)
    printf %s "$value" | docker secret create "$stack-$name" - >/dev/null
    echo "made the secret $stack-$name"
  fi
done
set -- --compose-file {stack}
if [ -n "$publish" ]; then
  PORT=$publish
  export PORT
  set -- "$@" --compose-file {publish}
fi
docker stack deploy --prune --with-registry-auth "$@" "$stack"
"""
_README = """\
# {name} on Docker Swarm

Docker 20.10 or newer. On a manager of the swarm, say once which node has the data, then deploy:

    docker node update --label-add {label}=data NODE
    sh deploy.sh

`deploy.sh` makes the secrets that are not there yet and runs `docker stack deploy`. Run it again
after each export: what changed is replaced, a new API started before the old one is stopped; a
service that does not get healthy goes back to what it was. The first API key, on that node:

    api=$(docker ps --quiet --filter health=healthy \\
      --filter label=com.docker.swarm.service.name={name}_api | head -n 1)
    docker exec "$api" python -m tabular.api create-key --name admin

## Reach it

Nothing is published, since a swarm has no TLS. A reverse proxy of yours goes to `http://api:8000`
in the network `{name}_edge`.
To publish the API in plain HTTP at a port of every node, behind something that has TLS or in a
network that needs none:

    sh deploy.sh --publish 8000

Say it each time: a `deploy.sh` without it takes the port back.

## Data and secrets

What has data is in volumes of the labelled node, and everything that mounts one runs there: a node
that is lost is put back from a backup. `docker stack rm` keeps these volumes and the secrets:

{kept}
A secret of a swarm cannot be read again; make it yourself before the first `deploy.sh` to have a
copy of `secret-key`, which backups cannot be used without:

    openssl rand -hex 24 | tr -d '\\n' > secret-key
    docker secret create {name}-secret-key secret-key

## Change it here

Another file laid over `{stack}` outlives the next export:

    docker stack deploy --compose-file {stack} --compose-file yours.yaml \\
      {name}
"""


def deploy_script(name: str, containers: Containers) -> bytes:
    """The script."""
    text = _SCRIPT.format(
        name=name,
        label=label(name),
        secrets=" ".join(containers.secrets),
        stack=STACK,
        publish=PUBLISH,
    )
    return text.encode()


def readme(name: str, containers: Containers) -> bytes:
    """The words."""
    text = _README.format(
        name=name,
        label=label(name),
        kept="".join(
            [
                *(f"- the volume `{name}_{one}`\n" for one in containers.volumes),
                *(f"- the secret `{name}-{one}`\n" for one in containers.secrets),
            ]
        ),
        stack=STACK,
    )
    return text.encode()
