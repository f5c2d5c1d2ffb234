"""What the service's own objects say, for what a user sets."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tabular.deploy.onprem.names import CHART
from tabular.deploy.onprem.rendered.rendering import loaded, render
from tabular.deploy.onprem.secrets.secret_keys import length_of, needed_secrets
from tabular.errors import EngineError
from tabular.infra.config import load_settings
from tests.deploy.onprem.chart.cases import (
    BUILT_IN,
    CASES,
    EXTERNAL,
    SECRET,
    SERVED,
    merged,
    objects,
    one,
)
from tests.deploy.onprem.chart.rules import Object
from tests.testbed import custom

FILES = merged(BUILT_IN, {"minio": {"enabled": False}, "persistence": {"enabled": True}})
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no database": ({"postgresql": {"enabled": False}}, "set postgresql.enabled=true"),
    "no place for tables": ({"minio": {"enabled": False}}, "set minio.enabled=true"),
    "a volume of one node for many": (
        merged(FILES, {"persistence": {"accessMode": "ReadWriteOnce"}, "replicaCount": 3}),
        "persistence.accessMode is ReadWriteOnce, and several pods share .* use ReadWriteMany",
    ),
    "a volume of one pod for two": (
        merged(FILES, {"persistence": {"accessMode": "ReadWriteOncePod"}}),
        "use ReadWriteMany",
    ),
    "workers that share a volume of one node": (
        {
            "persistence": {"enabled": True, "accessMode": "ReadWriteOnce"},
            "workers": {"replicas": 2},
        },
        "one worker",
    ),
    "a host without a certificate": ({"ingress": {"host": "a.example"}}, "ingress.tls.issuer"),
    "a route without a host": ({"route": {"enabled": True}}, "ingress.host does not say"),
    "a gateway without a listener": (
        {"gateway": {"name": "edge"}, "ingress": {"host": "a.example"}},
        "gateway.listener must name",
    ),
    "a gateway and a route": (
        {
            "gateway": {"name": "edge", "listener": "https"},
            "route": {"enabled": True},
            "ingress": {"host": "a.example"},
        },
        "keep one of them",
    ),
    "networks that a gateway cannot be told": (
        merged(CASES["gateway"], {"ingress": {"allowedCidrs": ["10.0.0.0/8"]}}),
        "allowedCidrs cannot be told to a Gateway",
    ),
    "networks that Traefik cannot be told": (
        merged(SERVED, {"ingress": {"allowedCidrs": ["10.0.0.0/8"], "className": "traefik"}}),
        "allowedCidrs cannot be told to Traefik",
    ),
    "a scaling the wrong way round": (
        {"autoscaling": {"enabled": True, "minReplicas": 5, "maxReplicas": 2}},
        "minReplicas is 5 and maxReplicas 2",
    ),
    "a scaling by nothing": (
        {"autoscaling": {"enabled": True, "targetCPUUtilizationPercentage": 0}},
        "nothing to go by",
    ),
    "a scaling by what is not requested": (
        {"autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": None}}},
        "resources.requests.cpu is not set",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_refused_with_the_way_out(case: str) -> None:
    values, said = REFUSED[case]
    with pytest.raises(EngineError, match=said):
        objects(merged(BUILT_IN, values))


def test_a_name_that_would_make_others_too_long_is_refused() -> None:
    with pytest.raises(EngineError, match="fullnameOverride"):
        objects(merged(BUILT_IN, {"fullnameOverride": "a" * 54}))
    with pytest.raises(EngineError, match="has 54 characters; Kubernetes allows 53"):
        render(BUILT_IN, name="a" * 54, namespace="data")


def test_amounts_are_written_as_they_were_said() -> None:
    asked = {"requests": {"cpu": 0.5, "memory": 8_589_934_592}, "limits": {"memory": "16Gi"}}
    (api,) = _pod(objects(merged(BUILT_IN, {"resources": asked})), "api")["spec"]["containers"]
    assert api["resources"]["requests"] == {"cpu": "0.5", "memory": "8589934592"}
    assert api["resources"]["limits"] == {"memory": "16Gi"}


def _pod(found: tuple[Object, ...], component: str) -> Any:
    return one(found, "Deployment", f"demo-{component}")["spec"]["template"]


def _environment(found: tuple[Object, ...], component: str) -> dict[str, Any]:
    (container,) = _pod(found, component)["spec"]["containers"]
    return {entry["name"]: entry.get("value") for entry in container["env"]}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("component", ["api", "worker"])
def test_the_service_understands_every_setting_that_it_is_told(
    case: str, component: str, tmp_path: Path
) -> None:
    found = objects(CASES[case])
    for keys in _keys(found, component).values():
        for key in keys:
            (tmp_path / key).write_text("x1y2z3a4b5c6d7e8" * 3)
    told = {
        name: value.replace("/run/secrets/tabular", str(tmp_path))
        for name, value in _environment(found, component).items()
        if value is not None
    }
    settings = load_settings(told)
    assert settings.secret_key.get_secret_value() == "x1y2z3a4b5c6d7e8" * 3
    assert "{" not in settings.database_url + settings.cache_url + settings.queue_url
    assert (settings.host, settings.provider, settings.region) == ("*", "onprem", "data")
    assert settings.metrics_port == (9464 if component == "worker" else 0)
    assert (settings.admin_key is not None) == (component == "api")


def test_settings_reach_the_service_as_they_were_meant() -> None:
    told = _environment(objects(CASES["told"]), "api")
    assert told["TABULAR_MAX_UPLOAD_BYTES"] == "10000000"
    assert told["TABULAR_TRUSTED_PROXIES"] == "10.0.0.0/8"
    assert told["TABULAR_RELEASE"] == "0123abcd"


def test_what_is_deployed_is_told_without_losing_a_digit() -> None:
    found = objects(CASES["told"])
    text = one(found, "ConfigMap", "demo-deployment")["data"]["deployment.json"]
    assert json.loads(text) == {"spec": {"rows": 10_000_000}, "release": "0123abcd"}
    assert "10000000" in text
    assert "demo-deployment" not in {o["metadata"]["name"] for o in objects(BUILT_IN)}


def test_images_come_from_the_registry_that_is_named() -> None:
    found = objects(CASES["told"])
    (api,) = _pod(found, "api")["spec"]["containers"]
    registry = "registry.corp:5000/mirror"
    assert api["image"] == f"{registry}/inferloop/tabular@sha256:{'0' * 64}"
    (database,) = one(found, "StatefulSet", "demo-postgresql")["spec"]["template"]["spec"][
        "containers"
    ]
    assert database["image"].startswith(f"{registry}/library/postgres")
    assert _pod(found, "api")["spec"]["imagePullSecrets"] == [{"name": "pull"}]


def test_changed_secrets_replace_the_pods() -> None:
    annotations = _pod(objects(CASES["told"]), "worker")["metadata"]["annotations"]
    assert annotations == {"checksum/secrets": "abc", "note": "x"}


def test_an_update_of_the_api_takes_nothing_away_before_there_is_something_new() -> None:
    deployment = one(objects(BUILT_IN), "Deployment", "demo-api")["spec"]
    assert deployment["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }
    spec = deployment["template"]["spec"]
    (container,) = spec["containers"]
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][-1])
    drain = 20  # seconds, of tabular.api.serve
    assert spec["terminationGracePeriodSeconds"] > pause + drain
    assert [c["name"] for c in spec["initContainers"]][-1] == "migrate"


def test_workers_have_the_time_that_they_need() -> None:
    found = objects(merged(BUILT_IN, {"workers": {"terminationGracePeriodSeconds": 90}}))
    assert _pod(found, "worker")["spec"]["terminationGracePeriodSeconds"] == 90


def test_pods_are_spread_over_zones_and_nodes() -> None:
    found = objects(BUILT_IN)
    for component in ("api", "worker"):
        spread = _pod(found, component)["spec"]["topologySpreadConstraints"]
        keys = ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
        assert [term["topologyKey"] for term in spread] == keys
        labels = _pod(found, component)["metadata"]["labels"]
        for term in spread:
            assert term["labelSelector"]["matchLabels"].items() <= labels.items()


def test_replicas_are_the_autoscalers_where_there_is_one() -> None:
    found = objects(CASES["scaled"])
    assert "replicas" not in one(found, "Deployment", "demo-api")["spec"]
    scaler = one(found, "HorizontalPodAutoscaler", "demo-api")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 10)
    targets = {
        m["resource"]["name"]: m["resource"]["target"]["averageUtilization"]
        for m in scaler["metrics"]
    }
    assert targets == {"cpu": 75, "memory": 80}


def test_workers_alone_have_gpus_and_no_one_more_is_needed_for_an_update() -> None:
    found = objects(CASES["scaled"])
    deployment = one(found, "Deployment", "demo-worker")["spec"]
    (worker,) = deployment["template"]["spec"]["containers"]
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    (api,) = _pod(found, "api")["spec"]["containers"]
    assert "nvidia.com/gpu" not in api["resources"]["limits"]


def _claim(found: tuple[Object, ...]) -> Any:
    return one(found, "PersistentVolumeClaim", "demo-data")


def _mounts(found: tuple[Object, ...], component: str) -> dict[str, str]:
    (container,) = _pod(found, component)["spec"]["containers"]
    return {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}


def test_files_are_shared_by_a_volume_that_many_can_write_to() -> None:
    found = objects(CASES["files"])
    claim = _claim(found)
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert claim["spec"]["storageClassName"] == "cephfs"
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    for component in ("api", "worker"):
        assert _mounts(found, component)["data"] == "/data"
        told = _environment(found, component)
        assert told["TABULAR_STORAGE_URL"] == "file:///data/objects"
        assert "TMPDIR" not in told


def test_files_on_one_node_keep_all_pods_there() -> None:
    found = objects(CASES["one-node"])
    assert _claim(found)["spec"]["accessModes"] == ["ReadWriteOnce"]
    for component in ("api", "worker"):
        affinity = _pod(found, component)["spec"]["affinity"]["podAffinity"]
        (term,) = affinity["requiredDuringSchedulingIgnoredDuringExecution"]
        assert term["topologyKey"] == "kubernetes.io/hostname"
        (expression,) = term["labelSelector"]["matchExpressions"]
        assert expression["values"] == ["api", "worker"]


def test_beside_an_object_store_a_volume_is_room_for_the_workers() -> None:
    found = objects(merged(BUILT_IN, {"persistence": {"enabled": True}, "replicaCount": 3}))
    assert _claim(found)["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert "data" not in _mounts(found, "api")
    assert _environment(found, "worker")["TMPDIR"] == "/data/tmp"
    # It is on one node, so that the next worker needs the last one's end.
    strategy = one(found, "Deployment", "demo-worker")["spec"]["strategy"]
    assert strategy == {"type": "Recreate"}
    several = merged(BUILT_IN, {"persistence": {"enabled": True}, "workers": {"replicas": 2}})
    assert _claim(objects(several))["spec"]["accessModes"] == ["ReadWriteMany"]


def test_a_claim_that_is_there_is_used_and_none_is_made() -> None:
    found = objects(merged(FILES, {"persistence": {"existingClaim": "ours"}}))
    assert [o for o in found if o["metadata"]["name"] == "demo-data"] == []
    volumes = _pod(found, "api")["spec"]["volumes"]
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "ours"}} in volumes


def test_a_storage_class_for_all_and_none_at_all() -> None:
    found = objects(merged(FILES, {"storageClass": "fast"}))
    assert _claim(found)["spec"]["storageClassName"] == "fast"
    none = objects(merged(FILES, {"storageClass": "fast", "persistence": {"storageClass": "-"}}))
    assert _claim(none)["spec"]["storageClassName"] == ""
    assert "storageClassName" not in _claim(objects(FILES))["spec"]


def test_an_ingress_is_over_tls_and_takes_large_uploads() -> None:
    found = objects(CASES["published"])
    ingress = one(found, "Ingress", "demo-api")
    assert ingress["spec"]["ingressClassName"] == "nginx"
    assert ingress["spec"]["tls"] == [{"hosts": ["tabular.example"], "secretName": "demo-tls"}]
    (rule,) = ingress["spec"]["rules"]
    assert rule["host"] == "tabular.example"
    told = ingress["metadata"]["annotations"]
    assert told["cert-manager.io/cluster-issuer"] == "corp"
    assert told["nginx.ingress.kubernetes.io/force-ssl-redirect"] == "true"
    assert told["nginx.ingress.kubernetes.io/proxy-body-size"] == "0"
    assert told["nginx.ingress.kubernetes.io/whitelist-source-range"] == "10.0.0.0/8"


def test_annotations_of_ones_own_win() -> None:
    own = {"ingress": {"annotations": {"nginx.ingress.kubernetes.io/proxy-body-size": "2g"}}}
    ingress = one(objects(merged(CASES["published"], own)), "Ingress", "demo-api")
    told = ingress["metadata"]["annotations"]
    assert told["nginx.ingress.kubernetes.io/proxy-body-size"] == "2g"


def test_a_certificate_of_ones_own() -> None:
    own = {"ingress": {"host": "a.example", "tls": {"secretName": "wildcard"}}}
    ingress = one(objects(merged(BUILT_IN, own)), "Ingress", "demo-api")
    assert ingress["spec"]["tls"][0]["secretName"] == "wildcard"
    assert "cert-manager.io/cluster-issuer" not in ingress["metadata"]["annotations"]


def test_a_route_is_over_tls_and_there_is_no_ingress_beside_it() -> None:
    found = objects(merged(CASES["openshift"], {"ingress": {"allowedCidrs": ["10.0.0.0/8"]}}))
    route = one(found, "Route", "demo-api")
    assert route["spec"]["tls"] == {
        "termination": "edge",
        "insecureEdgeTerminationPolicy": "Redirect",
    }
    told = route["metadata"]["annotations"]
    assert told["haproxy.router.openshift.io/ip_whitelist"] == "10.0.0.0/8"
    assert [o for o in found if o["kind"] == "Ingress"] == []


def test_a_route_with_a_certificate_lets_the_router_read_that_one_secret() -> None:
    values = merged(CASES["openshift"], {"ingress": {"tls": {"secretName": "corp"}}})
    found = objects(values, "1.32")
    assert one(found, "Route", "demo-api")["spec"]["tls"]["externalCertificate"] == {"name": "corp"}
    role, binding = one(found, "Role", "demo-router"), one(found, "RoleBinding", "demo-router")
    assert role["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": ["corp"],
            "verbs": ["get", "list", "watch"],
        }
    ]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    router = {"kind": "ServiceAccount", "name": "router", "namespace": "openshift-ingress"}
    assert binding["subjects"] == [router]
    kinds = [o["kind"] for o in found]
    assert kinds.index("RoleBinding") < kinds.index("Route")
    assert not {"Role", "RoleBinding"} & {o["kind"] for o in objects(CASES["openshift"])}


def test_a_gateways_route_is_of_the_listener_that_ends_tls() -> None:
    found = objects(CASES["gateway"])
    route = one(found, "HTTPRoute", "demo-api")["spec"]
    assert route["parentRefs"] == [{"name": "edge", "namespace": "edge", "sectionName": "https"}]
    assert route["hostnames"] == ["a.example"]
    assert [o for o in found if o["kind"] == "Ingress"] == []


def test_without_a_host_nothing_is_published() -> None:
    kinds = {o["kind"] for o in objects(BUILT_IN)}
    assert not kinds & {"Ingress", "Route", "HTTPRoute"}
    assert one(objects(BUILT_IN), "Service", "demo-api")["spec"]["type"] == "ClusterIP"


def test_a_load_balancer_lets_in_whom_it_should() -> None:
    own = {"service": {"type": "LoadBalancer"}, "ingress": {"allowedCidrs": ["10.0.0.0/8"]}}
    spec = one(objects(merged(BUILT_IN, own)), "Service", "demo-api")["spec"]
    assert spec["loadBalancerSourceRanges"] == ["10.0.0.0/8"]


def test_without_a_broker_each_looks_into_the_database() -> None:
    told = _environment(objects(BUILT_IN), "worker")
    assert told["TABULAR_QUEUE_URL"] == "memory://tabular"
    assert told["TABULAR_CACHE_URL"] == "memory://"
    cached = _environment(objects(merged(BUILT_IN, {"redis": {"enabled": True}})), "worker")
    assert cached["TABULAR_QUEUE_URL"].startswith("redis://")
    brokered = merged(BUILT_IN, {"redis": {"enabled": True}, "rabbitmq": {"enabled": True}})
    assert _environment(objects(brokered), "worker")["TABULAR_QUEUE_URL"].startswith("amqp://")


def _keys(found: tuple[Object, ...], component: str) -> dict[str, set[str]]:
    (volume,) = [v for v in _pod(found, component)["spec"]["volumes"] if v["name"] == "secrets"]
    return {
        source["secret"]["name"]: {item["path"] for item in source["secret"]["items"]}
        for source in volume["projected"]["sources"]
    }


def test_each_pod_has_the_secrets_that_it_needs_and_no_other() -> None:
    found = objects(EXTERNAL)
    shared = {"secret-key", "database-password", "cache-password", "queue-password"}
    assert _keys(found, "api") == {"demo-secrets": shared | {"admin-key"}}
    assert _keys(found, "worker") == {"demo-secrets": shared}


def test_a_whole_url_may_be_a_secret() -> None:
    found = objects(merged(EXTERNAL, {"database": {"url": "", "urlSecretKey": "database-url"}}))
    told = _environment(found, "worker")
    assert told["TABULAR_DATABASE_URL"] == "file:/run/secrets/tabular/database-url"
    assert "database-url" in _keys(found, "worker")["demo-secrets"]


def test_another_secret_may_have_a_key() -> None:
    others = {"database-password": {"name": "corp-db", "key": "pw"}}
    found = objects(merged(EXTERNAL, {"secrets": {"from": others}}))
    assert _keys(found, "worker")["corp-db"] == {"database-password"}
    assert "database-password" not in _keys(found, "worker")["demo-secrets"]


def test_pods_of_a_store_of_others_may_have_an_identity_instead_of_keys() -> None:
    keys = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert keys <= set(_environment(objects(EXTERNAL), "worker"))
    without = objects(merged(EXTERNAL, {"storage": {"credentials": False}}))
    assert not keys & set(_environment(without, "worker"))


def test_an_account_of_ones_own_is_used_and_none_is_made() -> None:
    found = objects(merged(BUILT_IN, {"serviceAccount": {"name": "ours"}}))
    assert _pod(found, "api")["spec"]["serviceAccountName"] == "ours"
    assert "demo" not in {o["metadata"]["name"] for o in found if o["kind"] == "ServiceAccount"}


@pytest.mark.parametrize(
    "values",
    [
        {"secrets": {"existingSecret": "", "generate": False}},
        {"secrets": {"generate": False}, "tls": {"enabled": True}},
    ],
    ids=["secrets", "certificate"],
)
def test_where_nothing_can_be_looked_up_nothing_is_made_anew(values: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match=r"Argo CD.*name secrets\.existingSecret"):
        objects(merged(BUILT_IN, values))


@pytest.mark.parametrize("case", CASES)
def test_a_secret_made_by_hand_has_every_key_that_any_text_will_do_for(case: str) -> None:
    found = objects(merged(CASES[case], {"secrets": {"existingSecret": ""}}))
    made = one(found, "Secret", SECRET)["data"]
    needed = {needed.key for needed in needed_secrets(found, SECRET) if needed.generated}
    assert set(made) == needed
    for key, text in made.items():
        assert len(base64.b64decode(text)) == length_of(key)


@pytest.mark.slow
def test_a_gateways_route_is_valid_for_those_who_define_it() -> None:
    route = one(objects(CASES["gateway"]), "HTTPRoute", "demo-api")
    assert custom.invalid([route]) == []
    wrong = merged(route, {"spec": {"hostname": "a.example", "rules": "none"}})
    assert custom.invalid([wrong]) != []


@pytest.mark.parametrize("case", CASES)
def test_the_notes_say_where_the_api_is(case: str) -> None:
    files = loaded(CHART).render(CASES[case], name="demo", namespace="data")
    (notes,) = [text for file, text in files.items() if file.endswith("NOTES.txt")]
    host = CASES[case].get("ingress", {}).get("host")
    wanted = f"API: https://{host}" if host else "port-forward service/demo-api 8000"
    assert wanted in notes
    assert "get secret demo-secrets --output jsonpath='{.data.admin-key}'" in notes
    assert ("trusted_proxies" in notes) == bool(host)
    assert "kubectl label namespace data pod-security.kubernetes.io/enforce=restricted" in notes
    assert "\n\n\n" not in notes
