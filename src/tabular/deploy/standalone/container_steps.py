"""The commands of podman or docker: which of them works here, and what each step runs."""

from __future__ import annotations

import re
import selectors
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tabular.deploy.image.builder import LOOK_TIMEOUT, build_command, why_not
from tabular.deploy.programs import run
from tabular.deploy.provider import LogLine
from tabular.deploy.standalone.compose import API_PORT, SERVERS, SERVICE
from tabular.deploy.standalone.layout import Layout
from tabular.deploy.standalone.logtimes import time_of
from tabular.deploy.standalone.model import Release, Slot
from tabular.errors import EngineError, PreflightError

STOP_TIMEOUT = 30
# Before, its `run` published no ports and ended with 0 whatever the command inside did.
OLDEST_PODMAN_COMPOSE = (1, 2)
_PODMAN_COMPOSE = re.compile(r"podman-composer? version:?\s+((\d+)\.(\d+)\S*)")
Tools = tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]
_TOOLS: Tools = (
    ("podman", (("podman-compose", "version"), ("podman", "compose", "version"))),
    ("docker", (("docker", "compose", "version"), ("docker-compose", "version"))),
)


def _too_old(said: str) -> str | None:
    match = _PODMAN_COMPOSE.search(said)
    if match is None or (int(match[2]), int(match[3])) >= OLDEST_PODMAN_COMPOSE:
        return None
    oldest = ".".join(str(part) for part in OLDEST_PODMAN_COMPOSE)
    return f"podman-compose {match[1]} is too old: {oldest} or newer is needed"


def find_commands(tools: Tools = _TOOLS) -> dict[str, list[str]]:
    """Argument vectors of a working container engine and its compose command.

    Args:
        tools: engines in order of preference, each with the compose commands that may go with it.

    Raises:
        PreflightError: none works; says what was tried.
    """
    tried: list[str] = []
    for engine, composers in tools:
        problem = why_not([engine, "info"])
        if problem:
            tried.append(problem)
            continue
        for composer in composers:
            problem = why_not(list(composer), _too_old)
            if problem is None:
                return {"container": [engine], "compose": list(composer[:-1])}
            tried.append(problem)
    raise PreflightError(
        f"no container engine works here: {'; '.join(tried)}",
        where="--runtime container",
        hint="install podman and podman-compose, or docker with its compose plug-in; "
        "or deploy with --runtime process, which needs neither",
        code="engine.no-container-engine",
    )


def is_container(release: Release) -> bool:
    """Whether a release runs in containers."""
    return bool(release.stack.template["runtime"] == "container")


def project(release: Release) -> str:
    """Name of its compose project."""
    return str(release.stack.template["compose"]["name"])


def image(release: Release) -> str:
    """Reference of the image of the platform's own containers."""
    return str(_services(release)["api"]["image"])


def compose_file(layout: Layout, release: Release) -> Path:
    """Where the applied compose file of a release is."""
    return layout.state / "releases" / f"{release.id}.compose.yaml"


def argv(layout: Layout, release: Release, slot: Slot) -> list[str]:
    """The command of one step."""
    step = slot.key.split("/")[1]
    name = f"{project(release)}-candidate"
    context = layout.state / "run" / "image"
    engine = release.commands["container"]
    compose = [*release.commands["compose"], "-p", project(release)]
    compose += ["-f", str(compose_file(layout, release))]
    return {
        "build": build_command(engine, image(release), context, release.stack.template["base"]),
        "migrate": [
            *compose, "run", "--rm", "-T", "--no-deps", "api", "python", "-m", "tabular.api",
            "migrate",
        ],
        "candidate": [
            *compose, "run", "-d", "--rm", "--no-deps", "--name", name,
            "-p", f"127.0.0.1:{slot.port}:{API_PORT}", "api",
        ],
        "discard": [*engine, "rm", "-f", name],
        "servers": [*compose, "up", "-d", "--no-recreate", *servers(release)],
        "up": [*compose, "up", "-d", "--no-recreate"],
        "down": [*compose, "down"],
        "down-with-data": [*compose, "down", "-v"],
    }[step]  # fmt: skip


