"""Logs of a deployment's pods, by component; followed, also of pods that come later."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Iterator
from datetime import datetime

from tabular.deploy.provider import LogLine
from tabular.deploy.target import Target
from tabular.errors import TabularError

from .cluster import marks
from .cluster.session import Cluster, Object
from .names import COMPONENT

PAUSE = 2.0  # seconds between two looks for new pods


class Logs:
    """Reads logs.

    Args:
        cluster: where.
        pause: seconds between two looks for new pods.
    """

    def __init__(self, cluster: Cluster, *, pause: float = PAUSE) -> None:
        self._cluster = cluster
        self._pause = pause

    def read(self, target: Target, *, follow: bool, tail: int) -> Iterator[LogLine]:
        """The last lines of each container, by time, then new ones if ``follow``."""
        if follow:
            yield from self._followed(target, tail)
            return
        lines = [
            line
            for pod in self._pods(target)
            for container in _containers(pod)
            for line in self._lines(pod, container, tail=tail, follow=False)
        ]
        # Sorting is stable: what has no time stays beside what came before it.
        yield from sorted(lines, key=lambda line: line.time.timestamp() if line.time else 0.0)

    def _followed(self, target: Target, tail: int) -> Iterator[LogLine]:
        told: queue.SimpleQueue[LogLine] = queue.SimpleQueue()
        known: set[tuple[str, str]] = set()

        def tell(pod: Object, container: str, lines: int | None) -> None:
            # The pod ended, or the cluster closed the stream; a new pod is found below.
            with contextlib.suppress(TabularError):
                for line in self._lines(pod, container, tail=lines, follow=True):
                    told.put(line)
            known.discard((pod["metadata"]["uid"], container))

        first, looked = True, 0.0
        while True:
            if first or time.monotonic() - looked > self._pause:
                looked = time.monotonic()
                for pod in self._pods(target):
                    for container in _containers(pod):
                        key = (pod["metadata"]["uid"], container)
                        if key not in known and _runs(pod, container):
                            known.add(key)
                            lines = tail if first else None
                            threading.Thread(
                                target=tell, args=(pod, container, lines), daemon=True
                            ).start()
                first = False
            with contextlib.suppress(queue.Empty):
                yield told.get(timeout=self._pause / 4)

    def _lines(
        self, pod: Object, container: str, *, tail: int | None, follow: bool
    ) -> Iterator[LogLine]:
        meta = pod["metadata"]
        component = marks.label(pod, COMPONENT) or meta["name"]
        name = f"{component}/{meta['name']}" + ("" if container == component else f"/{container}")
        try:
            for line in self._cluster.log(
                meta["name"], meta["namespace"], container, tail=tail, follow=follow
            ):
                time_, _, text = line.partition(" ")
                yield LogLine(name, text, _time(time_))
        except TabularError:
            if follow or _runs(pod, container):
                raise  # of a container that never ran there is none, and that is no fault

    def _pods(self, target: Target) -> tuple[Object, ...]:
        return self._cluster.list("v1", "Pod", target.region, labels=marks.selector(target))


def _containers(pod: Object) -> list[str]:
    spec = pod["spec"]
    return [one["name"] for one in (*(spec.get("initContainers") or ()), *spec["containers"])]


def _runs(pod: Object, container: str) -> bool:
    status = pod.get("status") or {}
    every = [
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ]
    return any(one["name"] == container and "running" in (one.get("state") or {}) for one in every)


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text[:26].rstrip("Z") + "+00:00")
    except ValueError:
        return None
