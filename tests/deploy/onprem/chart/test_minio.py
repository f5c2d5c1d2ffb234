"""The chart's MinIO: sets of disks that are legal, places, secrets, and the operator's Tenant.

The server itself is in no registry that the tests may use, so nothing here runs one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tabular.deploy.onprem.operators.minio import configuration
from tabular.deploy.onprem.secrets.secret_keys import needed_secrets
from tabular.errors import ConfigError, EngineError
from tests.deploy.onprem.chart.cases import BUILT_IN, NAMESPACE, SECRET, merged, objects, one, seed
from tests.deploy.onprem.chart.paths import End, pod, reaches
from tests.deploy.onprem.chart.rules import containers, pods

PART = "demo-minio"
# What the operator's definition (minio.min.io/v2, of its release 7.1) says of the fields used.
TENANT: dict[str, type] = {
    "spec.image": str,
    "spec.imagePullPolicy": str,
    "spec.configuration.name": str,
    "spec.podManagementPolicy": str,
    "spec.requestAutoCert": bool,
    "spec.externalCertSecret[].name": str,
    "spec.externalCertSecret[].type": str,
    "spec.externalCaCertSecret[].name": str,
    "spec.externalCaCertSecret[].type": str,
    "spec.env[].name": str,
    "spec.env[].value": str,
    "spec.pools[].name": str,
    "spec.pools[].servers": int,
    "spec.pools[].volumesPerServer": int,
}
# These are Kubernetes' own types there.
TYPES = (
    "spec.pools[].volumeClaimTemplate",
    "spec.pools[].resources",
    "spec.pools[].securityContext",
    "spec.pools[].containerSecurityContext",
    "spec.pools[].nodeSelector",
    "spec.pools[].tolerations",
)


def distributed(servers: int, drives: int = 1, **more: Any) -> dict[str, Any]:
    """Values of a distributed store."""
    minio = {"mode": "distributed", "replicas": servers, "drivesPerNode": drives, **more}
    return merged(BUILT_IN, {"minio": minio})


def environment(found: Any) -> dict[str, Any]:
    """The variables of the server."""
    spec = one(found, "StatefulSet", PART)["spec"]["template"]["spec"]
    return {e["name"]: e.get("value") for e in spec["containers"][0]["env"]}


def test_the_seeds_values_are_four_servers_of_one_set() -> None:
    found = objects(merged(seed(), {"monitoring": {"grafana": {"adminPassword": ""}}}))
    spec = one(found, "StatefulSet", PART)["spec"]
    assert (spec["replicas"], spec["podManagementPolicy"]) == (4, "Parallel")
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "250Gi"
    host = "demo-minio-{0...3}.demo-minio-headless.data.svc:9000"
    assert environment(found)["MINIO_VOLUMES"] == f"http://{host}/data0"
    headless = one(found, "Service", "demo-minio-headless")["spec"]
    # Servers find each other before any is ready.
    assert headless["clusterIP"] == "None"
    assert headless["publishNotReadyAddresses"] is True
    assert spec["serviceName"] == "demo-minio-headless"


def test_several_disks_of_a_server_are_several_claims_of_the_class() -> None:
    disk = {"size": "1Ti", "storageClass": "direct"}
    found = objects(distributed(4, 4, persistence=disk))
    spec = one(found, "StatefulSet", PART)["spec"]
    claims = {c["metadata"]["name"]: c["spec"] for c in spec["volumeClaimTemplates"]}
    assert sorted(claims) == ["data0", "data1", "data2", "data3"]
    assert {c["storageClassName"] for c in claims.values()} == {"direct"}
    mounts = spec["template"]["spec"]["containers"][0]["volumeMounts"]
    assert {m["mountPath"] for m in mounts if m["name"] in claims} == {f"/{n}" for n in claims}
    assert environment(found)["MINIO_VOLUMES"].endswith("/data{0...3}")


def test_one_server_has_one_disk_whatever_the_other_mode_would_have() -> None:
    found = objects(merged(BUILT_IN, {"minio": {"replicas": 3, "drivesPerNode": 4}}))
    assert one(found, "StatefulSet", PART)["spec"]["replicas"] == 1
    assert environment(found)["MINIO_VOLUMES"] == "/data0"


# Around every border: too few, sets of one, of several, uneven ones, and none.
BORDERS = [
    *((servers, 1) for servers in (1, 2, 3, 4, 5, 16, 17, 18, 20, 23)),
    *((2, 8), (3, 4), (4, 4), (4, 5), (5, 4), (11, 2), (17, 4)),
]


# MinIO's limits of an erasure set; fewer than four servers cannot be written to while one is away.
# Source: "Erasure Coding" in MinIO's documentation; its code takes the largest size that divides
# the disks and spreads evenly over the servers.
_SIZES = range(4, 17)
FEWEST_SERVERS = 4


def legal_sets(servers: int, drives: int) -> tuple[int, ...]:
    """Sizes of the erasure sets that disks may be divided into; the last one is taken.

    Args:
        servers: of a distributed store.
        drives: of each server.

    Returns:
        Nothing if there is none: the chart refuses such a store.
    """
    if servers < FEWEST_SERVERS:
        return ()
    whole = servers * drives
    return tuple(
        size
        for size in _SIZES
        if whole % size == 0 and (size % servers == 0 or servers % size == 0)
    )


@pytest.mark.parametrize(("servers", "drives"), BORDERS)
def test_template_and_rule_agree_on_what_is_a_set(servers: int, drives: int) -> None:
    values = distributed(servers, drives)
    if legal_sets(servers, drives):
        objects(values)
    else:
        with pytest.raises(EngineError, match=r"minio\.replicas") as refused:
            objects(values)
        assert "4" in str(refused.value)  # the way out


def test_sets_that_are_known() -> None:
    # From MinIO's own examples of deployments.
    assert legal_sets(4, 1) == (4,)
    assert legal_sets(16, 1)[-1] == 16
    assert legal_sets(8, 4)[-1] == 16
    assert legal_sets(17, 1) == legal_sets(2, 8) == legal_sets(3, 4) == ()


def test_keys_are_read_from_files_and_are_in_no_variable() -> None:
    found = environment(objects(distributed(4)))
    assert found["MINIO_ROOT_USER_FILE"] == "/run/secrets/tabular/storage-access-key"
    assert found["MINIO_ROOT_PASSWORD_FILE"] == "/run/secrets/tabular/storage-secret-key"
    assert not {"MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"} & set(found)


def test_the_next_server_of_a_set_waits_until_the_last_one_has_joined() -> None:
    def pause(values: dict[str, Any], version: str) -> object:
        return one(objects(values, version), "StatefulSet", PART)["spec"].get("minReadySeconds")

    assert pause(distributed(4), "1.25") == 30
    assert pause(distributed(4), "1.24") is None  # the field is not there yet
    assert pause(merged(BUILT_IN), "1.25") is None


def test_tls_is_where_minio_looks_for_it() -> None:
    found = objects(merged(distributed(4), {"tls": {"enabled": True}}))
    spec = one(found, "StatefulSet", PART)["spec"]["template"]["spec"]
    volume = next(v for v in spec["volumes"] if v["name"] == "certificates")
    paths = {item["key"]: item["path"] for item in volume["secret"]["items"]}
    assert paths == {"tls.crt": "public.crt", "tls.key": "private.key", "ca.crt": "CAs/ca.crt"}
    assert environment(found)["MINIO_VOLUMES"].startswith("https://")
    assert spec["containers"][0]["readinessProbe"]["httpGet"]["scheme"] == "HTTPS"
    api = one(found, "Deployment", "demo-api")["spec"]["template"]["spec"]["containers"][0]["env"]
    url = next(e["value"] for e in api if e["name"] == "TABULAR_STORAGE_URL")
    assert "endpoint=https://demo-minio:9000" in url
    assert "ca=/run/tls/ca.crt" in url


def test_servers_reach_each_other_and_clients_reach_them() -> None:
    found = objects(merged(distributed(4), {"redis": {"enabled": True}}))
    server = pod(found, "minio")
    for name in ("api", "worker", "minio"):
        assert reaches(found, pod(found, name), server, 9000), name
    assert not reaches(found, pod(found, "redis"), server, 9000)
    assert not reaches(found, server, pod(found, "postgresql"), 5432)


@pytest.mark.parametrize("copies", [True, False])
def test_a_tenants_servers_reach_each_other_and_clients_reach_them(copies: bool) -> None:
    """Its operator copied the Tenant's labels to pods before its version 7."""
    found = objects(distributed(4, operator="minio"))
    tenant = one(found, "Tenant", PART)["metadata"]["labels"] if copies else {}
    labels = {**tenant, "v1.min.io/tenant": PART, "v1.min.io/pool": "pool-0"}
    server = End(labels, namespace_labels={"kubernetes.io/metadata.name": NAMESPACE})
    assert reaches(found, server, server, 9000)
    assert reaches(found, server, End(address="10.96.0.1"), 443), "its sidecar asks the cluster"
    for name in ("api", "worker"):
        assert reaches(found, pod(found, name), server, 9000), name


