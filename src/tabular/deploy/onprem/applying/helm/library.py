"""Helm in this process: what is used unless a binary is named, since it needs nothing installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.onprem.releases import KEPT
from tabular.deploy.onprem.rendered import library
from tabular.deploy.onprem.rendered.rendering import loaded
from tabular.errors import NotFoundError, TabularError, WaitTimeoutError

from .seam import explained, whole

# Helm returns when all objects are brought. Its own waiting takes a claim for unready that no pod
# uses yet (WaitForFirstConsumer), and cannot be ended early; `follow` waits.
_WAIT = "hookOnly"


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
        merged = cluster.merged_kubeconfig  # it takes the list of files for the name of one
        self._config = self._package.Config(
            kubeconfig_path=None if merged else cluster.kubeconfig,
            kubeconfig_content=merged,
            kube_context=cluster.context,
            namespace=namespace,
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
            self._config.rollback(name, version=revision, timeout=whole(limit), wait=_WAIT)
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
            self._config.uninstall(name, timeout=whole(limit), wait=_WAIT, ignore_not_found=True)
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
                timeout=whole(limit),
                wait=_WAIT,
                **more,
            )
        except self._package.HelmError as error:
            raise self._explained(error, what, name, limit) from error
        finally:
            self._context = None

    def _explained(self, error: Any, what: str, name: str, limit: float) -> TabularError:
        said, where = str(error).strip(), f"helm {what} {name}"
        if isinstance(error, self._package.HelmNotFoundError):
            return NotFoundError(said, where=where)
        if isinstance(error, self._package.HelmCancelledError) and not self._cancelled:
            return WaitTimeoutError(f"not ready within {limit:.0f} s: {said}", where=where)
        return explained(said, where)
