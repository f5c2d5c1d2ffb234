"""The spec as plain data that can travel: inside a deployed stack, and back.

Only what the user said is in it, so that a provider can still tell wish from default after it
was read back, and so that two files that mean the same give the same bytes. What is about the
user's own machine (kubeconfig) stays there, and the value of a secret never leaves.
"""

from __future__ import annotations

from typing import Any

from tabular.deploy.spec.model import Deployment, OnPrem
from tabular.deploy.spec.walk import alias, sorted_keys

LOCAL_KEYS = tuple(
    alias(name, field)
    for name, field in OnPrem.model_fields.items()
    if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("x-local")
)


def canonical(deployment: Deployment) -> dict[str, Any]:
    """Plain data of what was said, with sorted keys; ``Deployment.from_canonical`` reads it.

    A secret written out in the file becomes ``{"withheld": true}``.
    """
    data = _said(deployment)
    spec = data.get("spec", {})
    onprem = spec.get("onprem", {})
    local = [name for name in LOCAL_KEYS if onprem.pop(name, None) is not None]
    if local and not onprem:
        del spec["onprem"]  # it said nothing but how to reach the cluster from here
    return {
        "apiVersion": deployment.api_version,
        "kind": deployment.kind,
        "metadata": {**sorted_keys(data.get("metadata", {})), "name": deployment.metadata.name},
        "spec": sorted_keys(spec),
    }


def asked(deployment: Deployment) -> dict[str, Any]:
    """What a provider's capabilities must cover: the ``spec`` part, the user's own machine too.

    A kubeconfig does not travel, but who says one to a provider that has no cluster is mistaken.
    """
    spec: dict[str, Any] = sorted_keys(_said(deployment).get("spec", {}))
    return spec


def _said(deployment: Deployment) -> dict[str, Any]:
    return deployment.model_dump(mode="json", by_alias=True, exclude_unset=True)
