"""How many pods there are, and who says so: the spec, or an autoscaler."""

from __future__ import annotations

import pytest

from tabular.deploy.plan import Action
from tests.deploy.onprem.place import Place

pytestmark = pytest.mark.k8s
BOUNDS = {"min_instances": 2, "max_instances": 6}


def test_an_autoscaler_begins_with_as_many_pods_as_there_are_and_so_does_who_follows_it(
    place: Place,
) -> None:
    place.deploy(compute={"instances": 4})
    (change,) = [
        c for c in place.plan(compute=BOUNDS).changes if c.resource == "Deployment/demo-api"
    ]
    assert "spec.replicas" not in [one.path for one in change.properties]
    place.deploy(compute=BOUNDS)
    assert place.get("horizontalpodautoscalers", "demo-api", "autoscaling/v1")
    # It knows no load here, and leaves what is within its bounds; from 1 it would come to 2.
    assert place.api()["spec"]["replicas"] == 4
    path = place.path("deployments", "demo-api", "apps/v1")
    scaled = {"spec": {"replicas": 5}}  # as it does where it knows the load
    place.kube.api(
        "PATCH", f"{path}?fieldManager=kube-controller-manager", scaled,
        form="application/merge-patch+json",
    )  # fmt: skip
    changes = place.plan(compute=BOUNDS).changes
    assert {one.action for one in changes} == {Action.NOOP}
    place.deploy(compute={"instances": 3})
    assert place.api()["spec"]["replicas"] == 3
