"""What the failover's watchers keep of their database: made by them, and gone with its data."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tabular.deploy.onprem.failover.cluster import Access, Cluster, Record
from tests.deploy.onprem.place import NAME, Place

pytestmark = pytest.mark.k8s
HA = {"database": {"type": "postgresql", "ha": True}}
RECORD = f"{NAME}-postgresql-failover"


def kept(place: Place) -> list[bool]:
    """Whether there are a Lease and a ConfigMap."""
    api = "coordination.k8s.io/v1"
    return [
        place.get("leases", RECORD, api) is not None,
        place.get("configmaps", RECORD) is not None,
    ]


def watch(place: Place, folder: Path) -> None:
    """Do what a watcher of the release does when it finds a primary, with its rights."""
    rules = place.get("roles", RECORD, "rbac.authorization.k8s.io/v1")
    assert rules is not None
    file = place.kube.user(folder, place.namespace, rules["rules"])
    token = YAML(typ="safe").load(file.read_text())["users"][0]["user"]["token"]
    authority = place.kube.plane.authority.certificate
    cluster = Cluster(
        Access(place.kube.server, authority, lambda: token),
        namespace=place.namespace,
        instance=NAME,
        record=RECORD,
        service=f"{NAME}-postgresql",
        holder="watcher",
    )
    assert cluster.hold()
    assert cluster.write(Record(f"{NAME}-postgresql-0", 1, "7"))
    cluster.remember()


def test_it_goes_with_the_data_and_not_with_the_release(place: Place, tmp_path: Path) -> None:
    place.deploy(**HA)
    watch(place, tmp_path)
    list(place.engine().destroy(place.target, delete_data=False))
    assert kept(place) == [True, True]
    list(place.engine().destroy(place.target, delete_data=True))
    assert kept(place) == [False, False]
