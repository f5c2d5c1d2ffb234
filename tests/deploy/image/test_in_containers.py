"""The image built by a real podman, pushed to an emulator of ECR, and run from there."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tabular.version import __version__
from tests.cli.command import Answer, run
from tests.testbed.containers import podman
from tests.testbed.forward import forwarding
from tests.testbed.ministack import ACCOUNT, REGION, MiniStack, ministack_server

HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
# What the service imports of its clients, and a program of each kind.
CLIENTS = (
    "azure.identity", "boto3", "google.auth.transport.requests", "jwt", "cryptography", "psycopg",
    "minio", "opentelemetry.exporter.otlp.proto.http.trace_exporter", "pymemcache", "pymysql",
    "pyrage", "redis", "sansldap", "tabular.api.app", "tabular.worker.partition",
    "tabular.worker.function",
)  # fmt: skip


class Machine:
    """A machine with podman, which takes the emulator for AWS."""

    def __init__(self, folder: Path, variables: dict[str, str], aws: MiniStack, proxy: str) -> None:
        self._folder = folder
        registries = folder / "registries.conf"
        registries.write_text(f'[[registry]]\nlocation = "{HOST}"\ninsecure = true\n')
        self._environ = {**variables, **aws.environment()}
        # Only for what speaks with the registry: a build has to reach a package index.
        self._led = {
            "CONTAINERS_REGISTRIES_CONF": str(registries),
            "HTTP_PROXY": proxy,
            "HTTPS_PROXY": proxy,
            "NO_PROXY": "127.0.0.1",
        }

    def image(self, *words: str, led: bool = False) -> Answer:
        """Run a command of `image`."""
        more = self._led if led else {}
        return run("image", *words, home=self._folder, extra={**self._environ, **more})

    def podman(self, *words: str, led: bool = False) -> str:
        """Run podman itself."""
        environ = {**os.environ, **self._environ, **(self._led if led else {})}
        done = subprocess.run(
            ["podman", *words], env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with (
        podman() as variables,
        ministack_server(tmp_path) as aws,
        forwarding(aws.port) as proxy,
    ):
        yield Machine(tmp_path, variables, aws, proxy)


@pytest.mark.containers
@pytest.mark.root
@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_an_image_is_built_pushed_pulled_by_its_digest_and_has_all_clients(
    machine: Machine,
) -> None:
    first = machine.image("build", "--json")
    assert first.code == 0, first.err
    again = machine.image("build", "--json")
    assert again.json == first.json, "the same code is the same image"

    on_aws = ("push", "--provider", "aws", "--region", REGION, "--json")
    pushed = machine.image(*on_aws, "--yes", led=True)
    assert pushed.code == 0, pushed.err
    assert pushed.json["image"] == f"{HOST}/inferloop-tabular:{__version__}"
    nothing = machine.image(*on_aws, led=True)
    assert nothing.json == {**pushed.json, "pushed": False}

    pinned = f"{HOST}/inferloop-tabular@{pushed.json['digest']}"
    names = [f"{HOST}/inferloop-tabular:{tag}" for tag in pushed.json["tags"]]
    machine.podman("rmi", "-f", first.json["image"], *names)
    machine.podman("pull", "-q", pinned, led=True)
    code = "; ".join(f"import {name}" for name in CLIENTS)
    machine.podman("run", "--rm", "--network=none", pinned, "python", "-c", code)
    # As on Fargate: nothing may be written but what the image declares, and nobody may anything.
    hardened = ("--network=none", "--read-only", "--cap-drop=ALL", pinned)
    writes = "import os, tempfile; tempfile.TemporaryFile().write(b'x'); print(os.getuid())"
    assert machine.podman("run", "--rm", *hardened, "python", "-c", writes).strip() == "10001"
