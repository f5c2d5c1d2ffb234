"""The three operations, each as the list of its steps; resumable after a kill at any of them."""

from __future__ import annotations

from pathlib import Path

from tabular.deploy.events import EventStatus, utc_now
from tabular.deploy.files import storage_error
from tabular.deploy.standalone import containers
from tabular.deploy.standalone.compose import VOLUME
from tabular.deploy.standalone.container_steps import is_container, remove_volume
from tabular.deploy.standalone.journal import read_as, read_json, write_json
from tabular.deploy.standalone.layout import remove_tree
from tabular.deploy.standalone.model import PROCESS, Release
from tabular.deploy.standalone.observe import retained_resources
from tabular.deploy.standalone.operations import Context
from tabular.deploy.standalone.program import code_note
from tabular.deploy.standalone.release import (
    finish,
    forget_releases,
    make_release,
    migrate,
    prepare,
    process_slots,
    sweep_code,
    switch,
    try_candidate,
    undo,
)
from tabular.errors import ApplyError, EngineError, NotFoundError, TabularError

MAX_ATTEMPTS = 5
KEPT_EVENTS = 20


def carry_out(context: Context) -> None:
    """Carry out an operation to its end, good or bad; the clients read which from the events."""
    operation = context.operation
    operation.attempts += 1
    error: TabularError | None = None
    try:
        _run(context)
    except (TabularError, OSError) as caught:
        # Whatever it was, the way back must not fail for want of room.
        context.layout.reserve.unlink(missing_ok=True)
        error = _ended(context, _in_words(context, caught))
    context.state.failure = error.message if error else ""
    context.state.updated = utc_now().isoformat()
    context.save()
    context.end(error)
    operation.done = True
    context.record()


def _run(context: Context) -> None:
    operation = context.operation
    context.record()
    context.state.updated = utc_now().isoformat()
    context.save()
    _forget_events(context)
    if operation.undoing:
        # Killed while it took back what it had made: go on with that, and with nothing else.
        raise EngineError(str(operation.undoing["message"]), hint=operation.undoing["hint"])
    {"apply": _apply, "rollback": _rollback, "destroy": _destroy}[operation.kind](context)


def _in_words(context: Context, caught: TabularError | OSError) -> TabularError:
    if isinstance(caught, TabularError):
        return caught
    return storage_error(caught, Path(caught.filename or context.layout.state))


def _ended(context: Context, caught: TabularError) -> TabularError | None:
    """What a failure comes to: nothing where the release serves and the rest could be done."""
    if not context.operation.committed:
        return _failed(context, caught)
    try:
        _run(context)
    except (TabularError, OSError) as again:
        return _failed(context, _in_words(context, again))
    return None


def _forget_events(context: Context) -> None:
    """Remove the events of old operations; never this one's, which a clock set back made old."""
    present = context.layout.events(context.operation.id)
    found = sorted(set(present.parent.iterdir()) - {present})
    for old in found[: max(0, len(found) + 1 - KEPT_EVENTS)]:
        old.unlink()


def _failed(context: Context, caught: TabularError) -> TabularError:
    operation, reason, hint = context.operation, caught.message, caught.hint
    if operation.kind == "destroy" or operation.committed:
        return ApplyError(reason, rolled_back=False, hint=hint or "run the same command again")
    if isinstance(caught, NotFoundError):
        return caught
    operation.undoing = {"message": reason, "hint": hint}
    context.record()
    context.emit("", "", EventStatus.ROLLING_BACK, reason)
    _undo(context)
    serves = context.state.current
    after = f"{serves} serves on" if serves else "all that was started is stopped and removed"
    context.emit("", "", EventStatus.ROLLED_BACK, after)
    return ApplyError(
        reason,
        rolled_back=True,
        hint=hint or "`inferloop-tabular logs` shows more; mend the spec and deploy again",
        code=None if _plain(caught) else caught.code,
    )


def _undo(context: Context) -> None:
    name, old = context.operation.release, context.current()
    failed = read_as(context.layout.release(name), Release.from_dict) if name else None
    if failed is not None and is_container(failed):
        containers.take_back(context, failed, old)
    undo(context)


def _plain(error: TabularError) -> bool:
    return type(error) is EngineError and error.code == EngineError.code


def _require_attempts(context: Context) -> None:
    if context.operation.attempts > MAX_ATTEMPTS:
        raise EngineError(
            f"the supervisor was killed, or failed, {MAX_ATTEMPTS} times during this operation",
            hint=f"see {context.layout.supervisor_log}",
        )


