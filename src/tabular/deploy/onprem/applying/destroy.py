"""A destroy: the service goes; its volumes and its Secret stay, or go when that was asked.

What is to stay is written into the lease before anything is removed, so that a client that dies
leaves a record by which the next one goes on, and by which data that was kept is found again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from tabular.deploy.events import Event, EventSequence, EventStatus
from tabular.deploy.onprem.cluster import marks
from tabular.deploy.onprem.cluster.session import Cluster, Object
from tabular.deploy.onprem.cluster.spaces import Spaces
from tabular.deploy.onprem.names import (
    FIELD_MANAGER,
    INSTANCE,
    MANAGED_BY,
    secret_name,
    tls_secret_name,
)
from tabular.deploy.onprem.releases import Content, Phase, present
from tabular.deploy.onprem.rendered.objects import CLUSTERS, claims_of, id_of, resource_of, stays
from tabular.deploy.onprem.secrets.owned import certificate_of, secret_of
from tabular.deploy.onprem.secrets.vault import Vault
from tabular.deploy.stack import Resource
from tabular.deploy.target import Target
from tabular.errors import EngineError

from .lease import Held, Leases, busy
from .operations import Operations
from .primary_record import drop_record
from .state import Found

LIMIT = 300.0  # seconds for pods to end; the longest grace of ours is two minutes
# Label of the pods that MinIO's operator makes; they have those of their Tenant, too.
_TENANT = "v1.min.io/tenant"


class Destroyer:
    """Takes deployments down; every step can be repeated."""

    def __init__(
        self,
        cluster: Cluster,
        leases: Leases,
        operations: Operations,
        vault: Vault,
        spaces: Spaces,
    ) -> None:
        self._cluster = cluster
        self._leases = leases
        self._operations = operations
        self._vault = vault
        self._spaces = spaces

    def destroy(self, found: Found, *, delete_data: bool) -> Iterator[Event]:
        """Take a deployment down.

        Raises:
            BusyError: an operation runs there.
            EngineError: something cannot be removed; with the cause.
        """
        target, tell = found.target, EventSequence()
        if found.note is not None and found.note.alive:
            raise busy(target, found.note)
        secret = self._vault.read(target)
        ours = secret is not None and marks.is_own(secret, target)
        if found.nothing and not ours and found.note is None:
            return
        contents = self._contents(found)
        operation = {"purpose": "destroy", "data": delete_data}
        with self._leases.hold(target, operation) as held:
            record = self._record(found, contents)
            held.keep(record)
            yield from self._remove(found, contents, record, tell, kept=not delete_data)
            # A cluster of an operator goes on, and shows it.
            goes_on = not delete_data and self._clusters(target, record)
            if not goes_on and self._drop_certificate(target):
                yield tell.next(
                    EventStatus.COMPLETE, certificate_of(target.name), "another one does as well"
                )
            if delete_data:
                yield from self._data(target, record, tell)
                held.drop()
                self._drop_space(target)
            elif ours:
                yield tell.next(EventStatus.KEPT, secret_of((), secret_name(target.name)))

    def first_failed(
        self, found: Found, held: Held, fresh: Mapping[str, Any], objects: Iterable[Object]
    ) -> Iterator[Event]:
        """Take away what a first release left that did not come up; nothing of before.

        Raises:
            EngineError: it is no first release.
        """
        target, made = found.target, tuple(objects)
        _require_first(found, held)
        kept = held.retained or self._record(found, self._contents(found))
        left = held.operation.get("left") or _data_of(made)
        # The releases go first, and with them what says what was made: who goes on reads it here.
        held.note(left=left)
        held.keep({**kept, **_data_of(made, kept)})
        if found.method is not None:
            found.method.remove(target, LIMIT)
        self._wait_for_pods(target)
        before = set(fresh.get("claims", ()))
        for one in self._clusters(target, left):
            if id_of(one) not in fresh.get("clusters", ()):
                self._drop(target, one)
        for claim in self._claims(target, left):
            if claim["metadata"]["name"] not in before:
                self._drop(target, claim)
        drop_record(self._cluster, target)
        if fresh.get("secret"):
            self._vault.drop(target)
        if fresh.get("certificate"):
            self._drop_certificate(target)
        # What was there before, a destroy finds by what the lease keeps.
        if not (before or fresh.get("clusters")) and fresh.get("secret"):
            held.drop()
        if fresh.get("namespace"):
            self._drop_space(target)
        yield from ()

    def claims(self, target: Target) -> list[str]:
        """Names of the claims that are there."""
        found = self._cluster.list(
            "v1", "PersistentVolumeClaim", target.region, labels=marks.selector(target)
        )
        return sorted(one["metadata"]["name"] for one in found)

    def clusters(self, target: Target, objects: Iterable[Object]) -> list[str]:
        """Ids of those operators' clusters among the objects that are there."""
        return [id_of(one) for one in self._clusters(target, {"clusters": _clusters_in(objects)})]

    def outlived(self, found: Found, objects: Iterable[Object]) -> dict[str, Any]:
        """A record of data that is deployed or kept and that a release has no more; it stays.

        Args:
            found: what is there before the release.
            objects: of the release.

        Returns:
            By which a destroy finds it, when the history has forgotten it; empty if there is none.
        """
        return _beside(_data_of(_serving(found), _kept(found)), _data_of(objects))

    def left_behind(self, found: Found, objects: Iterable[Object]) -> dict[str, Any]:
        """A record as `outlived` gives it, for when the release fails and is undone."""
        return _beside(_data_of(objects, _kept(found)), _data_of(_serving(found)))

    def _contents(self, found: Found) -> list[Content]:
        if found.method is None:
            return []
        return [found.method.content(found.target, one.revision) for one in found.history]

    def _record(self, found: Found, contents: list[Content]) -> dict[str, Any]:
        """What is to be known when the releases are gone."""
        before = {} if found.note is None else found.note.retained
        objects = [one for content in contents for one in content.objects]
        serving = present(found.history) or (found.history[-1] if found.history else None)
        spec = before.get("spec", {})
        stateful = set(before.get("resources", ()))
        if serving is not None and contents:
            stack = contents[found.history.index(serving)].stack
            spec = stack.spec
            stateful |= {one.id for one in stack.resources if one.stateful}
        return {
            **_data_of(objects, before),
            "resources": sorted(stateful),
            "spec": spec,
            "updated": self._cluster.now().isoformat(timespec="seconds"),
        }

    def _remove(
        self,
        found: Found,
        contents: list[Content],
        record: Mapping[str, Any],
        tell: EventSequence,
        *,
        kept: bool,
    ) -> Iterator[Event]:
        target, method = found.target, found.method
        if method is None:
            return
        last = {id_of(one): one for content in contents for one in content.objects}
        method.remove(target, LIMIT)
        # What only a release had that did not come up, Helm forgot.
        for one in last.values():
            if not stays(one):
                self._operations.delete_own(method, target, one)
        self._wait_for_pods(target)
        volumes = [one["metadata"]["name"] for one in self._claims(target, record)]
        for one in reversed(last.values()):
            resource = resource_of(one)
            own = _of(one, volumes)
            if resource.stateful and kept:
                said = f"its data stays: {', '.join(own)}" if own else "its data stays"
                said = "it stays as it runs, with its data" if one["kind"] in CLUSTERS else said
                yield tell.next(EventStatus.KEPT, resource, said)
            else:
                yield tell.next(EventStatus.COMPLETE, resource, "removed")

    def _data(
        self, target: Target, record: Mapping[str, Any], tell: EventSequence
    ) -> Iterator[Event]:
        for one in self._clusters(target, record):
            self._drop(target, one)
            yield tell.next(EventStatus.COMPLETE, resource_of(one), "deleted, with its data")
        going = lambda: [id_of(one) for one in self._clusters(target, record)]  # noqa: E731
        self._operations.wait_gone("clusters of operators", going, LIMIT)
        for claim in self._claims(target, record):
            self._drop(target, claim)
            name = claim["metadata"]["name"]
            told = Resource(f"PersistentVolumeClaim/{name}", "v1 PersistentVolumeClaim", {})
            yield tell.next(EventStatus.COMPLETE, told, "deleted, with its data")
        left = lambda: [one["metadata"]["name"] for one in self._claims(target, record)]  # noqa: E731
        self._operations.wait_gone("volumes", left, LIMIT)
        drop_record(self._cluster, target)
        if self._vault.drop(target):
            told = secret_of((), secret_name(target.name))
            yield tell.next(EventStatus.COMPLETE, told, "deleted")

    def _drop_space(self, target: Target) -> None:
        """Delete the namespace if it is ours and empty, and wait: who deploys anew finds none."""
        if self._spaces.drop(target):
            self.wait_for_space(target)

    def wait_for_space(self, target: Target) -> None:
        """Wait until a namespace that is on its way out is gone.

        Raises:
            WaitTimeoutError: something holds it.
        """

        def left() -> list[str]:
            return [] if self._spaces.gone(target) else [target.region or ""]

        self._operations.wait_gone("namespaces", left, LIMIT)

    def _drop_certificate(self, target: Target) -> bool:
        """Delete the certificate of TLS between pods, if it is ours."""
        name = tls_secret_name(target.name)
        found = self._cluster.get("v1", "Secret", name, target.region)
        said = (marks.label(found, MANAGED_BY), marks.label(found, INSTANCE)) if found else ()
        if said != (FIELD_MANAGER, target.name):
            return False
        return self._cluster.delete("v1", "Secret", name, target.region)

    def _claims(self, target: Target, record: Mapping[str, Any]) -> list[Object]:
        """The claims of a deployment: of its label, and of its record."""
        named = [rf"{re.escape(name)}-\d+" for name in record.get("claims", ())]
        named += [re.escape(name) for name in record.get("volumes", ())]
        mine = re.compile("|".join(named) or r"(?!)")
        found = self._cluster.list(
            "v1", "PersistentVolumeClaim", target.region, labels=marks.selector(target)
        )
        return [one for one in found if mine.fullmatch(one["metadata"]["name"])]

    def _clusters(self, target: Target, record: Mapping[str, Any]) -> list[Object]:
        """The operators' clusters of a record that are there, and are this deployment's."""
        named = (
            (one["apiVersion"], one["kind"], one["metadata"]["name"])
            for one in record.get("clusters", ())
        )
        found = (self._cluster.get(*one, target.region) for one in named)
        return [one for one in found if one is not None and marks.is_of(one, target)]

    def _drop(self, target: Target, one: Object) -> None:
        """Delete an object as it was seen, and none that was made in its place."""
        meta = one["metadata"]
        self._cluster.delete(
            one["apiVersion"], one["kind"], meta["name"], target.region, uid=meta["uid"]
        )

    def _wait_for_pods(self, target: Target) -> None:
        """Wait until pods are gone that belong to what was removed; a Tenant's go on with it."""
        removed = f"{marks.selector(target)},!{_TENANT}"

        def left() -> list[str]:
            pods = self._cluster.list("v1", "Pod", target.region, labels=removed)
            return [
                one["metadata"]["name"] for one in pods if one["metadata"].get("ownerReferences")
            ]

        self._operations.wait_gone("pods", left, LIMIT)


