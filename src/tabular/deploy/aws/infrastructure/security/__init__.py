"""The key, the secrets that are generated, and a role for each program with what it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.infrastructure.security import generated, key, roles
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Part, ref
from tabular.deploy.stack import Reduction


def resources(wanted: Wanted) -> Part:
    """Key, secrets and roles.

    Raises:
        UsageError, UnsupportedError: a key or a secret that cannot be used there.
    """
    return {
        **key.resources(wanted),
        **generated.resources(wanted),
        **roles.resources(wanted),
    }


def reductions(wanted: Wanted) -> Iterator[Reduction]:
    """Nothing is given only in part."""
    yield from ()


def outputs(wanted: Wanted) -> Mapping[str, tuple[Any, str]]:
    """Where to find the administrator's key, which nobody is shown."""
    if not wanted.served:
        return {}
    return {
        "adminKey": (
            ref("AdminKey"),
            "Secret of Secrets Manager that has the administrator's API key.",
        )
    }
