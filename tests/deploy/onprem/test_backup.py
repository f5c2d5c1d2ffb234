"""Programs of the service beside it, as Jobs of a real API server whose nodes run nothing."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tabular.deploy.onprem.backup import Inside, Patience
from tabular.deploy.onprem.cluster.session import Cluster
from tabular.errors import ConflictError, EngineError, NotFoundError, UnsupportedError
from tests.deploy.onprem.chart.cases import BUILT_IN, NAME, merged, one, render
from tests.deploy.onprem.chart.rules import selects
from tests.testbed.kube.cluster import Kube

pytestmark = pytest.mark.k8s
QUICK = Patience(pause=0.1, start=20.0, image=0.5)
KEYS = ("secret-key", "admin-key", "database-password", "storage-access-key")
CREATE = ("create", "--to", "s3://elsewhere/demo", "--passphrase", "k8s:phrase/word")


class Place:
    """A namespace that has what an API's pods mount."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self.kube, self.namespace = kube, namespace
        self.cluster = Cluster(kube.kubeconfig)

    def deploy(self, **values: Any) -> None:
        # Whose pod ends after two seconds: what it prints is written meanwhile.
        slow = {"image": {"repository": "example/slow", "tag": "2"}}
        rendered = render(
            merged(BUILT_IN, slow, values), name=NAME, namespace=self.namespace, kube_version="1.20"
        )
        wanted = [one(rendered, "ServiceAccount", NAME), one(rendered, "Deployment", f"{NAME}-api")]
        wanted += [o for o in rendered if o["kind"] in ("CronJob", "PersistentVolumeClaim")]
        for found in wanted:
            self.kube.apply(found, self.namespace)

    def secret(self, name: str, *keys: str) -> None:
        self.kube.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name},
                "stringData": dict.fromkeys(keys, "x"),
            },
            self.namespace,
        )

    def pods(self) -> list[dict[str, Any]]:
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        return self.kube.list(path, "inferloop.io/run=inside")

    def jobs(self) -> list[dict[str, Any]]:
        return self.kube.list(f"/apis/batch/v1/namespaces/{self.namespace}/jobs")

    def run(self, *arguments: str, patience: Patience = QUICK) -> list[str]:
        return list(Inside(self.cluster, NAME, self.namespace, patience).run(arguments))

    @contextlib.contextmanager
    def writing(self, text: str) -> Iterator[list[dict[str, Any]]]:
        """Let the program's pod print something; gives what its pods were."""
        seen: list[dict[str, Any]] = []

        def write() -> None:
            deadline = time.monotonic() + 30
            while not seen and time.monotonic() < deadline:
                for pod in self.pods():
                    self.kube.write_log(self.namespace, pod["metadata"]["name"], "backup", text)
                    seen.append(pod)
                time.sleep(0.01)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            yield seen
        finally:
            writer.join()


@pytest.fixture
def place(kube: Kube, kube_namespace: str) -> Place:
    found = Place(kube, kube_namespace)
    found.secret(
        "demo-secrets", *KEYS, "storage-secret-key", "storage-password", "backup-passphrase"
    )
    found.secret("phrase", "word")
    return found


def test_the_program_runs_as_the_apis_pods_do_and_its_lines_arrive(place: Place) -> None:
    place.deploy()
    with place.writing('{"level": "INFO"}\n{"id": "b1"}\n') as pods:
        lines = place.run(*CREATE)
    assert [json.loads(line) for line in lines] == [{"level": "INFO"}, {"id": "b1"}]
    (pod,) = pods
    (container,) = pod["spec"]["containers"]
    assert container["command"] == ["python", "-m", "tabular.transfer"]
    assert container["args"] == [*CREATE[:-1], "file:/run/secrets/given/0"]
    told = {entry["name"]: entry.get("value", "") for entry in container["env"]}
    assert "demo-postgresql" in told["TABULAR_DATABASE_URL"]
    assert told["TMPDIR"] == "/scratch"
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert pod["spec"]["securityContext"]["runAsNonRoot"]
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert "initContainers" not in pod["spec"]
    # The stores' policies let this component in; no Service, budget or Deployment takes the pod.
    labels = pod["metadata"]["labels"]
    assert labels["app.kubernetes.io/component"] == "backup"
    assert "pod-template-hash" not in labels
    (given,) = [v for v in pod["spec"]["volumes"] if v["name"] == "given"]
    assert given["projected"]["sources"][0]["secret"]["name"] == "phrase"
    place.kube.wait(
        f"/apis/batch/v1/namespaces/{place.namespace}/jobs", lambda found: not found["items"]
    )


def test_private_authorities_are_joined_first_there_too(place: Place) -> None:
    place.deploy(ca={"existingSecret": "corp-ca"})
    place.secret("corp-ca", "ca.crt")
    with place.writing("{}\n") as pods:
        place.run(*CREATE)
    assert [c["name"] for c in pods[0]["spec"]["initContainers"]] == ["trust"]


