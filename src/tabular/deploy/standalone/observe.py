"""What is really there: the record compared with processes, files and ports at this moment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from tabular.deploy.plan import PropertyChange
from tabular.deploy.provider import Drift, ResourceStatus, State, Status
from tabular.deploy.stack import Resource
from tabular.deploy.standalone import code, vault
from tabular.deploy.standalone.compose import SERVICE, VOLUME
from tabular.deploy.standalone.container_steps import has_volume, is_container, state_of
from tabular.deploy.standalone.health import Answer, ask
from tabular.deploy.standalone.identity import is_alive
from tabular.deploy.standalone.journal import digest, is_locked, read_as, read_json
from tabular.deploy.standalone.launch import is_service, service_key
from tabular.deploy.standalone.layout import Layout
from tabular.deploy.standalone.model import (
    DESCRIPTION,
    DIRECTORY,
    SECRET,
    Operation,
    Release,
    Slot,
)
from tabular.deploy.standalone.model import State as Record
from tabular.deploy.standalone.ports import LOCALHOST
from tabular.deploy.standalone.program import code_note
from tabular.deploy.target import Target


def read_release(layout: Layout, name: str | None) -> Release | None:
    """A release by id; None if its description is gone or cannot be the one that was made."""
    return read_as(layout.release(name), Release.from_dict) if name else None


def slots_of(release: Release, resource: Resource, record: Record) -> list[Slot | None]:
    """The slots a process resource should have; None for one that is not there."""
    if is_service(resource):
        return [record.slots.get(service_key(resource))]
    count = int(resource.properties["instances"])
    return [record.slots.get(f"{release.id}/{resource.id}/{i}") for i in range(count)]


def code_problem(layout: Layout, release: Release) -> str | None:
    """What is wrong with the code that a release's processes start from; None if nothing is."""
    wanted = code.code_of(release.stack)
    # A container has its code in its image.
    return code.problem(layout, wanted) if wanted and not is_container(release) else None


def is_present(layout: Layout, release: Release, resource: Resource, record: Record) -> bool:
    """Whether a resource exists at all on this host, in whatever condition."""
    if resource.type == DIRECTORY:
        path = str(resource.properties["path"])
        return layout.directory(path, stateful=resource.stateful).is_dir()
    if resource.type == SECRET:
        return vault.secret_path(layout, resource, release.id).exists()
    if resource.type == DESCRIPTION:
        return layout.release(release.id).exists()
    if resource.type == VOLUME:
        return has_volume(release, str(resource.properties["name"]))
    if resource.type == SERVICE:
        return state_of(release, str(resource.properties["container_name"])) != ""
    return any(slot is not None for slot in slots_of(release, resource, record))


def _resource_status(
    layout: Layout, release: Release, resource: Resource, record: Record
) -> ResourceStatus:
    if resource.type == DIRECTORY:
        there = is_present(layout, release, resource, record)
        path = layout.directory(str(resource.properties["path"]), stateful=resource.stateful)
        return ResourceStatus(
            resource.id, resource.type, "present" if there else "missing", str(path)
        )
    if resource.type == SECRET:
        wrong = vault.problem(vault.secret_path(layout, resource, release.id))
        return ResourceStatus(resource.id, resource.type, wrong or "present")
    if resource.type == VOLUME:
        there = is_present(layout, release, resource, record)
        name = str(resource.properties["name"])
        return ResourceStatus(resource.id, resource.type, "present" if there else "missing", name)
    if resource.type == SERVICE:
        name = str(resource.properties["container_name"])
        word = state_of(release, name) or "missing"
        return ResourceStatus(resource.id, resource.type, word, name)
    if resource.type == DESCRIPTION:
        return ResourceStatus(resource.id, resource.type, "present", release.id)
    slots = slots_of(release, resource, record)
    up = [slot for slot in slots if slot and is_alive(slot.pid, slot.born)]
    words: list[str] = [f"{len(up)} of {len(slots)} running"]
    words += [f"pid {slot.pid}" for slot in up]
    restarts = sum(slot.restarts for slot in slots if slot)
    words += [f"{restarts} restart(s)"] if restarts else []
    words += [slot.reason for slot in slots if slot and slot.reason]
    failing = any(slot and slot.failing for slot in slots)
    state = "running" if len(up) == len(slots) else "failed"
    return ResourceStatus(
        resource.id, resource.type, "crash loop" if failing else state, ", ".join(words)
    )


def retained(layout: Layout, target: Target) -> Status | None:
    """What is left of a deployment that was destroyed with its data kept; None if nothing is."""
    facts = read_json(layout.facts)
    if facts is None or "spec" not in facts:
        return None
    resources = tuple(
        ResourceStatus(r.id, r.type, "kept", str(layout.data)) for r in retained_resources(layout)
    )
    detail = f"destroyed; its data is kept in {layout.data}"
    updated = datetime.fromisoformat(facts["updated"])
    return Status(target, State.RETAINED, "", updated, facts["spec"], resources, detail=detail)


