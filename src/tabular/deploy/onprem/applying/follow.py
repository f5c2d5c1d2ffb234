"""An apply as a stream of events: what becomes ready, what stands in the way, and since when.

It looks at the objects, their pods and the warnings about them, whichever method brings them.
Waiting is cut short where it cannot help: an image that cannot be pulled for two minutes will not
be there after fifteen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from tabular.deploy.events import Event, EventSequence, EventStatus
from tabular.deploy.onprem.cluster import marks
from tabular.deploy.onprem.cluster.session import Cluster, Object
from tabular.deploy.onprem.rendered.objects import id_of, resource_of, type_of
from tabular.deploy.stack import Resource
from tabular.deploy.target import Target
from tabular.errors import ForbiddenError, NotFoundError, TabularError

from .readiness import (
    NEVER,
    NODE_GONE,
    Trouble,
    owner_of,
    pod_troubles,
    troubles,
    waiting,
)

PAUSE = 1.0  # seconds between two looks
PATIENCE = 120.0  # seconds that a trouble may last which mostly does not pass by itself
# Seconds after which a warning that was not told again has passed. The kubelet tries a mount that
# fails again within 2 minutes and 2 seconds (maxDurationBeforeRetry, nestedpendingoperations).
FRESH = 150.0
# A volume is taken off a node that is gone by force after 6 minutes (maxWaitForUnmountDuration of
# the attach/detach controller).
_MOVES = 4.0
AT_ONCE = 8  # questions
LOG_LINES = 8
_ABSENT, _SAME = "it is not there yet", "it is as it was before"
_WARNINGS = ("FailedCreate", "FailedMount", "FailedAttachVolume", "ProvisioningFailed")
_PODLESS = frozenset(
    {"ConfigMap", "Secret", "ServiceAccount", "Role", "RoleBinding", "NetworkPolicy", "Ingress"}
)


class Running(Protocol):
    """What brings the objects, in another thread."""

    @property
    def ended(self) -> bool:
        """Whether it did all it does."""
        ...

    @property
    def failed(self) -> bool:
        """Whether it ended with an error."""
        ...


@dataclass(frozen=True, slots=True)
class Before:
    """What was there before an apply, so that nothing old is taken for new.

    Attributes:
        versions: of each object, by id.
        pods: uids of pods.
        warnings: uid and count of events.
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    pods: frozenset[str] = frozenset()
    warnings: frozenset[tuple[str, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Watched:
    """What is followed.

    Attributes:
        target: of the deployment.
        objects: that are brought.
        before: what was there.
        quiet: ids of objects that are not changed, and of which nothing is told.
    """

    target: Target
    objects: Sequence[Object]
    before: Before = field(default_factory=Before)
    quiet: frozenset[str] = frozenset()


@dataclass
class Heard:
    """What was heard of an apply.

    Attributes:
        troubles: that stand in its way now, by their text without what changes.
        waiting: what objects wait for, by id.
        hopeless: waiting longer would not help.
        timed_out: the time was up.
        ready: all is ready.
    """

    troubles: dict[str, Trouble] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    hopeless: bool = False
    timed_out: bool = False
    ready: bool = False

    @property
    def reason(self) -> str:
        """Why it does not come up, "" if nothing is known."""
        told = dict.fromkeys(str(one) for one in self.troubles.values())
        named = {one.resource for one in self.troubles.values()}
        rest = [f"{id_}: {why}" for id_, why in self.waiting.items() if id_ not in named]
        return "; ".join([*told, *([] if told else rest)])


class Follower:
    """Follows what becomes of objects.

    Args:
        cluster: where.
        pause: seconds between two looks.
        patience: seconds that a trouble may last.
        fresh: seconds after which a warning that is not told again has passed.
        clock: monotonic seconds.
        sleep: waits, seconds.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        pause: float = PAUSE,
        patience: float = PATIENCE,
        fresh: float = FRESH,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._cluster = cluster
        self.pause = pause
        self.patience = patience
        self._fresh = timedelta(seconds=fresh)
        self._clock = clock
        self._sleep = sleep

    def before(self, target: Target, objects: Sequence[Object]) -> Before:
        """What is there now."""
        found = self.live(objects)
        return Before(
            {id_: _version(one) for id_, one in found.items() if one is not None},
            frozenset(pod["metadata"]["uid"] for pod in self.pods(target)),
            frozenset(_told(one) for one in self.warnings(target)),
        )

    def live(self, objects: Sequence[Object]) -> dict[str, Object | None]:
        """Objects as they are in the cluster, by id; None for those that are not there."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = pool.map(self._get, objects)
            return {id_of(one): live for one, live in zip(objects, found, strict=True)}

    def follow(
        self, watched: Watched, running: Running, heard: Heard, tell: EventSequence, limit: float
    ) -> Iterator[Event]:
        """Events until all is ready, hopeless, or the time is up.

        Args:
            watched: what is brought.
            running: what brings it.
            heard: is filled.
            tell: numbers events.
            limit: seconds.
        """
        deadline, round_ = self._clock() + limit, _Round(watched, heard, tell)
        while True:
            ended, failed = running.ended, running.failed  # before what they leave is looked at
            yield from round_.objects(self.live(round_.left(ended=ended)), brought=ended)
            pods, warnings = self.pods(watched.target), self.warnings(watched.target)
            yield from round_.troubles(pods, warnings, self._clock())
            heard.ready = ended and not failed and not heard.waiting
            heard.hopeless = round_.hopeless(self._clock(), self.patience)
            heard.timed_out = self._clock() + self.pause > deadline
            if heard.ready or failed or heard.hopeless or heard.timed_out:
                return
            self._sleep(self.pause)

    def explain(self, target: Target, heard: Heard) -> str:
        """Why it does not come up, with the last lines of what crashed."""
        said = heard.reason
        for one in heard.troubles.values():
            if one.pod:
                lines = self._last_lines(target, one)
                if lines:
                    said += f"; it wrote last: {' | '.join(lines)}"
                    break
        return said

    def current(self, target: Target, objects: Mapping[str, Object | None]) -> list[Trouble]:
        """What stands in the way of what is there now, for a status."""
        found = [t for one in objects.values() if one is not None for t in troubles(one)]
        for pod in self.pods(target):
            found += pod_troubles(pod, owner_of(pod))
        return found

    def warnings(self, target: Target) -> tuple[Object, ...]:
        """Warnings that go on; an event stays for an hour, whether what it tells of is over or not.

        None where they may not be seen: the role that is documented may, and one that may not
        still works.
        """
        try:
            found = self._cluster.list("v1", "Event", target.region, fields="type=Warning")
        except ForbiddenError:
            return ()
        since = self._cluster.now() - self._fresh
        return tuple(one for one in found if _last(one) >= since)

    def _get(self, one: Object) -> Object | None:
        meta = one["metadata"]
        return self._cluster.get(one["apiVersion"], one["kind"], meta["name"], meta["namespace"])

    def pods(self, target: Target) -> tuple[Object, ...]:
        """The pods of a deployment."""
        return self._cluster.list("v1", "Pod", target.region, labels=marks.selector(target))

    def _last_lines(self, target: Target, one: Trouble) -> list[str]:
        for previous in (True, False):
            try:
                lines = self._cluster.log(
                    one.pod, target.region or "", one.container, tail=LOG_LINES, previous=previous
                )
                found = [line.partition(" ")[2] for line in lines]
            except (NotFoundError, TabularError):
                continue
            if found:
                return found
        return []


class _Round:
    """What was seen of an apply so far, from one look to the next."""

    def __init__(self, watched: Watched, heard: Heard, tell: EventSequence) -> None:
        self._watched = watched
        self._heard = heard
        self._tell = tell
        self._types = {id_of(one): type_of(one) for one in watched.objects}
        self._done: set[str] = set()
        self._shown: dict[str, str] = {}
        self._since: dict[str, float] = {}
        self._live: Mapping[str, Object | None] = {}

    def left(self, *, ended: bool) -> list[Object]:
        """Objects to be looked at: all of them, in the end."""
        return [one for one in self._watched.objects if ended or id_of(one) not in self._done]

    def objects(self, live: Mapping[str, Object | None], *, brought: bool) -> Iterator[Event]:
        """Take in how objects are now."""
        self._live, self._heard.waiting = live, {}
        for one in self._watched.objects:
            id_ = id_of(one)
            if id_ not in live:
                continue
            why = self._unready(id_, live[id_], brought=brought)
            told = id_ not in self._watched.quiet
            if why:
                self._heard.waiting[id_] = why
                self._done.discard(id_)
                if told and why not in (_ABSENT, _SAME, self._shown.get(id_)):
                    yield self._tell.next(EventStatus.IN_PROGRESS, resource_of(one), why)
                self._shown[id_] = why
            elif id_ not in self._done:
                self._done.add(id_)
                if told:
                    yield self._tell.next(EventStatus.COMPLETE, resource_of(one))

    def troubles(
        self, pods: Sequence[Object], warnings: Sequence[Object], now: float
    ) -> Iterator[Event]:
        """Take in what stands in the way now."""
        before = self._watched.before
        new = [one for one in pods if one["metadata"]["uid"] not in before.pods]
        found = [t for one in self._live.values() if one is not None for t in troubles(one)]
        for pod in pods:
            told = pod_troubles(pod, owner_of(pod))
            # Old pods tell nothing of a release, but that a node is gone holds it up as well.
            found += told if pod in new else (one for one in told if one.reason == NODE_GONE)
        owners = {one["metadata"]["name"]: owner_of(one) for one in new}
        found += [
            Trouble(
                _about(one, owners),
                one["reason"],
                one.get("message", ""),
                patience=_MOVES if one["reason"] == "FailedAttachVolume" else 1.0,
            )
            for one in warnings
            if _told(one) not in before.warnings and one.get("reason") in _WARNINGS
        ]
        # Of what is ready since, warnings stay for a while.
        known = {_key(one): one for one in found if one.resource in self._heard.waiting}
        for key, one in known.items():
            if key not in self._since:
                self._since[key] = now
                about = Resource(one.resource, self._types.get(one.resource, ""), {})
                status = EventStatus.IN_PROGRESS if one.patience else EventStatus.FAILED
                said = f"{one.reason}: {one.detail}".rstrip(": ")
                yield self._tell.next(status, about, said)
        for key in set(self._since) - set(known):
            del self._since[key]
        self._heard.troubles = known

    def hopeless(self, now: float, patience: float) -> bool:
        """Whether a trouble lasts too long for it to pass."""
        return any(
            one.patience != NEVER and now - self._since[key] >= one.patience * patience
            for key, one in self._heard.troubles.items()
        )

    def _unready(self, id_: str, live: Object | None, *, brought: bool) -> str:
        if live is None:
            return _ABSENT
        if not brought and self._watched.before.versions.get(id_) == _version(live):
            return _SAME
        return waiting(live)


def _version(one: Mapping[str, Any]) -> str:
    """Changes when an object's contents change, and not with its status."""
    meta = one["metadata"]
    if "generation" in meta and one["kind"] not in _PODLESS:
        return f"{meta['uid']}/{meta['generation']}"
    return f"{meta['uid']}/{meta['resourceVersion']}"


def _told(event: Mapping[str, Any]) -> tuple[str, int]:
    """An event as often as it was told; newer servers count in its series."""
    count = (event.get("series") or {}).get("count") or event.get("count") or 0
    return event["metadata"]["uid"], int(count)


def _last(event: Mapping[str, Any]) -> datetime:
    """When an event was told last, by the cluster's clocks."""
    series = event.get("series") or {}
    said = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    told = [one for one in said if one] or [event["metadata"]["creationTimestamp"]]
    return max(datetime.fromisoformat(one) for one in told)


def _about(event: Mapping[str, Any], owners: Mapping[str, str]) -> str:
    """Id of the object that a warning is about in the end."""
    said = event["involvedObject"]
    kind, name = said.get("kind", ""), said.get("name", "")
    if kind == "Pod":
        return owners.get(name, f"Pod/{name}")
    if kind == "ReplicaSet":
        return f"Deployment/{name.rpartition('-')[0]}"
    if kind == "PersistentVolumeClaim":
        # A claim of a StatefulSet: TEMPLATE-SET-NUMBER
        return f"StatefulSet/{name.partition('-')[2].rpartition('-')[0]}"
    return f"{kind}/{name}"


def _key(one: Trouble) -> str:
    return f"{one.resource} {one.reason}"
