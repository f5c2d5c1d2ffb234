"""What an operator runs is data: it stays when the service goes, and goes when data is to go.

No operator runs here. What one would make (its Secret, a Tenant's claims) the test makes; that the
volumes go with a ``Cluster`` or ``postgresql`` is the operators' own promise.
"""

from __future__ import annotations

from typing import Any

import pytest

from tabular.deploy.events import EventStatus
from tabular.deploy.provider import State
from tabular.errors import ApplyError
from tests.deploy.onprem.place import NAME, Place, image
from tests.deploy.onprem.test_preflight import define
from tests.testbed.kube.cluster import Kube

pytestmark = pytest.mark.k8s
KINDS = {
    "Cluster": ("clusters", f"{NAME}-postgresql", "postgresql.cnpg.io/v1"),
    "Tenant": ("tenants", f"{NAME}-minio", "minio.min.io/v2"),
}
SPEC: dict[str, Any] = {
    "storage": {"type": "minio"},
    "onprem": {"operators": ["cloudnative-pg", "minio"]},
}


def uids(place: Place) -> dict[str, str]:
    """Those of what operators run that are there."""
    found = {kind: place.get(*where) for kind, where in KINDS.items()}
    return {kind: one["metadata"]["uid"] for kind, one in found.items() if one is not None}


def test_what_an_operator_runs_stays_is_taken_up_again_and_goes_with_the_data(
    own_kube: Kube,
) -> None:
    define(own_kube, "postgresql.cnpg.io", "Cluster", "clusters")
    define(own_kube, "minio.min.io", "Tenant", "tenants", "v2")
    first, second = Place(own_kube, "helm"), Place(own_kube, "manifests")
    second.namespace, second.target = first.namespace, first.target
    first.make()
    first.put("Secret", f"{NAME}-postgresql-app", stringData={"password": "of-the-operator"})
    for place in (first, second):
        with pytest.raises(ApplyError):
            place.deploy(image=image("missing"), **SPEC)
        assert uids(place) == {}
    first.deploy(**SPEC)
    running = uids(first)
    assert set(running) == set(KINDS)
    disk = f"data0-{NAME}-minio-pool-0-0"
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    labels = {"app.kubernetes.io/instance": NAME, "app.kubernetes.io/component": "minio"}
    first.put("PersistentVolumeClaim", disk, metadata={"labels": labels}, spec=claim)
    runs: dict[str, Any] = {"labels": {**labels, "v1.min.io/tenant": f"{NAME}-minio"}}
    owner = {"apiVersion": "minio.min.io/v2", "kind": "Tenant", "name": f"{NAME}-minio"}
    runs["ownerReferences"] = [{**owner, "uid": running["Tenant"]}]
    server = {"containers": [{"name": "minio", "image": "registry.example.com/minio"}]}
    first.put("Pod", f"{NAME}-minio-pool-0-0", metadata=runs, spec=server)
    for place, other in ((first, second), (second, first)):
        assert place.plan(**SPEC).is_empty
        events = list(place.engine().destroy(place.target, delete_data=False))
        kept = {one.resource for one in events if one.status is EventStatus.KEPT}
        assert {f"{kind}/{where[1]}" for kind, where in KINDS.items()} <= kept
        assert (uids(place), disk in place.claims()) == (running, True)
        # What runs on shows its certificate.
        assert place.get("secrets", f"{NAME}-internal-tls") is not None
        assert place.get("deployments", f"{NAME}-api", "apps/v1") is None
        assert place.engine().status(place.target).state is State.RETAINED
        with pytest.raises(ApplyError):  # what was there before is not taken away with it
            other.deploy(image=image("missing"), **SPEC)
        assert uids(place) == running
        other.deploy(**SPEC)
        assert uids(place) == running
    list(first.engine().destroy(first.target, delete_data=False))
    list(first.engine().destroy(first.target, delete_data=True))
    assert (uids(first), first.claims()) == ({}, set())
    assert first.get("secrets", f"{NAME}-internal-tls") is None
