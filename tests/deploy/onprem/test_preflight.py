"""What a cluster lacks is a sentence before anything is made, asked of a real API server."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tabular.deploy.onprem import preflight
from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.onprem.doctor import checks
from tabular.deploy.onprem.preflight import rights
from tabular.deploy.onprem.preflight.volumes import default_class, require_volumes
from tabular.deploy.onprem.rendered.rendering import Object
from tabular.errors import PreflightError
from tests.deploy.onprem.export.made import KUBECTL
from tests.deploy.onprem.made import NAME, objects_of, stack_of
from tests.testbed.kube.cluster import Kube
from tests.testbed.venvs import venv

pytestmark = pytest.mark.k8s


def required(kube: Kube, spec: dict[str, Any], kubeconfig: Path | None = None) -> dict[str, str]:
    """Ask; findings by rule."""
    cluster = Cluster(kubeconfig or kube.kubeconfig)
    return {one.rule: one.message for one in preflight.require(cluster, stack_of(spec))}


def refused(kube: Kube, spec: dict[str, Any], kubeconfig: Path | None = None) -> PreflightError:
    with pytest.raises(PreflightError) as found:
        required(kube, spec, kubeconfig)
    assert found.value.hint
    return found.value


def at(namespace: str, **onprem: Any) -> dict[str, Any]:
    """A spec in a namespace."""
    return {"onprem": {"namespace": namespace, **onprem}}


def class_of(name: str, provisioner: str, **rest: Any) -> Object:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": provisioner,
        "volumeBindingMode": "WaitForFirstConsumer",
        **rest,
    }


def definition(group: str, kind: str, plural: str, version: str = "v1") -> Object:
    """A kind that an operator brings."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def define(kube: Kube, group: str, kind: str, plural: str, version: str = "v1") -> None:
    made = definition(group, kind, plural, version)
    kube.apply(made)
    kube.wait(
        kube.path_of(made),
        lambda one: any(
            condition["type"] == "Established" and condition["status"] == "True"
            for condition in one.get("status", {}).get("conditions") or ()
        ),
    )


def test_nothing_is_made_and_nothing_is_said_where_all_is_well(
    kube: Kube, kube_namespace: str
) -> None:
    def made() -> list[str]:
        paths = ("services", "configmaps", "persistentvolumeclaims", "secrets")
        return [
            one["metadata"]["name"]
            for path in paths
            for one in kube.list(f"/api/v1/namespaces/{kube_namespace}/{path}")
        ]

    before = made()
    spec = {**at(kube_namespace), "ha": True, "monitoring": {"enabled": True}}
    # The bed has three nodes.
    told = required(kube, {**spec, "storage": {"minio": {"replicas": 4}}})
    assert told == {
        "nodes-apart": "4 servers of MinIO share 3 nodes: where one with 2 is away nothing can be "
        "written, since 1 may be"
    }
    assert required(kube, {**spec, "storage": {"minio": {"mode": "standalone"}}}) == {}
    assert required(kube, {**spec, "storage": {"minio": {"replicas": 12}}}) == {}
    assert made() == before


# Volumes


def test_a_class_that_is_not_there(kube: Kube, kube_namespace: str) -> None:
    error = refused(kube, at(kube_namespace, storage_class="fats"))
    assert (error.where, error.code) == ("spec.onprem.storage_class", "preflight.storage-class")
    assert "did you mean 'fast'" in str(error)


def test_no_class_is_named_and_none_is_the_default_one(own_kube: Kube) -> None:
    path = "/apis/storage.k8s.io/v1/storageclasses"
    for one in own_kube.list(path):
        one["metadata"].get("annotations", {}).clear()
        own_kube.api("PUT", f"{path}/{one['metadata']['name']}", one)
    error = refused(own_kube, {})
    assert error.code == "preflight.storage-class"
    assert "no default one" in error.message
    assert required(own_kube, {"onprem": {"storage_class": "standard"}}) == {}


