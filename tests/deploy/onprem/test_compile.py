"""What the seed promises of a cluster, read from the stacks that its own examples make."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest

from tabular.deploy.onprem.compile import (
    chart_digest,
    check_overrides,
    given_secrets,
    target_of,
)
from tabular.deploy.onprem.compile import compile_stack as compiled
from tabular.deploy.onprem.values.storage import USER
from tabular.deploy.policy import check
from tabular.deploy.spec import Deployment, Overrides, canonical, load
from tabular.deploy.stack import Stack
from tabular.errors import ConfigError, TabularError, UnsupportedError, UsageError
from tests.deploy.onprem.made import deployment_of, objects_of, reduced, stack_of, values_of
from tests.testbed.kube.schemas import VERSIONS, invalid

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
CHANGEME = "changeme"


@functools.cache
def seed(environment: str = "development") -> Stack:
    """`deploy --provider onprem --method helm --values helm-values-prod.yaml`."""
    flags = Overrides(
        provider="onprem",
        environment=environment,
        method="helm",
        values=EXAMPLES / "helm-values-prod.yaml",
    )
    return compiled(load(None, flags).deployment)


@functools.cache
def portable() -> Stack:
    """`deploy --provider onprem --config deployment.yaml`."""
    loaded = load(EXAMPLES / "deployment.yaml", Overrides(provider="onprem"))
    return compiled(loaded.deployment)


# The seed's values file (K21 to K26)


def test_the_seeds_values_come_out_as_they_are_written() -> None:
    values = seed().template["values"]
    assert values["replicaCount"] == 3
    assert values["image"] == {
        "repository": "inferloop/tabular",
        "tag": "1.0.0",
        "pullPolicy": "IfNotPresent",
    }
    assert values["resources"] == {
        "limits": {"cpu": "8", "memory": "32Gi"},
        "requests": {"cpu": "4", "memory": "16Gi"},
    }
    assert values["persistence"] == {"enabled": True, "storageClass": "fast-ssd", "size": "1Ti"}
    assert values["postgresql"] == {
        "enabled": True,
        "auth": {"database": "synthdata", "username": "synthdata"},
        "primary": {"persistence": {"size": "100Gi"}},
        "replication": {"enabled": True, "readReplicas": 2},
    }
    assert values["minio"] == {
        "enabled": True,
        "mode": "distributed",
        "replicas": 4,
        "persistence": {"size": "250Gi"},
    }
    assert values["monitoring"]["enabled"] is True
    assert values["monitoring"]["prometheus"]["retention"] == "30d"


def test_the_seeds_servers_are_really_made() -> None:
    objects = {f"{one['kind']}/{one['metadata']['name']}": one for one in objects_of(seed())}
    assert objects["Deployment/tabular-api"]["spec"]["replicas"] == 3
    assert objects["StatefulSet/tabular-postgresql"]["spec"]["replicas"] == 3, "one and two copies"
    minio = objects["StatefulSet/tabular-minio"]["spec"]
    assert minio["replicas"] == 4
    (disk,) = minio["volumeClaimTemplates"]
    assert disk["spec"]["resources"]["requests"]["storage"] == "250Gi"
    volume = objects["PersistentVolumeClaim/tabular-data"]["spec"]
    assert volume["resources"]["requests"]["storage"] == "1Ti"
    assert volume["storageClassName"] == "fast-ssd"


def test_what_the_volume_of_the_seed_is_for_is_said() -> None:
    assert "temporary files" in reduced(seed())["spec.onprem.persistence"]


def test_a_well_known_password_is_refused_but_in_development() -> None:
    flags = Overrides(provider="onprem", values=EXAMPLES / "helm-values-prod.yaml")
    for environment, severity in (("development", "warning"), ("staging", "error")):
        loaded = load(
            None,
            Overrides(provider="onprem", environment=environment, values=flags.values),
        )
        stack = compiled(loaded.deployment)
        (found,) = (
            one for one in check(loaded.deployment, stack) if one.rule == "default-password"
        )
        assert found.severity == severity
        assert found.where == "spec.monitoring.grafana.admin_password"


# The portable file


def test_the_portable_file_comes_to_the_same_kind_of_values() -> None:
    values = portable().template["values"]
    assert values["replicaCount"] == 3
    assert values["resources"]["requests"] == {"cpu": "4", "memory": "16Gi"}
    assert values["postgresql"]["primary"]["persistence"]["size"] == "100Gi"
    assert values["postgresql"]["replication"] == {"enabled": True, "readReplicas": 2}
    assert values["minio"]["mode"] == "distributed"
    assert values["monitoring"]["prometheus"]["retention"] == "30d"
    assert set(values) - {"persistence", "image"} == set(seed().template["values"]) - {
        "persistence",
        "image",
    }


def test_the_disks_of_minio_hold_what_is_asked_beside_the_erasure_code() -> None:
    """Four servers keep two disks' worth; 1Ti of objects needs 512Gi on each."""
    assert portable().template["values"]["minio"]["persistence"] == {"size": "512Gi"}
    assert "spec.storage.replication" not in reduced(portable()), "two of four may be lost"


