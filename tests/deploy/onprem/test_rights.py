"""A deployer with few rights: the role that is printed suffices, and what lacks is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tabular.deploy.onprem.preflight.rights import rules
from tabular.deploy.onprem.rendered.rendering import render
from tabular.deploy.provider import State
from tabular.errors import ForbiddenError, PreflightError
from tests.deploy.onprem.made import objects_of, stack_of
from tests.deploy.onprem.place import NAME, Place

pytestmark = pytest.mark.k8s


def least(place: Place) -> list[dict[str, Any]]:
    values = place.stack().template["values"]
    return rules(render(values, name=NAME, namespace=place.namespace, kube_version="1.20"))


def test_the_role_that_is_printed_suffices_for_everything(place: Place, tmp_path: Path) -> None:
    place.make()
    engine = place.provider(place.kube.user(tmp_path, place.namespace, least(place))).engine
    list(engine.apply(engine.preview(place.stack())))
    assert engine.status(place.target).state is State.READY
    assert [status.target for status in engine.list()] == [place.target]
    larger = place.stack(compute={"workers": 2}, database={"size": "77Gi"})
    list(engine.apply(engine.preview(larger)))
    assert engine.drift(place.target) == ()
    list(engine.rollback(engine.preview_rollback(place.target)))
    assert place.plan().is_empty
    assert engine.issue_api_key(place.target, "me", only_first=True)
    assert list(engine.logs(place.target, follow=False, tail=1))
    assert list(engine.run_inside(place.target, ("verify", "--from", "s3://copies/demo")))
    list(engine.destroy(place.target, delete_data=True))
    assert place.claims() == set()
    assert place.exists()  # it was not ours


def test_a_route_that_says_its_host_needs_a_right_of_its_own() -> None:
    spec = {"networking": {"domain": "data.corp"}, "onprem": {"distribution": "openshift"}}
    found = {
        (group, plural): rule["verbs"]
        for rule in rules(objects_of(stack_of(spec)))
        for group in rule["apiGroups"]
        for plural in rule["resources"]
    }
    assert found["route.openshift.io", "routes/custom-host"] == ["create", "update"]
    assert ("networking.k8s.io", "ingresses") not in found


def test_what_lacks_is_said_before_anything_is_made(place: Place, tmp_path: Path) -> None:
    place.make()
    fewer = [
        {**rule, "resources": [one for one in rule["resources"] if one != "statefulsets"]}
        for rule in least(place)
    ]
    some = [rule for rule in fewer if rule["resources"]]
    engine = place.provider(place.kube.user(tmp_path, place.namespace, some)).engine
    with pytest.raises((PreflightError, ForbiddenError), match="statefulsets") as told:
        engine.preview(place.stack())
    assert "onprem rbac" in str(told.value.hint)
    assert place.get("leases", f"{NAME}-deploy", "coordination.k8s.io/v1") is None


def test_a_namespace_that_may_not_be_made_is_asked_for(place: Place, tmp_path: Path) -> None:
    other = place.kube.namespace()
    engine = place.provider(place.kube.user(tmp_path, other, least(place))).engine
    with pytest.raises((PreflightError, ForbiddenError), match=place.namespace):
        list(engine.apply(engine.preview(place.stack())))
    assert not place.exists()
    place.kube.drop_namespace(other)
