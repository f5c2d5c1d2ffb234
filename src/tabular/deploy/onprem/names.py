"""What things are called in a cluster, said once for the compiler, the engine and the exports.

The chart calls them so as well; `tests/deploy/onprem/chart/test_names.py` compares.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from tabular.deploy.target import Target

PROVIDER = "onprem"
CHART = Path(__file__).with_name("chart")
CHART_NAME = "inferloop-tabular"

# The label that everything of a deployment carries beside Kubernetes' recommended ones, and the
# values of `app.kubernetes.io/component`.
INSTANCE = "app.kubernetes.io/instance"
COMPONENT = "app.kubernetes.io/component"
MANAGED_BY = "app.kubernetes.io/managed-by"
NAME = "app.kubernetes.io/name"
FIELD_MANAGER = "inferloop-tabular"

MAX_NAMESPACE = 63
# The version that a stack is compiled for before any cluster was asked: what a plan is judged by.
KUBE_VERSION = "1.30"
OLDEST_KUBE_VERSION = "1.19"

# The longest name of a part is `alertmanager`; parts whose names are known outside keep all of it.
_LONGEST_WHOLE = 39
_WHOLE = frozenset({"api", "worker", "data", "deployment", "default", "test"})


def default_namespace(name: str, environment: str) -> str:
    """The namespace of a deployment that names none; two environments never share one."""
    whole = f"{name}-{environment}"
    if len(whole) <= MAX_NAMESPACE:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"{whole[: MAX_NAMESPACE - 9].rstrip('-')}-{digest}"


def namespace_of(target: Target) -> str:
    """The namespace of a target: its region, as clusters have none."""
    return target.region or default_namespace(target.name, target.environment)


def secret_name(name: str) -> str:
    """The secret with everything generated or given: kept apart from releases, which are stored."""
    return f"{name}-secrets"


def description_name(name: str) -> str:
    """The config map that tells what is deployed: spec, target, chart."""
    return f"{name}-deployment"


def part_name(name: str, part: str) -> str:
    """What the objects of a part are called, such as ``demo-postgresql``.

    Kubernetes makes longer names and labels of that of a StatefulSet (11 characters more, of 63)
    or CronJob, so a long name of a deployment gives up its end for a hash there.
    """
    if len(name) > _LONGEST_WHOLE and part not in _WHOLE:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        name = f"{name[: _LONGEST_WHOLE - 9].rstrip('-')}-{digest}"
    return f"{name}-{part}"


def tls_secret_name(name: str) -> str:
    """The secret with the certificate of TLS between pods; not that of an ingress' host."""
    return f"{name}-internal-tls"


def backup_secret_name(name: str) -> str:
    """The secret, made by the user, with the credentials of the store of backups."""
    return f"{name}-backup"
