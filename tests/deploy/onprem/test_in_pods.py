"""The platform where pods really run: kubelet, containerd and runc start our image."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tabular.deploy.onprem.names import secret_name
from tests.cli.command import Answer, run
from tests.testbed.kube.cluster import Kube
from tests.testbed.kube.real.images import PAUSE_IMAGE, SERVERS_IMAGE, write_archive
from tests.testbed.kube.real.machine import HERE, machine
from tests.testbed.slapd import (
    BIND_DN,
    BIND_PASSWORD,
    GROUPS,
    USERS,
    Slapd,
    password_of,
    slapd_server,
)

pytestmark = [
    pytest.mark.pods,
    pytest.mark.root,
    pytest.mark.timeout(1200),
]
NAME = "demo"
JOB_SECONDS = 120
ROWS = "\n".join(["age,kind", *(f"{20 + n % 50},{'ab'[n % 2]}" for n in range(200))])
REPOSITORY, _, TAG = SERVERS_IMAGE.rpartition(":")
SPEC = f"""
apiVersion: synthdata.inferloop.io/v1
kind: Deployment
metadata:
  name: {NAME}
spec:
  provider: onprem
  environment: dev
  compute: {{instances: 1, workers: 1, cpu: 250m, memory: 512Mi}}
  database: {{type: postgresql, size: 1Gi}}
  storage: {{type: local, size: 1Gi}}
  cache: {{type: redis, size: 64Mi}}
  security: {{ca_bundle: %(authority)s}}
  overrides:
    onprem:
      values:
        postgresql: &servers
          image: {{repository: {REPOSITORY}, tag: "{TAG}"}}
        redis: *servers
        ldap:
          urls: [%(ldaps)s]
          bindDn: {BIND_DN}
          existingSecret: directory
          userBase: {USERS}
          groupBase: {GROUPS}
          roleMap: {{"cn=tabular-admins,{GROUPS}": admin}}
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kube]:
    images = write_archive(tmp_path_factory.mktemp("images"))
    folder = tmp_path_factory.mktemp("node")
    with machine(folder, archives=[images], pause=PAUSE_IMAGE) as kube:
        yield kube


@pytest.fixture(scope="module")
def directory(node: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A directory outside the cluster, which pods reach over the node's cable."""
    folder = tmp_path_factory.mktemp("slapd")
    with slapd_server(folder, host=HERE, address=HERE) as server:
        yield server


class Deployed:
    """A deployment that a user makes with the command."""

    def __init__(self, kube: Kube, home: Path, directory: Slapd) -> None:
        self.kube = kube
        self.namespace = kube.namespace("pods")
        self._home = home
        self._spec = home / "deployment.yaml"
        authority = str(directory.ca_file)
        self._spec.write_text(SPEC % {"authority": authority, "ldaps": directory.ldaps})
        kube.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "directory", "namespace": self.namespace},
                "stringData": {"password": BIND_PASSWORD},
            }
        )

    def say(self, command: str, *arguments: str) -> Answer:
        where = ["--kubeconfig", str(self.kube.kubeconfig), "--namespace", self.namespace]
        return run(command, *arguments, *where, "--json", home=self._home, timeout=600)

    def deploy(self, *arguments: str) -> Any:
        spec = ["-c", str(self._spec), "--storage-class", "standard", "--yes", "--wait"]
        answer = self.say("deploy", *spec, "--timeout", "8m", *arguments)
        told = "\n".join(self.kube.events(self.namespace)[-20:])
        assert answer.code == 0, f"{answer.out}\n{answer.err}\n{told}"
        return answer.json

    def destroy(self, *arguments: str) -> None:
        which = ["--provider", "onprem", "--name", NAME, "--environment", "dev", "--yes"]
        answer = self.say("destroy", *which, *arguments)
        assert answer.code == 0, answer.err

    def names(self, plural: str) -> set[str]:
        found = self.kube.list(f"/api/v1/namespaces/{self.namespace}/{plural}")
        return {one["metadata"]["name"] for one in found}

    def pods(self) -> dict[str, str]:
        """The pods' names and identities."""
        found = self.kube.list(f"/api/v1/namespaces/{self.namespace}/pods")
        return {one["metadata"]["name"]: one["metadata"]["uid"] for one in found}

    def client(self) -> httpx.Client:
        """A client of the API by its Service's address, with the administrator's key."""
        base = f"/api/v1/namespaces/{self.namespace}"
        service = self.kube.api("GET", f"{base}/services/{NAME}-api")
        secret = self.kube.api("GET", f"{base}/secrets/{secret_name(NAME)}")
        key = base64.b64decode(secret["data"]["admin-key"]).decode()
        return httpx.Client(
            base_url=f"http://{service['spec']['clusterIP']}:8000",
            headers={"Authorization": f"Bearer {key}"},
            timeout=30,
            trust_env=False,
        )