def test_the_api_makes_the_bucket_before_it_migrates() -> None:
    spec = one(objects(distributed(4)), "Deployment", "demo-api")["spec"]["template"]["spec"]
    names = [container["name"] for container in spec["initContainers"]]
    assert names.index("bucket") < names.index("migrate")
    external = {"minio": {"enabled": False}, "storage": {"url": "s3://b/p?endpoint=https://h"}}
    found = objects(merged(BUILT_IN, external))
    spec = one(found, "Deployment", "demo-api")["spec"]["template"]["spec"]
    assert "bucket" not in [container["name"] for container in spec["initContainers"]]


def holders(found: Any, secret: str, *keys: str) -> set[str]:
    """Containers that have keys of a Secret, by a variable or a mounted file."""
    holding = set()
    for workload, made in pods(found):
        volumes = {
            volume["name"]
            for volume in made["spec"].get("volumes", ())
            for source in volume.get("projected", {}).get("sources", ())
            if source["secret"]["name"] == secret
            if {item["key"] for item in source["secret"]["items"]} & set(keys)
        }
        for container in containers(made):
            named = [e.get("valueFrom", {}).get("secretKeyRef", {}) for e in container["env"]]
            mounted = {mount["name"] for mount in container.get("volumeMounts", ())}
            if volumes & mounted or any(
                n and n["name"] == secret and n["key"] in keys for n in named
            ):
                holding.add(f"{workload['metadata']['name']}/{container['name']}")
    return holding


