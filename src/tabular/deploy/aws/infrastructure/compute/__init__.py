"""What the API and the workers run on: one of four kinds of compute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.document import Part, ref
from tabular.deploy.aws.infrastructure.compute import fargate
from tabular.deploy.aws.wanted import Wanted
from tabular.deploy.stack import Reduction


def resources(wanted: Wanted) -> Part:
    """Resources of the kind that is wanted."""
    return fargate.resources(wanted)


def reductions(wanted: Wanted) -> Iterator[Reduction]:
    """What it gives only in part."""
    yield from ()


def outputs(wanted: Wanted) -> Mapping[str, tuple[Any, str]]:
    """Where to look for what runs."""
    return {"ClusterName": (ref("Cluster"), "Cluster of ECS that everything runs in.")}