def test_a_class_that_operators_would_ask_for_and_is_not_there(own_kube: Kube) -> None:
    define(own_kube, "postgresql.cnpg.io", "Cluster", "clusters")
    define(own_kube, "acid.zalan.do", "postgresql", "postgresqls")
    define(own_kube, "minio.min.io", "Tenant", "tenants", "v2")
    for operators, what in (
        (["cloudnative-pg"], "Cluster/demo-postgresql"),
        (["zalando"], "postgresql/demo-postgresql"),
        (["minio"], "Tenant/demo-minio"),
    ):
        spec: dict[str, Any] = {
            "database": {"storage_class": "standard" if "minio" in operators else "fats"},
            "storage": {"minio": {"storage_class": "fats" if "minio" in operators else "standard"}},
            "onprem": {"operators": operators},
        }
        error = refused(own_kube, spec)
        assert f"no storage class 'fats', which {what} asks for" in error.message


def test_two_default_classes_are_what_this_server_refuses(own_kube: Kube) -> None:
    mark = {"storageclass.beta.kubernetes.io/is-default-class": "true"}
    second = class_of("another", "example.com/disks")
    own_kube.apply({**second, "metadata": {"name": "another", "annotations": mark}})
    error = refused(own_kube, {})
    assert error.code == "preflight.storage-class"
    assert "another and standard are both the cluster's default" in error.message
    assert required(own_kube, {"onprem": {"storage_class": "standard"}}) == {}
    with pytest.raises(Exception, match="2 default StorageClasses were found"):
        claim(own_kube, "default", "without-class", None)


def test_of_two_default_classes_a_newer_server_takes_the_youngest() -> None:
    def made(name: str, when: str) -> Object:
        mark = {"storageclass.kubernetes.io/is-default-class": "true"}
        return {"metadata": {"name": name, "annotations": mark, "creationTimestamp": when}}

    old, young = made("a", "2024-01-01T00:00:00Z"), made("b", "2026-01-01T00:00:00Z")
    same = made("c", "2026-01-01T00:00:00Z")
    assert default_class([old, same, young]) == young
    assert default_class([]) is None


def claim(kube: Kube, namespace: str, name: str, class_: str | None, size: str = "1Gi") -> None:
    """A claim of a deployment that is there, or was."""
    named = {} if class_ is None else {"storageClassName": class_}
    kube.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "labels": {"app.kubernetes.io/instance": "demo"}},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                **named,
                "resources": {"requests": {"storage": size}},
            },
        },
        namespace,
    )


def test_a_disk_of_a_class_that_lets_none_grow(kube: Kube, kube_namespace: str) -> None:
    claim(kube, kube_namespace, "data-demo-postgresql-0", "fast")
    kube.wait(
        f"/api/v1/namespaces/{kube_namespace}/persistentvolumeclaims/data-demo-postgresql-0",
        lambda one: one["status"]["phase"] == "Bound",
    )
    spec = {**at(kube_namespace), "database": {"size": "2Gi"}}
    error = refused(kube, spec)
    assert (error.where, error.code) == ("spec.database.size", "preflight.volume-size")
    assert "has 1Gi, and 2Gi are asked for: volumes of fast do not grow" in error.message
    assert "kubectl patch storageclass fast" in str(error.hint)
    assert "backup create" in str(error.hint)
    spec["database"] = {"size": "1Gi"}
    assert required(kube, spec) == {}


def test_a_disk_that_has_no_volume_yet_is_made_in_the_new_size(
    kube: Kube, kube_namespace: str
) -> None:
    claim(kube, kube_namespace, "data-demo-postgresql-0", "standard")
    error = refused(kube, {**at(kube_namespace), "database": {"size": "2Gi"}})
    assert "kubectl delete pvc data-demo-postgresql-0 -n" in str(error.hint)


@pytest.mark.parametrize("lives", [True, False])
def test_a_set_of_minio_keeps_its_servers(kube: Kube, kube_namespace: str, lives: bool) -> None:
    spec = {**at(kube_namespace), "storage": {"type": "minio", "minio": {"mode": "distributed"}}}
    if lives:
        made = next(
            one
            for one in objects_of(stack_of(spec), "1.20")
            if (one["kind"], one["metadata"]["name"]) == ("StatefulSet", "demo-minio")
        )
        kube.apply(made, kube_namespace)
    else:
        for number in range(4):  # what a destroy leaves
            claim(kube, kube_namespace, f"data0-demo-minio-{number}", "standard", "250Gi")
    assert set(required(kube, spec)) == {"nodes-apart"}
    spec["storage"] = {"type": "minio", "minio": {"mode": "distributed", "replicas": 8}}
    error = refused(kube, spec)
    assert (error.where, error.code) == ("spec.storage.minio", "preflight.minio-set")
    assert "4 servers of 1 disk each, and 8 servers of 1 disk each are asked for" in error.message
    spec["storage"] = {"type": "minio", "minio": {"mode": "standalone"}}
    assert "1 server of 1 disk each are asked for" in refused(kube, spec).message