@pytest.mark.parametrize("own", [True, False])
def test_only_minio_and_who_makes_the_user_have_the_administrators_keys(own: bool) -> None:
    more = {"backup": {"enabled": True}, "minio": {"existingSecret": "" if own else "root"}}
    found = objects(merged(distributed(4), more))
    keys = ("storage-access-key", "storage-secret-key") if own else ("root-user", "root-password")
    administrators = holders(found, SECRET if own else "root", *keys)
    assert administrators == {"demo-minio/minio", "demo-api/bucket"}
    users = holders(found, SECRET, "storage-password")
    assert {
        "demo-api/api",
        "demo-worker/worker",
        "demo-worker/bucket",
        "demo-backup/backup",
    } < users
    assert "demo-minio/minio" not in users
    for name in ("demo-api", "demo-worker"):
        spec = one(found, "Deployment", name)["spec"]["template"]["spec"]
        said = {e["name"]: e.get("value") for e in spec["containers"][0]["env"]}
        assert said["AWS_ACCESS_KEY_ID"] == "tabular-service"


def test_a_tenants_user_is_made_as_well() -> None:
    found = objects(distributed(4, operator="minio"))
    assert holders(found, SECRET, "storage-secret-key") == {"demo-api/bucket"}
    assert "storage-password" in {one.key for one in needed_secrets(found, SECRET)}


def test_workers_wait_for_the_user() -> None:
    spec = one(objects(distributed(4)), "Deployment", "demo-worker")["spec"]["template"]["spec"]
    (waiting,) = (c for c in spec["initContainers"] if c["name"] == "bucket")
    assert waiting["command"][-1] == "--wait"


def fields(value: Any, at: str = "spec") -> Iterator[tuple[str, Any]]:
    """Every leaf with its path, where the operator's own types go."""
    if at in TYPES:
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from fields(inner, f"{at}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from fields(inner, f"{at}[]")
    else:
        yield at, value


@pytest.mark.parametrize("mode", ["standalone", "distributed"])
def test_the_tenant_is_as_its_definition_says(mode: str) -> None:
    values = distributed(4, 2, operator="minio", mode=mode, persistence={"size": "9Gi"})
    found = objects(merged(values, {"tls": {"enabled": True}, "nodeSelector": {"a": "b"}}))
    tenant = one(found, "Tenant", PART)
    assert not [o for o in found if o["kind"] == "StatefulSet" and "minio" in o["metadata"]["name"]]
    for path, value in fields(tenant["spec"]):
        assert type(value) is TENANT.get(path), path
    (pool,) = tenant["spec"]["pools"]
    expected = (4, 2) if mode == "distributed" else (1, 1)
    assert (pool["servers"], pool["volumesPerServer"]) == expected
    assert pool["volumeClaimTemplate"]["spec"]["resources"]["requests"]["storage"] == "9Gi"


def test_an_illegal_tenant_is_refused_too() -> None:
    with pytest.raises(EngineError, match=r"minio\.replicas is 2"):
        objects(distributed(2, operator="minio"))


def test_the_tenants_configuration_is_what_the_operator_reads() -> None:
    text = configuration("user", "a=b c#d")
    # Its parser: without `export`, up to the first `=`, without quotes around the rest.
    read = dict(line.removeprefix("export ").split("=", 1) for line in text.splitlines())
    assert read["MINIO_ROOT_USER"].strip('"') == "user"
    assert read["MINIO_ROOT_PASSWORD"].strip('"') == "a=b c#d"
    with pytest.raises(ConfigError, match="quote"):
        configuration("user", 'a"b')


def test_the_key_that_the_tenant_reads_is_a_needed_one() -> None:
    found = objects(distributed(4, operator="minio"))
    keys = {one.key for one in needed_secrets(found, SECRET)}
    assert {"config.env", "storage-access-key", "storage-secret-key"} <= keys
