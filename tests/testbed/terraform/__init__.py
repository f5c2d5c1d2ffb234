"""The real terraform binary against the real providers' schemas, without a provider registry."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import parts
from tests.testbed.terraform.extract import read_wheel
from tests.testbed.venvs import cache, venv

RUNNER = ("tf==1.2.0", "msgpack==1.2.4")
TERRAFORM_SECONDS = 120


@dataclass(frozen=True)
class Bindings:
    """The wheel whose bindings a schema is read from, and whose provider it is."""

    pinned: str
    namespace: str


PROVIDERS = {
    "aws": Bindings("cdktn-provider-aws==25.8.1", "hashicorp"),
    "helm": Bindings("cdktn-provider-helm==15.1.0", "hashicorp"),
    "kubernetes": Bindings("cdktn-provider-kubernetes==17.1.0", "hashicorp"),
}


@dataclass(frozen=True)
class Terraform:
    """A terraform that finds its providers in a mirror on this machine."""

    program: Path
    config: Path
    versions: dict[str, str]

    def environment(self) -> dict[str, str]:
        """The variables with which terraform runs; what HOME has for it does not count."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.config.parent),
            "TF_CLI_CONFIG_FILE": str(self.config),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }

    def run(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of terraform in the folder of a configuration; both outputs are one."""
        return subprocess.run(
            [str(self.program), *arguments, "-no-color"],
            cwd=folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TERRAFORM_SECONDS,
            check=False,
        )


def terraform_mirror(folder: Path, providers: Iterable[str] = ("aws",)) -> Terraform:
    """Put a mirror of providers into `folder`; their schemas are made once a machine."""
    found = shutil.which("terraform")
    if found is None:
        parts.missing("needs the program terraform, which no package registry has")
    python = venv(*RUNNER) / "python"
    versions = {}
    for name in providers:
        schema = _schema(PROVIDERS[name])
        versions[name] = json.loads(schema.with_name("version.json").read_text())
        place = _place(folder / "mirror", PROVIDERS[name].namespace, name, versions[name])
        place.parent.mkdir(parents=True)
        script = Path(__file__).with_name("provider.py")
        place.write_text(f'#!/bin/sh\nexec "{python}" "{script}" "{schema}"\n')
        place.chmod(0o755)
    config = folder / "terraform.rc"
    mirror = json.dumps(str(folder / "mirror"))
    config.write_text(f"provider_installation {{\n  filesystem_mirror {{ path = {mirror} }}\n}}\n")
    return Terraform(Path(found), config, versions)


def _place(mirror: Path, namespace: str, name: str, version: str) -> Path:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    folder = mirror / "registry.terraform.io" / namespace / name / version
    system = platform.system().lower()
    return folder / f"{system}_{machine}" / f"terraform-provider-{name}_v{version}"


def _schema(bindings: Bindings) -> Path:
    """The schema of a provider, read once from its bindings."""
    home = cache() / "terraform" / bindings.pinned.replace("==", "-")
    home.mkdir(parents=True, exist_ok=True)
    schema, version = home / "schema.json", home / "version.json"
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes start at once
        if not version.exists():
            with tempfile.TemporaryDirectory(dir=home) as scratch:
                read = read_wheel(_download(bindings.pinned, Path(scratch)))
            schema.write_text(json.dumps(read))
            version.write_text(json.dumps(read["version"]))  # last: it says that all is there
    return schema


def _download(pinned: str, folder: Path) -> Path:
    pip = [str(venv(*RUNNER) / "python"), "-m", "pip", "download", "-q", "--no-deps"]
    done = subprocess.run(
        [*pip, "-d", str(folder), pinned], capture_output=True, text=True, check=False
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        parts.missing(f"{pinned} cannot be downloaded: {done.stderr[-500:]}")
    return wheels[0]
