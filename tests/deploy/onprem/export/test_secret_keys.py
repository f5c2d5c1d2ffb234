"""Which keys objects need is read from the objects, in every way in which they can refer to one."""

from __future__ import annotations

from typing import Any

import pytest

from tabular.deploy.onprem.secrets.secret_keys import needed_secrets, other_secrets

OURS = "demo-secrets"


def pod(**spec: Any) -> dict[str, Any]:
    """An object whose pods have this specification."""
    template = {"spec": {"containers": [], **spec}}
    metadata = {"name": "demo-api", "labels": {"app.kubernetes.io/component": "api"}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": {"template": template}}  # fmt: skip


def server(component: str) -> dict[str, Any]:
    """An object of a component."""
    labels = {"app.kubernetes.io/component": component}
    metadata = {"name": f"demo-{component}", "labels": labels}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {}}


def custom(version: str, kind: str, **spec: Any) -> dict[str, Any]:
    """An object of an operator."""
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "demo-x"}, "spec": spec}


def env(name: str, key: str, **more: Any) -> dict[str, Any]:
    """Containers of which one has a variable from a secret."""
    source = {"secretKeyRef": {"name": name, "key": key, **more}}
    return {"containers": [{"name": "a", "env": [{"name": "A", "valueFrom": source}]}]}


def volume(name: str, *keys: str) -> dict[str, Any]:
    """A volume of a secret, of some keys or the whole."""
    items = {"items": [{"key": key, "path": key} for key in keys]} if keys else {}
    return {"volumes": [{"name": "v", "secret": {"secretName": name, **items}}]}


def projected(name: str, *keys: str) -> dict[str, Any]:
    """A projected volume."""
    items = [{"key": key, "path": key} for key in keys]
    source = {"secret": {"name": name, "items": items}}
    return {"volumes": [{"name": "v", "projected": {"sources": [source]}}]}


@pytest.mark.parametrize(
    "spec",
    [
        env(OURS, "secret-key"),
        {"initContainers": env(OURS, "secret-key")["containers"]},
        volume(OURS, "secret-key"),
        projected(OURS, "secret-key"),
    ],
)
def test_each_way_to_refer_to_a_key_is_seen(spec: dict[str, Any]) -> None:
    (found,) = needed_secrets([pod(**spec)], OURS)
    assert (found.key, found.generated, found.length) == ("secret-key", True, 48)
    assert other_secrets([pod(**spec)], OURS) == {}
    assert other_secrets([pod(**spec)], "") == {OURS: ("secret-key",)}


def test_an_operators_object_refers_to_keys_too() -> None:
    monitor = custom(
        "monitoring.coreos.com/v1",
        "ServiceMonitor",
        endpoints=[{"basicAuth": {"password": {"name": "other", "key": "password"}}}],
        secret={"name": OURS, "key": "cache-password"},
    )
    assert [one.key for one in needed_secrets([monitor], OURS)] == ["cache-password"]


def test_what_a_server_of_the_users_own_asks_for_is_the_users_to_say() -> None:
    asks = pod(**projected(OURS, "database-password", "storage-access-key"))
    assert not any(one.generated for one in needed_secrets([asks], OURS))
    made = needed_secrets([asks, server("mysql"), server("minio")], OURS)
    assert [(one.generated, one.length) for one in made] == [(True, 48), (True, 20)]


def test_a_key_that_nobody_knows_is_never_made_up() -> None:
    (found,) = needed_secrets([pod(**env(OURS, "database-url"))], OURS)
    assert not found.generated


def test_the_same_key_is_needed_once_and_in_one_order() -> None:
    one, two = pod(**env(OURS, "b")), pod(**projected(OURS, "b", "a"))
    assert [found.key for found in needed_secrets([one, two], OURS)] == ["a", "b"]
    assert needed_secrets([one, two], OURS) == needed_secrets([two, one], OURS)


def test_further_secrets_are_told_whole_or_by_key() -> None:
    spec = {
        **env("directory", "password"),
        **volume("whole"),
        "imagePullSecrets": [{"name": "registry"}],
    }
    ingress = custom("networking.k8s.io/v1", "Ingress", tls=[{"secretName": "site-tls"}])
    assert other_secrets([pod(**spec), ingress], OURS) == {
        "directory": ("password",),
        "registry": (),
        "site-tls": (),
        "whole": (),
    }
    for kind in ("issuer", "cluster-issuer"):
        notes = {"annotations": {f"cert-manager.io/{kind}": "corp"}}
        issued = {**ingress, "metadata": {**ingress["metadata"], **notes}}
        assert other_secrets([issued], OURS) == {}, "cert-manager makes it"


@pytest.mark.parametrize(
    "maker",
    [
        custom("cert-manager.io/v1", "Certificate", secretName="made"),
        custom("external-secrets.io/v1", "ExternalSecret", target={"name": "made"}),
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "made"}},
    ],
)
def test_what_is_made_by_one_of_the_objects_is_nobodys_to_make(maker: dict[str, Any]) -> None:
    assert other_secrets([pod(**volume("made")), maker], OURS) == {}
    assert other_secrets([pod(**volume("made"))], OURS) == {"made": ()}


def test_passwords_of_the_databases_operators_are_theirs() -> None:
    cluster = custom("postgresql.cnpg.io/v1", "Cluster")
    zalando = "tabular.demo-postgresql.credentials.postgresql.acid.zalan.do"
    used = [pod(**env("demo-x-app", "password")), pod(**env(zalando, "password")), cluster]
    assert other_secrets(used, OURS) == {}


def test_what_is_optional_is_not_needed() -> None:
    assert needed_secrets([pod(**env(OURS, "a", optional=True))], OURS) == ()