def test_a_volume_for_many_pods_of_a_class_for_one_node(own_kube: Kube) -> None:
    own_kube.apply(class_of("disks", "rancher.io/local-path"))
    spec = {
        "storage": {"type": "nfs", "size": "1Ti"},
        "compute": {"instances": 3},
        "onprem": {"persistence": {"storage_class": "disks"}},
    }
    error = refused(own_kube, spec)
    assert (error.where, error.code) == ("spec.onprem.persistence", "preflight.access-mode")
    assert "CephFS" in str(error.hint)
    spec["onprem"] = {"persistence": {"storage_class": "shared"}}
    assert required(own_kube, spec) == {}


def test_a_claim_that_is_named_must_be_there(kube: Kube, kube_namespace: str) -> None:
    values = {"persistence": {"enabled": True, "existingClaim": "scratch", "sameNode": True}}
    spec = {**at(kube_namespace), "overrides": {"onprem": {"values": values}}}
    error = refused(kube, spec)
    assert error.code == "preflight.claim"
    assert "Deployment/demo-worker mount the claim 'scratch'" in error.message
    claim(kube, kube_namespace, "scratch", "standard")
    assert required(kube, spec) == {}


def test_local_volumes_must_be_there(own_kube: Kube) -> None:
    own_kube.apply(class_of("local", "kubernetes.io/no-provisioner"))
    spec = {
        "storage": {"minio": {"mode": "distributed", "replicas": 4, "storage_class": "local"}},
    }
    error = refused(own_kube, spec)
    assert error.code == "preflight.capacity"
    assert "needs 4 local volumes" in error.message
    for number in range(3):
        volume(own_kube, f"disk-{number}", "60Gi")
    kept = {
        "namespace": "others",
        "name": "data",
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
    }
    volume(own_kube, "kept-for-others", "60Gi", claimRef=kept)
    volume(own_kube, "shared", "60Gi", accessModes=["ReadWriteMany"])
    assert "has 3 that are free" in refused(own_kube, spec).message
    volume(own_kube, "disk-3", "60Gi")
    assert set(required(own_kube, spec)) == {"nodes-apart"}
    # The database's is one more: what is free is free once.
    spec["database"] = {"storage_class": "local", "size": "40Gi"}
    error = refused(own_kube, spec)
    assert "StatefulSet/demo-postgresql needs 1 local volumes of 40Gi" in error.message
    assert "has 0 that are free" in error.message
    volume(own_kube, "small", "40Gi")
    assert set(required(own_kube, spec)) == {"nodes-apart"}
    spec["storage"]["minio"]["size"] = "100Gi"
    assert "0 that are free" in refused(own_kube, spec).message


def volume(kube: Kube, name: str, size: str, **more: Any) -> None:
    """A volume that somebody made, of the class ``local``."""
    spec = {
        "capacity": {"storage": size},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "local",
        "hostPath": {"path": f"/mnt/{name}"},
        **more,
    }
    kube.apply(
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}
    )
    kube.wait(
        f"/api/v1/persistentvolumes/{name}",
        lambda one: one.get("status", {}).get("phase") == "Available",
    )


# The namespace and who asks


def test_a_namespace_that_may_not_be_made(kube: Kube, kube_namespace: str, tmp_path: Path) -> None:
    looks = {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}
    user = kube.user(tmp_path, kube_namespace, [], cluster_rules=[looks])
    error = refused(kube, at("elsewhere"), user)
    assert error.code == "preflight.namespace"
    assert "kubectl create namespace elsewhere" in str(error.hint)


