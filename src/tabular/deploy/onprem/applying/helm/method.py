"""Helm as the way to bring objects: its history is the history of the deployment.

Helm runs in this process, or is the program that ``INFERLOOP_TABULAR_HELM`` names. It brings the
objects; whether they become ready is seen by `follow`, as with the other method.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tabular.deploy.onprem.cluster import marks
from tabular.deploy.onprem.cluster.served import served
from tabular.deploy.onprem.cluster.session import Cluster, Object
from tabular.deploy.onprem.names import CHART, namespace_of
from tabular.deploy.onprem.releases import Content, Phase, Release, last
from tabular.deploy.onprem.rendered import library
from tabular.deploy.onprem.rendered.rendering import is_hook, objects_of, placed
from tabular.deploy.onprem.stored import stack_of
from tabular.deploy.stack import Stack, fingerprint
from tabular.deploy.target import Target

from .binary import VARIABLE, HelmBinary
from .fields import take_on
from .library import InProcess
from .record import FAILED, fit, mark_failed
from .seam import Helm

_PHASES: Mapping[str, Phase] = {
    "deployed": Phase.DEPLOYED,
    "superseded": Phase.SUPERSEDED,
    "failed": Phase.FAILED,
    "pending-install": Phase.PENDING,
    "pending-upgrade": Phase.PENDING,
    "pending-rollback": Phase.PENDING,
    "uninstalling": Phase.LEAVING,
    "uninstalled": Phase.LEAVING,
}
_BACK = re.compile(r"Rollback to (\d+)")


class HelmMethod:
    """Releases of Helm.

    Args:
        cluster: where.
        chart: its folder.
    """

    name = "helm"

    def __init__(self, cluster: Cluster, chart: Path = CHART) -> None:
        self._cluster = cluster
        self._chart = chart
        self._program = os.environ.get(VARIABLE)
        self._helms: dict[str, Helm] = {}

    @property
    def manager(self) -> str:
        """The manager of the fields that Helm sets."""
        return library.NAME if self._program else library.manager()

    def history(self, target: Target) -> tuple[Release, ...]:
        """Releases of Helm, oldest first."""
        return tuple(self._release(target, one) for one in self._helm(target).history(target.name))

    def content(self, target: Target, revision: int) -> Content:
        """What a release is, from Helm's record of it."""
        found = self._helm(target).get(target.name, revision)
        summary = found["summary"]
        objects = tuple(
            served(self._cluster, placed(one, namespace_of(target)))
            for one in objects_of(summary["manifest"])
            if not is_hook(one)
        )
        dressed = self.dressed(target, objects)
        version = str(summary["chart_version"])
        stack = stack_of(found["config"] or {}, objects, method=self.name, version=version)
        return Content(stack, dressed)

    def dressed(self, target: Target, objects: Sequence[Object]) -> tuple[Object, ...]:
        """Objects with what Helm itself puts on each."""
        return tuple(_dressed(one, target) for one in objects)

    def owns(self, target: Target, one: Mapping[str, Any]) -> bool:
        """Whether Helm's annotations say that this release owns it."""
        said = (marks.annotation(one, marks.HELM_NAME), marks.annotation(one, marks.HELM_NAMESPACE))
        return said == (target.name, target.region)

    def apply(self, stack: Stack, objects: Sequence[Object], limit: float) -> None:
        """Install or upgrade."""
        target, values = stack.target, stack.template["values"]
        helm = self._helm(target)
        history = self.history(target)
        if history and history[-1].phase is Phase.LEAVING:
            helm.uninstall(target.name, limit)
            history = ()
        if history:
            fit(self._cluster, target)
            helm.upgrade(target.name, values, limit)
        else:
            helm.install(target.name, values, limit)

    def back(self, target: Target, revision: int, limit: float) -> None:
        """Roll back to a revision; the last one itself is begun again by that."""
        fit(self._cluster, target, back_to=revision)
        self._helm(target).rollback(target.name, revision, limit)

    def cancel(self, target: Target) -> None:
        """End an install or upgrade in another thread; a rollback runs to its time limit."""
        self._helm(target).cancel()

    def settle(self, target: Target, *, well: bool) -> None:
        """Mark the last release as failed, if it did not come up: Helm did not wait for that.

        Its fields become Helm's own here, since here every release comes by, whatever became of
        Helm and of the client that had begun it.
        """
        newest = last(self.history(target))
        if newest is None:
            return
        if not well and newest.phase is Phase.DEPLOYED:
            mark_failed(self._cluster, target, newest.revision)
        take_on(self._cluster, self.content(target, newest.revision).objects, self.manager)

    def remove(self, target: Target, limit: float) -> None:
        """Uninstall."""
        fit(self._cluster, target)
        self._helm(target).uninstall(target.name, limit)

    def _helm(self, target: Target) -> Helm:
        namespace = namespace_of(target)
        if namespace not in self._helms:
            self._helms[namespace] = (
                HelmBinary(self._program, self._cluster, namespace, self._chart)
                if self._program
                else InProcess(self._cluster, namespace, self._chart)
            )
        return self._helms[namespace]

    def _release(self, target: Target, one: Mapping[str, Any]) -> Release:
        revision = int(one["revision"])
        phase = _PHASES.get(str(one["status"]), Phase.FAILED)
        found = self._helm(target).get(target.name, revision)
        said_of_it = str(found["info"].get("description", ""))
        back = _BACK.fullmatch(said_of_it)
        if phase is Phase.SUPERSEDED and said_of_it == FAILED:
            phase = Phase.FAILED  # Helm built on it, which makes it no better
        said = found["config"] or {}
        return Release(
            revision=revision,
            phase=phase,
            updated=_time(str(found["info"]["last_deployed"])),
            back_to=int(back[1]) if back else None,
            content=fingerprint([said, found["summary"]["chart_version"]])[:12],
        )


def _dressed(one: Object, target: Target) -> Object:
    meta = one["metadata"]
    labels = {**(meta.get("labels") or {}), "app.kubernetes.io/managed-by": "Helm"}
    annotations = {
        **(meta.get("annotations") or {}),
        marks.HELM_NAME: target.name,
        marks.HELM_NAMESPACE: target.region,
    }
    return {**one, "metadata": {**meta, "labels": labels, "annotations": annotations}}


def _time(text: str) -> datetime:
    # Go writes nine digits of a second, Python reads six.
    cut = re.sub(r"(\.\d{6})\d+", r"\1", text)
    return datetime.fromisoformat(cut.replace("Z", "+00:00"))
