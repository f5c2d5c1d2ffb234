"""What the tests of compute ask of a template."""

from __future__ import annotations

from typing import Any

import pytest

from tabular.deploy.aws.infrastructure import compute
from tabular.errors import TabularError
from tests.deploy.aws.made import wanted_of

EXISTING = {
    "network": "vpc-0a1b2c3d",
    "subnets": ["subnet-0000000a", "subnet-0000000b"],
    "public_subnets": ["subnet-0000000c", "subnet-0000000d"],
    "allowed_cidrs": ["10.0.0.0/8"],
}


def part(**spec: Any) -> dict[str, Any]:
    """The resources of compute by logical id."""
    return compute.resources(wanted_of(spec))


def made(**spec: Any) -> dict[str, Any]:
    """Their properties."""
    return {name: one["Properties"] for name, one in part(**spec).items()}


def reduced(**spec: Any) -> dict[str, str]:
    """What is given in part, by field."""
    return {one.field: one.given for one in compute.reductions(wanted_of(spec))}


def refused(error: type[TabularError], where: str, **spec: Any) -> str:
    """What is said of a spec that is refused at this field."""
    with pytest.raises(error) as caught:
        compute.resources(wanted_of(spec))
    assert caught.value.where == where
    assert caught.value.hint
    return f"{caught.value.message}; {caught.value.hint}"
