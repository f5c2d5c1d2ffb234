"""A client that is killed at any phase: another one goes on, and nothing is there twice."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tabular.deploy.events import EventStatus
from tabular.deploy.onprem.names import CHART, INSTANCE
from tabular.deploy.provider import State
from tabular.errors import ApplyError, BusyError, ConflictError, NotFoundError
from tests.cli.command import Answer, run
from tests.deploy.onprem.killing import (
    KILLED,
    kill_client,
    run_client,
    to_deploy,
    to_destroy,
    to_roll_back,
    wait_for,
)
from tests.deploy.onprem.place import NAME, Place, image

pytestmark = pytest.mark.k8s

CHANGED = {"compute": {"workers": 2}}
STAYS = "ends-late"


def test_killed_before_anything_was_brought(place: Place) -> None:
    died = run_client(place, to_deploy(place), status="complete", resource="Secret/demo-secrets")
    assert died == KILLED
    assert place.engine().status(place.target).state is State.APPLYING
    list(place.engine().attach(place.target))
    if place.exists():  # it may have come a step further than its event
        assert place.engine().status(place.target).state is State.READY
    place.deploy()
    assert place.engine().status(place.target).state is State.READY


def test_killed_in_a_first_deploy(place: Place) -> None:
    assert run_client(place, to_deploy(place), status="any", resource="Stateful") == KILLED
    secret = place.secret()
    assert place.engine().status(place.target).state is State.APPLYING
    events = list(place.engine().attach(place.target))
    assert events[-1].status is EventStatus.COMPLETE
    assert place.engine().status(place.target).state is State.READY
    assert place.secret() == secret
    assert place.plan().is_empty


def test_killed_in_an_update(place: Place) -> None:
    place.deploy()
    before = place.release()
    command = to_deploy(place, **CHANGED)
    assert run_client(place, command, status="any", resource="Deployment/") == KILLED
    list(place.engine().attach(place.target))
    assert place.engine().status(place.target).state is State.READY
    assert place.release() != before
    assert place.plan(**CHANGED).is_empty
    back = place.engine().preview_rollback(place.target)
    assert back.stack.to_bytes() == place.stack().to_bytes()


def test_killed_while_it_undid_what_failed(place: Place) -> None:
    place.deploy()
    before = place.release()
    command = to_deploy(place, image=image("missing"))
    assert run_client(place, command, status="rolling_back", resource="-") == KILLED
    with pytest.raises(ApplyError, match="image cannot be pulled") as told:
        list(place.engine().attach(place.target))
    assert told.value.rolled_back
    assert place.release() == before
    assert place.engine().status(place.target).state is State.READY
    assert place.plan().is_empty


def test_a_first_deploy_that_is_not_ready_when_it_is_taken_over_is_left(place: Place) -> None:
    # It may have been ready, and served, since its client died: its volumes are somebody's.
    command = to_deploy(place, image=image("missing"))
    assert run_client(place, command, status="any", resource="StatefulSet/") == KILLED
    with pytest.raises(ApplyError, match=r"image cannot be pulled.*; it was left as it is") as told:
        list(place.engine().attach(place.target))
    assert not told.value.rolled_back
    volumes, secret = place.claims(), place.secret()
    assert volumes
    assert place.engine().status(place.target).state is not State.READY
    place.deploy()
    assert place.engine().status(place.target).state is State.READY
    assert (place.claims(), place.secret()) == (volumes, secret)


def test_killed_while_it_took_a_first_deploy_away(place: Place) -> None:
    command = to_deploy(place, image=image("missing"))
    assert run_client(place, command, status="rolling_back", resource="-") == KILLED
    with pytest.raises(ApplyError, match="image cannot be pulled") as told:
        list(place.engine().attach(place.target))
    assert told.value.rolled_back
    assert not place.exists()


def test_killed_while_pods_of_a_first_deploy_ended(place: Place) -> None:
    place.make()
    put_pod_that_stays(place)
    # A volume of each sort: of a set, and by itself.
    command = to_deploy(
        place,
        image=image("missing"),
        storage={"type": "local", "size": "1Gi"},
        onprem={"persistence": {"storage_class": "standard"}},
    )
    kill_client(place, command, lambda: bool(place.claims()) and not releases(place))
    assert place.claims()
    place.kube.api("DELETE", place.path("pods", STAYS))
    time.sleep(5)  # seconds until the lease of the dead client has run out
    with pytest.raises(ApplyError, match="image cannot be pulled") as told:
        list(place.engine().attach(place.target))
    assert told.value.rolled_back
    wait_for(lambda: not place.claims())
    assert place.secret() == {}
    assert place.get("leases", f"{NAME}-deploy", "coordination.k8s.io/v1") is None


def put_pod_that_stays(place: Place) -> None:
    """A pod of the deployment's that ends only when the test deletes it: a client waits for it."""
    account = place.get("serviceaccounts", "default")
    assert account is not None
    owner = {"apiVersion": "v1", "kind": "ServiceAccount", "name": "default"}
    meta = {
        "labels": {INSTANCE: NAME},
        "ownerReferences": [{**owner, "uid": account["metadata"]["uid"]}],
    }
    spec = {"containers": [{"name": "one", "image": "registry.example.com/one"}]}
    place.put("Pod", STAYS, metadata=meta, spec=spec)


def releases(place: Place) -> list[str]:
    """Names of what either method remembers of its releases."""
    found = place.kube.list(place.path("secrets"), f"name={NAME},owner")
    return [one["metadata"]["name"] for one in found]


