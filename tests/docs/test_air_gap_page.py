"""The page on installations without internet: its commands run, in their order."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tabular.deploy.onprem.airgap import contents
from tests.deploy.onprem.airgap.bed import fill
from tests.testbed.registry import registry

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "air-gap.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent
# Tried where their parts are: tests/deploy/image, tests/deploy/onprem.
ELSEWHERE = (
    "inferloop-tabular image",
    "inferloop-tabular deploy",
    "python3 -m venv",
    "tabular/bin",
)
SPEC = (
    "apiVersion: synthdata.inferloop.io/v1\nkind: Deployment\nmetadata: {name: demo}\n"
    "spec: {provider: onprem}\n"
)


def _commands() -> list[str]:
    blocks = re.findall(r"^```console\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    return [line.removeprefix("$ ") for line in "".join(blocks).splitlines()]


def test_every_file_of_a_bundle_is_on_the_page() -> None:
    for name in (contents.CONTENTS, contents.SUMS, contents.SIGNATURE, contents.SBOM):
        assert f"`{name}`" in TEXT
    for name in ("chart", "images", contents.WHEELS):
        assert f"`{name}/`" in TEXT
    assert f"`{contents.PUBLIC_KEY}`" in TEXT


@pytest.mark.debian
@pytest.mark.slow
def test_every_command_of_the_page_runs(tmp_path: Path) -> None:
    (tmp_path / "deployment.yaml").write_text(SPEC, encoding="utf-8")
    environment = {"HOME": str(tmp_path), "PATH": f"{BIN}:{os.environ['PATH']}", "LANG": "C.UTF-8"}
    tried = 0
    with registry(tmp_path / "hub") as hub, registry(tmp_path / "site") as site:
        fill(hub)
        mirrors = f"--mirror docker.io={hub.host}/hub --mirror quay.io={hub.host}/hub --insecure"
        for command in _commands():
            if command.startswith(ELSEWHERE):
                continue
            # No image of this machine, no wheels, and a registry without a certificate.
            typed = re.sub(r"--image \S+", f"--no-wheels {mirrors}", command)
            typed = typed.replace("registry.corp:5000", site.host)
            typed = typed.replace("--ca-file corp.pem", "--insecure")
            done = subprocess.run(
                shlex.split(typed), cwd=tmp_path, env=environment, capture_output=True, text=True,
                timeout=300, check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            assert done.returncode == 0, f"{typed}\n{done.stdout}\n{done.stderr}"
            tried += 1
        assert site.tags("platform/library/postgres") == ["18.6"]
    assert tried == 11