def test_copies_that_no_erasure_code_of_four_keeps_are_reduced() -> None:
    stack = stack_of({"storage": {"replication": 5}})
    assert reduced(stack)["spec.storage.replication"] == "2 of 4 disks may be lost"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("stack", [seed, portable])
def test_both_are_valid_for_every_known_version(stack: Any, version: str) -> None:
    assert invalid(objects_of(stack(), version), version) == []


# What a stack is


def test_the_stack_tells_where_how_and_of_which_chart() -> None:
    stack = stack_of({"onprem": {"method": "manifests", "namespace": "data"}})
    assert str(stack.target) == "onprem/data/development/demo"
    assert stack.template["method"] == "manifests"
    assert stack.template["release"] == {"name": "demo", "namespace": "data"}
    assert stack.template["chart"]["digest"] == chart_digest()
    assert stack.template["kubeVersion"] is None


def test_two_environments_have_two_namespaces() -> None:
    one, two = (target_of(deployment_of({"environment": e})) for e in ("staging", "production"))
    assert (one.region, two.region) == ("demo-staging", "demo-production")


def test_the_deployment_describes_itself() -> None:
    stack = stack_of({"compute": {"instances": 2}}, labels={"team": "data"})
    told = stack.template["values"]["deployment"]
    assert Deployment.from_canonical(told["spec"]) == deployment_of(
        {"compute": {"instances": 2}}, labels={"team": "data"}
    )
    assert told["tags"] == {"team": "data"}
    assert told["target"]["region"] == "demo-development"
    assert {one["field"] for one in told["reductions"]} == {one.field for one in stack.reductions}


def test_the_release_changes_with_the_spec_and_with_nothing_else() -> None:
    def release(spec: dict[str, Any]) -> str:
        return str(stack_of(spec).template["values"]["deployment"]["release"])

    spec = {"compute": {"instances": 2}}
    assert release(spec) == release({**spec, "onprem": {"kubeconfig": "~/other"}})
    assert release(spec) != release({"compute": {"instances": 3}})


def test_a_stack_survives_its_own_data() -> None:
    stack = seed()
    assert Stack.from_dict(json.loads(json.dumps(stack.as_dict()))).to_bytes() == stack.to_bytes()


def test_what_holds_data_is_marked() -> None:
    kept = {one.id for one in seed().resources if one.stateful}
    assert {
        "Secret/tabular-secrets",
        "StatefulSet/tabular-postgresql",
        "StatefulSet/tabular-minio",
        "PersistentVolumeClaim/tabular-data",
    } <= kept
    assert "Deployment/tabular-api" not in kept


# Secrets


def test_no_secret_of_the_spec_is_in_the_stack() -> None:
    spec = {
        "storage": {"minio": {"root_password": "minio-literal-1"}},
        "database": {"password": "database-literal-1"},
        "cache": {"type": "redis", "password": "cache-literal-1"},
        "queue": {"type": "rabbitmq", "password": "queue-literal-1"},
        "monitoring": {"enabled": True, "grafana": {"admin_password": "grafana-literal-1"}},
    }
    whole = json.dumps(stack_of(spec).as_dict())
    assert "literal-1" not in whole
    given = {one.key: one.read().get_secret_value() for one in given_secrets(deployment_of(spec))}
    assert given == {
        "storage-secret-key": "minio-literal-1",
        "database-password": "database-literal-1",
        "cache-password": "cache-literal-1",
        "queue-password": "queue-literal-1",
        "grafana-password": "grafana-literal-1",
    }


