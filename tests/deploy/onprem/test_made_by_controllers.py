"""Secrets that a controller of the cluster makes: Sealed Secrets, External Secrets.

No such controller runs here, and what one does the tests do, by its published rules: the Secret is
replaced as a whole, data and labels and annotations, whenever the controller starts or its object
changes; one of Sealed Secrets is owned by its object. The API server's garbage collector is real.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.onprem.rendered.rendering import render
from tabular.deploy.onprem.secrets import certificates
from tabular.deploy.onprem.secrets.secret_keys import needed_secrets
from tabular.deploy.plan import Action
from tabular.deploy.provider import State
from tabular.errors import PreflightError
from tests.deploy.onprem.harness import describe
from tests.deploy.onprem.place import NAME, Place, touched
from tests.deploy.onprem.test_engine import Earlier
from tests.deploy.onprem.test_preflight import define

pytestmark = pytest.mark.k8s
SECRET, TLS = f"{NAME}-secrets", f"{NAME}-internal-tls"
SEALED = "bitnami.com/v1alpha1"
WITH_CACHE: dict[str, Any] = {"cache": {"type": "redis"}}


class Controller:
    """What Sealed Secrets does in a namespace."""

    def __init__(self, place: Place) -> None:
        define(place.kube, "bitnami.com", "SealedSecret", "sealedsecrets", "v1alpha1")
        self._place = place

    def unseal(self, name: str, data: Mapping[str, str], kind: str = "Opaque") -> None:
        """Take a sealed Secret, as on each start of the controller."""
        place = self._place
        if place.get("sealedsecrets", name, SEALED) is None:
            place.put("SealedSecret", name, SEALED, spec={"encryptedData": {}})
        sealed = place.get("sealedsecrets", name, SEALED)
        assert sealed is not None
        owner = {"apiVersion": SEALED, "kind": "SealedSecret", "name": name, "controller": True}
        made = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name,
                "namespace": place.namespace,
                "ownerReferences": [{**owner, "uid": sealed["metadata"]["uid"]}],
            },
            "type": kind,
            "data": dict(data),
        }
        there = place.get("secrets", name)
        path = place.path("secrets", name if there else "")
        place.kube.api("PUT" if there else "POST", path, made)


def keys_of(place: Place, **spec: Any) -> dict[str, str]:
    """All that a Secret sealed for a spec has in it."""
    values = place.stack(**spec).template["values"]
    objects = render(values, name=NAME, namespace=place.namespace, kube_version="1.20")
    needed = needed_secrets(objects, SECRET)
    return {one.key: base64.b64encode(f"sealed {one.key}".encode()).decode() for one in needed}


def test_a_sealed_secret_is_used_and_left_to_its_controller(place: Place) -> None:
    place.make()
    controller = Controller(place)
    data = keys_of(place)
    controller.unseal(SECRET, {key: data[key] for key in data if key != "database-password"})
    with pytest.raises(PreflightError, match="SealedSecret/demo-secrets makes the Secret") as told:
        place.plan()
    assert "it has no database-password" in told.value.message
    assert place.get("deployments", f"{NAME}-api", "apps/v1") is None

    controller.unseal(SECRET, data)
    place.deploy()
    engine = place.engine()
    assert engine.status(place.target).state is State.READY
    assert engine.issue_api_key(place.target, "me", only_first=True) is None
    before = place.get("secrets", SECRET)
    assert before is not None
    assert before["data"] == data
    assert "annotations" not in before["metadata"]
    controller.unseal(SECRET, data)
    assert place.plan().is_empty
    assert engine.drift(place.target) == ()

    with pytest.raises(PreflightError, match="it has no cache-password"):
        place.plan(**WITH_CACHE)
    assert set(place.secret()) == set(data)
    controller.unseal(SECRET, keys_of(place, **WITH_CACHE))
    place.deploy(**WITH_CACHE)
    list(engine.destroy(place.target, delete_data=True))
    assert place.secret()["database-password"] == "sealed database-password"
    place.kube.api.delete(place.path("sealedsecrets", SECRET, SEALED))
    place.kube.wait_gone(place.path("secrets", SECRET))


def test_a_key_of_another_server_is_changed_where_it_is_sealed(
    helm_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = helm_place
    place.make()
    database = {"database": {"type": "external", "url": {"secretRef": "env:DB_URL"}}}
    monkeypatch.setenv("DB_URL", "sealed database-url")
    Controller(place).unseal(SECRET, keys_of(place, **database))
    place.deploy(**database)
    monkeypatch.setenv("DB_URL", "another url")
    provider = place.provider()
    stack = provider.compile(describe(place.namespace, NAME, place.method, **database))
    with pytest.raises(PreflightError, match="another database-url than SealedSecret") as told:
        provider.engine.preview(stack)
    assert told.value.hint == f"change it there, and name it in the spec: k8s:{SECRET}/database-url"
    assert "another url" not in str(told.value)
    named = {"database": {"type": "external", "url": f"k8s:{SECRET}/database-url"}}
    place.deploy(**named)
    assert place.secret()["database-url"] == "sealed database-url"


def test_a_key_that_is_patched_into_a_secret_stays(helm_place: Place) -> None:
    """Sealed Secrets leaves other keys alone where the Secret asks for that."""
    place = helm_place
    place.make()
    Controller(place).unseal(SECRET, keys_of(place))
    note = {"sealedsecrets.bitnami.com/patch": "true"}
    place.edit("secrets", SECRET, {"metadata": {"annotations": note}}, "v1")
    place.deploy(**WITH_CACHE)
    assert place.secret()["cache-password"]


def test_a_sealed_certificate_is_not_renewed_by_a_deploy(helm_place: Place) -> None:
    place = helm_place
    place.make()
    values = place.stack().template["values"]
    objects = render(values, name=NAME, namespace=place.namespace, kube_version="1.20")
    certificates.ensure(Earlier(place.kube.kubeconfig), NAME, place.namespace, objects)
    made = place.get("secrets", TLS)
    assert made is not None
    place.kube.api.delete(place.path("secrets", TLS))
    Controller(place).unseal(TLS, made["data"], "kubernetes.io/tls")
    place.deploy()
    now = place.get("secrets", TLS)
    assert now is not None
    assert now["data"] == made["data"]
    assert place.plan().is_empty
    held = certificates.examine(Cluster(place.kube.kubeconfig), NAME, place.namespace)
    assert held is not None
    assert not held.ours


def test_nothing_is_generated_where_a_store_fills_the_secret(helm_place: Place) -> None:
    place = helm_place
    define(place.kube, "external-secrets.io", "ExternalSecret", "externalsecrets")
    own = {"enabled": True, "store": {"name": "vault"}, "path": "t/d"}
    spec = {"overrides": {"onprem": {"values": {"externalSecrets": own}}}}
    assert touched(place.plan(**spec)).get(f"Secret/{SECRET}", Action.NOOP) is Action.NOOP
    data = keys_of(place, **spec)

    def operate() -> None:
        path = place.path("externalsecrets", SECRET, "external-secrets.io/v1")
        place.kube.wait(path, lambda _: True)
        place.put("Secret", SECRET, data=data)

    operator = threading.Thread(target=operate)
    operator.start()
    place.deploy(**spec)
    operator.join()
    assert place.secret() == {key: f"sealed {key}" for key in data}
    with pytest.raises(PreflightError, match=f"ExternalSecret/{SECRET} makes the Secret"):
        place.plan(**spec, **WITH_CACHE)
