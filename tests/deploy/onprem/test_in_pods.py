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
from tabular.deploy.onprem.rendering import render
from tests.testbed.containers import POSTGRES_IMAGE
from tests.testbed.kube.cluster import Kube
from tests.testbed.kube.real.images import PAUSE_IMAGE, write_archive
from tests.testbed.kube.real.machine import machine

pytestmark = [
    pytest.mark.pods,
    pytest.mark.root,
    pytest.mark.timeout(900),
]
NAME = "demo"
READY_SECONDS = 180
JOB_SECONDS = 120
ROWS = "\n".join(["age,kind", *(f"{20 + n % 50},{'ab'[n % 2]}" for n in range(200))])


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kube]:
    images = write_archive(tmp_path_factory.mktemp("images"))
    folder = tmp_path_factory.mktemp("node")
    with machine(folder, archives=[images], pause=PAUSE_IMAGE) as kube:
        yield kube


def values() -> dict[str, Any]:
    repository, _, tag = POSTGRES_IMAGE.rpartition(":")
    return {
        "environment": "dev",
        "persistence": {"enabled": True, "sameNode": True, "size": "1Gi"},
        "postgresql": {"enabled": True, "image": {"repository": repository, "tag": tag}},
    }


def wait_for_pods(kube: Kube, namespace: str) -> None:
    """Return once all deployments and stateful sets are ready."""
    base = f"/apis/apps/v1/namespaces/{namespace}"
    deadline = time.monotonic() + READY_SECONDS
    while True:
        sets = kube.list(f"{base}/deployments") + kube.list(f"{base}/statefulsets")
        waits = [
            one["metadata"]["name"]
            for one in sets
            if one["status"].get("readyReplicas", 0) < one["spec"]["replicas"]
        ]
        if not waits:
            return
        told = "\n".join(kube.events(namespace)[-20:])
        assert time.monotonic() < deadline, f"not ready: {waits}\n{told}"
        time.sleep(0.5)


def client_of(kube: Kube, namespace: str) -> httpx.Client:
    """A client of the API by its Service's address, with the key from the secret."""
    service = kube.api("GET", f"/api/v1/namespaces/{namespace}/services/{NAME}-api")
    secret = kube.api("GET", f"/api/v1/namespaces/{namespace}/secrets/{secret_name(NAME)}")
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


def test_the_chart_s_pods_start_and_synthesize_a_table(node: Kube, tmp_path: Path) -> None:
    namespace = node.namespace("chart")
    for one in render(values(), name=NAME, namespace=namespace, kube_version="1.20"):
        node.apply(one, namespace)
    wait_for_pods(node, namespace)
    with client_of(node, namespace) as client:
        checks = client.get("/ready").raise_for_status().json()["checks"]
        assert {checks[name]["status"] for name in ("database", "storage", "queue")} == {"ok"}
        kind = {"Content-Type": "text/csv"}
        sent = client.post("/v1/datasets", params={"name": "t.csv"}, headers=kind, content=ROWS)
        assert sent.is_success, sent.text
        wish = {"dataset_id": sent.json()["id"], "name": "m"}
        fit = run_job(client, "/v1/models", wish)
        wish = {"model_id": fit["model_id"], "rows": 50, "seed": 7, "format": "csv"}
        job = run_job(client, "/v1/generate", wish)
        rows = client.get(f"/v1/jobs/{job['id']}/result").raise_for_status().text.splitlines()
    assert rows[0].replace('"', "") == "age,kind", rows[0]
    assert len(rows) == 51
