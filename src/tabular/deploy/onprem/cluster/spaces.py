"""Namespaces: made where there is none, and removed only if we made them and nothing is left."""

from __future__ import annotations

from collections.abc import Mapping

from tabular.deploy.onprem.names import FIELD_MANAGER, MANAGED_BY
from tabular.deploy.stack import Stack
from tabular.deploy.target import Target
from tabular.errors import ConflictError, ForbiddenError, TabularError

from .session import Cluster, Object

# What a namespace has by itself.
_BORN_WITH = {"ConfigMap": ("kube-root-ca.crt",), "ServiceAccount": ("default",)}
# What nobody puts there: the cluster's own notes, and copies of objects of another group.
_NOTES = ("Event", "Endpoints", "EndpointSlice", "PodMetrics")


class Spaces:
    """Looks after namespaces of deployments.

    Args:
        cluster: where.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def there(self, target: Target) -> bool:
        """Whether the namespace is there; taken as there where that may not be asked.

        Raises:
            ConflictError: it is on its way out.
        """
        try:
            found = self._get(target)
        except ForbiddenError:
            return True
        if _ends(found):
            raise ConflictError(
                f"the namespace {target.region} is being deleted",
                where=target.id,
                hint="wait until it is gone (`kubectl get namespace` shows it), then run the "
                "command again",
                code="conflict.terminating",
            )
        return found is not None

    def ensure(self, target: Target, labels: Mapping[str, str]) -> bool:
        """Make the namespace if it is not there; whether it was made.

        Raises:
            ForbiddenError: these credentials may not make one.
        """
        if self.there(target):
            return False
        meta = {"name": target.region, "labels": {MANAGED_BY: FIELD_MANAGER, **labels}}
        try:
            self._cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
        except ConflictError as error:
            if error.code != "conflict.exists":
                raise
            return False
        except ForbiddenError as error:
            error.hint = (
                f"ask for it: `kubectl create namespace {target.region}`; or deploy into one that "
                "is there, with --namespace"
            )
            raise
        return True

    def gone(self, target: Target) -> bool:
        """Whether there is no namespace at all; not gone where that may not be asked."""
        try:
            return self._get(target) is None
        except ForbiddenError:
            return False

    def ending(self, target: Target) -> bool:
        """Whether the namespace is on its way out."""
        try:
            return _ends(self._get(target))
        except ForbiddenError:
            return False

    def drop(self, target: Target) -> bool:
        """Delete the namespace, if it is ours and nothing is left in it; whether it was."""
        try:
            found = self._get(target)
        except ForbiddenError:
            return False
        labels = (found or {}).get("metadata", {}).get("labels") or {}
        if labels.get(MANAGED_BY) != FIELD_MANAGER:
            return False
        try:
            if self.left(target):
                return False
        except TabularError:  # who cannot see that it is empty does not delete it
            return False
        return self._cluster.delete("v1", "Namespace", target.region or "")

    def left(self, target: Target) -> list[str]:
        """What is in the namespace that it was not born with."""
        looked_at = [
            one
            for one in self._cluster.kinds()
            if one.namespaced and "list" in one.verbs and one.kind not in _NOTES
        ]
        return [
            f"{kind.kind}/{one['metadata']['name']}"
            for kind in looked_at
            for one in self._cluster.list(kind.api, kind.kind, target.region)
            if not _born(kind.kind, one)
        ]

    def _get(self, target: Target) -> Object | None:
        return self._cluster.get("v1", "Namespace", target.region or "")


def labels_of(stack: Stack) -> Mapping[str, str]:
    """Labels of a namespace that is made for a stack."""
    said = stack.template["values"].get("podSecurity", {}).get("namespaceLabels")
    return said or {"pod-security.kubernetes.io/enforce": "restricted"}


def _ends(found: Object | None) -> bool:
    return found is not None and (found.get("status") or {}).get("phase") == "Terminating"


def _born(kind: str, one: Object) -> bool:
    if kind == "Secret":
        return bool(one.get("type") == "kubernetes.io/service-account-token")
    meta = one["metadata"]
    leaves = meta.get("deletionTimestamp") or meta.get("ownerReferences")
    return bool(leaves) or meta["name"] in _BORN_WITH.get(kind, ())