def test_the_place_of_the_schedule_comes_with_its_volume_and_keys(place: Place) -> None:
    place.deploy(backup={"enabled": True})
    with place.writing("{}\n") as pods:
        place.run("verify", "--from", "file:///backups", "--restore")
    (container,) = pods[0]["spec"]["containers"]
    said = ["verify", "--from", "file:///backups", "--restore"]
    assert container["args"] == [*said, "--passphrase", "file:/run/secrets/backup/passphrase"]
    volumes = {v["name"]: v for v in pods[0]["spec"]["volumes"]}
    assert volumes["backups"]["persistentVolumeClaim"]["claimName"] == "demo-backup"
    assert "/backups" in [m["mountPath"] for m in container["volumeMounts"]]
    # A volume of one node: beside a backup that runs. There was none, and it ran.
    (term,) = pods[0]["spec"]["affinity"]["podAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    assert term["topologyKey"] == "kubernetes.io/hostname"
    assert selects(term["labelSelector"], pods[0]["metadata"]["labels"])


def test_keys_that_are_said_win_over_those_of_the_schedule(place: Place) -> None:
    to = "s3://backups/demo"
    place.secret("demo-backup", "access-key-id", "secret-access-key")
    place.deploy(
        backup={
            "enabled": True,
            "logical": {"destination": to, "existingSecret": "demo-backup"},
        }
    )
    with place.writing("{}\n") as pods:
        place.run("create", "--to", to, "--passphrase", "k8s:phrase/word")
    (container,) = pods[0]["spec"]["containers"]
    assert container["args"].count("--passphrase") == 1
    at = container["args"].index("--access-key")
    assert container["args"][at + 1] == "file:/run/secrets/backup/access-key"
    assert "--secret-access-key" in container["args"]


def test_what_failed_says_its_code_and_what_it_printed_last(place: Place) -> None:
    place.deploy(image={"repository": "example/crash"})
    slow = Patience(pause=1.0, start=20.0)  # the pod ends at once, and then it is written
    with place.writing("error: the store is full\n"), pytest.raises(EngineError) as caught:
        place.run(*CREATE, patience=slow)
    assert "ended with 1" in caught.value.message
    assert "error: the store is full" in caught.value.message
    # It is left for whoever looks.
    assert [job["status"]["failed"] for job in place.jobs()] == [1]


def test_an_image_that_cannot_be_pulled_is_told_and_nothing_stays(place: Place) -> None:
    place.deploy(image={"repository": "example/missing"})
    with pytest.raises(EngineError, match=r"does not start: (ErrImagePull|ImagePullBackOff)"):
        place.run(*CREATE)
    place.kube.wait(
        f"/apis/batch/v1/namespaces/{place.namespace}/jobs", lambda found: not found["items"]
    )


def test_a_secret_that_is_not_there_is_told_long_before_the_time_is_over(place: Place) -> None:
    place.deploy()
    with pytest.raises(EngineError, match='"nobody" not found') as caught:
        place.run("create", "--to", "s3://b/c", "--passphrase", "k8s:nobody/word")
    assert caught.value.where is not None
    assert caught.value.where.startswith("Job/demo-b-")
    assert "Secret" in str(caught.value.hint)


def test_a_quota_that_lets_no_pod_in_is_told(place: Place) -> None:
    place.deploy()
    place.kube.wait(
        f"/apis/apps/v1/namespaces/{place.namespace}/deployments/demo-api",
        lambda found: found["status"].get("replicas", 0) == 1,
    )
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}}
    place.kube.apply({**quota, "spec": {"hard": {"pods": "1"}}}, place.namespace)
    place.kube.wait(
        f"/api/v1/namespaces/{place.namespace}/resourcequotas/full",
        lambda found: found.get("status", {}).get("used", {}).get("pods") == "1",
    )
    with pytest.raises(EngineError, match="exceeded quota: full"):
        place.run(*CREATE)


def test_what_a_client_that_died_began_is_followed_and_not_begun_again(place: Place) -> None:
    place.deploy()
    restore = ("restore", "--from", "s3://elsewhere/demo", "--replace")
    with place.writing("{}\n") as pods:
        dying = Inside(place.cluster, NAME, place.namespace, QUICK, sleep=die)
        with pytest.raises(KeyboardInterrupt):
            list(dying.run(restore))
        (job,) = place.jobs()
        with pytest.raises(ConflictError, match="another restore runs there") as caught:
            place.run("restore", "--from", "s3://elsewhere/demo", "20261129T020000Z-abcdef")
        assert caught.value.where == f"Job/{job['metadata']['name']}"
        followed, *lines = place.run(*restore)
    assert followed == f"Job/{job['metadata']['name']} does that already, and is followed"
    assert lines == ["{}"]
    assert [pod["metadata"]["labels"]["job-name"] for pod in pods] == [job["metadata"]["name"]]
    # Velero would make it again from its copy, and it would run again.
    for one_ in (job, *pods):
        assert one_["metadata"]["labels"]["velero.io/exclude-from-backup"] == "true"


def die(_seconds: float) -> None:
    """As a client whose terminal is closed."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("reference", ["k8s:other/phrase/word", "k8s:phrase", "k8s:phrase/"])
def test_a_secret_of_elsewhere_is_refused_before_anything_runs(
    place: Place, reference: str
) -> None:
    place.deploy()
    with pytest.raises(UnsupportedError, match="cannot be mounted"):
        place.run("create", "--to", "s3://b/c", "--passphrase", reference)
    assert place.jobs() == []


def test_where_nothing_is_deployed_it_says_so(place: Place) -> None:
    with pytest.raises(NotFoundError, match="no API of demo"):
        place.run(*CREATE)
