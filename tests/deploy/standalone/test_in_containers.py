"""The platform in real containers: API, worker, PostgreSQL and Valkey under podman."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tabular.deploy.provider import ProviderOptions, State
from tabular.deploy.standalone.ports import free_port
from tabular.deploy.standalone.provider import StandaloneProvider
from tabular.errors import ApplyError
from tests.deploy.standalone.place import describe
from tests.testbed.containers import POSTGRES_IMAGE, podman

ROWS = "\n".join(["age,kind", *(f"{20 + n % 50},{'ab'[n % 2]}" for n in range(200))])
JOB_TIMEOUT = 120.0


@pytest.fixture
def boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandaloneProvider]:
    with podman() as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        options = ProviderOptions(home=tmp_path / "home", runtime="container")
        provider = StandaloneProvider(options, ready_timeout=120)
        yield provider
        for status in provider.engine.list():
            list(provider.engine.destroy(status.target, delete_data=True))


class Boxed:
    """One deployment in containers."""

    def __init__(self, provider: StandaloneProvider) -> None:
        self.provider = provider
        self.port = free_port()
        self.target = provider.target(describe("boxed"))

    def deploy(self, workers: int, **settings: str) -> None:
        images = {"database": POSTGRES_IMAGE}
        spec = describe(
            "boxed",
            compute={"workers": workers},
            database={"type": "postgresql"},
            cache={"type": "redis"},
            overrides={"port": self.port, "images": images, "settings": settings},
        )  # fmt: skip
        engine = self.provider.engine
        list(engine.apply(engine.preview(self.provider.compile(spec))))

    def client(self) -> httpx.Client:
        key = self.provider.engine.issue_api_key(self.target, "admin", only_first=False)
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {key}"},
            timeout=30,
            trust_env=False,
        )


def _run_job(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Submit a job and wait for its end."""
    answer = client.post(path, json=body)
    assert answer.is_success, answer.text
    job = answer.json()["job"]
    deadline = time.monotonic() + JOB_TIMEOUT
    while job["status"] in ("queued", "running"):
        assert time.monotonic() < deadline, job
        time.sleep(0.2)
        job = client.get(f"/v1/jobs/{job['id']}").json()
    assert job["status"] == "succeeded", job
    return dict(job)


def _generated(client: httpx.Client, model: str) -> bytes:
    wish = {"model_id": model, "rows": 50, "seed": 7, "format": "csv"}
    job = _run_job(client, "/v1/generate", wish)
    return client.get(f"/v1/jobs/{job['id']}/result").raise_for_status().content


def _podman(*words: str) -> str:
    argv = ["podman", *words]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def _container(name: str) -> str:
    """Id and start of a container."""
    return _podman("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", name)


@pytest.mark.containers
@pytest.mark.root
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_containers_deploy_work_update_fail_roll_back_and_go(boxes: StandaloneProvider) -> None:
    boxed, engine = Boxed(boxes), boxes.engine
    boxed.deploy(1)
    target = boxed.target
    first = engine.status(target)
    assert first.state is State.READY, first.detail
    assert engine.drift(target) == ()
    with boxed.client() as client:
        checks = client.get("/ready").json()["checks"]
        assert {name: checks[name]["status"] for name in checks} == dict.fromkeys(checks, "ok")
        assert checks.keys() >= {"database", "storage", "cache", "queue"}
        kind = {"Content-Type": "text/csv"}
        sent = client.post("/v1/datasets", params={"name": "t.csv"}, headers=kind, content=ROWS)
        assert sent.is_success, sent.text
        fit = _run_job(client, "/v1/models", {"dataset_id": sent.json()["id"], "name": "m"})
        rows = _generated(client, fit["model_id"])
        assert len(rows.splitlines()) == 51
        assert client.get("/v1/datasets", headers={"Authorization": "Bearer x"}).status_code == 401

        for name in ("api", "worker-0"):
            _podman("healthcheck", "run", f"inferloop-development-boxed-{name}")

        database = _container("inferloop-development-boxed-database")
        boxed.deploy(2)
        assert _container("inferloop-development-boxed-database") == database, "it serves both"
        second = engine.status(target)
        assert second.release != first.release
        assert {r.id: r.state for r in second.resources}["worker-1"] == "running"
        assert _generated(client, fit["model_id"]) == rows

        serving = _container("inferloop-development-boxed-api")
        with pytest.raises(ApplyError, match="TABULAR_PLANS") as caught:
            boxed.deploy(2, plans="/nowhere/plans.json")
        assert caught.value.rolled_back
        assert engine.status(target).release == second.release
        assert client.get("/health").json()["release"] == second.release

        assert _container("inferloop-development-boxed-api") == serving, "it was never touched"

        # Somebody tidies up; the containers that run keep the image, without its name.
        image = _podman("inspect", "--format", "{{.ImageName}}", serving.split()[0]).strip()
        _podman("untag", image)
        list(engine.rollback(engine.preview_rollback(target)))
        assert _podman("image", "ls", "-q", image), "it was built again"
        assert engine.status(target).release == first.release
        assert client.get("/health").json()["release"] == first.release
        assert _generated(client, fit["model_id"]) == rows
    assert any("ready" in line.text for line in engine.logs(target, follow=False, tail=50))

    list(engine.destroy(target, delete_data=False))
    assert engine.status(target).state is State.RETAINED
    boxed.deploy(1)
    with boxed.client() as client:
        assert _generated(client, fit["model_id"]) == rows
    list(engine.destroy(target, delete_data=True))
    assert engine.list() == ()
    assert "inferloop-development-boxed" not in _podman("volume", "ls", "-q")
