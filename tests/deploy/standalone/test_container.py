"""The container runtime without an engine: compose file, image recipe, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tabular.deploy.provider import ProviderOptions
from tabular.deploy.standalone.compose import DEFAULT_PORT, POSTGRES_IMAGE, USER
from tabular.deploy.standalone.container_steps import find_commands
from tabular.deploy.standalone.provider import StandaloneProvider
from tabular.errors import PreflightError, UnsupportedError, UsageError
from tests.deploy.standalone.place import Place, describe


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


def test_images_come_from_the_registry_that_the_spec_names() -> None:
    parts: dict[str, Any] = {"database": {"type": "postgresql"}, "cache": {"type": "redis"}}
    images = {"base": "mirror:5000/python:3.11", "cache": "mirror:5000/valkey@sha256:" + "0" * 64}
    template = _compile(**parts, overrides={"images": images}).template
    assert template["base"] == images["base"]
    assert template["compose"]["services"]["cache"]["image"] == images["cache"]
    assert template["compose"]["services"]["database"]["image"] == POSTGRES_IMAGE


@pytest.mark.parametrize(
    ("images", "says"),
    [
        ({"databse": "a/b:1"}, "'databse' is no image of ours"),
        ({"database": "a b"}, "'a b' is no reference"),
        ({"database": ["a"]}, "is no reference"),
        ("a/b:1", "images is a block"),
    ],
)
def test_wrong_images_are_refused(images: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        _compile(overrides={"images": images})


def test_processes_take_no_images() -> None:
    with pytest.raises(UnsupportedError, match="need no images"):
        StandaloneProvider(ProviderOptions()).compile(
            describe(overrides={"images": {"cache": "a/b:1"}})
        )