def run_job(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(path, json=body)
    assert answer.is_success, answer.text
    job = dict(answer.json()["job"])
    deadline = time.monotonic() + JOB_SECONDS
    while job["status"] in ("queued", "running"):
        assert time.monotonic() < deadline, job
        time.sleep(0.2)
        job = client.get(f"/v1/jobs/{job['id']}").raise_for_status().json()
    assert job["status"] == "succeeded", job
    return job


def fit(client: httpx.Client) -> str:
    """Upload a table and learn a model of it."""
    kind = {"Content-Type": "text/csv"}
    sent = client.post("/v1/datasets", params={"name": "t.csv"}, headers=kind, content=ROWS)
    assert sent.is_success, sent.text
    wish = {"dataset_id": sent.json()["id"], "name": "m"}
    return str(run_job(client, "/v1/models", wish)["model_id"])


def generated(client: httpx.Client, model: str) -> str:
    wish = {"model_id": model, "rows": 50, "seed": 7, "format": "csv"}
    job = run_job(client, "/v1/generate", wish)
    return client.get(f"/v1/jobs/{job['id']}/result").raise_for_status().text


def test_the_command_s_pods_synthesize_a_table_and_their_data_outlive_a_destroy(
    node: Kube, directory: Slapd, tmp_path: Path
) -> None:
    deployed = Deployed(node, tmp_path, directory)
    deployed.deploy("--method", "helm")
    with deployed.client() as client:
        checks = client.get("/ready").raise_for_status().json()["checks"]
        assert {checks[name]["status"] for name in ("database", "storage", "cache", "queue")} == {
            "ok"
        }
        model = fit(client)
        rows = generated(client, model)
        person = {"username": "alice", "password": password_of("alice")}
        assert client.post("/v1/session", json=person).status_code == 201
    answer = deployed.say("doctor", "--provider", "onprem", "--name", NAME, "--user", "alice")
    told = {one["name"]: one for one in answer.json}
    assert (answer.code, [one for one in told.values() if not one["ok"]]) == (0, []), answer.out
    assert {"workers", f"directory {directory.ldaps}", "directory groups"} < set(told)
    assert f"cn=tabular-admins,{GROUPS}" in told["user alice"]["detail"]
    head, *lines = rows.splitlines()
    assert head.replace('"', "") == "age,kind"
    assert len(lines) == 50

    before = deployed.pods()
    deployed.deploy("--method", "helm")
    assert deployed.pods() == before, "nothing was to be changed"

    deployed.destroy()
    assert deployed.names("persistentvolumeclaims") == {"data-demo-postgresql-0", "demo-data"}
    deployed.deploy("--method", "helm")
    with deployed.client() as client:
        assert generated(client, model) == rows

    deployed.destroy("--delete-data")
    assert deployed.names("persistentvolumeclaims") == set()
    assert secret_name(NAME) not in deployed.names("secrets")