def test_a_namespace_that_is_going(own_kube: Kube) -> None:
    name = own_kube.namespace()
    path = f"/api/v1/namespaces/{name}"
    meta = {"name": "held", "namespace": name, "finalizers": ["test/held"]}
    held = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
    own_kube.api("POST", f"{path}/configmaps", held)
    own_kube.drop_namespace(name)
    own_kube.wait(path, lambda one: one["status"]["phase"] == "Terminating")
    error = refused(own_kube, at(name))
    assert error.code == "preflight.namespace"
    assert "is being deleted" in error.message


def test_rights_that_are_missing_are_told_and_the_printed_role_is_enough(
    kube: Kube, kube_namespace: str, tmp_path: Path
) -> None:
    spec = {**at(kube_namespace), "ha": True, "monitoring": {"enabled": True}}
    reads = {"apiGroups": ["", "apps"], "resources": ["*"], "verbs": ["get", "list", "watch"]}
    error = refused(kube, spec, kube.user(tmp_path, kube_namespace, [reads]))
    assert error.code == "preflight.rights"
    assert "create apps/deployments" in error.message or "more" in error.message
    assert "onprem rbac" in str(error.hint)
    least = rights.rules(objects_of(stack_of(spec), "1.20"))
    assert required(kube, spec, kube.user(tmp_path, kube_namespace, least)) == {}


def test_each_rule_of_the_least_role_is_needed(kube: Kube, kube_namespace: str) -> None:
    """What is asked for is what is printed: with one verb less, that one is missed."""
    del kube, kube_namespace
    objects = objects_of(stack_of({}), "1.20")
    (secrets,) = (
        rule
        for rule in rights.rules(objects)
        if "secrets" in rule["resources"] and rule["apiGroups"] == [""]
    )
    assert set(secrets["verbs"]) == set(rights.ALL)
    assert not any("*" in rule["verbs"] + rule["resources"] for rule in rights.rules(objects))


# Room


def quota(kube: Kube, namespace: str, **hard: str) -> None:
    made = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "team", "namespace": namespace},
        "spec": {
            "hard": {name.replace("__", ".").replace("_", "."): v for name, v in hard.items()}
        },
    }
    kube.apply(made, namespace)
    kube.wait(kube.path_of(made, namespace), lambda one: "hard" in one.get("status", {}))


def test_a_quota_that_leaves_too_little(kube: Kube, kube_namespace: str) -> None:
    quota(kube, kube_namespace, pods="2")
    error = refused(kube, at(kube_namespace))
    assert (error.where, error.code) == ("spec.compute", "preflight.quota")
    assert "the quota team leaves 2 of pods" in error.message


def test_a_quota_that_leaves_enough(kube: Kube, kube_namespace: str) -> None:
    quota(kube, kube_namespace, pods="40", requests_cpu="40", requests_storage="1Ti")
    assert required(kube, at(kube_namespace)) == {}
    big = {**at(kube_namespace), "database": {"size": "2Ti"}}
    assert "requests.storage" in refused(kube, big).message


def test_a_claim_without_class_counts_to_the_quota_of_the_default_one(
    kube: Kube, kube_namespace: str
) -> None:
    made = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "disks", "namespace": kube_namespace},
        "spec": {"hard": {"standard.storageclass.storage.k8s.io/requests.storage": "5Gi"}},
    }
    kube.apply(made, kube_namespace)
    kube.wait(kube.path_of(made, kube_namespace), lambda one: "hard" in one.get("status", {}))
    error = refused(kube, at(kube_namespace))
    assert error.code == "preflight.quota"
    assert "the quota disks leaves 5Gi of standard.storageclass" in error.message
    with pytest.raises(Exception, match="exceeded quota"):
        claim(kube, kube_namespace, "without-class", None, "6Gi")
    # What was made when another class was the default one counts to that.
    claim(kube, kube_namespace, "data-demo-postgresql-0", "fast", "20Gi")
    claim(kube, kube_namespace, "data0-demo-minio-0", "fast", "50Gi")
    assert required(kube, at(kube_namespace)) == {}


def test_a_quota_of_objects(kube: Kube, kube_namespace: str) -> None:
    quota(kube, kube_namespace, services="3")
    assert "leaves 3 of services" in refused(kube, at(kube_namespace)).message