def test_killed_when_all_was_done(place: Place) -> None:
    assert run_client(place, to_deploy(place), status="complete", resource="-") == KILLED
    volumes = place.claims()
    place.edit("deployments", f"{NAME}-api", {"spec": {"template": {"spec": {"nodeName": "no"}}}})
    list(place.engine().attach(place.target))  # what broke since is no failure of that apply
    assert place.claims() == volumes


def test_the_same_rollback_again_goes_back_no_further(place: Place) -> None:
    place.deploy()
    first = place.release()
    place.deploy(**CHANGED)
    place.deploy(compute={"workers": 3})
    third = place.release()
    command = to_roll_back(place)
    assert run_client(place, command, status="any", resource="Deployment/") == KILLED
    list(place.engine().attach(place.target))
    second = place.release()
    assert second not in (first, third)
    again = place.engine().preview_rollback(place.target)
    assert again.is_empty
    list(place.engine().rollback(again))
    assert place.release() == second
    list(place.engine().rollback(place.engine().preview_rollback(place.target)))
    assert place.release() == first


def command(place: Place, home: Path, line: str) -> Answer:
    """Type a command of the program's."""
    at = ("--provider", "onprem", "--kubeconfig", str(place.kube.kubeconfig))
    return run(*line.split(), *at, "--namespace", place.namespace, "--yes", home=home)


def is_deployed(place: Place, release: str, number: int) -> bool:
    """Whether a release is in the cluster, and all that is left is to see it ready."""
    found = place.kube.list(place.path("secrets"), f"name={NAME},owner,version={number}")
    status = [one["metadata"]["labels"]["status"] for one in found]
    return place.release() == release and status == ["deployed"]


def test_a_rollback_that_was_killed_goes_on_when_it_is_typed_again(
    helm_place: Place, tmp_path: Path
) -> None:
    place = helm_place  # to Helm it is done when all is brought
    place.deploy()
    place.deploy(**CHANGED, image=image("slow") | {"tag": "1"})
    second = place.release()
    place.deploy(compute={"workers": 3})
    kill_client(place, to_roll_back(place), lambda: is_deployed(place, second, 4))
    time.sleep(5)  # seconds until the lease of the dead client has run out
    with pytest.raises(BusyError, match="a rollback was begun here") as told:
        place.engine().preview_rollback(place.target)
    assert "`inferloop-tabular rollback` again" in str(told.value.hint)
    assert "rollback` again" in place.engine().status(place.target).detail
    asked = command(place, tmp_path, "rollback --dry-run")
    assert (asked.code, place.release()) == (3, second)
    done = command(place, tmp_path, "rollback")
    assert (done.code, place.release()) == (0, second), done.err
    assert place.engine().status(place.target).state is State.READY


def test_scale_goes_on_with_a_deploy_that_was_killed_and_undoes_nothing_of_it(
    helm_place: Place, tmp_path: Path
) -> None:
    place = helm_place
    place.deploy()
    first = place.release()
    spec = {**CHANGED, "image": image("slow") | {"tag": "1"}}
    kill_client(place, to_deploy(place, **spec), lambda: place.release() != first)
    time.sleep(5)  # seconds until the lease of the dead client has run out
    done = command(place, tmp_path, "scale --instances 2")
    assert done.code == 0, done.err
    assert place.plan(**{**spec, "compute": {"workers": 2, "instances": 2}}).is_empty


def test_killed_in_a_destroy(place: Place) -> None:
    place.deploy()
    put_pod_that_stays(place)
    command = to_destroy(place, data=True)
    kill_client(place, command, lambda: not releases(place))
    assert place.claims()
    place.kube.api("DELETE", place.path("pods", STAYS))
    time.sleep(5)  # seconds until the lease of the dead client has run out
    status = place.engine().status(place.target)
    assert (status.state, "run it again" in status.detail) == (State.FAILED, True)
    with pytest.raises(ConflictError, match="a destroy was begun here"):
        place.plan()
    list(place.engine().destroy(place.target, delete_data=True))
    assert not place.exists()
    with pytest.raises(NotFoundError):
        place.engine().status(place.target)


HELM_ITSELF = """
import os, signal, sys, threading
from tabular.deploy.onprem.rendered.library import helm

helm_python = helm()
config = helm_python.Config(kubeconfig_path=sys.argv[1], namespace=sys.argv[2])
values = {"image": {"repository": "registry.example.com/missing", "tag": "1"}}
threading.Timer(3.0, os.kill, (os.getpid(), signal.SIGKILL)).start()
config.upgrade(
    helm_python.Chart.load(sys.argv[3]), "demo", values, reuse_values=True, wait="watcher"
)
"""


def test_what_helm_itself_is_at_is_left_to_it(helm_place: Place) -> None:
    helm_place.deploy()
    volumes = helm_place.claims()
    said = [str(helm_place.kube.kubeconfig), helm_place.namespace, str(CHART)]
    done = subprocess.run([sys.executable, "-c", HELM_ITSELF, *said], check=False)
    assert done.returncode == KILLED
    assert helm_place.engine().status(helm_place.target).state is State.APPLYING
    with pytest.raises(BusyError, match="begun with Helm itself") as told:
        list(helm_place.engine().attach(helm_place.target))
    assert f"helm rollback {NAME}" in str(told.value.hint)
    later = helm_place.engine(ready_timeout=15.0)
    time.sleep(15)  # so long it may take, and Helm's client is surely gone
    with pytest.raises(ApplyError, match="image cannot be pulled") as failed:
        list(later.attach(helm_place.target))
    assert failed.value.rolled_back
    assert helm_place.claims() == volumes
    assert helm_place.plan().is_empty
