"""Imports on Kubernetes: a claim that is there becomes the deployment's, with what is in it."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict
from typing import Any

import pytest

from tabular.deploy.onprem.applying.lease import API, KIND, Leases
from tabular.deploy.onprem.cluster.marks import OPERATION, annotation
from tabular.deploy.plan import Action
from tabular.deploy.stack import Stack
from tabular.deploy.target import Target
from tabular.errors import (
    BusyError,
    ConflictError,
    NotFoundError,
    RefusedError,
    StalePlanError,
    TabularError,
    UsageError,
)
from tests.deploy.onprem.place import NAME, Place

pytestmark = pytest.mark.k8s

OTHER = Target("onprem", "other", "development", "elsewhere")

SPEC: dict[str, Any] = {
    "storage": {"type": "local", "size": "2Gi"},
    "onprem": {"persistence": {"storage_class": "standard"}},
}


def claim(place: Place, mode: str = "ReadWriteOnce", **metadata: Any) -> str:
    """A claim of somebody else's, of the name that the chart has for the service's."""
    stack = place.stack(**SPEC)
    (one,) = [one.id for one in stack.resources if one.type == "v1 PersistentVolumeClaim"]
    place.make()
    place.put(
        "PersistentVolumeClaim", one.partition("/")[2], metadata=metadata,
        spec={"accessModes": [mode], "storageClassName": "standard",
              "resources": {"requests": {"storage": "2Gi"}}},
    )  # fmt: skip
    return one


def live(place: Place, one: str) -> dict[str, Any]:
    found = place.get("persistentvolumeclaims", one.partition("/")[2])
    assert found is not None
    return found


def test_a_claim_is_adopted_and_deployed_upon(place: Place) -> None:
    one = claim(place)
    stack: Stack = place.stack(**SPEC)
    uid = live(place, one)["metadata"]["uid"]
    with pytest.raises(ConflictError, match="belong to somebody else"):
        place.engine().preview(stack)

    engine = place.engine()
    plan = engine.preview_import(stack, [one])
    assert [(it.resource, it.physical) for it in plan.adoptions] == [(one, uid)]
    (event,) = engine.adopt(plan)
    assert (event.resource, event.status.value) == (one, "complete")
    assert engine.unlike(plan).by_deploy == engine.unlike(plan).by_hand == ()
    assert live(place, one)["metadata"]["labels"]["app.kubernetes.io/instance"] == NAME

    actions = {it.resource: it.action for it in place.engine().preview(stack).changes}
    assert actions[one] is Action.NOOP
    list(engine.adopt(engine.preview_import(stack, [one])))  # again is no error
    place.deploy(**SPEC)
    assert live(place, one)["metadata"]["uid"] == uid
    assert place.plan(**SPEC).is_empty


def test_a_claim_that_a_deploy_made_is_left_as_it_is(place: Place) -> None:
    """Who applies less than before takes the rest away, and a claim may not lose it."""
    place.deploy(**SPEC)
    stack = place.stack(**SPEC)
    (one,) = [one.id for one in stack.resources if one.type == "v1 PersistentVolumeClaim"]
    before = live(place, one)["metadata"]["resourceVersion"]
    engine = place.engine()
    (event,) = engine.adopt(engine.preview_import(stack, [one]))
    assert (event.resource, event.status.value) == (one, "complete")
    assert live(place, one)["metadata"]["resourceVersion"] == before


def test_an_import_is_an_operation_like_others(place: Place) -> None:
    """Who deploys meanwhile would make a claim that is being adopted, or refuse it."""
    one = claim(place)
    stack, engine = place.stack(**SPEC), place.engine()
    plan = engine.preview_import(stack, [one])
    cluster = place.provider().cluster
    with Leases(cluster, duration=30.0).hold(place.target, {"purpose": "apply"}) as other:
        with pytest.raises(BusyError, match="another apply runs there"):
            list(engine.adopt(plan))
        other.note(purpose="import")
        for refused in (lambda: engine.preview(stack), lambda: engine.attach(place.target)):
            with pytest.raises(BusyError, match="another import runs there"):
                list(refused())
        other.drop()
    assert "labels" not in live(place, one)["metadata"]

    seen = list[tuple[str, str]]()

    def look() -> None:
        found = cluster.watch(API, KIND, place.namespace, seconds=20)
        for what, lease in found:
            seen.append((what, json.loads(annotation(lease, OPERATION))["purpose"]))
            if what == "DELETED":
                return

    watching = threading.Thread(target=look)
    watching.start()
    time.sleep(0.5)
    list(engine.adopt(plan))
    watching.join()
    assert (seen[0], seen[-1]) == (("ADDED", "import"), ("DELETED", "import"))


def test_an_import_whose_client_died_holds_nothing_up(place: Place) -> None:
    one = claim(place)
    stack = place.stack(**SPEC)
    marked = Leases(place.provider().cluster, duration=1.0)
    marked.write(place.target, "dead/1/0", {"purpose": "import"}, {}, own="")
    time.sleep(4)
    status = place.engine().status(place.target)
    assert "the client of an import is gone; `inferloop-tabular import` again" in status.detail
    list(place.engine().attach(place.target))
    with pytest.raises(NotFoundError):
        place.engine().status(place.target)
    marked.write(place.target, "dead/1/0", {"purpose": "import"}, {}, own="")
    time.sleep(4)
    list(place.engine().adopt(place.engine().preview_import(stack, [one])))
    assert live(place, one)["metadata"]["labels"]["app.kubernetes.io/instance"] == NAME
    assert place.get("leases", f"{NAME}-deploy", "coordination.k8s.io/v1") is None


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        (
            {"annotations": {"meta.helm.sh/release-name": "theirs"}},
            "belongs to release theirs of Helm",
        ),
        (
            {"annotations": {"inferloop-tabular.io/target": json.dumps(asdict(OTHER))}},
            "belongs to the deployment onprem/elsewhere/development/other",
        ),
    ],
)
def test_what_somebody_owns_is_refused(
    helm_place: Place, metadata: dict[str, Any], said: str
) -> None:
    one = claim(helm_place, **metadata)
    before = live(helm_place, one)
    refused(helm_place, one, RefusedError, said)
    assert (
        live(helm_place, one)["metadata"]["resourceVersion"]
        == (before["metadata"]["resourceVersion"])
    )


def test_what_goes_with_another_object_is_refused(helm_place: Place) -> None:
    one = claim(helm_place)
    account = helm_place.get("serviceaccounts", "default")
    assert account is not None
    owner = {"apiVersion": "v1", "kind": "ServiceAccount", "name": "default"}
    path = helm_place.path("persistentvolumeclaims", one.partition("/")[2])
    owned = {**live(helm_place, one)}
    owned["metadata"] |= {"ownerReferences": [{**owner, "uid": account["metadata"]["uid"]}]}
    helm_place.kube.api("PUT", path, owned)
    refused(helm_place, one, RefusedError, "belongs to ServiceAccount/default")


def test_what_is_not_there_or_no_claim_is_refused(helm_place: Place) -> None:
    one = claim(helm_place)
    helm_place.kube.api("DELETE", helm_place.path("persistentvolumeclaims", one.partition("/")[2]))
    refused(helm_place, one, RefusedError, "there is no PersistentVolumeClaim/")
    refused(helm_place, f"Service/{NAME}-api", RefusedError, "only claims of volumes are imported")
    refused(helm_place, "PersistentVolumeClaim/other", UsageError, "the deployment has no")


def test_what_would_have_to_be_made_anew_is_refused(helm_place: Place) -> None:
    """With what is in it; an access mode of a claim cannot be changed."""
    one = claim(helm_place, "ReadOnlyMany")
    refused(helm_place, one, RefusedError, "cannot become what the spec says")


def test_a_plan_that_became_stale_is_refused(helm_place: Place) -> None:
    one = claim(helm_place)
    engine = helm_place.engine()
    plan = engine.preview_import(helm_place.stack(**SPEC), [one])
    helm_place.deploy()  # of another spec, past the plan
    with pytest.raises(StalePlanError):
        list(engine.adopt(plan))


def refused(place: Place, word: str, error: type[TabularError], said: str) -> None:
    with pytest.raises(error, match=said) as caught:
        place.engine().preview_import(place.stack(**SPEC), [word])
    assert caught.value.hint
