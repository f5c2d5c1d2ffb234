"""Values that the chart is looked at with: each a way in which somebody may run it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tabular.deploy.onprem.rendered.rendering import Object, render

ROOT = Path(__file__).resolve().parents[4]
NAME, NAMESPACE = "demo", "data"
SECRET = "demo-secrets"
# Made or not, none of them outlives the test.
SECRETS = {"existingSecret": SECRET, "generate": True}

BUILT_IN: dict[str, Any] = {
    "secrets": SECRETS,
    "postgresql": {"enabled": True},
    "minio": {"enabled": True},
}
EXTERNAL: dict[str, Any] = {
    "secrets": SECRETS,
    "database": {
        "url": "postgresql+psycopg://u:{file:/run/secrets/tabular/database-password}@db.example:6432/d"
    },
    "storage": {"url": "s3://tables/demo?endpoint=https://rgw.example:8443"},
    "cache": {"url": "rediss://:{file:/run/secrets/tabular/cache-password}@cache.example/0"},
    "queue": {"url": "amqps://u:{file:/run/secrets/tabular/queue-password}@queue.example/"},
}


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """The layers as one, the later over the earlier, as Helm lays values over values."""
    whole: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            old = whole.get(key)
            both = isinstance(old, Mapping) and isinstance(value, Mapping)
            whole[key] = merged(old, value) if both else copy.deepcopy(value)
    return whole


def seed() -> dict[str, Any]:
    """The values file of the seed, as it is printed there, for a rendering without a cluster."""
    text = (ROOT / "examples" / "helm-values-prod.yaml").read_text(encoding="utf-8")
    return merged(YAML(typ="safe").load(text), {"secrets": {"generate": True}})


SERVED = {"ingress": {"host": "tabular.example", "tls": {"issuer": "corp"}}}
CASES: dict[str, dict[str, Any]] = {
    "small": BUILT_IN,
    "external": EXTERNAL,
    "published": merged(
        BUILT_IN,
        {"redis": {"enabled": True}, "replicaCount": 3, "workers": {"replicas": 2}},
        SERVED,
        {
            "ingress": {"className": "nginx", "allowedCidrs": ["10.0.0.0/8"]},
            "networkPolicy": {
                "ingressNamespaces": {"kubernetes.io/metadata.name": "ingress-nginx"}
            },
        },
    ),
    "openshift": merged(
        BUILT_IN, {"openshift": True, "route": {"enabled": True}, "ingress": {"host": "a.example"}}
    ),
    "gateway": merged(
        EXTERNAL,
        {"ingress": {"host": "a.example"}},
        {"gateway": {"name": "edge", "namespace": "edge", "listener": "https"}},
    ),
    "scaled": merged(
        BUILT_IN,
        {"autoscaling": {"enabled": True, "targetMemoryUtilizationPercentage": 80}},
        {"workers": {"replicas": 4}, "gpu": {"enabled": True, "count": 2}},
        {"rabbitmq": {"enabled": True}, "mysql": {"enabled": False}},
    ),
    "files": merged(
        BUILT_IN,
        {"minio": {"enabled": False}, "persistence": {"enabled": True, "storageClass": "cephfs"}},
    ),
    "one-node": merged(
        BUILT_IN,
        {"minio": {"enabled": False}, "persistence": {"enabled": True, "sameNode": True}},
    ),
    "mysql": merged(BUILT_IN, {"postgresql": {"enabled": False}, "mysql": {"enabled": True}}),
    "whole": merged(
        BUILT_IN,
        {"postgresql": {"replication": {"enabled": True, "readReplicas": 2}}},
        {"minio": {"mode": "distributed", "replicas": 4}},
        {"redis": {"enabled": True}, "rabbitmq": {"enabled": True}},
        {"tls": {"enabled": True, "existingSecret": "demo-internal-tls"}},
        {"monitoring": {"enabled": True}, "backup": {"enabled": True}},
    ),
    "operators": merged(
        BUILT_IN,
        {"postgresql": {"operator": "cloudnative-pg"}, "minio": {"operator": "minio"}},
        {"monitoring": {"enabled": True, "operator": "prometheus"}},
        {"tls": {"enabled": True, "certManager": {"enabled": True}}},
    ),
    "told": merged(
        BUILT_IN,
        {
            "imageRegistry": "registry.corp:5000/mirror",
            "commonLabels": {"team": "data", "cost": 7},
            "podAnnotations": {"note": "x"},
            "secrets": {"checksum": "abc"},
            "settings": {"max_upload_bytes": 10_000_000, "trusted_proxies": ["10.0.0.0/8"]},
            "deployment": {"spec": {"rows": 10_000_000}, "release": "0123abcd"},
            "nodeSelector": {"disk": "fast"},
            "tolerations": [{"key": "data", "operator": "Exists"}],
            "image": {"pullSecrets": ["pull"], "digest": "sha256:" + "0" * 64},
        },
    ),
}


def objects(values: Mapping[str, Any], kube_version: str | None = "1.30") -> tuple[Object, ...]:
    """What a release named `NAME` comes to."""
    return render(values, name=NAME, namespace=NAMESPACE, kube_version=kube_version)


def one(found: tuple[Object, ...], kind: str, name: str) -> Object:
    """The only object of that kind and name.

    Raises:
        ValueError: there is none, or more than one.
    """
    (result,) = [o for o in found if o["kind"] == kind and o["metadata"]["name"] == name]
    return result