def servers(release: Release) -> list[str]:
    """Names of the services that others stand on."""
    return [name for name in SERVERS if name in _services(release)]


def _services(release: Release) -> dict[str, Any]:
    return dict(release.stack.template["compose"]["services"])


def outdated(release: Release, before: Release | None) -> list[str]:
    """Containers to be gone before a release comes up: all but servers that stay as they are.

    We say it ourselves: podman-compose takes servers down with what stands on them, and then does
    not make them again.
    """
    now, then = _services(release), {} if before is None else _services(before)
    kept = {name for name in servers(release) if before is None or now[name] == then.get(name)}
    found = {
        str(service["container_name"]): name in SERVERS
        for name, service in (then | now).items()
        if name not in kept
    }
    # What stands on a server goes before it.
    return sorted(found, key=lambda name: (found[name], name))


def remove_containers(release: Release, names: list[str]) -> None:
    """End containers gracefully and remove them; those that are not there are passed over.

    Raises:
        EngineError: one stays.
    """
    there = [name for name in names if state_of(release, name)]
    if not there:
        return
    for words in (["stop", "-t", str(STOP_TIMEOUT)], ["rm", "-f"]):
        argv = [*release.commands["container"], *words, *there]
        done = run(argv, what=" ".join(argv), timeout=STOP_TIMEOUT * len(there) + LOOK_TIMEOUT)
        if done.returncode != 0:
            said = done.stderr.strip()[-300:]
            raise EngineError(f"the containers {', '.join(there)} do not go: {said}")


def state_of(release: Release, name: str) -> str:
    """State of a container in the engine's word; "" where there is none."""
    done = _look(release, "inspect", "--format", "{{.State.Status}}", name)
    return done.stdout.strip() if done.returncode == 0 else ""


def is_running(release: Release) -> bool:
    """Whether all containers of a release run."""
    names = [str(service["container_name"]) for service in _services(release).values()]
    return all(state_of(release, name) == "running" for name in names)


def has_volume(release: Release, name: str) -> bool:
    """Whether a volume exists."""
    return _look(release, "volume", "inspect", name).returncode == 0


def has_image(release: Release) -> bool:
    """Whether the image of the platform's own containers is on this host."""
    return _look(release, "image", "inspect", image(release)).returncode == 0


def is_database_ready(release: Release, name: str) -> bool:
    """Whether the PostgreSQL server of a container takes connections from the others."""
    return _look(release, "exec", name, "pg_isready", "-q", "-h", "127.0.0.1").returncode == 0


def remove_volume(engine: list[str], name: str) -> None:
    """Remove a volume.

    Raises:
        EngineError: it is there and stays.
    """
    argv = [*engine, "volume", "rm", "-f", name]
    done = run(argv, what=" ".join(argv), timeout=LOOK_TIMEOUT)
    if done.returncode != 0:
        raise EngineError(f"the volume {name} cannot be removed: {done.stderr.strip()[-300:]}")


def _look(release: Release, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [*release.commands["container"], *words]
    return run(argv, what=" ".join(argv), timeout=LOOK_TIMEOUT)


def container_logs(release: Release, *, follow: bool, tail: int) -> Iterator[LogLine]:
    """Lines of all containers of a release; with ``follow`` as they come, until given up."""
    names = {
        r.id: str(r.properties["container_name"])
        for r in release.stack.resources
        if r.type == SERVICE
    }
    options = ["logs", "--tail", str(tail), *(["--follow"] if follow else [])]
    readers: dict[str, subprocess.Popen[bytes]] = {}
    try:
        with selectors.DefaultSelector() as selector:
            for component, name in names.items():
                process = subprocess.Popen(
                    [*release.commands["container"], *options, name],
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0,
                )  # fmt: skip
                readers[component] = process
                if process.stdout is not None:
                    selector.register(process.stdout, selectors.EVENT_READ, component)
            while selector.get_map():
                for key, _ in selector.select():
                    line = key.fileobj.readline()  # type: ignore[union-attr]
                    if line:
                        text = line.decode(errors="replace").rstrip("\n")
                        yield LogLine(key.data, text, time_of(text))
                    else:
                        selector.unregister(key.fileobj)
    finally:
        for process in readers.values():
            process.kill()
            process.communicate()
