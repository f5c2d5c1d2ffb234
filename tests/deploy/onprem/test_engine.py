"""The engine on a real control plane: plans that are true, applies that say why they fail."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tabular.deploy.events import EventStatus
from tabular.deploy.onprem.cluster.refusals import OwnedElsewhereError
from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.onprem.rendered.library import helm
from tabular.deploy.onprem.rendered.rendering import render
from tabular.deploy.onprem.secrets import certificates
from tabular.deploy.plan import Action
from tabular.deploy.provider import State
from tabular.errors import (
    ApplyError,
    BusyError,
    ConflictError,
    NotFoundError,
    StalePlanError,
    UnsupportedError,
)
from tests.deploy.onprem.harness import describe
from tests.deploy.onprem.place import NAME, Place, image, touched
from tests.testbed.kube.cluster import Kube

pytestmark = pytest.mark.k8s


def test_an_image_that_cannot_be_pulled_leaves_nothing_of_a_first_deploy(place: Place) -> None:
    with pytest.raises(ApplyError) as caught:
        place.deploy(image=image("missing"))
    assert caught.value.rolled_back
    assert "the image cannot be pulled: registry.example.com/missing:1.0.0" in caught.value.message
    assert not place.exists()
    with pytest.raises(NotFoundError):
        place.engine().status(place.target)


def test_what_was_in_a_namespace_before_stays_when_a_first_deploy_fails(place: Place) -> None:
    place.make()
    place.put("ConfigMap", "mine", data={"a": "b"})
    with pytest.raises(ApplyError):
        place.deploy(image=image("missing"))
    assert place.exists()
    assert place.get("configmaps", "mine") is not None
    assert place.get("secrets", f"{NAME}-secrets") is None
    assert place.claims() == set()
    assert place.pods() == []


def test_a_failed_update_is_undone_and_says_what_the_container_wrote(place: Place) -> None:
    place.deploy()
    release, secret = place.release(), place.secret()
    with pytest.raises(ApplyError) as caught:
        place.deploy(image=image("crash"))
    assert caught.value.rolled_back
    assert "CrashLoopBackOff" in caught.value.message
    assert "it wrote last: " in caught.value.message
    assert place.release() == release
    assert place.secret() == secret
    assert place.engine().status(place.target).state is State.READY
    assert place.plan().is_empty


def test_time_that_is_up_is_told_with_what_was_waited_for(helm_place: Place) -> None:
    engine = helm_place.engine(ready_timeout=4.0)
    plan = engine.preview(helm_place.stack(image=image("never-ready")))
    with pytest.raises(ApplyError, match=r"it was not ready within 4 s: Deployment/demo-") as told:
        list(engine.apply(plan))
    assert told.value.rolled_back


def test_what_failed_can_be_kept_for_looking_at_it(place: Place) -> None:
    place.deploy()
    release = place.release()
    engine = place.engine(keep_failed=True)
    with pytest.raises(ApplyError, match="it was left as it is") as told:
        list(engine.apply(engine.preview(place.stack(image=image("missing")))))
    assert not told.value.rolled_back
    assert place.release() != release
    status = place.engine().status(place.target)
    assert (status.state, status.release) == (State.DEGRADED, release)
    assert "release 2 did not come up and was left as it is" in status.detail
    assert "the image cannot be pulled" in status.detail
    back = place.engine().preview_rollback(place.target)
    assert back.stack.to_bytes() == place.stack().to_bytes()  # to what served
    with pytest.raises(ApplyError) as again:
        place.deploy(image=image("missing") | {"tag": "2"})
    assert again.value.rolled_back
    assert place.release() == release
    with pytest.raises(ApplyError):
        list(engine.apply(engine.preview(place.stack(image=image("missing")))))
    list(place.engine().rollback(place.engine().preview_rollback(place.target)))
    assert (place.release(), place.engine().status(place.target).state) == (release, State.READY)
    place.deploy(compute={"workers": 2})
    assert place.engine().status(place.target).state is State.READY
    back = place.engine().preview_rollback(place.target)
    assert back.stack.to_bytes() == place.stack().to_bytes()  # not to what failed


def test_helms_own_history_says_what_failed(helm_place: Place) -> None:
    helm_place.deploy()
    with pytest.raises(ApplyError):
        helm_place.deploy(image=image("missing"))
    config = helm().Config(
        kubeconfig_path=str(helm_place.kube.kubeconfig), namespace=helm_place.namespace
    )
    found = {one["revision"]: one["status"] for one in config.history(NAME)}
    assert found == {1: "superseded", 2: "failed", 3: "deployed"}


def test_fields_that_somebody_else_set_are_shown_and_refused(place: Place) -> None:
    place.deploy()
    place.edit("deployments", f"{NAME}-api", {"spec": {"replicas": 3}})
    plan = place.plan()
    (change,) = [one for one in plan.changes if one.action is Action.UPDATE]
    shown = {one.path: (one.before, one.after) for one in change.properties}
    assert shown["spec.replicas"] == (3, 1)
    assert "belongs to kubectl-edit" in str(shown["metadata.managedFields"][0])
    with pytest.raises(OwnedElsewhereError, match=r"spec.replicas belongs to kubectl-edit") as told:
        list(place.engine().apply(plan))
    assert "--force-conflicts" in str(told.value.hint)
    assert place.api()["spec"]["replicas"] == 3


def test_fields_of_others_are_taken_over_where_that_is_asked(place: Place) -> None:
    place.deploy()
    place.edit("deployments", f"{NAME}-api", {"spec": {"replicas": 3}})
    list(place.provider(force_conflicts=True).engine.apply(place.plan()))
    assert place.api()["spec"]["replicas"] == 1
    assert place.plan().is_empty


def test_a_field_that_no_release_set_is_left_to_whoever_sets_it(place: Place) -> None:
    place.deploy()
    note = {"metadata": {"annotations": {"somebody/note": "mine"}}}
    place.edit("deployments", f"{NAME}-api", note)
    assert place.plan().is_empty
    assert place.engine().drift(place.target) == ()


def test_drift_tells_what_was_applied_and_what_is_there(place: Place) -> None:
    place.deploy()
    place.edit("deployments", f"{NAME}-api", {"spec": {"replicas": 3}})
    place.kube.api.delete(place.path("services", f"{NAME}-api"))
    found = {one.resource: one for one in place.engine().drift(place.target)}
    assert set(found) == {f"Deployment/{NAME}-api", f"Service/{NAME}-api"}
    assert found[f"Service/{NAME}-api"].gone
    shown = {p.path: (p.before, p.after) for p in found[f"Deployment/{NAME}-api"].properties}
    assert shown["spec.replicas"] == (1, 3)
    assert place.engine().status(place.target).state is State.DEGRADED


def test_what_is_gone_comes_back_with_the_next_deploy(place: Place) -> None:
    place.deploy()
    place.kube.api.delete(place.path("services", f"{NAME}-api"))
    assert touched(place.plan()) == {f"Service/{NAME}-api": Action.CREATE}
    place.deploy()
    assert place.get("services", f"{NAME}-api") is not None


def test_what_is_somebody_elses_is_not_taken(place: Place) -> None:
    place.make()
    place.put("ConfigMap", f"{NAME}-deployment", data={"a": "b"})
    with pytest.raises(ConflictError, match=f"ConfigMap/{NAME}-deployment") as told:
        place.plan()
    assert told.value.code == "conflict.foreign"
    assert "--name" in str(told.value.hint)


def test_what_left_the_spec_is_pruned_and_nothing_else(place: Place) -> None:
    place.deploy(cache={"type": "redis"})
    labels = {"app.kubernetes.io/instance": NAME, "app.kubernetes.io/component": "redis"}
    place.put("ConfigMap", f"{NAME}-redis-notes", metadata={"labels": labels}, data={"a": "b"})
    plan = place.plan()
    assert touched(plan)[f"Deployment/{NAME}-redis"] is Action.DELETE
    list(place.engine().apply(plan))
    assert place.get("deployments", f"{NAME}-redis", "apps/v1") is None
    assert place.get("services", f"{NAME}-redis") is None
    assert place.get("configmaps", f"{NAME}-redis-notes") is not None


def test_a_namespace_of_ours_stays_as_long_as_anything_of_others_is_in_it(place: Place) -> None:
    place.deploy()
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    place.put("Role", "theirs", "rbac.authorization.k8s.io/v1", rules=rules)
    list(place.engine().destroy(place.target, delete_data=True))
    assert place.exists()
    assert place.get("roles", "theirs", "rbac.authorization.k8s.io/v1") is not None
    assert place.claims() == set()


def test_data_that_was_kept_stays_when_a_new_deploy_onto_it_fails(place: Place) -> None:
    place.deploy()
    volumes, secret = place.claims(), place.secret()
    list(place.engine().destroy(place.target, delete_data=False))
    with pytest.raises(ApplyError):
        place.deploy(image=image("missing"))
    assert (place.claims(), place.secret()) == (volumes, secret)
    status = place.engine().status(place.target)
    assert (status.state, status.detail.partition(":")[0]) == (State.RETAINED, "its data is kept")
    list(place.engine().destroy(place.target, delete_data=True))
    assert not place.exists()


def test_a_plan_is_stale_when_what_it_showed_is_not_so_any_more(place: Place) -> None:
    place.deploy()
    plan = place.plan(compute={"instances": 2})
    place.edit("deployments", f"{NAME}-api", {"spec": {"replicas": 5}})
    with pytest.raises(StalePlanError):
        list(place.engine().apply(plan))


def test_two_clients_at_once_are_one_too_many(place: Place) -> None:
    place.deploy()
    plan = place.plan(image=image("slow"))
    other = place.plan(compute={"instances": 2})
    running = place.engine().apply(plan)
    next(event for event in running if event.resource.startswith("Deployment/"))
    with pytest.raises(BusyError, match="another apply runs there"):
        list(place.engine().apply(other))
    with pytest.raises(BusyError):
        place.plan(compute={"instances": 2})
    status = place.engine().status(place.target)
    assert (status.state, "works there: apply" in status.detail) == (State.APPLYING, True)
    list(place.engine().attach(place.target))  # follows the first to its end
    assert place.engine().status(place.target).state is State.READY


def test_an_apply_goes_on_when_nobody_listens(place: Place) -> None:
    engine = place.engine()
    events = engine.apply(engine.preview(place.stack()))
    next(events)
    events.close()
    list(place.engine().attach(place.target))
    assert place.engine().status(place.target).state is State.READY
    assert place.plan().is_empty


def test_a_deployment_goes_on_by_the_method_that_made_it(kube_places: tuple[Place, Place]) -> None:
    first, second = kube_places
    first.deploy()
    with pytest.raises(ConflictError, match=f"deployed by --method {first.method}"):
        second.plan()


def test_another_environment_of_the_same_name_takes_nothing_over(helm_place: Place) -> None:
    helm_place.deploy()
    stack = helm_place.stack(environment="staging")
    for refused in (
        helm_place.engine().preview,
        lambda one: helm_place.engine().status(one.target),
    ):
        with pytest.raises(ConflictError, match="another environment: development") as told:
            refused(stack)
        assert "--environment development" in str(told.value.hint)
    list(helm_place.engine().destroy(helm_place.target, delete_data=False))
    with pytest.raises(ConflictError, match="another environment: development"):
        helm_place.engine().preview(stack)  # its data is there
    list(helm_place.engine().destroy(helm_place.target, delete_data=True))
    assert touched(helm_place.engine().preview(stack))


def test_data_that_was_kept_goes_with_either_method(kube_places: tuple[Place, Place]) -> None:
    spec = {
        "storage": {"type": "local"},
        "onprem": {"persistence": {"storage_class": "standard"}},
    }
    first, second = kube_places
    for place in (first, second, first):
        place.deploy(**spec)
        assert place.plan(**spec).is_empty
        volumes = place.claims()
        list(place.engine().destroy(place.target, delete_data=False))
        assert place.claims() == volumes


def test_the_first_key_is_handed_out_once(helm_place: Place) -> None:
    with pytest.raises(NotFoundError):
        helm_place.engine().issue_api_key(helm_place.target, "me", only_first=True)
    helm_place.deploy()
    key = helm_place.engine().issue_api_key(helm_place.target, "me", only_first=True)
    assert key == helm_place.secret()["admin-key"]
    assert helm_place.engine().issue_api_key(helm_place.target, "me", only_first=True) is None
    with pytest.raises(UnsupportedError, match="made by the service itself") as told:
        helm_place.engine().issue_api_key(helm_place.target, "me", only_first=False)
    assert key not in str(told.value)


def test_logs_are_told_by_component_and_time(helm_place: Place) -> None:
    helm_place.deploy()
    pod = next(one for one in helm_place.pods() if "-api-" in one["metadata"]["name"])
    name = pod["metadata"]["name"]
    helm_place.kube.write_log(helm_place.namespace, name, "api", "one\ntwo\nthree\n")
    lines = list(helm_place.engine().logs(helm_place.target, follow=False, tail=2))
    mine = [line.text for line in lines if line.component == f"api/{name}"]
    assert mine == ["two", "three"]
    assert {line.component.partition("/")[0] for line in lines} == {
        "api", "worker", "postgresql", "minio"
    }  # fmt: skip


def test_new_lines_are_followed(helm_place: Place) -> None:
    helm_place.deploy()
    pod = next(one for one in helm_place.pods() if "-worker-" in one["metadata"]["name"])
    name = pod["metadata"]["name"]
    helm_place.kube.write_log(helm_place.namespace, name, "worker", "one\n")
    lines = helm_place.engine().logs(helm_place.target, follow=True, tail=1)
    next(line for line in lines if line.text == "one")
    helm_place.kube.write_log(helm_place.namespace, name, "worker", "one\nanother\n")
    assert next(line for line in lines if line.text == "another").component.startswith("worker/")


def test_a_quota_that_is_exceeded_is_named(place: Place) -> None:
    place.deploy()
    plan = place.plan(compute={"instances": 3})
    place.put("ResourceQuota", "few", spec={"hard": {"pods": str(len(place.pods()))}})
    place.kube.wait(
        place.path("resourcequotas", "few"), lambda one: "used" in one.get("status", {})
    )
    with pytest.raises(ApplyError, match="exceeded quota: few") as told:
        list(place.engine().apply(plan))
    assert told.value.rolled_back
    assert place.engine().status(place.target).state is State.READY


def test_a_release_with_a_long_name_comes_up(place: Place) -> None:
    # Kubernetes labels pods of a StatefulSet with its name and a hash, in 63 characters.
    name = "n" * (63 - len("-postgresql") - len("-0123456789"))
    provider = place.provider()
    stack = provider.compile(describe(place.namespace, name, place.method))
    events = list(provider.engine.apply(provider.engine.preview(stack)))
    assert events[-1].status is EventStatus.COMPLETE
    assert provider.engine.status(stack.target).state is State.READY


def test_a_node_that_is_gone_is_named_in_the_status_and_where_it_holds_an_update_up(
    own_kube: Kube,
) -> None:
    place = Place(own_kube, "helm")
    place.deploy()
    (pod,) = [one for one in place.pods() if "-postgresql-" in one["metadata"]["name"]]
    node = pod["spec"]["nodeName"]
    own_kube.node_goes(node)
    own_kube.wait(
        place.path("pods", pod["metadata"]["name"]),
        lambda one: (
            {"type": "Ready", "status": "False"}.items()
            <= next(c for c in one["status"]["conditions"] if c["type"] == "Ready").items()
        ),
    )
    status = place.engine().status(place.target)
    assert status.state is State.DEGRADED
    assert f"node {node} does not answer" in status.detail
    engine = place.engine(ready_timeout=5.0, keep_failed=True)
    with pytest.raises(ApplyError, match=f"not ready within 5 s: .*node {node} does not answer"):
        list(engine.apply(engine.preview(place.stack(compute={"workers": 2}))))


class Earlier(Cluster):
    """The cluster, as it was some time ago by its own clock."""

    def now(self) -> datetime:
        return super().now() - timedelta(days=330)


def test_a_certificate_that_ends_soon_is_renewed_and_read(place: Place) -> None:
    place.deploy()
    path = place.path("secrets", f"{NAME}-internal-tls")
    place.kube.api.delete(path)
    values = place.stack().template["values"]
    objects = render(values, name=NAME, namespace=place.namespace, kube_version="1.20")
    old = certificates.ensure(Earlier(place.kube.kubeconfig), NAME, place.namespace, objects)
    assert old is not None
    pods = {one["metadata"]["uid"] for one in place.pods()}
    assert touched(place.plan()) == {f"Secret/{NAME}-internal-tls": Action.UPDATE}
    place.deploy()
    new = certificates.examine(Cluster(place.kube.kubeconfig), NAME, place.namespace)
    assert new is not None
    assert new.ends > old.ends
    assert not pods & {one["metadata"]["uid"] for one in place.pods()}
    assert place.plan().is_empty
