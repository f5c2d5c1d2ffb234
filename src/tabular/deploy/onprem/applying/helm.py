"""Helm as the way to bring objects: its history is the history of the deployment.

Helm runs in this process, or as a binary, behind `Helm`. It brings the objects; whether they become
ready is seen by `follow`, as with the other method.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from tabular.deploy.onprem.cluster import marks
from tabular.deploy.onprem.cluster.refusals import OwnedElsewhereError, refused
from tabular.deploy.onprem.cluster.session import Cluster, Object
from tabular.deploy.onprem.names import CHART, namespace_of
from tabular.deploy.onprem.rendered import library
from tabular.deploy.onprem.rendered.rendering import is_hook, loaded, objects_of, placed
from tabular.deploy.onprem.rendered.stored import stack_of
from tabular.deploy.stack import Stack, fingerprint
from tabular.deploy.target import Target
from tabular.errors import EngineError, NotFoundError, TabularError, WaitTimeoutError

from .helm_record import FAILED, mark_failed
from .releases import KEPT, Content, Phase, Release, last

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
# Helm returns when all objects are brought. Its own waiting takes a claim for unready that no pod
# uses yet (WaitForFirstConsumer), and cannot be ended early; `follow` waits.
_WAIT = "hookOnly"
_BACK = re.compile(r"Rollback to (\d+)")
_OWNER = re.compile(r'conflicts? with "([^"]+)"[^:]*:\s*([^&]+)')


class Helm(Protocol):
    """Helm, wherever it runs; answers are as `helm_python` has them."""

    def install(self, name: str, values: Mapping[str, Any], limit: float) -> None:
        """Make a release."""
        ...

    def upgrade(self, name: str, values: Mapping[str, Any], limit: float) -> None:
        """Make a release in the place of another one."""
        ...

    def rollback(self, name: str, revision: int, limit: float) -> None:
        """Make a release as an earlier one was."""
        ...

    def history(self, name: str) -> Sequence[Mapping[str, Any]]:
        """Releases, oldest first; none where there is none."""
        ...

    def get(self, name: str, revision: int) -> Mapping[str, Any]:
        """A release with its values, manifest and description."""
        ...

    def uninstall(self, name: str, limit: float) -> None:
        """Remove a release and its history; none is no error."""
        ...

    def cancel(self) -> None:
        """End an install or upgrade that runs in another thread."""
        ...


class InProcess:
    """Helm in this process, for one namespace.

    Args:
        cluster: gives the way there.
        namespace: of the releases.
        chart: its folder.
    """

    def __init__(self, cluster: Cluster, namespace: str, chart: Path) -> None:
        self._package = library.helm()
        # Helm would say what is wrong with a kubeconfig in words that say not what to do.
        cluster.require()
        self._config = self._package.Config(
            kubeconfig_path=cluster.kubeconfig, kube_context=cluster.context, namespace=namespace
        )
        self._namespace = namespace
        self._chart = chart
        self._context: Any = None
        self._cancelled = False

    def install(self, name: str, values: Mapping[str, Any], limit: float) -> None:
        """Make a release."""
        self._run("install", name, values, limit)

    def upgrade(self, name: str, values: Mapping[str, Any], limit: float) -> None:
        """Make a release in the place of another one."""
        self._run("upgrade", name, values, limit, max_history=KEPT)

    def rollback(self, name: str, revision: int, limit: float) -> None:
        """Make a release as an earlier one was."""
        self._cancelled = False
        try:
            self._config.rollback(name, version=revision, timeout=_whole(limit), wait=_WAIT)
        except self._package.HelmError as error:
            raise self._explained(error, "rollback", name, limit) from error

    def history(self, name: str) -> Sequence[Mapping[str, Any]]:
        """Releases, oldest first."""
        try:
            found: list[dict[str, Any]] = self._config.history(name)
        except self._package.HelmNotFoundError:
            return ()
        except self._package.HelmError as error:
            raise self._explained(error, "history", name, 0) from error
        return sorted(found, key=lambda one: int(one["revision"]))

    def get(self, name: str, revision: int) -> Mapping[str, Any]:
        """A release with its values, manifest and description."""
        try:
            found: dict[str, Any] = self._config.get_all(name, revision=revision)
        except self._package.HelmError as error:
            raise self._explained(error, "get", name, 0) from error
        return found

    def uninstall(self, name: str, limit: float) -> None:
        """Remove a release and its history; none is no error."""
        try:
            self._config.uninstall(name, timeout=_whole(limit), wait=_WAIT, ignore_not_found=True)
        except self._package.HelmNotFoundError:
            return
        except self._package.HelmError as error:
            raise self._explained(error, "uninstall", name, limit) from error

    def cancel(self) -> None:
        """End an install or upgrade that runs in another thread."""
        self._cancelled = True
        if self._context is not None:
            self._context.cancel()

    def _run(
        self, what: str, name: str, values: Mapping[str, Any], limit: float, **more: Any
    ) -> None:
        self._cancelled = False
        self._context = self._package.HelmContext()
        try:
            getattr(self._config, what)(
                loaded(self._chart),
                name,
                dict(values),
                context=self._context,
                namespace=self._namespace,
                timeout=_whole(limit),
                wait=_WAIT,
                **more,
            )
        except self._package.HelmError as error:
            raise self._explained(error, what, name, limit) from error
        finally:
            self._context = None

    def _explained(self, error: Any, what: str, name: str, limit: float) -> TabularError:
        said, where = str(error).strip(), f"helm {what} {name}"
        owners = tuple((manager, field.strip(" -\n")) for manager, field in _OWNER.findall(said))
        if owners:
            return OwnedElsewhereError(where, owners)
        if isinstance(error, self._package.HelmNotFoundError):
            return NotFoundError(said, where=where)
        if isinstance(error, self._package.HelmCancelledError) and not self._cancelled:
            return WaitTimeoutError(f"not ready within {limit:.0f} s: {said}", where=where)
        if " is forbidden: " in said:
            return refused(403, {"message": said}, where)
        return EngineError(said, where=where, hint="the words are Helm's own: mend what they name")


class HelmMethod:
    """Releases of Helm.

    Args:
        cluster: where.
        chart: its folder.
        helm: makes Helm for a namespace; in this process if None.
    """

    name = "helm"

    def __init__(self, cluster: Cluster, chart: Path = CHART) -> None:
        self._cluster = cluster
        self._chart = chart
        self._helms: dict[str, Helm] = {}

    @property
    def manager(self) -> str:
        """The manager of the fields that Helm sets."""
        return library.manager()

    def history(self, target: Target) -> tuple[Release, ...]:
        """Releases of Helm, oldest first."""
        return tuple(self._release(target, one) for one in self._helm(target).history(target.name))

    def content(self, target: Target, revision: int) -> Content:
        """What a release is, from Helm's record of it."""
        found = self._helm(target).get(target.name, revision)
        summary = found["summary"]
        objects = tuple(
            placed(one, namespace_of(target))
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
            helm.upgrade(target.name, values, limit)
        else:
            helm.install(target.name, values, limit)

    def back(self, target: Target, revision: int, limit: float) -> None:
        """Roll back to a revision; the last one itself is begun again by that."""
        self._helm(target).rollback(target.name, revision, limit)

    def cancel(self, target: Target) -> None:
        """End an install or upgrade in another thread; a rollback runs to its time limit."""
        self._helm(target).cancel()

    def settle(self, target: Target, *, well: bool) -> None:
        """Mark the last release as failed, if it did not come up: Helm did not wait for that."""
        newest = last(self.history(target))
        if not well and newest is not None and newest.phase is Phase.DEPLOYED:
            mark_failed(self._cluster, target, newest.revision)

    def remove(self, target: Target, limit: float) -> None:
        """Uninstall."""
        self._helm(target).uninstall(target.name, limit)

    def _helm(self, target: Target) -> Helm:
        namespace = namespace_of(target)
        if namespace not in self._helms:
            self._helms[namespace] = InProcess(self._cluster, namespace, self._chart)
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


def _whole(limit: float) -> int:
    return max(1, int(limit))


def _time(text: str) -> datetime:
    # Go writes nine digits of a second, Python reads six.
    cut = re.sub(r"(\.\d{6})\d+", r"\1", text)
    return datetime.fromisoformat(cut.replace("Z", "+00:00"))
