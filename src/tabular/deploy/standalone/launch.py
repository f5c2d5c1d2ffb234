"""From a slot to the exact command, environment and log of its process.

Everything is computed anew from the release's description whenever a process starts, so the
next supervisor starts the same thing. Children get a short list of the operator's variables and
not the whole environment, which may hold credentials that are none of their business.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tabular.deploy.stack import Resource, fingerprint
from tabular.deploy.standalone import cache, code, container_steps, keeper, postgres, vault
from tabular.deploy.standalone.layout import Layout
from tabular.deploy.standalone.liveness import heartbeat
from tabular.deploy.standalone.model import SECRET, SERVICES, Release, Slot, State
from tabular.errors import EngineError

_INHERITED = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LC_\w+|TZ|TMPDIR|SSL_CERT_\w+|PYTHON\w+|VIRTUAL_ENV|"
    r"XDG_\w+|DBUS_SESSION_BUS_ADDRESS|CONTAINERS?_\w+|DOCKER_\w+|BUILDAH_\w+|"
    r"LD_LIBRARY_PATH|(OMP|OPENBLAS|MKL)_NUM_THREADS"
)
KEEPER = "keeper"
_REFERENCE = re.compile(r"\$\{(directory|secret|secret-file|port):([\w-]+)\}")


@dataclass(frozen=True, slots=True)
class Launch:
    """What to run.

    Attributes:
        argv: the command; no secret in it.
        environment: all of it; no secret in it.
        log: file that takes stdout and stderr.
        stop_signal: asks it to end gracefully.
        inherits: ``api`` or ``keeper``: which sockets it gets along, "" for none.
    """

    argv: list[str]
    environment: dict[str, str]
    log: Path
    stop_signal: signal.Signals = signal.SIGTERM
    inherits: str = ""


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """The operator's variables that a child may see."""
    return {name: value for name, value in environ.items() if _INHERITED.fullmatch(name)}


def is_service(resource: Resource) -> bool:
    """Whether a process is a server of its own (database, cache) that releases share."""
    return resource.properties.get("engine") in SERVICES


def service_key(resource: Resource) -> str:
    """Slot of a service; releases that want it just the same share it."""
    return f"service-{fingerprint(dict(resource.properties))[:8]}/{resource.id}/0"


def keeper_slot(release: Release) -> Slot:
    """Slot of the process that keeps a release's port; releases on one port share it."""
    return Slot(f"service-port-{release.port}/port/0", KEEPER, release.id, port=release.port)


def expand(text: str, layout: Layout, release: Release, state: State) -> str:
    """Replace ``${kind:id}`` references by what they are on this host."""

    def value(match: re.Match[str]) -> str:
        kind, name = match.groups()
        resource = release.resource(name)
        if kind == "directory":
            path = str(resource.properties["path"])
            return str(layout.directory(path, stateful=resource.stateful))
        if kind == "port":
            return str(state.ports[service_key(resource)])
        file = vault.secret_path(layout, resource, release.id)
        return str(file) if kind == "secret-file" else vault.read(file)

    return _REFERENCE.sub(value, text)


def environment(
    layout: Layout, release: Release, state: State, resource: Resource, port: int
) -> dict[str, str]:
    """The whole environment of a process of the platform.

    Args:
        layout: paths.
        release: release it belongs to.
        state: ports of services.
        resource: whose settings it gets.
        port: on which it listens; 0 where it does not.
    """
    settings = {
        name: expand(str(text), layout, release, state)
        for name, text in resource.properties["environment"].items()
    }
    settings["TABULAR_RELEASE"] = release.id
    if port:
        settings["TABULAR_PORT"] = str(port)
    return {**inherited(os.environ), **settings}


def launch(layout: Layout, release: Release, state: State, slot: Slot) -> Launch:
    """What runs in a slot.

    Raises:
        EngineError: a file it needs is gone.
    """
    log = layout.log(slot.component)
    base = inherited(os.environ)
    if slot.resource == KEEPER:
        argv = [sys.executable, "-I", "-S", str(_keeper(layout, release))]
        return Launch(argv, base, log, inherits=KEEPER)
    resource = release.resource(slot.resource)
    if container_steps.is_container(release):
        return Launch(container_steps.argv(layout, release, slot), base, log)
    name = slot.key.split("/")[1]
    if is_service(resource):
        folder = str(resource.properties["path"])
        if name == "initdb":
            password = layout.secret("database-password", kept=True)
            cluster = layout.directory(folder, stateful=True)
            argv = [*release.commands["initdb"], str(cluster), str(password)]
            return Launch(argv, base, log)
        if resource.properties["engine"] == "postgresql":
            place = layout.directory(folder, stateful=True)
            argv = postgres.server_argv(release.commands["postgresql"], place, slot.port)
            return Launch(argv, base, log, signal.SIGINT)
        place = layout.directory(folder, stateful=False)
        word = vault.read(layout.secret("cache-password", kept=False))
        file = cache.write_config(place, slot.port, word, resource.properties)
        return Launch([*release.commands["valkey"], str(file)], base, log)
    command = release.commands.get(
        "migrate" if name == "migrate" else resource.properties["command"]
    )
    if not command:
        raise EngineError(f"release {release.id} has no command for {name}")
    settings = environment(layout, release, state, resource, slot.port)
    variables = code.variables(layout, release, settings)
    if name == "worker":
        command = [*command, "--heartbeat", str(heartbeat(layout.state / "run", slot))]
    return Launch(command, variables, log, inherits="api" if name == "api" else "")


def _keeper(layout: Layout, release: Release) -> Path:
    """The release's own: the installed one may be taken away at any time."""
    installed = Path(keeper.__file__)
    wanted = code.code_of(release.stack)
    kept = layout.code(wanted) / installed.relative_to(Path(code.__file__).parents[3])
    return kept if wanted and kept.is_file() else installed


def render_secret(layout: Layout, release: Release, state: State, resource: Resource) -> str:
    """The value of a secret that is made from others, such as a URL with a password."""
    if resource.type != SECRET:
        raise EngineError(f"{resource.id} is no secret")
    return expand(str(resource.properties["pattern"]), layout, release, state)
