"""Putting a release into service beside the old one, and taking it back where it fails.

The order: folders and secrets, services, migration, a candidate of the API on a private port,
the new processes on the public port beside the old ones, and only when these answer the old ones
are asked to finish what they do and end. Migrations must leave the schema usable by the release
before, for it goes on serving meanwhile and may be put back.
"""

from __future__ import annotations

import time

from tabular.deploy.events import EventStatus
from tabular.deploy.files import write_bytes
from tabular.deploy.stack import Resource, Stack
from tabular.deploy.standalone import cache, code, postgres, vault
from tabular.deploy.standalone.health import ask
from tabular.deploy.standalone.journal import digest, read_as, write_json
from tabular.deploy.standalone.launch import (
    is_service,
    keeper_slot,
    render_secret,
    service_key,
)
from tabular.deploy.standalone.layout import remove_empty, remove_tree
from tabular.deploy.standalone.model import (
    DESCRIPTION,
    DIRECTORY,
    PROCESS,
    SECRET,
    Release,
    Slot,
)
from tabular.deploy.standalone.operations import Context
from tabular.deploy.standalone.ports import free_port, require_free
from tabular.deploy.standalone.program import program
from tabular.errors import EngineError

SERVICE_TIMEOUT = 60.0
MIGRATE_TIMEOUT = 600.0
SETTLE = 1.0
KEPT_RELEASES = 5


def make_release(context: Context) -> Release:
    """The description of the operation's release; made once, found again after a kill."""
    operation, state = context.operation, context.state
    if operation.release:
        return context.release(operation.release)
    stack = Stack.from_dict(operation.stack)
    asked = stack.template["resources"]["api"]["Properties"]["port"]
    own = state.ports.get("api") if state.history else None
    port = asked or own or free_port()
    if port != own:
        require_free(port)
    state.sequence += 1
    state.ports["api"] = port
    context.save()
    name = f"r{state.sequence:04d}-{stack.fingerprint[:8]}"
    release = Release(name, stack, operation.commands, port, program())
    write_json(context.layout.release(name), release.to_dict())
    state.digests[name] = digest(context.layout.release(name))
    context.save()
    operation.release = name
    context.record()
    return release


def prepare(context: Context, release: Release) -> None:
    """Have folders, ports, secrets and services that the release stands on."""
    for resource in release.stack.resources:
        if is_service(resource):
            context.state.ports.setdefault(service_key(resource), free_port())
    context.save()
    for resource in release.stack.resources:
        if resource.type == DIRECTORY:
            _directory(context, resource)
        elif resource.type == SECRET:
            _secret(context, release, resource)
        elif is_service(resource):
            _service(context, release, resource)


def _created(context: Context, resource: Resource) -> None:
    context.operation.created.append(resource.id)
    context.record()


def announce(context: Context, resource: Resource, status: EventStatus, reason: str = "") -> None:
    """Tell of a resource unless the plan says that nothing happens to it."""
    action = context.operation.changes.get(resource.id, "no-op")
    if action != "no-op":
        context.emit(resource.id, resource.type, status, reason or action)


def _directory(context: Context, resource: Resource) -> None:
    path = context.layout.directory(str(resource.properties["path"]), stateful=resource.stateful)
    announce(context, resource, EventStatus.IN_PROGRESS)
    if not path.exists():
        _created(context, resource)
        path.mkdir(parents=True, mode=0o700)
    announce(context, resource, EventStatus.COMPLETE, str(path))


def _secret(context: Context, release: Release, resource: Resource) -> None:
    path = vault.secret_path(context.layout, resource, release.id)
    announce(context, resource, EventStatus.IN_PROGRESS)
    if "pattern" in resource.properties:
        text = render_secret(context.layout, release, context.state, resource)
        write_bytes(path, text.encode() + b"\n")
    elif not path.exists():
        _created(context, resource)
        vault.generate(path, int(resource.properties["bytes"]))
    elif vault.problem(path):
        path.chmod(0o600)
    announce(context, resource, EventStatus.COMPLETE, f"reference {path.name}")


def service_timeout(context: Context) -> float:
    """Seconds for a server: who is patient with a release is so with what it stands on."""
    return max(SERVICE_TIMEOUT, context.operation.ready_timeout)


def _service(context: Context, release: Release, resource: Resource) -> None:
    layout, state = context.layout, context.state
    key = service_key(resource)
    announce(context, resource, EventStatus.IN_PROGRESS)
    engine = resource.properties["engine"]
    if engine == "postgresql":
        place = layout.directory(str(resource.properties["path"]), stateful=True)
        if not place.exists():
            _created(context, resource)
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            owner = key.split("/", maxsplit=1)[0]
            slot = Slot(f"{owner}/initdb/0", resource.id, release.id, task=True)
            context.run_task(slot, service_timeout(context) * 2)
    slot = context.children.ensure(
        state.slots.get(key) or Slot(key, resource.id, release.id, port=state.ports[key])
    )
    if engine == "postgresql":
        command = release.commands["postgresql"]
        context.wait(
            lambda: postgres.is_ready(command, slot.port),
            service_timeout(context),
            resource.id,
            [slot],
            patient=True,
        )
    else:
        password = vault.read(layout.secret("cache-password", kept=False))
        context.wait(
            lambda: cache.is_ready(slot.port, password),
            service_timeout(context),
            resource.id,
            [slot],
            patient=True,
        )
    announce(context, resource, EventStatus.COMPLETE, f"port {slot.port}")


def migrate(context: Context, release: Release) -> None:
    """Bring the database's schema up to what the release needs."""
    context.emit("", "", EventStatus.IN_PROGRESS, "migrating the database")
    context.run_task(Slot(f"{release.id}/migrate/0", "api", release.id, task=True), MIGRATE_TIMEOUT)