def _apply(context: Context) -> None:
    operation, state = context.operation, context.state
    if not _already_serves(context):
        _require_attempts(context)
        context.emit("", "", EventStatus.IN_PROGRESS, "deploying")
        release = make_release(context)
        prepare(context, release)
        if is_container(release):
            containers.bring_up(context, release)
        else:
            migrate(context, release)
            try_candidate(context, release)
            switch(context, release)
        _commit(context, release, [*state.history, release.id])
    operation.committed = True
    context.record()
    _finish(context, context.release(operation.release))
    context.emit("", "", EventStatus.COMPLETE, f"{operation.release} serves")


def _finish(context: Context, release: Release) -> None:
    if is_container(release):
        containers.announce_done(context, release)
    finish(context, release)
    if context.operation.kind == "rollback":
        forget_releases(context, context.operation.created)
    sweep_code(context)


def _commit(context: Context, release: Release, history: list[str]) -> None:
    """The one moment at which the new release becomes the serving one."""
    state = context.state
    shared = [state.slots[key] for key in context.wanted_services(release) if key in state.slots]
    before, makers = state.history, [slot.release for slot in shared]
    state.history, state.runtime = history, release.stack.template["runtime"]
    for slot in shared:
        # The release that started a service is forgotten one day; the service goes on.
        slot.release = release.id
    try:
        context.save()
    except TabularError:
        state.history = before
        for slot, maker in zip(shared, makers, strict=True):
            slot.release = maker
        raise


def _already_serves(context: Context) -> bool:
    name = context.operation.release
    return bool(name) and context.state.current == name


def _rollback(context: Context) -> None:
    operation, state = context.operation, context.state
    if not operation.release:
        if len(state.history) < 2:
            raise NotFoundError(
                "there is no release before the present one",
                hint="deploy the spec you want",
                code="not-found.release",
            )
        operation.release = state.history[-2]
        context.record()
    release = context.release(operation.release)
    if not _already_serves(context):
        _require_attempts(context)
        leaving = state.history[-1]
        context.emit("", "", EventStatus.IN_PROGRESS, f"putting {release.id} back for {leaving}")
        note = code_note(release)
        if note:
            context.emit("", "", EventStatus.IN_PROGRESS, note)
        operation.changes = {slot.resource: "update" for slot in process_slots(release)}
        prepare(context, release)
        if is_container(release):
            containers.bring_up(context, release, back=True)
        else:
            try_candidate(context, release)
            switch(context, release)
        operation.created = [leaving]
        context.record()
        _commit(context, release, state.history[:-1])
    operation.committed = True
    context.record()
    state.ports["api"] = release.port
    _finish(context, release)
    context.emit("", "", EventStatus.COMPLETE, f"{release.id} serves")


def _remember(context: Context, release: Release) -> None:
    """Leave word beside the kept data of what it belongs to."""
    kept = [r.as_dict() for r in release.stack.resources if r.stateful]
    facts = {
        "updated": utc_now().isoformat(),
        "spec": dict(release.stack.spec),
        "resources": kept,
        "engine": release.commands.get("container", []),
    }
    write_json(context.layout.facts, facts)


def _destroy(context: Context) -> None:
    operation, state, layout = context.operation, context.state, context.layout
    release = context.current()
    resources = release.stack.resources if release else retained_resources(layout)
    context.emit("", "", EventStatus.IN_PROGRESS, "stopping")
    children = context.children
    if release is not None and is_container(release):
        containers.take_down(context, release)
    children.stop([key for key in state.slots if not key.startswith("service-")])
    children.stop(list(state.slots))
    for resource in reversed(resources):
        if resource.stateful and not operation.delete_data:
            context.emit(resource.id, resource.type, EventStatus.KEPT, "data store")
        else:
            reason = "stopped" if resource.type == PROCESS else "removed"
            context.emit(resource.id, resource.type, EventStatus.COMPLETE, reason)
    if release is not None and not operation.delete_data:
        _remember(context, release)
    if operation.delete_data and release is None:
        for volume in (r for r in resources if r.type == VOLUME):
            remove_volume((read_json(layout.facts) or {})["engine"], volume.properties["name"])
    if operation.delete_data:
        remove_tree(layout.data, prune=True)
    # Saved with the end of the operation: from then on nobody takes it for something that runs.
    state.history = []
    context.emit("", "", EventStatus.COMPLETE, "destroyed")
