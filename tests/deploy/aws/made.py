"""What a few lines of a spec come to on AWS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tabular.deploy.aws.compile import compile_stack, target_of, wanted
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.spec import Deployment
from tabular.deploy.stack import Stack
from tabular.errors import TabularError

REGION = "eu-west-1"


def deployment_of(spec: Mapping[str, Any], name: str = "demo") -> Deployment:
    """A deployment on AWS."""
    return Deployment.from_canonical(
        {
            "apiVersion": "synthdata.inferloop.io/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {"provider": "aws", **spec},
        }
    )


def wanted_of(spec: Mapping[str, Any], name: str = "demo", region: str = REGION) -> Wanted:
    """The spec with everything filled in."""
    deployment = deployment_of(spec, name)
    return wanted(deployment, target_of(deployment, region))


def stack_of(spec: Mapping[str, Any], name: str = "demo", region: str = REGION) -> Stack:
    """The whole stack."""
    return compile_stack(deployment_of(spec, name), region)


def refusal(error: type[TabularError], where: str, make: Callable[[], object]) -> str:
    """What is said of a spec that is refused at this place, with what to do about it."""
    with pytest.raises(error) as caught:
        make()
    assert caught.value.where == where
    assert caught.value.hint
    return f"{caught.value.message}; {caught.value.hint}"
