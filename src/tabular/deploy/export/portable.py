"""The containers of a deployment as any host can run them: without what an engine of ours fills in.

The container runtime's own compose file has places of secrets on one host, names that its engine
goes by, and migrates before it starts anything. Who runs the containers by hand has none of that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tabular.deploy.stack import Stack, fingerprint
from tabular.deploy.standalone.compose import USER
from tabular.deploy.standalone.model import SECRET

_FILE = "_FILE"
_WORKER = re.compile(r"worker-\d+")
_PIECE = re.compile(r"\$\{secret:([^}]+)\}")
MOUNTED = "/run/secrets"
# A release that differs in anything has another name; the rest of the digits tells nobody more.
_DIGITS = 12


@dataclass(frozen=True)
class Containers:
    """What runs.

    Attributes:
        services: by name; one ``worker`` for all of them, whose number is ``workers``.
        workers: how many workers run.
        volumes: names of what keeps data.
        secrets: names of what has to be made: any text does.
    """

    services: Mapping[str, Mapping[str, Any]]
    workers: int
    volumes: tuple[str, ...]
    secrets: tuple[str, ...]


def portable(stack: Stack) -> Containers:
    """The containers of a stack of the container runtime."""
    made = stack.template["compose"]["services"]
    workers = [name for name in made if _WORKER.fullmatch(name)]
    named = {("worker" if name == workers[0] else name): one for name, one in made.items()}
    patterns = {
        one.id: str(one.properties["pattern"])
        for one in stack.resources
        if one.type == SECRET and "pattern" in one.properties
    }
    release = fingerprint(stack.template)[:_DIGITS]
    services = {
        name: _service(one, patterns, release) for name, one in named.items() if name not in workers
    }
    return Containers(
        services=services,
        workers=len(workers),
        volumes=tuple(stack.template["compose"]["volumes"]),
        secrets=tuple(
            one.id for one in stack.resources if one.type == SECRET and one.id not in patterns
        ),
    )


def is_own(service: Mapping[str, Any]) -> bool:
    """Whether a service is of the platform's image, and not a server that it stands on."""
    return service.get("user") == USER


def _service(given: Mapping[str, Any], patterns: Mapping[str, str], release: str) -> dict[str, Any]:
    kept = {key: one for key, one in given.items() if key != "container_name"}
    if "environment" in kept:
        kept["environment"] = dict(_environment(kept["environment"], patterns, release))
    used = [name for one in kept["secrets"] for name in _made_of(one, patterns)]
    return {**kept, "secrets": list(dict.fromkeys(used))}


def _environment(
    given: Mapping[str, str], patterns: Mapping[str, str], release: str
) -> Iterator[tuple[str, str]]:
    """URLs with references in them, instead of files that somebody would have to put together."""
    for name, value in given.items():
        secret = value.removeprefix(f"{MOUNTED}/")
        if name.endswith(_FILE) and secret in patterns:
            text = _PIECE.sub(rf"{{file:{MOUNTED}/\1}}", patterns[secret])
            yield name.removesuffix(_FILE), text
        else:
            yield name, value.replace("${release}", release)


def _made_of(secret: str, patterns: Mapping[str, str]) -> list[str]:
    """The secrets behind one that is put together of others."""
    return _PIECE.findall(patterns[secret]) if secret in patterns else [secret]