def test_a_quota_of_limits_needs_limits(kube: Kube, kube_namespace: str) -> None:
    quota(kube, kube_namespace, limits_cpu="100")
    error = refused(kube, at(kube_namespace))
    assert "wants limits.cpu of every container" in error.message
    kube.apply(
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": {"name": "usual", "namespace": kube_namespace},
            "spec": {"limits": [{"type": "Container", "default": {"cpu": "2"}}]},
        },
        kube_namespace,
    )
    assert required(kube, at(kube_namespace)) == {}


def test_a_limit_range_that_lets_less(kube: Kube, kube_namespace: str) -> None:
    kube.apply(
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": {"name": "small", "namespace": kube_namespace},
            "spec": {"limits": [{"type": "Container", "max": {"memory": "8Gi"}}]},
        },
        kube_namespace,
    )
    spec = {**at(kube_namespace), "compute": {"memory": "16Gi"}}
    error = refused(kube, spec)
    assert error.code == "preflight.limit-range"
    assert "wants 16Gi of memory, and the limit range small lets it have 8Gi" in error.message


def test_a_limit_range_of_claims(kube: Kube, kube_namespace: str) -> None:
    borders = {
        "type": "PersistentVolumeClaim",
        "max": {"storage": "30Gi"},
        "min": {"storage": "2Gi"},
    }
    kube.apply(
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": {"name": "disks", "namespace": kube_namespace},
            "spec": {"limits": [borders]},
        },
        kube_namespace,
    )
    spec = {**at(kube_namespace), "database": {"size": "40Gi"}, "storage": {"size": "20Gi"}}
    error = refused(kube, spec)
    assert (error.where, error.code) == ("spec.database.size", "preflight.limit-range")
    assert "40Gi of storage, and the limit range disks lets it have 30Gi" in error.message
    spec["database"] = {"size": "1Gi"}
    assert "wants at least 2Gi" in refused(kube, spec).message
    spec["database"] = {"size": "10Gi"}
    assert required(kube, spec) == {}


def test_a_limit_range_that_wants_more(kube: Kube, kube_namespace: str) -> None:
    kube.apply(
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": {"name": "large", "namespace": kube_namespace},
            "spec": {"limits": [{"type": "Container", "min": {"memory": "64Gi"}}]},
        },
        kube_namespace,
    )
    assert "wants at least 64Gi" in refused(kube, at(kube_namespace)).message


def test_pods_that_no_node_can_hold(kube: Kube, kube_namespace: str) -> None:
    spec = {**at(kube_namespace), "compute": {"cpu": 100, "memory": "16Gi"}}
    error = refused(kube, spec)
    assert error.code == "preflight.nodes"
    assert "100 of cpu" in error.message
    assert "64 of cpu" in error.message
    nowhere = {"overrides": {"onprem": {"nodeSelector": {"disk": "tape"}}}, **at(kube_namespace)}
    assert "no node has the labels" in refused(kube, nowhere).message


def test_a_graphics_processor_that_is_there(kube: Kube, kube_namespace: str) -> None:
    spec = {**at(kube_namespace), "compute": {"gpu": "required"}}
    assert required(kube, spec) == {}
    named = {
        **spec,
        "overrides": {"onprem": {"values": {"gpu": {"resource": "amd.com/gpu"}}}},
    }
    assert "amd.com/gpu" in refused(kube, named).message


# Secrets of others


