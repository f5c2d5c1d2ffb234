"""What runs in a cluster, in the words of the contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tabular.deploy import answers
from tabular.deploy.onprem.cluster.session import Cluster, Object
from tabular.deploy.onprem.names import secret_name
from tabular.deploy.onprem.releases import Content, Method, Phase, Release, last, present
from tabular.deploy.onprem.rendered.objects import id_of, type_of
from tabular.deploy.provider import ResourceStatus, State, Status
from tabular.deploy.target import Target

from .follow import Follower
from .growing import behind
from .judging import begun, goes_on, purpose_of
from .lease import Note
from .readiness import waiting


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a target before its objects are looked at.

    Attributes:
        target: where.
        note: of its lease.
        method: that released there; None where none did.
        history: its releases.
    """

    target: Target
    note: Note | None
    method: Method | None
    history: tuple[Release, ...]

    @property
    def retained(self) -> Mapping[str, Any]:
        """What a destroy left; empty while something is deployed."""
        return {} if self.history or self.note is None else self.note.retained

    @property
    def nothing(self) -> bool:
        """Whether there is nothing at all."""
        abandoned = self.note is not None and bool(self.note.holder)
        return not (self.history or self.retained or abandoned)


class States:
    """Makes statuses.

    Args:
        cluster: where.
        follower: looks at objects.
    """

    def __init__(self, cluster: Cluster, follower: Follower) -> None:
        self._cluster = cluster
        self._follower = follower

    def of(self, found: Found) -> Status:
        """What runs there.

        Raises:
            NotFoundError: nothing does.
        """
        if found.nothing:
            raise answers.nothing_at(found.target)
        content = self._content(found)
        if content is None:
            return self._without(found)
        live = self._follower.live(content.objects)
        resources = tuple(_resources(content.objects, live))
        wrong = [f"{one.id}: {one.detail}" for one in resources if one.state != "ready"]
        if wrong:
            wrong = [str(t) for t in self._follower.current(found.target, live)] or wrong
        state, detail = _judged(found, "; ".join(dict.fromkeys(wrong)))
        # It serves all the same.
        disks = {one.id: one for one in behind(self._cluster, self._follower, found.target)}
        said = [detail] if detail else []
        said += [f"{id_} {one.detail}" for id_, one in disks.items()]
        serving = present(found.history)
        release = "" if serving is None else str(_about(content).get("release", ""))
        newest = last(found.history)
        return Status(
            target=found.target,
            state=state,
            release=release,
            updated=self._cluster.now() if newest is None else newest.updated,
            spec=content.stack.spec,
            resources=tuple(({one.id: one for one in resources} | disks).values()),
            outputs=_outputs(found.target, content.objects),
            detail="; ".join(said),
        )

    def _content(self, found: Found) -> Content | None:
        serving = present(found.history) or last(found.history)
        if serving is None or found.method is None:
            return None
        return found.method.content(found.target, serving.revision)

    def _without(self, found: Found) -> Status:
        """A status where nothing is released: kept data, or an apply that only just began."""
        retained, note = found.retained, found.note
        said = retained.get("updated")
        state, detail = _judged(found, "")
        if retained and not (note and note.holder):
            state = State.RETAINED
            detail = "its data is kept: `deploy` takes it up, `destroy --delete-data` deletes it"
        return Status(
            target=found.target,
            state=state,
            release="",
            updated=datetime.fromisoformat(said) if said else self._cluster.now(),
            spec=retained.get("spec", {}),
            resources=tuple(
                ResourceStatus(one, "", "kept") for one in retained.get("resources", ())
            ),
            detail=detail,
        )


def _judged(found: Found, wrong: str) -> tuple[State, str]:
    note, newest, serving = found.note, last(found.history), present(found.history)
    purpose = purpose_of(note)
    if note is not None and note.alive:
        said = f"{note.holder.rpartition('/')[0]} works there: {purpose}"
        return State.APPLYING, f"{said}; {wrong}" if wrong else said
    if (purpose == "destroy" and note and note.holder) or (
        newest is not None and newest.phase is Phase.LEAVING
    ):
        return State.FAILED, "a destroy was begun and did not end; run it again"
    pending = newest is not None and newest.phase is Phase.PENDING
    if pending or (note is not None and note.holder):
        return (
            State.APPLYING,
            f"the client of {begun(note)} is gone; {goes_on(note)} goes on with it",
        )
    if serving is None:
        return State.FAILED, wrong or "the first release did not come up"
    if newest is not None and newest.phase is Phase.FAILED:
        left = f"release {newest.revision} did not come up and was left as it is: mend it and "
        said = f"{left}`deploy`, or `rollback`"
        return (State.DEGRADED, f"{said}; {wrong}") if wrong else (State.READY, said)
    return (State.DEGRADED, wrong) if wrong else (State.READY, "")


def _resources(
    objects: Sequence[Object], live: Mapping[str, Object | None]
) -> Iterator[ResourceStatus]:
    for one in objects:
        id_, now = id_of(one), live[id_of(one)]
        why = "it is gone" if now is None else waiting(now)
        state = "gone" if now is None else "waiting" if why else "ready"
        yield ResourceStatus(id_, type_of(one), state, why)


def _about(content: Content) -> Mapping[str, Any]:
    found: Mapping[str, Any] = content.stack.template["values"].get("deployment", {})
    return found


def _outputs(target: Target, objects: Sequence[Object]) -> dict[str, str]:
    found = {"namespace": target.region or "", "secret": secret_name(target.name)}
    ids = {id_of(one) for one in objects}
    if f"Service/{target.name}-api" in ids:
        found["internalUrl"] = f"http://{target.name}-api.{target.region}.svc:8000"
    for one in objects:
        if host := _host(one):
            found["url"] = host
    return found


def _host(one: Object) -> str:
    spec = one.get("spec") or {}
    if one["kind"] == "Ingress" and spec.get("rules"):
        scheme = "https" if spec.get("tls") else "http"
        return f"{scheme}://{spec['rules'][0]['host']}" if spec["rules"][0].get("host") else ""
    if one["kind"] == "Route" and spec.get("host"):
        return f"https://{spec['host']}"
    if one["kind"] == "HTTPRoute" and spec.get("hostnames"):
        return f"https://{spec['hostnames'][0]}"
    return ""