def _require_first(found: Found, held: Held) -> None:
    """Be sure that nothing ever served there: what follows deletes volumes."""
    began = int(held.operation.get("revision", 0))
    served = [
        one.revision
        for one in found.history
        if one.revision < began and one.phase in (Phase.DEPLOYED, Phase.SUPERSEDED)
    ]
    if not began or served or held.operation.get("serving"):
        raise EngineError(
            f"releases {served} served here: nothing is deleted because of one that failed",
            where=found.target.id,
            hint="`inferloop-tabular status` shows what is there; `rollback` goes back",
            code="engine.not-first",
        )


def _of(one: Object, volumes: Iterable[str]) -> list[str]:
    """The volumes that an object's claims are."""
    names = [*claims_of(one)]
    if one["kind"] == "PersistentVolumeClaim":
        return [one["metadata"]["name"]]
    return sorted(v for v in volumes if v.rpartition("-")[0] in names)


def _serving(found: Found) -> tuple[Object, ...]:
    """Objects of the release that serves."""
    serving = present(found.history)
    if found.method is None or serving is None:
        return ()
    return found.method.content(found.target, serving.revision).objects


def _kept(found: Found) -> Mapping[str, Any]:
    return {} if found.note is None else found.note.retained


def _beside(there: Mapping[str, list[Any]], known: Mapping[str, list[Any]]) -> dict[str, Any]:
    """What a record of data has and another one has not."""
    left = {key: [one for one in data if one not in known[key]] for key, data in there.items()}
    return left if any(left.values()) else {}


def _data_of(
    objects: Iterable[Mapping[str, Any]], before: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, list[Any]]:
    """The names of what holds data among objects, and of what an earlier record has."""
    made = tuple(objects)
    claims = {name for one in made for name in claims_of(one)}
    volumes = {one["metadata"]["name"] for one in made if one["kind"] == "PersistentVolumeClaim"}
    return {
        "claims": sorted(claims | set(before.get("claims", ()))),
        "clusters": _clusters_in([*before.get("clusters", ()), *made]),
        "volumes": sorted(volumes | set(before.get("volumes", ()))),
    }


def _clusters_in(objects: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The clusters of operators among objects, so that a record finds them again; each once."""
    found = {
        (one["apiVersion"], one["kind"], one["metadata"]["name"])
        for one in objects
        if one["kind"] in CLUSTERS
    }
    return [
        {"apiVersion": api, "kind": kind, "metadata": {"name": name}}
        for api, kind, name in sorted(found)
    ]
