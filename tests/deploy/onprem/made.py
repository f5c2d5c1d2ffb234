"""Stacks from plain data, as a file would have it, and what is in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tabular.deploy.onprem.compile import compile_stack
from tabular.deploy.onprem.rendered.rendering import Object, render
from tabular.deploy.spec import Deployment, load_text
from tabular.deploy.stack import Stack

NAME = "demo"


def deployment_of(
    spec: Mapping[str, Any], name: str = NAME, **metadata: Mapping[str, str]
) -> Deployment:
    """The deployment that a file with this ``spec`` is."""
    whole = {
        "apiVersion": "synthdata.inferloop.io/v1",
        "kind": "Deployment",
        "metadata": {"name": name, **metadata},
        "spec": {"provider": "onprem", **spec},
    }
    return load_text(json.dumps(whole)).deployment


def stack_of(spec: Mapping[str, Any], name: str = NAME, **metadata: Mapping[str, str]) -> Stack:
    """The stack that it comes to."""
    return compile_stack(deployment_of(spec, name, **metadata))


def values_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The chart's values that it comes to, without what the deployment tells of itself."""
    found = dict(stack_of(spec).template["values"])
    del found["deployment"]
    return found


def objects_of(stack: Stack, version: str = "1.30") -> tuple[Object, ...]:
    """What the stack makes on a server of a version."""
    release = stack.template["release"]
    return render(
        stack.template["values"],
        name=release["name"],
        namespace=release["namespace"],
        kube_version=version,
    )


def reduced(stack: Stack) -> dict[str, str]:
    """What is given instead, by the key of the spec."""
    return {one.field: one.given for one in stack.reductions}