def test_secrets_that_are_named_are_there_with_their_keys(
    kube: Kube, kube_namespace: str, tmp_path: Path
) -> None:
    spec = {**at(kube_namespace), "database": {"password": {"secretRef": "k8s:pg/pw"}}}
    error = refused(kube, spec)
    assert error.code == "preflight.secret"
    assert error.hint == f"kubectl create secret generic pg -n {kube_namespace} --from-file=pw=FILE"
    made = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "pg", "namespace": kube_namespace},
        "stringData": {"other": "x"},
    }
    kube.apply(made, kube_namespace)
    lacks = refused(kube, spec)
    assert "has no key pw" in lacks.message
    (tmp_path / "FILE").write_text("a password")
    env = {"PATH": f"{venv(KUBECTL)}:{os.environ['PATH']}", "KUBECONFIG": str(kube.kubeconfig)}
    typed = ["sh", "-c", str(lacks.hint)]
    done = subprocess.run(typed, env=env, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert required(kube, spec) == {}
    kube.apply({**made, "stringData": {"pw": "x"}}, kube_namespace)
    assert required(kube, spec) == {}


def test_a_secret_of_the_user_s_may_be_called_after_the_deployment(
    kube: Kube, kube_namespace: str
) -> None:
    own = {"bindDn": "cn=x", "existingSecret": f"{NAME}-directory", "roleMap": {"a": "admin"}}
    ldap = {"urls": ["ldaps://dc.corp"], "userBase": "ou=p", "groupBase": "ou=g", **own}
    spec = {**at(kube_namespace), "overrides": {"onprem": {"values": {"ldap": ldap}}}}
    assert f"the Secret {NAME}-directory, which the spec names" in refused(kube, spec).message


# Kinds


def test_an_operator_that_is_named_and_absent_or_present_and_unused(own_kube: Kube) -> None:
    named = {"onprem": {"operators": ["cloudnative-pg"]}}
    error = refused(own_kube, named)
    assert (error.where, error.code) == ("spec.onprem.operators", "preflight.operator")
    define(own_kube, "postgresql.cnpg.io", "Cluster", "clusters")
    assert required(own_kube, named) == {}
    assert "cloudnative-pg" in required(own_kube, {})["unused-operator"]


def test_a_route_of_an_older_openshift_would_drop_its_certificate(own_kube: Kube) -> None:
    define(own_kube, "route.openshift.io", "Route", "routes")
    host = {"domain": "data.example.com", "certificate": "corp-tls"}
    error = refused(own_kube, {"onprem": {"distribution": "openshift"}, "networking": host})
    assert error.code == "preflight.route-certificate"
    assert error.where == "spec.networking.certificate"


def test_openshift_is_told_apart(own_kube: Kube) -> None:
    error = refused(own_kube, {"onprem": {"distribution": "openshift"}})
    assert error.code == "preflight.distribution"
    assert "no Routes" in error.message
    define(own_kube, "route.openshift.io", "Route", "routes")
    error = refused(own_kube, {})
    assert "--set spec.onprem.distribution=openshift" in str(error.hint)
    assert required(own_kube, {"onprem": {"distribution": "openshift"}}) == {}


def test_an_ingress_class_that_is_not_there(own_kube: Kube) -> None:
    def published(**onprem: str) -> dict[str, Any]:
        host = {"domain": "data.example.com", "certificate": "corp-tls"}
        return {"networking": host, "onprem": onprem}

    named = published(ingress_class="ngins")
    own_kube.apply(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {"name": "nginx"},
            "spec": {"controller": "k8s.io/ingress-nginx"},
        }
    )
    error = refused(own_kube, named)
    assert error.code == "preflight.ingress-class"
    assert "did you mean 'nginx'" in str(error.hint)
    assert "no default one" in required(own_kube, published())["ingress-class"]
    assert required(own_kube, published(ingress_class="nginx")) == {}


def test_a_limit_that_the_ingress_controller_would_not_keep_to(own_kube: Kube) -> None:
    networking = {
        "domain": "data.example.com",
        "certificate": "corp-tls",
        "allowed_cidrs": ["192.0.2.0/24"],
    }
    ingress_class = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {
            "name": "usual",
            "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"},
        },
        "spec": {"controller": "traefik.io/ingress-controller"},
    }
    own_kube.apply(ingress_class)
    error = refused(own_kube, {"networking": networking})
    assert (error.where, error.code) == (
        "spec.networking.allowed_cidrs",
        "preflight.allowed-cidrs",
    )
    own_kube.apply(
        {
            **ingress_class,
            "metadata": {"name": "nginx"},
            "spec": {"controller": "k8s.io/ingress-nginx"},
        }
    )
    assert (
        required(own_kube, {"networking": networking, "onprem": {"ingress_class": "nginx"}}) == {}
    )


