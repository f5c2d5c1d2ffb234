"""How an object says whose it is: labels to find it by, annotations to be sure.

A label alone proves nothing, since anybody may copy one. What is changed or deleted must carry the
owner's mark as well: Helm's annotation of the release, or ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tabular.deploy.onprem.names import (
    CHART_NAME,
    COMPONENT,
    FIELD_MANAGER,
    INSTANCE,
    MANAGED_BY,
    NAME,
)
from tabular.deploy.target import Target

_DOMAIN = "inferloop-tabular.io"
TARGET = f"{_DOMAIN}/target"
OPERATION = f"{_DOMAIN}/operation"
RETAINED = f"{_DOMAIN}/retained"
HANDED_OUT = f"{_DOMAIN}/handed-out"
PATCHED = "sealedsecrets.bitnami.com/patch"
HELM_NAME = "meta.helm.sh/release-name"
HELM_NAMESPACE = "meta.helm.sh/release-namespace"
LEASE = "deploy"  # component of the lease
SECRETS = "secrets"  # component of the Secret


def selector(target: Target) -> str:
    """Labels of all that belongs to a deployment."""
    return f"{INSTANCE}={target.name}"


def ours(component: str) -> str:
    """Labels of what the engine itself keeps, of every deployment."""
    return f"{MANAGED_BY}={FIELD_MANAGER},{COMPONENT}={component}"


def own_metadata(target: Target, name: str, component: str) -> dict[str, Any]:
    """Metadata of an object that the engine keeps beside a release."""
    return {
        "name": name,
        "namespace": target.region,
        "labels": {
            NAME: CHART_NAME,
            INSTANCE: target.name,
            COMPONENT: component,
            MANAGED_BY: FIELD_MANAGER,
        },
        "annotations": {TARGET: target_text(target)},
    }


def target_text(target: Target) -> str:
    """A target as an annotation says it."""
    return json.dumps(asdict(target), sort_keys=True)


def target_in(one: Mapping[str, Any]) -> Target | None:
    """The target that an object of the engine's own says; None if it says none."""
    try:
        return Target(**json.loads(annotation(one, TARGET)))
    except (ValueError, TypeError):
        return None


def annotation(one: Mapping[str, Any], name: str) -> str:
    """One annotation of an object, "" if it is not there."""
    return str((one["metadata"].get("annotations") or {}).get(name, ""))


def label(one: Mapping[str, Any], name: str) -> str:
    """One label of an object, "" if it is not there."""
    return str((one["metadata"].get("labels") or {}).get(name, ""))


def maker(one: Mapping[str, Any]) -> str:
    """The object that a controller makes this one from, such as ``SealedSecret/x``; "" if none.

    A controller puts back what others change. Sealed Secrets leaves keys of others alone where
    the Secret says ``patch``.
    """
    if annotation(one, PATCHED) == "true":
        return ""
    for owner in one["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return f"{owner['kind']}/{owner['name']}"
    return ""


def is_of(one: Mapping[str, Any], target: Target) -> bool:
    """Whether an object bears the mark of a deployment, whichever method put it there."""
    said = (annotation(one, HELM_NAME), annotation(one, HELM_NAMESPACE))
    return said == (target.name, target.region) or is_own(one, target)


def is_own(one: Mapping[str, Any], target: Target) -> bool:
    """Whether an object is the engine's own, of this deployment."""
    return label(one, MANAGED_BY) == FIELD_MANAGER and target_in(one) == target