def try_candidate(context: Context, release: Release) -> None:
    """Run the release's API on a private port until it says it is ready.

    Raises:
        EngineError: it ended, or did not get ready in time; with its last lines.
    """
    context.emit("", "", EventStatus.IN_PROGRESS, f"starting {release.id} on a private port")
    slot = context.children.ensure(
        Slot(f"{release.id}/candidate/0", "api", release.id, port=free_port())
    )
    last = ["no answer"]

    def ready() -> bool:
        answer = ask(slot.port, "/ready")
        last[0] = answer.text
        return answer.status == 200

    try:
        context.wait(ready, context.operation.ready_timeout, f"{release.id} is not ready", [slot])
    except EngineError as error:
        raise EngineError(f"{error.message} (last: {last[0]})") from error
    context.children.stop([slot.key])


def process_slots(release: Release) -> list[Slot]:
    """The slots of the platform's own processes, API and workers."""
    return [
        Slot(
            f"{release.id}/{r.id}/{i}", r.id, release.id, port=release.port if r.id == "api" else 0
        )
        for r in release.of_type(PROCESS)
        if not is_service(r)
        for i in range(int(r.properties["instances"]))
    ]


def switch(context: Context, release: Release) -> None:
    """Have the release's processes serve on the public port, beside the old ones.

    Raises:
        EngineError: one ended, or did not answer in time.
    """
    context.emit("", "", EventStatus.IN_PROGRESS, f"starting {release.id} on port {release.port}")
    resources = {slot.resource for slot in process_slots(release)}
    for resource in release.stack.resources:
        if resource.id in resources:
            announce(context, resource, EventStatus.IN_PROGRESS)
    keeper = keeper_slot(release)
    context.children.ensure(context.state.slots.get(keeper.key) or keeper)
    slots = [context.children.ensure(slot) for slot in process_slots(release)]
    begun = time.monotonic()
    unseen = {slot.key: slot.probe for slot in slots if slot.port}

    def answering() -> bool:
        for key, probe in list(unseen.items()):
            # On the shared port any of them may answer, and an old one as well.
            if ask(probe, "/health").body.get("release") == release.id:
                del unseen[key]
        return not unseen and time.monotonic() - begun >= SETTLE

    what = f"{release.id} does not answer on port {release.port}"
    context.wait(answering, context.operation.ready_timeout, what, slots)


def finish(context: Context, release: Release) -> None:
    """After the commit: end what the old release had and the new one has not."""
    state = context.state
    wanted = context.wanted_services(release)
    own = {slot.key for slot in process_slots(release)}
    old = [key for key in state.slots if key not in own | wanted]
    if any(not key.startswith("service-") for key in old):
        context.emit("", "", EventStatus.IN_PROGRESS, "the release before finishes its requests")
    # The platform's processes first: they need the services until their last request.
    context.children.stop([key for key in old if not key.startswith("service-")])
    context.children.stop([key for key in old if key.startswith("service-")])
    for resource in release.stack.resources:
        if resource.type == DESCRIPTION or (resource.type == PROCESS and not is_service(resource)):
            announce(context, resource, EventStatus.COMPLETE, f"{release.id} serves")
    for name, action in sorted(context.operation.changes.items()):
        if action == "delete":
            context.emit(name, "", EventStatus.COMPLETE, "not used any more; its data is kept")
    forget_releases(context, state.history[:-KEPT_RELEASES])
    state.history = state.history[-KEPT_RELEASES:]
    context.save()


def forget_releases(context: Context, names: list[str]) -> None:
    """Remove the descriptions and secrets of releases that will not serve again."""
    for name in names:
        for file in (context.layout.state / "releases").glob(f"{name}.*"):
            file.unlink()
        context.state.digests.pop(name, None)
        for file in (context.layout.state / "secrets").glob(f"{name}.*"):
            file.unlink()


def sweep_code(context: Context) -> None:
    """Remove the copies of code that no release starts from any more."""
    state = context.state
    names = {*state.history, *(slot.release for slot in state.slots.values())}
    try:
        kept = [read_as(context.layout.release(name), Release.from_dict) for name in names]
    except EngineError:
        # Which code a damaged description means is not known, so none may go.
        return
    code.sweep(context.layout, {code.code_of(r.stack) for r in kept if r is not None})


def undo(context: Context) -> None:
    """Take back all this operation made; what served before was never touched."""
    operation, state = context.operation, context.state
    old = context.current()
    keep = context.wanted_services(old)
    made = [
        key
        for key, slot in state.slots.items()
        if slot.release != state.current and key not in keep
    ]
    context.children.stop([key for key in made if not key.startswith("service-")])
    context.children.stop([key for key in made if key.startswith("service-")])
    if operation.kind != "apply" or not operation.release:
        return
    release = read_as(context.layout.release(operation.release), Release.from_dict)
    # Its description goes last: where it is gone, an earlier attempt removed all the rest.
    if release is not None:
        _remove_created(context, release)
    forget_releases(context, [operation.release])
    sweep_code(context)
    if old is not None:
        state.ports["api"] = old.port
    elif not state.history:
        del state.ports["api"]
        data = context.layout.data
        remove_empty(data / "secrets", data, data.parent, data.parent.parent)


def _remove_created(context: Context, release: Release) -> None:
    for name in reversed(context.operation.created):
        resource = release.resource(name)
        if resource.type == SECRET:
            vault.secret_path(context.layout, resource, release.id).unlink(missing_ok=True)
        else:
            path = str(resource.properties["path"])
            remove_tree(context.layout.directory(path, stateful=resource.stateful))
        context.emit(name, resource.type, EventStatus.ROLLED_BACK, "removed")
