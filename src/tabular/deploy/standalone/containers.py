"""Driving podman or docker: which of them works here, and the steps of an apply as its commands.

The same supervisor carries these steps out, so an apply outlives its client here too. Once the
containers are up, the container engine itself keeps them up. Their replacement leaves a short gap
on the port; a release that does not get ready is noticed before, in a container beside.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from tabular.deploy.events import EventStatus
from tabular.deploy.files import write_bytes
from tabular.deploy.image.code import files_in
from tabular.deploy.image.staging import stage
from tabular.deploy.standalone import vault
from tabular.deploy.standalone.code import code_of
from tabular.deploy.standalone.compose import SERVICE, VOLUME
from tabular.deploy.standalone.container_steps import (
    compose_file,
    has_image,
    image,
    is_database_ready,
    is_running,
    outdated,
    remove_containers,
    remove_volume,
    servers,
)
from tabular.deploy.standalone.health import ask
from tabular.deploy.standalone.model import SECRET, Release, Slot
from tabular.deploy.standalone.operations import Context
from tabular.deploy.standalone.ports import free_port
from tabular.deploy.standalone.release import announce, service_timeout
from tabular.errors import EngineError

STEP_TIMEOUT = 1800.0


def _step(context: Context, release: Release, step: str, port: int = 0) -> None:
    slot = Slot(f"{release.id}/{step}/0", "api", release.id, task=True, detaches=True, port=port)
    context.run_task(slot, STEP_TIMEOUT)


def _expanded(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _expanded(item, words) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_expanded(item, words) for item in value]
    return words.get(value, value) if isinstance(value, str) else value


def write_compose(context: Context, release: Release) -> None:
    """Write the compose file as applied, and copies of the secrets that a container may read.

    The containers' user is not the owner of the files, so the copies are readable by all; the
    folder they are in is not.
    """
    layout = context.layout
    words = {"${release}": release.id}
    for secret in release.of_type(SECRET):
        source = vault.secret_path(layout, secret, release.id)
        # A server that outlives releases goes on mounting what it mounted.
        copy = layout.state / "secrets" / f"{source.name}.mounted"
        write_bytes(copy, vault.read(source).encode(), mode=0o444)
        copy.chmod(0o444)
        words[f"${{secret-file:{secret.id}}}"] = str(copy)
    text = json.dumps(_expanded(release.stack.template["compose"], words), indent=1, sort_keys=True)
    write_bytes(compose_file(layout, release), text.encode() + b"\n")


def bring_up(context: Context, release: Release, *, back: bool = False) -> None:
    """Build, migrate, try a candidate, and put the release's containers in place.

    Args:
        context: the operation.
        release: what to run.
        back: a rollback, which does not migrate, and builds only an image that was removed.

    Raises:
        EngineError: a step failed, or the candidate did not get ready.
    """
    write_compose(context, release)
    _announce_all(context, release, EventStatus.IN_PROGRESS)
    if release.stack.template["build"] and not (back and has_image(release)):
        context.emit("", "", EventStatus.IN_PROGRESS, f"building the image {image(release)}")
        code = context.layout.code(code_of(release.stack))
        stage(context.layout.state / "run" / "image", dict(files_in(code)))
        _step(context, release, "build")
    _start_servers(context, release)
    if not back:
        context.emit("", "", EventStatus.IN_PROGRESS, "migrating the database")
        _step(context, release, "migrate")
    context.emit("", "", EventStatus.IN_PROGRESS, f"starting {release.id} on a private port")
    port = free_port()
    _step(context, release, "discard")
    try:
        _step(context, release, "candidate", port)
        _wait_ready(context, release, port)
    finally:
        _step(context, release, "discard")
    context.emit("", "", EventStatus.IN_PROGRESS, f"starting {release.id} on port {release.port}")
    remove_containers(release, outdated(release, context.current()))
    _step(context, release, "up")
    _wait_ready(context, release, release.port)


def _start_servers(context: Context, release: Release) -> None:
    """A new server first makes its cluster; what depends on it would not wait for that."""
    if servers(release):
        _step(context, release, "servers")
    service = release.stack.template["compose"]["services"].get("database")
    if service is None:
        return
    name = str(service["container_name"])
    ready = partial(is_database_ready, release, name)
    patience = service_timeout(context)
    context.wait(ready, patience, f"the database in {name} does not answer", [])


def _wait_ready(context: Context, release: Release, port: int) -> None:
    last = ["no answer"]

    def ready() -> bool:
        answer = ask(port, "/ready")
        last[0] = answer.text
        return answer.status == 200 and ask(port, "/health").body.get("release") == release.id

    try:
        context.wait(ready, context.operation.ready_timeout, f"{release.id} is not ready", [])
    except EngineError as error:
        raise EngineError(f"{error.message} (last: {last[0]})") from error


def _announce_all(context: Context, release: Release, status: EventStatus, why: str = "") -> None:
    for resource in release.stack.resources:
        if resource.type in (SERVICE, VOLUME):
            announce(context, resource, status, why)


def announce_done(context: Context, release: Release) -> None:
    """Tell that the release's containers and volumes are there."""
    _announce_all(context, release, EventStatus.COMPLETE, f"{release.id} serves")


def take_back(context: Context, failed: Release, old: Release | None) -> None:
    """Have the release before run again, or nothing where there was none."""
    if not compose_file(context.layout, failed).exists():
        return
    _step(context, failed, "discard")
    if old is not None:
        _restore(context, failed, old)
    else:
        # Volumes that an earlier deployment left, with its key, are not this one's to remove.
        fresh = "secret-key" in context.operation.created
        _step(context, failed, "down-with-data" if fresh else "down")


def _restore(context: Context, failed: Release, old: Release) -> None:
    """Have the old containers again; they are still there unless their replacement had begun."""
    if is_running(old) and ask(old.port, "/health").body.get("release") == old.id:
        return
    remove_containers(old, outdated(old, failed))
    _step(context, old, "up")
    try:
        _wait_ready(context, old, old.port)
    except EngineError as error:
        # The rest has to be taken back all the same; `status` goes on to say it.
        context.emit("", "", EventStatus.FAILED, error.message)


def take_down(context: Context, release: Release) -> None:
    """Remove the containers; the volumes too if the data is to go."""
    _step(context, release, "down-with-data" if context.operation.delete_data else "down")
    for volume in release.of_type(VOLUME):
        if not volume.stateful and not context.operation.delete_data:
            remove_volume(release.commands["container"], str(volume.properties["name"]))
