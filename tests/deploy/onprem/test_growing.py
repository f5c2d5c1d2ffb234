"""Disks of another size: what grows in place, and what is refused before anything is touched."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tabular.deploy.events import EventStatus
from tabular.deploy.plan import Action
from tabular.deploy.provider import State
from tabular.errors import ApplyError, PreflightError, RefusedError
from tests.deploy.onprem.killing import KILLED, kill_client, run_client, to_deploy, wait_for
from tests.deploy.onprem.place import NAME, Place, image, touched
from tests.testbed.kube.cluster import Kube

pytestmark = pytest.mark.k8s

LARGER: dict[str, Any] = {"database": {"size": "77Gi"}}
SET = f"StatefulSet/{NAME}-postgresql"
DISK = f"data-{NAME}-postgresql-0"


def own_volume(size: str, class_: str = "standard") -> dict[str, Any]:
    """A service whose files lie on a volume of their own."""
    return {
        "storage": {"type": "local", "size": size},
        "onprem": {"persistence": {"storage_class": class_}},
    }


def claim(place: Place, name: str = DISK) -> dict[str, Any]:
    found = place.get("persistentvolumeclaims", name)
    assert found is not None
    return found


def asked(one: dict[str, Any]) -> str:
    return str(one["spec"]["resources"]["requests"]["storage"])


def template(place: Place) -> str:
    """The size that the set asks for."""
    found = place.get("statefulsets", f"{NAME}-postgresql", "apps/v1")
    assert found is not None
    return asked(found["spec"]["volumeClaimTemplates"][0])


def members(place: Place) -> set[str]:
    """Which pods the database runs in."""
    return {
        one["metadata"]["uid"] for one in place.pods() if "postgresql" in one["metadata"]["name"]
    }


def test_a_larger_disk_of_a_set_is_an_update_and_grows_under_its_pods(place: Place) -> None:
    place.deploy()
    before, pods = claim(place), members(place)
    plan = place.plan(**LARGER)
    assert touched(plan)[SET] is Action.UPDATE
    assert not any(one.loses_data for one in plan.changes)
    (change,) = [one for one in plan.changes if one.resource == SET]
    shown = {one.path: (one.before, one.after) for one in change.properties}
    assert shown[f"volumes[{DISK}]"] == (asked(before), "77Gi")
    events = list(place.engine().apply(plan))
    told = [one.reason for one in events if one.resource == f"PersistentVolumeClaim/{DISK}"]
    assert told[0] == f"grows from {asked(before)} to 77Gi"
    assert told[-1] == "has 77Gi"
    after = claim(place)
    assert (asked(after), after["status"]["capacity"]["storage"]) == ("77Gi", "77Gi")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert (template(place), members(place)) == ("77Gi", pods)
    assert place.plan(**LARGER).is_empty
    with pytest.raises(PreflightError, match=r"disks of 77Gi.*a volume never shrinks") as refused:
        place.plan(database={"size": "33Gi"})
    assert refused.value.where == "spec.database.size"
    engine = place.engine()
    list(engine.rollback(engine.preview_rollback(place.target)))
    assert asked(claim(place)) == "77Gi"  # nothing shrinks, and the release before serves
    assert place.plan().is_empty


def test_a_larger_volume_of_its_own_grows_and_stays_so_in_a_rollback(place: Place) -> None:
    place.deploy(**own_volume("5Gi"))
    uid, name = claim(place, f"{NAME}-data")["metadata"]["uid"], f"{NAME}-data"
    plan = place.plan(**own_volume("9Gi"))
    assert touched(plan)[f"PersistentVolumeClaim/{name}"] is Action.UPDATE
    list(place.engine().apply(plan))
    assert asked(claim(place, name)) == "9Gi"
    engine = place.engine()
    back = engine.preview_rollback(place.target)
    assert f"PersistentVolumeClaim/{name}" not in touched(back)
    list(engine.rollback(back))
    assert asked(claim(place, name)) == "9Gi"
    assert claim(place, name)["metadata"]["uid"] == uid
    assert engine.drift(place.target) == ()
    with pytest.raises(PreflightError, match="a volume never shrinks") as told:
        place.plan(**own_volume("5Gi"))
    assert "leave it at 9Gi" in str(told.value.hint)


def test_a_volume_that_a_release_has_no_more_stays_and_goes_with_the_data(place: Place) -> None:
    place.deploy(**own_volume("5Gi"))
    name = f"{NAME}-data"
    plan = place.plan()
    assert f"PersistentVolumeClaim/{name}" not in touched(plan)
    assert not any(one.loses_data for one in plan.changes)
    list(place.engine().destroy(place.target, delete_data=False))
    place.deploy()  # which knows of no such volume
    assert name in place.claims()
    list(place.engine().destroy(place.target, delete_data=True))
    assert place.claims() == set()


def test_a_volume_of_an_update_that_was_undone_goes_with_the_data(place: Place) -> None:
    place.deploy()
    with pytest.raises(ApplyError) as told:
        place.deploy(**own_volume("5Gi"), image=image("missing"))
    assert told.value.rolled_back
    assert f"{NAME}-data" in place.claims()
    # As the history forgets it, ten releases later.
    (failed,) = place.kube.list(place.path("secrets"), f"name={NAME},owner,version=2")
    place.kube.api("DELETE", place.path("secrets", failed["metadata"]["name"]))
    list(place.engine().destroy(place.target, delete_data=True))
    assert place.claims() == set()


def test_a_volume_is_never_made_anew(place: Place) -> None:
    place.deploy(**own_volume("5Gi"))
    name = f"{NAME}-data"
    uid = claim(place, name)["metadata"]["uid"]
    with pytest.raises(RefusedError, match=f"{name}.*storageClassName: standard → keep") as told:
        place.plan(**own_volume("5Gi", "keep"))
    assert "backup create" in str(told.value.hint)
    assert claim(place, name)["metadata"]["uid"] == uid


def test_a_client_that_is_killed_between_two_disks_leaves_the_rest_to_the_next(
    helm_place: Place,
) -> None:
    two: dict[str, Any] = {"read_replicas": 1}
    helm_place.deploy(database=two)
    wanted = {"database": {**two, **LARGER["database"]}}
    command = to_deploy(helm_place, **wanted)
    met = f"PersistentVolumeClaim/{DISK}"
    assert run_client(helm_place, command, status="in_progress", resource=met) == KILLED
    list(helm_place.engine().attach(helm_place.target))
    helm_place.deploy(**wanted)
    sizes = [asked(claim(helm_place, f"data-{NAME}-postgresql-{number}")) for number in range(2)]
    assert (sizes, template(helm_place)) == (["77Gi", "77Gi"], "77Gi")
    assert helm_place.plan(**wanted).is_empty


def test_a_client_that_is_killed_when_a_set_was_made_way_for_leaves_none_without_it(
    place: Place,
) -> None:
    place.deploy()
    release, pods, name = place.release(), members(place), f"{NAME}-postgresql"
    # It is gone only when nothing holds it: the client waits for that, and dies.
    holding = ["example.com/held"]
    place.edit("statefulsets", name, {"metadata": {"finalizers": holding}})

    def going() -> bool:
        meta = (place.get("statefulsets", name, "apps/v1") or {}).get("metadata", {})
        return "deletionTimestamp" in meta and meta["finalizers"] == holding

    kill_client(place, to_deploy(place, **LARGER), going)
    place.edit("statefulsets", name, {"metadata": {"finalizers": None}})
    wait_for(lambda: place.get("statefulsets", name, "apps/v1") is None)
    time.sleep(5)  # seconds until the lease of the dead client has run out
    with pytest.raises(ApplyError, match="the client died on the way") as told:
        list(place.engine().attach(place.target))
    assert told.value.rolled_back
    assert place.get("statefulsets", name, "apps/v1") is not None
    assert (place.release(), members(place)) == (release, pods)
    place.deploy(**LARGER)
    assert (asked(claim(place)), template(place), members(place)) == ("77Gi", "77Gi", pods)


OFFLINE: dict[str, Any] = {"type": "postgresql", "size": "5Gi", "storage_class": "offline"}


def test_a_file_system_that_waits_for_its_pod_is_told_and_is_no_failure(kube: Kube) -> None:
    place = Place(kube, "manifests")
    place.deploy(database=OFFLINE)
    events = place.deploy(database={**OFFLINE, "size": "9Gi"})
    assert events[-1].status is EventStatus.COMPLETE
    (told,) = [
        one.reason
        for one in events
        if one.resource == f"PersistentVolumeClaim/{DISK}" and one.status is EventStatus.COMPLETE
    ]
    assert "has 5Gi of 9Gi" in told
    assert "kubectl delete pod" in told
    status = place.engine().status(place.target)
    (disk,) = [one for one in status.resources if one.id == f"PersistentVolumeClaim/{DISK}"]
    assert (status.state, disk.state) == (State.READY, "growing")
    assert "has 5Gi of 9Gi: the disk is larger" in disk.detail
    assert f"`kubectl delete pod {NAME}-postgresql-0 -n {place.namespace}`" in disk.detail
    assert f"{disk.id} {disk.detail}" in status.detail
    place.close()


def test_a_disk_that_its_driver_does_not_make_larger_is_a_failure_that_says_so(kube: Kube) -> None:
    place = Place(kube, "manifests")
    place.deploy(database=OFFLINE)
    release = place.release()
    about = {"kind": "PersistentVolumeClaim", "name": DISK, "namespace": place.namespace}
    said = "the pool has no room"
    place.warn(about, "VolumeResizeFailed", said)
    with pytest.raises(ApplyError, match=f"the release serves, and .*{DISK}.*{said}") as told:
        place.deploy(database={**OFFLINE, "size": "9Gi"})
    assert not told.value.rolled_back
    assert place.release() != release
    told_later = place.engine().status(place.target).detail
    assert f"VolumeResizeFailed: {said}; `kubectl describe pvc {DISK}" in told_later
    place.close()
