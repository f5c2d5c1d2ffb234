"""What the failover's watchers keep of their database: made by them, and gone with its data."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tabular.deploy.events import EventStatus
from tabular.deploy.onprem.failover.cluster import Access, Cluster, Record
from tabular.errors import ApplyError, PreflightError
from tests.deploy.onprem.place import NAME, Place, image

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


def watch(place: Place, folder: Path, leader: int = 0) -> None:
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
    assert cluster.write(Record(f"{NAME}-postgresql-{leader}", 1, "7"))
    cluster.remember()
    cluster.select(f"{NAME}-postgresql-{leader}")


def test_it_goes_with_the_data_and_not_with_the_release(place: Place, tmp_path: Path) -> None:
    place.deploy(**HA)
    watch(place, tmp_path)
    list(place.engine().destroy(place.target, delete_data=False))
    assert kept(place) == [True, True]
    list(place.engine().destroy(place.target, delete_data=True))
    assert kept(place) == [False, False]


def selected(place: Place) -> str:
    """The pod that the writes go to, "" if none is named."""
    found = place.get("services", f"{NAME}-postgresql")
    assert found is not None
    selector = found["spec"].get("selector") or {}
    return str(selector.get("statefulset.kubernetes.io/pod-name", ""))


def test_a_rollback_that_would_take_the_primary_away_is_refused(
    helm_place: Place, tmp_path: Path
) -> None:
    helm_place.deploy()
    helm_place.deploy(**HA)
    plan = helm_place.engine().preview_rollback(helm_place.target)
    watch(helm_place, tmp_path, leader=1)
    for refused in (
        lambda: helm_place.engine().preview_rollback(helm_place.target),
        lambda: list(helm_place.engine().rollback(plan)),
    ):
        with pytest.raises(PreflightError, match=f"is {NAME}-postgresql-1 now") as told:
            refused()
        assert "switch-to" in str(told.value.hint)
    assert selected(helm_place) == f"{NAME}-postgresql-1"


def test_an_undo_that_would_take_the_primary_away_leaves_it(
    helm_place: Place, tmp_path: Path
) -> None:
    helm_place.deploy()
    engine = helm_place.engine()
    plan = engine.preview(helm_place.stack(**HA, image=image("missing")))
    seen: list[EventStatus] = []
    with pytest.raises(ApplyError, match=r"could not be undone: .*-postgresql-1 now") as told:
        for event in engine.apply(plan):
            if event.resource.startswith("StatefulSet/") and not seen:
                watch(helm_place, tmp_path, leader=1)
                seen.append(event.status)
    assert not told.value.rolled_back
    assert selected(helm_place) == f"{NAME}-postgresql-1"
    members = helm_place.get("statefulsets", f"{NAME}-postgresql", "apps/v1")
    assert members is not None
    assert members["spec"]["replicas"] > 1


def test_who_led_when_it_was_destroyed_leads_when_it_is_deployed_again(
    helm_place: Place, tmp_path: Path
) -> None:
    helm_place.deploy(**HA)
    watch(helm_place, tmp_path, leader=1)
    list(helm_place.engine().destroy(helm_place.target, delete_data=False))
    with pytest.raises(PreflightError, match=f"is {NAME}-postgresql-1 now") as told:
        helm_place.plan()
    assert "deploy with spec.database.ha" in str(told.value.hint)
    helm_place.plan(**HA)