@contextmanager
def server_that_says(answers: dict[str, Any]) -> Iterator[str]:
    """A server with answers by path, for what the real one of the tests is not."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told = answers.get(self.path.partition("?")[0])
            self.send_response(404 if told is None else 200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(told or {}).encode())

        def log_message(self, *words: object) -> None:
            del words

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def kubeconfig_to(address: str, folder: Path) -> Path:
    """A kubeconfig for such a server."""
    config = folder / "config"
    config.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "it",
                "clusters": [{"name": "it", "cluster": {"server": address}}],
                "users": [{"name": "u", "user": {}}],
                "contexts": [{"name": "it", "context": {"cluster": "it", "user": "u"}}],
            }
        )
    )
    return config


def test_a_server_that_is_too_old(tmp_path: Path) -> None:
    version = {"major": "1", "minor": "18", "gitVersion": "v1.18.0"}
    with server_that_says({"/version": version}) as address:
        cluster = Cluster(kubeconfig_to(address, tmp_path))
        with pytest.raises(PreflightError, match=r"1\.19 is the oldest") as found:
            preflight.require(cluster, stack_of({}))
        assert found.value.code == "preflight.version"
        told = {one.name: one for one in checks(cluster)}
        assert told["cluster"].ok
        assert not told["version"].ok


def test_room_that_a_driver_tells_of(tmp_path: Path) -> None:
    """CSIStorageCapacity came with 1.24, as written in its reference."""

    def listed(*items: Object) -> Object:
        return {"metadata": {}, "items": list(items)}

    def kinds(*pairs: tuple[str, str, bool]) -> Object:
        return {
            "resources": [
                {"name": plural, "kind": kind, "namespaced": within, "verbs": ["list"]}
                for plural, kind, within in pairs
            ]
        }

    def capacity(class_: str, room: str) -> Object:
        return {"metadata": {"name": room.lower()}, "storageClassName": class_, "capacity": room}

    storage = "/apis/storage.k8s.io/v1"
    answers = {
        "/version": {"major": "1", "minor": "28", "gitVersion": "v1.28.0"},
        storage: kinds(
            ("storageclasses", "StorageClass", False),
            ("csistoragecapacities", "CSIStorageCapacity", True),
        ),
        f"{storage}/storageclasses": listed(
            {"metadata": {"name": "lvm"}, "provisioner": "lvm.example.com"}
        ),
        f"{storage}/csistoragecapacities": listed(
            capacity("lvm", "40Gi"), capacity("lvm", "60Gi"), capacity("other", "9Ti")
        ),
        "/api/v1": kinds(("persistentvolumeclaims", "PersistentVolumeClaim", True)),
        "/api/v1/namespaces/demo-development/persistentvolumeclaims": listed(),
    }

    def look(size: str) -> None:
        stack = stack_of({"database": {"size": size}, "onprem": {"storage_class": "lvm"}})
        require_volumes(cluster, "demo-development", objects_of(stack))

    with server_that_says(answers) as address:
        cluster = Cluster(kubeconfig_to(address, tmp_path))
        look("60Gi")
        with pytest.raises(PreflightError, match="lvm has room for 60Gi") as found:
            look("61Gi")
        assert found.value.code == "preflight.capacity"


# Doctor


def test_doctor_looks_at_everything_that_a_deploy_needs(kube: Kube) -> None:
    told = {one.name: one for one in checks(Cluster(kube.kubeconfig))}
    assert all(one.ok for one in told.values()), told
    assert "v1.20" in told["cluster"].detail
    assert told["distribution"].detail == "kubernetes"
    assert "default: standard" in told["storage classes"].detail
    assert told["nodes"].detail == "3; the largest gives pods 64 cores, 256Gi"


def test_doctor_of_who_may_little(kube: Kube, kube_namespace: str, tmp_path: Path) -> None:
    told = {one.name: one for one in checks(Cluster(kube.user(tmp_path, kube_namespace, [])))}
    assert not told["namespace"].ok
    assert "onprem rbac" in told["namespace"].hint
    assert told["nodes"].ok, "it is not needed"


def test_doctor_where_there_is_no_cluster(tmp_path: Path) -> None:
    (only,) = checks(Cluster(tmp_path / "none"))
    assert (only.name, only.ok) == ("cluster", False)
    assert "--kubeconfig" in only.hint