def retained_resources(layout: Layout) -> tuple[Resource, ...]:
    """Data stores that a destroyed deployment left here."""
    facts = read_json(layout.facts) or {}
    found = (Resource.from_dict(data) for data in facts.get("resources", ()))
    return tuple(r for r in found if _is_kept(layout, r))


def _is_kept(layout: Layout, resource: Resource) -> bool:
    if resource.type == SECRET:
        return layout.secret(resource.id, kept=True).exists()
    if resource.type == VOLUME:
        # Asked of the container engine when it is used or removed.
        return True
    return layout.directory(str(resource.properties["path"]), stateful=True).is_dir()


_GOOD = ("present", "running")


def status(
    layout: Layout, target: Target, record: Record, release: Release | None, busy: Operation | None
) -> Status:
    """The truth about one deployment.

    Args:
        layout: paths.
        target: where.
        record: what the supervisor wrote last.
        release: the one that serves, None before the first.
        busy: the operation that runs, None if there is none.
    """
    updated = datetime.fromisoformat(record.updated)
    if release is None:
        lost = f"the description of release {record.current} is gone: deploy again"
        state = State.DEGRADED if record.history else State.FAILED
        state = State.APPLYING if busy else state
        detail = f"{busy.kind} runs" if busy else lost if record.history else record.failure
        return Status(
            target, state, "", updated, busy.stack.get("spec", {}) if busy else {}, detail=detail
        )
    resources = tuple(
        _resource_status(layout, release, resource, record) for resource in release.stack.resources
    )
    problems = [f"{r.id}: {r.state} ({r.detail})" for r in resources if r.state not in _GOOD]
    answer = ask(release.port, "/ready")
    if answer.status != 200:
        problems.append(answer.text)
    if not is_container(release) and not is_locked(layout.supervisor_lock):
        problems.append("no supervisor looks after it")
    notes = [f"the last operation failed: {record.failure}"] if record.failure else []
    notes += [f"{busy.kind} runs"] if busy else []
    notes += [text for text in (code_note(release),) if text]
    state = State.DEGRADED if problems else State.READY
    return Status(
        target,
        State.APPLYING if busy else state,
        release.id,
        updated,
        release.stack.spec,
        resources,
        outputs(release),
        "; ".join([*problems, *notes]),
    )


def outputs(release: Release) -> dict[str, str]:
    """Addresses for people and programs."""
    url = f"http://{LOCALHOST}:{release.port}"
    return {"url": url, "docs": f"{url}/docs", "metrics": f"{url}/metrics"}


def drift(layout: Layout, record: Record, release: Release | None) -> Iterator[Drift]:
    """Every resource that is not as it was applied."""
    if release is None:
        yield Drift("description", DESCRIPTION, gone=True)
        return
    for resource in release.stack.resources:
        if not is_present(layout, release, resource, record):
            yield Drift(resource.id, resource.type, gone=True)
            continue
        changes = tuple(_differences(layout, record, release, resource))
        if changes:
            yield Drift(resource.id, resource.type, changes)


def _differences(
    layout: Layout, record: Record, release: Release, resource: Resource
) -> Iterator[PropertyChange]:
    if resource.type == DESCRIPTION and (
        digest(layout.release(release.id)) != record.digests.get(release.id)
    ):
        yield PropertyChange("file", "as written", "altered")
    if resource.type in (DIRECTORY, DESCRIPTION, VOLUME):
        return
    if resource.type == SERVICE:
        word = state_of(release, str(resource.properties["container_name"]))
        if word != "running":
            yield PropertyChange("state", "running", word)
        return
    if resource.type == SECRET:
        wrong = vault.problem(vault.secret_path(layout, resource, release.id))
        if wrong:
            yield PropertyChange("file", "mode 0600", wrong)
        return
    wrong = code_problem(layout, release) if "code" in resource.properties else None
    if wrong:
        yield PropertyChange("code", resource.properties["code"], wrong)
    slots = slots_of(release, resource, record)
    for number, slot in enumerate(slots):
        if slot is None or not is_alive(slot.pid, slot.born):
            yield PropertyChange(f"instances.{number}", "running", "not running")
        elif slot.restarts:
            yield PropertyChange(f"instances.{number}.restarts", 0, slot.restarts)
    if resource.id == "api":
        answer: Answer = ask(release.port, "/health")
        if answer.status != 200 or answer.body.get("release") != release.id:
            yield PropertyChange("port", f"{release.port} answers as {release.id}", answer.text)