def test_references_of_this_machine_are_read_when_they_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "url"
    spec = {"database": {"type": "external", "url": {"secretRef": f"file:{file}"}}}
    (given,) = given_secrets(deployment_of(spec))
    with pytest.raises(ConfigError) as missing:
        given.read()
    assert missing.value.where == "spec.database.url"
    file.write_text("postgresql+psycopg://u:p@db/d\n")
    assert given.read().get_secret_value() == "postgresql+psycopg://u:p@db/d"
    assert given.replaces, "another's server changes its password without us"
    monkeypatch.setenv("DB", "x")
    (password,) = given_secrets(deployment_of({"database": {"password": "env:DB"}}))
    assert password.read().get_secret_value() == "x"
    assert not password.replaces, "ours keeps the one that it began with"


def test_a_spec_that_was_read_back_gives_no_literal() -> None:
    deployment = deployment_of({"database": {"password": "database-literal-1"}})
    again = Deployment.from_canonical(canonical(deployment))
    (given,) = given_secrets(again)
    assert not given.known
    with pytest.raises(ConfigError, match="written out in the file"):
        given.read()


def test_secrets_of_the_namespace_are_used_as_they_are() -> None:
    spec = {
        "database": {"password": {"secretRef": "k8s:pg/pw"}},
        "storage": {"minio": {"root_password": {"secretRef": "k8s:minio-root"}}},
        "cache": {"type": "redis", "password": {"secretRef": "k8s:cache"}},
        "queue": {"type": "rabbitmq", "password": {"secretRef": "k8s:queue/q"}},
        "image": {"tag": "1.0.0", "pull_secret": {"secretRef": "k8s:registry"}},
    }
    assert given_secrets(deployment_of(spec)) == ()
    values = values_of(spec)
    assert values["postgresql"]["auth"] == {"existingSecret": "pg", "existingSecretKey": "pw"}
    assert values["minio"]["existingSecret"] == "minio-root"
    assert values["redis"]["auth"] == {"existingSecret": "cache", "existingSecretKey": "password"}
    assert values["rabbitmq"]["auth"] == {"existingSecret": "queue", "existingSecretKey": "q"}
    assert values["image"]["pullSecrets"] == ["registry"]


def test_another_database_is_the_url_of_a_secret() -> None:
    external = {"type": "external", "url": {"secretRef": "k8s:corp/url"}}
    values = values_of({"database": external})
    assert values["database"] == {"urlSecretKey": "database-url"}
    assert values["secrets"]["from"] == {"database-url": {"name": "corp", "key": "url"}}
    assert "postgresql" not in values


# Storage, databases, messaging (E14, E15, F12, F13)

RGW = {
    "endpoint": "https://rgw.example.com:8443",
    "region": "eu",
    "access_key": {"secretRef": "k8s:rgw/id"},
    "secret_key": "env:RGW_SECRET",
}


@pytest.mark.parametrize("kind", ["s3", "ceph"])
def test_a_store_that_exists_is_named_by_its_url(kind: str) -> None:
    spec = {"storage": {"type": kind, "bucket": "tables"}, "onprem": {"object_store": RGW}}
    values = values_of(spec)
    assert values["storage"] == {
        "url": "s3://tables/tabular?endpoint=https://rgw.example.com:8443&region=eu"
    }
    assert values["secrets"]["from"] == {"storage-access-key": {"name": "rgw", "key": "id"}}
    (given,) = given_secrets(deployment_of(spec))
    assert (given.key, given.path) == (
        "storage-secret-key",
        "spec.onprem.object_store.secret_key",
    )
    assert "minio" not in values


