"""The seed's two command lines for Kubernetes, as printed, against a real API server.

Nodes are the bed's: pods start, and no program runs in them. Deployments are looked at from many
sides; what changes or ends one comes last in its test.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Answer, run
from tests.testbed.kube.cluster import Kube, own_cluster

pytestmark = pytest.mark.k8s

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SEED = (
    "deploy --provider onprem --kubeconfig ~/.kube/config --namespace synthdata-prod "
    "--storage-class fast-ssd --enable-monitoring --enable-backup"
)
HELM = "deploy --provider onprem --method helm --values helm-values-prod.yaml --wait --timeout 15m"
AT = "--provider onprem --kubeconfig ~/.kube/config"
NAMESPACE, TARGET = "synthdata-prod", "onprem/synthdata-prod/development/tabular"
HELMS = "tabular-development"


@dataclass(frozen=True)
class Place:
    """A cluster, and a home whose kubeconfig leads to it."""

    kube: Kube
    home: Path

    def run(self, line: str, **extra: str) -> Answer:
        """Run a command line as printed, where the examples are."""
        return run(*line.split(), home=self.home, cwd=EXAMPLES, extra=extra)

    def get(self, namespace: str, plural: str, name: str, group: str = "api/v1") -> Any:
        return self.kube.api.get(f"/{group}/namespaces/{namespace}/{plural}/{name}")

    def names(self, namespace: str, plural: str, group: str = "api/v1") -> set[str]:
        found = self.kube.list(f"/{group}/namespaces/{namespace}/{plural}")
        return {one["metadata"]["name"] for one in found}

    def secret(self, namespace: str, name: str = "tabular-secrets") -> dict[str, str]:
        data = self.get(namespace, "secrets", name)["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}


@dataclass(frozen=True)
class Deployed:
    """A deployment that several tests look at, and what its first deploy answered."""

    place: Place
    first: Answer

    @property
    def key(self) -> str:
        return str(self.first.json["api_key"])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with own_cluster(tmp_path_factory.mktemp("kube"), node_grace=40) as kube:
        home = tmp_path_factory.mktemp("home")
        (home / ".kube").mkdir()
        config = home / ".kube" / "config"
        config.write_bytes(kube.kubeconfig.read_bytes())
        config.chmod(0o600)
        fast = kube.api.get("/apis/storage.k8s.io/v1/storageclasses/fast")
        kept = {key: fast[key] for key in ("provisioner", "volumeBindingMode")}
        kube.apply(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": "fast-ssd"},
                **kept,
            }
        )
        yield Place(kube, home)


@pytest.fixture(scope="module")
def seed(place: Place) -> Deployed:
    first = place.run(f"{SEED} --yes --json")
    assert first.code == 0, first.err
    return Deployed(place, first)


@pytest.fixture(scope="module")
def by_values(place: Place) -> Deployed:
    first = place.run(f"{HELM} --yes --json")
    assert first.code == 0, first.err
    return Deployed(place, first)


def helm_release(place: Place, namespace: str) -> str:
    """What Helm keeps of its releases there, as one text."""
    texts = []
    for one in place.kube.list(f"/api/v1/namespaces/{namespace}/secrets"):
        if one["type"] == "helm.sh/release.v1":
            packed = base64.b64decode(base64.b64decode(one["data"]["release"]))
            texts.append(gzip.decompress(packed).decode())
    return "\n".join(texts)


# Before anything is there


def test_a_plan_touches_nothing(place: Place) -> None:
    line = SEED.replace("deploy", "plan", 1).replace(NAMESPACE, "untouched")
    told = place.run(f"{line} --json --detailed-exitcode")
    assert told.code == 2, told.err
    plan = told.json
    assert (plan["target"], plan["empty"]) == ("onprem/untouched/development/tabular", False)
    assert {change["action"] for change in plan["changes"]} == {"create"}
    assert plan["monthly_cost"] is None
    fields = {one["field"] for one in plan["reductions"]}
    assert {"spec.networking.domain", "spec.backup.destination"} <= fields
    assert place.kube.api.get("/api/v1/namespaces/untouched") is None


def test_a_well_known_password_is_refused_in_production(place: Place) -> None:
    told = place.run(f"{HELM} --environment production --yes")
    assert told.code == 3
    assert "default-password at spec.monitoring.grafana.admin_password" in told.err
    assert "changeme" not in told.err + told.out
    assert place.kube.api.get("/api/v1/namespaces/tabular-production") is None


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (f"plan {AT} --context nowhere", 2, "--context nowhere|has no context 'nowhere'"),
        ("plan --provider onprem --kubeconfig /nowhere/config", 2, "no such kubeconfig"),
        (f"{SEED.replace('fast-ssd', 'fast-sdd')} --yes", 1, "did you mean 'fast-ssd'"),
        (f"status {AT} --name nobody", 4, "no deployment nobody"),
        ("plan --provider onprem --region eu-west-1", 3, "a cluster has namespaces"),
        ("plan --provider onprem --set spec.compute.type=swarm", 3, "--format swarm"),
        (f"plan {AT} --set spec.overrides.onprem.values.imageRegistri=x", 1, "imageRegistry"),
        ("list --provider onprem --profile x", 2, "onprem has no --profile"),
        ("list --provider standalone --namespace x", 2, "standalone has no --namespace"),
    ],
)
def test_bad_input_is_told_with_the_way_out(place: Place, line: str, code: int, words: str) -> None:
    told = place.run(line)
    assert told.code == code, told.err
    assert re.search(words, told.err), told.err
    assert "hint:" in told.err
    assert "Traceback" not in told.err


def test_a_name_that_helm_does_not_take(place: Place) -> None:
    told = place.run(f"plan {AT} --name {'x' * 54}")
    assert told.code == 1
    assert "--name: metadata.name: must have at most 53 characters" in told.err


def test_no_cluster_is_a_sentence(place: Place, tmp_path: Path) -> None:
    told = run("plan", "--provider", "onprem", home=tmp_path)
    assert told.code == 1
    assert "there is no kubeconfig" in told.err
    config = json.loads(place.kube.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    (tmp_path / "gone").write_text(json.dumps(config))
    told = run("list", "--provider", "onprem", home=tmp_path,
               extra={"KUBECONFIG": str(tmp_path / "gone")})  # fmt: skip
    assert told.code == 5
    assert "127.0.0.1:1" in told.err
    assert "hint:" in told.err


# The first command line (K19)


def test_the_seeds_flags_are_honoured(seed: Deployed) -> None:
    place = seed.place
    assert seed.first.json["deployment"] == TARGET if "deployment" in seed.first.json else True
    claims = place.kube.list(f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims")
    assert claims
    assert {one["spec"]["storageClassName"] for one in claims} == {"fast-ssd"}
    stateful = place.names(NAMESPACE, "statefulsets", "apis/apps/v1")
    assert {"tabular-postgresql", "tabular-minio", "tabular-prometheus"} <= stateful
    assert "tabular-backup" in place.names(NAMESPACE, "cronjobs", "apis/batch/v1beta1")


def test_the_key_is_shown_once_and_lies_in_the_secret_alone(seed: Deployed) -> None:
    place, key = seed.place, seed.key
    assert re.fullmatch(r"[A-Za-z0-9_-]{40,128}", key)
    assert place.secret(NAMESPACE)["admin-key"] == key
    again = place.run(f"{SEED} --yes --json")
    assert again.code == 0, again.err
    assert again.json["release"] == seed.first.json["release"]
    assert "api_key" not in again.json
    assert key not in helm_release(place, NAMESPACE)
    files = [path for path in place.home.rglob("*") if path.is_file()]
    assert not [path for path in files if key.encode() in path.read_bytes()]


def test_no_secret_is_in_what_helm_keeps(seed: Deployed) -> None:
    kept = helm_release(seed.place, NAMESPACE)
    assert '"replicaCount"' in kept or "replicas" in kept
    for name, value in seed.place.secret(NAMESPACE).items():
        assert value not in kept, name


def test_status_list_and_logs(seed: Deployed) -> None:
    place = seed.place
    status = place.run(f"status {AT} --namespace {NAMESPACE} --json")
    assert (status.code, status.json["state"]) == (0, "ready"), status.out
    assert status.json["outputs"]["internalUrl"] == f"http://tabular-api.{NAMESPACE}.svc:8000"
    assert TARGET in place.run(f"list {AT}").out
    assert place.run(f"list {AT} --namespace default --json").json == []
    pods = place.kube.list(
        f"/api/v1/namespaces/{NAMESPACE}/pods", "app.kubernetes.io/component=api"
    )
    place.kube.write_log(NAMESPACE, pods[0]["metadata"]["name"], "api", "one\ntwo\nthree\n")
    logs = place.run(f"logs {AT} --namespace {NAMESPACE} --tail 2")
    assert logs.code == 0, logs.err
    pod = re.escape(pods[0]["metadata"]["name"])
    assert re.findall(rf"^api/{pod} \| (.*)$", logs.out, re.MULTILINE) == ["two", "three"]


def test_another_key_is_made_by_the_service(seed: Deployed) -> None:
    told = seed.place.run(f"keys create ops {AT} --namespace {NAMESPACE}")
    assert told.code == 3
    assert "POST /v1/keys" in told.err
    assert seed.key not in told.err


def test_what_somebody_changed_is_drift(seed: Deployed) -> None:
    place = seed.place
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/tabular-worker"
    assert place.run(f"drift {AT} --namespace {NAMESPACE}").out == "No drift.\n"
    patch = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "tabular-worker", "namespace": NAMESPACE},
        "spec": {"replicas": 2},
    }
    place.kube.apply(patch, NAMESPACE, manager="somebody")
    found = place.run(f"drift {AT} --namespace {NAMESPACE}")
    assert found.code == 2, found.err
    assert "changed Deployment/tabular-worker" in found.out
    place.kube.apply({**patch, "spec": {"replicas": 1}}, NAMESPACE, manager="somebody")
    place.kube.wait(path, lambda one: one["spec"]["replicas"] == 1)


def test_scale_roll_back_and_destroy_keep_the_data(seed: Deployed) -> None:
    place, at = seed.place, f"{AT} --namespace {NAMESPACE}"
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/tabular-api"
    scaled = place.run(f"scale {at} --instances 2 --yes --json")
    assert scaled.code == 0, scaled.err
    assert place.kube.api.get(path)["spec"]["replicas"] == 2
    back = place.run(f"rollback {at} --yes --allow-data-loss --json")
    assert back.code == 0, back.err
    assert place.kube.api.get(path)["spec"]["replicas"] == 1
    gone = place.run(f"destroy {at} --yes")
    assert gone.code == 0, gone.err
    assert place.kube.api.get(path) is None
    assert place.names(NAMESPACE, "persistentvolumeclaims")
    assert place.secret(NAMESPACE)["admin-key"] == seed.key
    for_good = place.run(f"destroy {at} --yes --delete-data")
    assert for_good.code == 0, for_good.err
    assert "tabular-secrets" not in place.names(NAMESPACE, "secrets")


# The second command line (K20 to K26)


def test_the_values_file_is_deployed_by_helm(by_values: Deployed) -> None:
    place = by_values.place
    api = place.get(HELMS, "deployments", "tabular-api", "apis/apps/v1")
    assert api["spec"]["replicas"] == 3
    (container,) = api["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "inferloop/tabular:1.0.0"
    assert container["resources"] == {
        "limits": {"cpu": "8", "memory": "32Gi"},
        "requests": {"cpu": "4", "memory": "16Gi"},
    }
    sets = {
        one["metadata"]["name"]: one["status"].get("readyReplicas")
        for one in place.kube.list(f"/apis/apps/v1/namespaces/{HELMS}/statefulsets")
    }
    assert (sets["tabular-postgresql"], sets["tabular-minio"]) == (3, 4)
    claims = {
        one["metadata"]["name"]: one["spec"]
        for one in place.kube.list(f"/api/v1/namespaces/{HELMS}/persistentvolumeclaims")
    }
    asked = {name: one["resources"]["requests"]["storage"] for name, one in claims.items()}
    assert asked["tabular-data"] == "1Ti"
    assert claims["tabular-data"]["storageClassName"] == "fast-ssd"
    assert sorted(asked.values()).count("250Gi") == 4
    assert sorted(asked.values()).count("100Gi") == 3
    prometheus = place.get(HELMS, "statefulsets", "tabular-prometheus", "apis/apps/v1")
    assert "--storage.tsdb.retention.time=30d" in json.dumps(prometheus)


def test_the_password_of_the_file_is_in_the_secret_and_nowhere_else(by_values: Deployed) -> None:
    place = by_values.place
    assert place.secret(HELMS)["grafana-password"] == "changeme"
    assert "changeme" not in helm_release(place, HELMS)
    told = place.run(f"{HELM} --yes")
    assert told.code == 0, told.err
    assert "default-password" in told.out + told.err
    assert "changeme" not in told.out + told.err


def test_kubeconfig_of_the_environment_is_honoured(by_values: Deployed, tmp_path: Path) -> None:
    config = str(by_values.place.kube.kubeconfig)
    told = run("list", "--provider", "onprem", "--json", home=tmp_path,
               extra={"KUBECONFIG": config})  # fmt: skip
    assert told.code == 0, told.err
    assert any("tabular-development" in json.dumps(one) for one in told.json)


# Rights


def test_the_printed_roles_are_enough_to_deploy(place: Place, tmp_path: Path) -> None:
    from ruamel.yaml import YAML

    namespace = place.kube.namespace("team")
    config = place.kube.user(tmp_path, namespace, [])
    account = config.name.removesuffix(".kubeconfig")
    flags = f"--namespace {namespace} --name small --method manifests"
    denied = place.run(f"deploy --provider onprem --kubeconfig {config} {flags} --yes")
    assert denied.code in (1, 3)
    assert "these credentials may not" in denied.err
    assert "onprem rbac" in denied.err
    told = place.run(f"onprem rbac {flags} --service-account {namespace}/{account}")
    assert told.code == 0, told.err
    for one in YAML(typ="safe").load_all(told.out):
        place.kube.apply(one, one["metadata"].get("namespace"))
    done = place.run(f"deploy --provider onprem --kubeconfig {config} {flags} --yes --json")
    assert done.code == 0, done.err
    assert done.json["state"] == "ready"
    status = place.run(f"status --provider onprem --kubeconfig {config} --namespace {namespace}")
    assert status.code == 0, status.err


def test_the_url_of_another_database_follows_the_spec(place: Place) -> None:
    namespace = place.kube.namespace("external")
    line = (
        f"deploy {AT} --namespace {namespace} --name other --method manifests --yes --json "
        "--set spec.database.type=external --set spec.database.url=env:DB_URL"
    )
    first = place.run(line, DB_URL="postgresql+psycopg://u:one-secret@db.corp/d")
    assert first.code == 0, first.err
    assert place.secret(namespace, "other-secrets")["database-url"].endswith("one-secret@db.corp/d")
    assert "one-secret" not in first.out + first.err
    missing = place.run(line)
    assert missing.code == 1
    assert "DB_URL is not set" in missing.out
    second = place.run(line, DB_URL="postgresql+psycopg://u:two-secret@db.corp/d")
    assert second.code == 0, second.err
    assert place.secret(namespace, "other-secrets")["database-url"].endswith("two-secret@db.corp/d")
