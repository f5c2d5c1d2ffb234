"""Disks that become larger: asked for before a release is brought, waited for after it serves.

A set made anew with larger claims leaves those that are there as they are, so each is patched. What
comes next is the storage driver's, and some make a file system larger only when a pod starts:
that is told, and is no failure. A status tells it as long as it is so. Each step can be done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tabular.deploy.events import Event, EventSequence, EventStatus
from tabular.deploy.onprem.cluster.session import Cluster, Object
from tabular.deploy.onprem.preflight.amounts import amount
from tabular.deploy.onprem.preflight.growing import growths, size_of, volumes_of
from tabular.deploy.provider import ResourceStatus
from tabular.deploy.stack import Resource
from tabular.deploy.target import Target
from tabular.errors import WaitTimeoutError

from .follow import Follower

_CLAIM = "PersistentVolumeClaim"
_WAITS_FOR_POD = "FileSystemResizePending"
_FAILING = ("ControllerResizeError", "NodeResizeError")  # conditions, of Kubernetes 1.31 and later
_FAILED = ("VolumeResizeFailed", "FileSystemResizeFailed")  # events


@dataclass(frozen=True, slots=True)
class Growing:
    """Makes disks larger.

    Attributes:
        cluster: where.
        follower: knows of warnings, and for how long a trouble may last.
        sleep: waits, seconds.
        clock: monotonic seconds.
    """

    cluster: Cluster
    follower: Follower
    sleep: Callable[[float], None]
    clock: Callable[[], float]

    def grow(
        self, target: Target, objects: Sequence[Object], tell: EventSequence
    ) -> Generator[Event, None, frozenset[str]]:
        """Have the claims of sets grow; one that stands by itself is brought as objects are.

        Returns:
            Names of all claims that grow by this.

        Raises:
            ForbiddenError: the class of one does not let it.
        """
        namespace = target.region or ""
        grown = tuple(growths(objects, volumes_of(self.cluster, namespace, target.name)))
        for one in grown:
            if not one.owner.startswith(f"{_CLAIM}/"):
                self.cluster.merge("v1", _CLAIM, one.claim, namespace, one.patch)
            said = f"grows from {one.before} to {one.after}"
            yield tell.next(EventStatus.IN_PROGRESS, _resource(one.claim), said)
        return frozenset(one.claim for one in grown)

    def unfinished(self, target: Target) -> frozenset[str]:
        """Names of claims whose disks are smaller than they ask for."""
        there = volumes_of(self.cluster, target.region or "", target.name)
        return frozenset(name for name, one in there.items() if _lacks(one))

    def wait(
        self, target: Target, names: frozenset[str], tell: EventSequence, limit: float
    ) -> Iterator[Event]:
        """Events until disks are as large as they are asked to be, or wait for their pods.

        Args:
            target: whose.
            names: of their claims.
            tell: numbers events.
            limit: seconds.

        Raises:
            WaitTimeoutError: one does not grow; with what its driver said.
        """
        left, since, deadline = set(names), dict[tuple[str, str], float](), self.clock() + limit
        while left:
            there = volumes_of(self.cluster, target.region or "", target.name)
            warnings = self.follower.warnings(target)
            now = self.clock()
            for name in sorted(left):
                claim = there.get(name)
                if claim is None or not _lacks(claim):
                    left.discard(name)
                    if claim is not None:
                        said = f"has {size_of(claim)}"
                        yield tell.next(EventStatus.COMPLETE, _resource(name), said)
                    continue
                state, said = _state(claim, warnings)
                if (name, said) not in since:
                    yield tell.next(EventStatus.IN_PROGRESS, _resource(name), said)
                begun = since.setdefault((name, said), now)
                patient = state and now - begun >= self.follower.patience
                if patient and state == _WAITS_FOR_POD:
                    left.discard(name)
                    yield tell.next(EventStatus.COMPLETE, _resource(name), f"{said}{_RESTART}")
                elif patient or now > deadline:
                    raise WaitTimeoutError(
                        f"the disk of {name} does not become larger: {said}",
                        where=target.id,
                        hint=f"kubectl describe pvc {name} -n {target.region}",
                    )
            if left:
                self.sleep(self.follower.pause)


def behind(cluster: Cluster, follower: Follower, target: Target) -> tuple[ResourceStatus, ...]:
    """Claims whose disks are smaller than they ask for, with what to type."""
    namespace = target.region or ""
    lacking = [one for one in volumes_of(cluster, namespace, target.name).values() if _lacks(one)]
    if not lacking:
        return ()
    warnings, pods = follower.warnings(target), follower.pods(target)
    found = []
    for claim in lacking:
        name = claim["metadata"]["name"]
        state, said = _state(claim, warnings)
        users = [one["metadata"]["name"] for one in pods if name in _claims_in(one)]
        if state == _WAITS_FOR_POD and users:
            next_ = f"`kubectl delete pod {' '.join(users)} -n {namespace}`, when that suits"
        else:
            next_ = f"`kubectl describe pvc {name} -n {namespace}` tells how far it is"
        resource = _resource(name)
        found.append(ResourceStatus(resource.id, resource.type, "growing", f"{said}; {next_}"))
    return tuple(found)


def _claims_in(pod: Object) -> list[str]:
    volumes = pod["spec"].get("volumes") or ()
    return [(one.get("persistentVolumeClaim") or {}).get("claimName", "") for one in volumes]


_RESTART = ": `kubectl delete pod`, one after the other when that suits; each is made again at once"


def _resource(claim: str) -> Resource:
    return Resource(f"{_CLAIM}/{claim}", f"v1 {_CLAIM}", {}, stateful=True)


def _lacks(claim: Object) -> bool:
    """Whether a disk is smaller than its claim asks for; one that has none yet lacks nothing."""
    has = ((claim.get("status") or {}).get("capacity") or {}).get("storage")
    return has is not None and amount(has) < amount(size_of(claim))


def _state(claim: Object, warnings: Sequence[Object]) -> tuple[str, str]:
    """A word if it may stay so, and what is told of a disk that grows."""
    status, name = claim["status"], claim["metadata"]["name"]
    has = f"has {status['capacity']['storage']} of {size_of(claim)}"
    met = {one["type"]: one for one in status.get("conditions") or () if one["status"] == "True"}
    for kind in _FAILING:
        if kind in met:
            return kind, f"{has}: {kind}: {_message(met[kind])}"
    for one in warnings:
        about = one["involvedObject"]
        if one.get("reason") in _FAILED and (about.get("kind"), about.get("name")) == (
            _CLAIM,
            name,
        ):
            return one["reason"], f"{has}: {one['reason']}: {_message(one)}"
    if _WAITS_FOR_POD in met:
        said = "the disk is larger, its file system grows with the next start of its pod"
        return _WAITS_FOR_POD, f"{has}: {said}"
    return "", f"{has}"


def _message(one: dict[str, Any]) -> str:
    return str(one.get("message") or "")