@pytest.mark.parametrize("kind", ["nfs", "ceph"])
def test_a_shared_volume_is_one_that_all_pods_write_to(kind: str) -> None:
    stack = stack_of(
        {
            "storage": {"type": kind, "size": "2Ti"},
            "compute": {"instances": 2},
            "onprem": {"persistence": {"storage_class": "files"}},
        }
    )
    (claim,) = (one for one in objects_of(stack) if one["kind"] == "PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert claim["spec"]["storageClassName"] == "files"
    assert claim["spec"]["resources"]["requests"]["storage"] == "2Ti"


def test_a_local_volume_keeps_all_pods_on_its_node_and_says_so() -> None:
    stack = stack_of(
        {
            "storage": {"type": "local"},
            "compute": {"instances": 2},
            "onprem": {"storage_class": "disks"},
        }
    )
    (claim,) = (one for one in objects_of(stack) if one["kind"] == "PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert "on the node of the volume" in reduced(stack)["spec.storage.type"]
    pods = [one for one in objects_of(stack) if one["kind"] == "Deployment"]
    shared = [one for one in pods if "data" in json.dumps(one["spec"]["template"]["spec"])]
    assert shared


def test_a_volume_that_one_node_mounts_is_not_shared_by_three() -> None:
    """The seed's 1Ti on a disk of one node, with objects in it."""
    spec = {
        "storage": {"type": "nfs"},
        "compute": {"instances": 3},
        "onprem": {
            "persistence": {
                "size": "1Ti",
                "storage_class": "fast-ssd",
                "access_mode": "ReadWriteOnce",
            }
        },
    }
    with pytest.raises(UnsupportedError, match="4 pods") as refused:
        stack_of(spec)
    assert refused.value.where == "spec.onprem.persistence.access_mode"
    assert "ReadWriteMany" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("servers", "legal"),
    [
        *((number, True) for number in (1, 4, 5, 6, 7, 16, 18, 20)),
        *((number, False) for number in (2, 3, 17, 34)),
    ],
)
def test_minio_has_a_number_of_servers_that_makes_an_erasure_set(servers: int, legal: bool) -> None:
    spec = {"storage": {"minio": {"mode": "distributed", "replicas": servers}}}
    if servers == 1:
        spec["storage"]["minio"]["mode"] = "standalone"
    if legal:
        assert values_of(spec)["minio"]["replicas"] == servers
        return
    with pytest.raises(UnsupportedError, match="do not divide into erasure sets"):
        stack_of(spec)


def test_minios_administrator_is_not_called_as_the_services_user_is() -> None:
    with pytest.raises(UsageError, match="own user") as refused:
        stack_of({"storage": {"minio": {"root_user": USER}}})
    assert refused.value.where == "spec.storage.minio.root_user"
    api = next(
        one
        for one in objects_of(stack_of({}))
        if (one["kind"], one["metadata"]["name"]) == ("Deployment", "demo-api")
    )
    env = api["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "AWS_ACCESS_KEY_ID", "value": USER} in env


def test_the_set_that_minio_takes_of_eighteen_servers_is_one_of_nine() -> None:
    """The largest that divides them (cmd/endpoint-ellipses.go): nine, of which four may be lost."""
    minio = {"mode": "distributed", "replicas": 18}
    values = values_of({"storage": {"size": "100Gi", "minio": minio}})
    assert values["minio"]["persistence"] == {"size": "10Gi"}, "18 servers keep ten disks' worth"


def test_mysql_is_one_server() -> None:
    values = values_of({"database": {"type": "mysql", "version": "8.4", "size": "30Gi"}})
    assert values["mysql"]["image"] == {"tag": "8.4"}
    assert values["mysql"]["primary"] == {"persistence": {"size": "30Gi"}}
    assert "postgresql" not in values
    stack = stack_of({"database": {"type": "mysql", "ha": True}})
    assert "started again" in reduced(stack)["spec.database.ha"]


@pytest.mark.parametrize("operator", ["cloudnative-pg", "zalando"])
def test_an_operator_that_is_named_runs_postgresql(operator: str) -> None:
    stack = stack_of({"database": {"ha": True}, "onprem": {"operators": [operator]}})
    kinds = {one.type for one in stack.resources}
    assert "postgresql" not in {
        one.id.partition("/")[2].removeprefix("demo-")
        for one in stack.resources
        if one.type == "apps/v1 StatefulSet"
    }
    assert kinds & {"postgresql.cnpg.io/v1 Cluster", "acid.zalan.do/v1 postgresql"}
    assert "spec.database.ha" not in reduced(stack)


def test_pods_that_share_limits_have_a_cache() -> None:
    assert "redis" not in values_of({})
    assert values_of({"compute": {"instances": 2}})["redis"] == {"enabled": True}
    said = {"compute": {"instances": 2}, "cache": {"type": "memory"}}
    assert "redis" not in values_of(said)
    assert "counts alone" in reduced(stack_of(said))["spec.cache.type"]
    sized = values_of({"cache": {"type": "valkey", "size": "2Gi"}})["redis"]
    assert sized["maxMemory"] == "2048mb"
    assert sized["resources"]["limits"] == {"memory": "3072Mi"}


def test_a_queue_that_is_asked_for_is_rabbitmq() -> None:
    assert "rabbitmq" not in values_of({})
    for kind in ("native", "rabbitmq"):
        assert values_of({"queue": {"type": kind, "size": "9Gi"}})["rabbitmq"] == {
            "enabled": True,
            "persistence": {"size": "9Gi"},
        }
    redis = values_of({"queue": {"type": "redis"}})
    assert redis["redis"]["enabled"]
    assert "rabbitmq" not in redis


def test_the_storage_class_is_that_of_all_volumes() -> None:
    stack = stack_of(
        {
            "onprem": {"storage_class": "fast-ssd"},
            "queue": {"type": "rabbitmq"},
            "monitoring": {"enabled": True},
        }
    )
    found = {
        template["spec"]["storageClassName"]
        for one in objects_of(stack)
        if one["kind"] == "StatefulSet"
        for template in one["spec"].get("volumeClaimTemplates", ())
    }
    assert found == {"fast-ssd"}


# High availability and reach


def test_high_availability_in_one_word() -> None:
    stack = stack_of({"ha": True})
    values = stack.template["values"]
    assert values["replicaCount"] == 2
    assert values["minio"]["mode"] == "distributed"
    assert values["postgresql"]["replication"] == {"enabled": True, "readReplicas": 2}
    assert "takes over" in reduced(stack)["spec.database.ha"]
    assert "one server" in reduced(stack)["spec.cache.ha"]
    budgets = {one.id for one in stack.resources if "PodDisruptionBudget" in one.type}
    assert "PodDisruptionBudget/demo-api" in budgets


def test_bounds_become_an_autoscaler() -> None:
    values = values_of(
        {
            "compute": {
                "min_instances": 2,
                "max_instances": 6,
                "autoscaling": {"cpu_target": 60, "memory_target": 80},
            }
        }
    )
    assert values["autoscaling"] == {
        "enabled": True,
        "minReplicas": 2,
        "maxReplicas": 6,
        "targetCPUUtilizationPercentage": 60,
        "targetMemoryUtilizationPercentage": 80,
    }


def test_without_a_host_the_service_stays_within_the_cluster_and_that_is_said() -> None:
    stack = stack_of({})
    assert stack.openings == ()
    assert "Ingress" not in {one.type.partition(" ")[2] for one in stack.resources}
    assert (
        reduced(stack)["spec.networking.domain"]
        == "http://demo-api.demo-development.svc:8000, within the cluster"
    )


def test_a_host_is_published_over_tls_to_whom_the_spec_names() -> None:
    stack = stack_of(
        {
            "networking": {
                "domain": "data.example.com",
                "certificate": "corp-tls",
                "allowed_cidrs": ["10.0.0.0/8"],
            },
            "onprem": {"ingress_class": "nginx"},
        }
    )
    (ingress,) = (one for one in objects_of(stack) if one["kind"] == "Ingress")
    assert ingress["spec"]["tls"] == [{"hosts": ["data.example.com"], "secretName": "corp-tls"}]
    assert ingress["spec"]["ingressClassName"] == "nginx"
    (opening,) = stack.openings
    assert (opening.resource, opening.peers, opening.ports) == (
        "Ingress/demo-api",
        ("10.0.0.0/8",),
        ("443",),
    )


def test_a_host_on_openshift_is_a_route_and_pods_have_no_ids() -> None:
    stack = stack_of(
        {
            "networking": {"domain": "data.apps.example.com"},
            "onprem": {"distribution": "openshift"},
        }
    )
    objects = objects_of(stack)
    (route,) = (one for one in objects if one["kind"] == "Route")
    assert route["spec"]["host"] == "data.apps.example.com"
    assert route["spec"]["tls"]["termination"] == "edge"
    assert not [one for one in objects if one["kind"] == "Ingress"]
    assert '"runAsUser":' not in json.dumps(objects)
    assert '"fsGroup":' not in json.dumps(objects)


def test_a_certificate_by_an_issuer() -> None:
    spec = {
        "networking": {"domain": "data.example.com"},
        "onprem": {"issuer": "Issuer/corp", "operators": ["cert-manager"]},
    }
    assert values_of(spec)["ingress"]["tls"] == {"issuer": "corp", "issuerKind": "Issuer"}


def test_a_balancer_of_an_override_is_seen_by_the_rules() -> None:
    spec = {"overrides": {"onprem": {"values": {"service": {"type": "LoadBalancer"}}}}}
    deployment = deployment_of(spec)
    (found,) = (
        one for one in check(deployment, compiled(deployment)) if one.rule == "open-ingress"
    )
    assert found.where == "Service/demo-api"


# Overrides


def test_overrides_are_laid_over_and_say_where_pods_run() -> None:
    values = values_of(
        {
            "overrides": {
                "onprem": {
                    "nodeSelector": {"disk": "ssd"},
                    "tolerations": [{"key": "data", "operator": "Exists"}],
                    "podLabels": {"team": "data"},
                    "values": {
                        "imageRegistry": "registry.corp:5000",
                        "postgresql": {"settings": {"shared_buffers": "1GB"}},
                        "ldap": {"existingSecret": "ldap"},
                    },
                }
            }
        }
    )
    assert values["nodeSelector"] == {"disk": "ssd"}
    assert values["imageRegistry"] == "registry.corp:5000"
    assert values["postgresql"]["enabled"] is True
    assert values["postgresql"]["settings"] == {"shared_buffers": "1GB"}


@pytest.mark.parametrize(
    ("given", "where", "words"),
    [
        ({"nodeSelektor": {}}, "nodeSelektor", "did you mean 'nodeSelector'"),
        ({"tolerations": {}}, "tolerations", "is a list"),
        ({"values": {"imageRegistri": "x"}}, "values.imageRegistri", "did you mean"),
        ({"values": {"postgresql": {"foo": 1}}}, "values.postgresql.foo", "no such value"),
        ({"values": {"service": {"type": "X"}}}, "values.service.type", "LoadBalancer"),
        ({"values": {"settings": {"log_levl": "x"}}}, "values.settings.log_levl", "no such"),
        ({"values": {"deployment": {}}}, "values.deployment", "by the deploy itself"),
        ({"values": {"minio": {"replicas": "four"}}}, "values.minio.replicas", "integer"),
    ],
)
def test_a_wrong_override_is_told_at_its_key(given: dict[str, Any], where: str, words: str) -> None:
    with pytest.raises(UsageError) as wrong:
        stack_of({"overrides": {"onprem": given}})
    assert wrong.value.where == f"spec.overrides.onprem.{where}"
    assert words in str(wrong.value)


def test_what_a_template_refuses_is_told_in_its_words() -> None:
    with pytest.raises(UsageError, match="the service has one database") as wrong:
        stack_of({"overrides": {"onprem": {"values": {"mysql": {"enabled": True}}}}})
    assert wrong.value.where == "spec.overrides.onprem.values"


def test_a_wrong_override_is_found_before_any_plan() -> None:
    check_overrides({"values": {"ingress": {"tls": {"issuer": "x"}}, "mysql": {"enabled": True}}})
    with pytest.raises(UsageError) as wrong:
        check_overrides({"values": {"postgresql": {"imag": {"tag": "18"}}}})
    assert wrong.value.where == "spec.overrides.onprem.values.postgresql.imag"


# Refusals


@pytest.mark.parametrize(
    ("spec", "where", "words"),
    [
        ({"compute": {"type": "swarm"}}, "spec.compute.type", "export FILE --format swarm"),
        ({"onprem": {"distribution": "swarm"}}, "spec.onprem.distribution", "deploy.sh"),
        ({"compute": {"type": "lambda"}}, "spec.compute.type", "kubernetes"),
        ({"compute": {"instances": 0}}, "spec.compute.instances", "destroy"),
        ({"database": {"type": "mongodb"}}, "spec.database.type", "kept in SQL"),
        ({"database": {"type": "sqlite"}}, "spec.database.type", "shared by pods"),
        ({"database": {"version": "14"}}, "spec.database.version", "15 or newer"),
        ({"database": {"type": "mysql", "read_replicas": 1}}, "spec.database.read_replicas", "one"),
        ({"database": {"name": "Not-SQL"}}, "spec.database.name", "match"),
        ({"database": {"password": {"secretRef": "k8s:other/pg/pw"}}}, "spec.database.password",
         "another namespace"),
        ({"storage": {"type": "s3"}}, "spec.storage.type", "onprem.object_store"),
        ({"storage": {"type": "nfs"}}, "spec.storage.type", "storage_class"),
        ({"storage": {"type": "file"}}, "spec.storage.type", "nfs or local"),
        ({"cache": {"type": "memcached"}}, "spec.cache.type", "live progress"),
        ({"queue": {"type": "sqs"}}, "spec.queue.type", "AWS"),
        ({"networking": {"domain": "a.example.com"}}, "spec.networking.domain", "certificate"),
        ({"networking": {"certificate": "c"}}, "spec.networking.certificate", "networking.domain"),
        ({"monitoring": {"tracing": True}}, "spec.monitoring.tracing", "otlp_endpoint"),
        ({"image": {"pull_secret": "env:X"}}, "spec.image.pull_secret", "docker-registry"),
        ({"onprem": {"kubernetes_version": "1.18"}}, "spec.onprem.kubernetes_version", "1.19"),
    ],
)  # fmt: skip
def test_what_a_cluster_does_not_give_is_refused_with_the_way_out(
    spec: dict[str, Any], where: str, words: str
) -> None:
    with pytest.raises(TabularError) as refused:
        stack_of(spec)
    assert refused.value.where == where
    assert words in str(refused.value)
    assert refused.value.hint


def test_labels_are_those_that_kubernetes_takes() -> None:
    with pytest.raises(UsageError, match="no value of a label") as wrong:
        stack_of({}, labels={"owner": "the data team"})
    assert wrong.value.where == "metadata.labels.owner"
    stack = stack_of({}, labels={"team": "data"}, annotations={"owner": "the data team"})
    api = next(one for one in objects_of(stack) if one["metadata"]["name"] == "demo-api")
    assert api["metadata"]["labels"]["team"] == "data"
    assert api["metadata"]["annotations"]["owner"] == "the data team"


def test_values_that_the_spec_has_no_word_for_go_to_the_chart(tmp_path: Path) -> None:
    """As what `bundle load` writes for a registry of one's own."""
    digest = "sha256:" + "a" * 64
    file = tmp_path / "registry.yaml"
    file.write_text(
        "imageRegistry: registry.corp:5000/platform\n"
        f"image: {{digest: '{digest}'}}\n"
        f"postgresql: {{image: {{digest: '{digest}'}}}}\n"
        "mysql: {enabled: false}\n"
        "workers: {resources: {limits: {memory: 64Gi}}}\n"
        "ldap: {urls: ['ldaps://dc.corp'], existingSecret: ldap, bindDn: cn=x, userBase: ou=p,\n"
        "  groupBase: ou=g, roleMap: {a: admin}}\n",
        encoding="utf-8",
    )
    loaded = load(EXAMPLES / "deployment.yaml", Overrides(provider="onprem", values=file))
    stack = compiled(loaded.deployment)
    values = stack.template["values"]
    assert values["imageRegistry"] == "registry.corp:5000/platform"
    assert values["image"]["digest"] == digest
    assert values["postgresql"]["image"] == {"digest": digest}
    assert values["postgresql"]["replication"]["enabled"] is True
    images = {
        container["image"].partition("/")[0]
        for one in objects_of(stack)
        if one["kind"] in ("Deployment", "StatefulSet")
        for container in one["spec"]["template"]["spec"]["containers"]
    }
    assert images == {"registry.corp:5000"}


def test_backups_without_a_place_of_their_own_are_reduced() -> None:
    assert "spec.backup.destination" in reduced(stack_of({"backup": {"enabled": True}}))
    named = {"backup": {"enabled": True, "destination": "s3://backups/tabular"}}
    assert "spec.backup.destination" not in reduced(stack_of(named))
