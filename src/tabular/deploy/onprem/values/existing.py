"""References to Secrets of the namespace, ``k8s:NAME/KEY``: used as they are, never read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tabular.deploy.onprem.secrets.given import HERE, GivenSecret
from tabular.deploy.spec.secret import Secret
from tabular.errors import UnsupportedError, UsageError

from .wanted import Values

SCHEME = "k8s:"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_KEY = re.compile(r"[-._A-Za-z0-9]{1,253}")


def existing(secret: Secret | None, where: str, default: str) -> tuple[str, str] | None:
    """Name and key of a Secret that is there; None where the spec names none.

    Args:
        secret: of the spec.
        where: its path in the spec.
        default: the key where the reference has none.

    Raises:
        UsageError: no name or key that Kubernetes has.
        UnsupportedError: a Secret of another namespace, which no pod can read.
    """
    reference = (secret.secret_ref or "") if secret is not None else ""
    if not reference.startswith(SCHEME):
        return None
    name, _, key = reference.removeprefix(SCHEME).partition("/")
    if "/" in key:
        raise UnsupportedError(
            f"{reference} is in another namespace, and pods read Secrets of their own only",
            where=where,
            hint=f"copy it into the deployment's namespace, and say {SCHEME}NAME/KEY",
        )
    key = key or default
    if not _NAME.fullmatch(name) or not _KEY.fullmatch(key):
        raise UsageError(
            f"{reference} names no Secret", where=where, hint=f"such as {SCHEME}database/password"
        )
    return name, key


def references(secret: Secret | None, where: str, default: str) -> Values:
    """``existingSecret`` and ``existingSecretKey`` of a part of the chart; none if it has none."""
    found = existing(secret, where, default)
    return {} if found is None else {"existingSecret": found[0], "existingSecretKey": found[1]}


def given(
    secret: Secret | None, key: str, where: str, *, replaces: bool = False
) -> Iterator[GivenSecret]:
    """What the spec gives for a key of the deployment's Secret; nothing where it refers to one.

    Raises:
        UnsupportedError: a store that neither this machine nor the cluster reads.
    """
    if secret is None or (secret.secret_ref or "").startswith(SCHEME):
        return
    scheme = (secret.secret_ref or "").partition(":")[0]
    if secret.secret_ref and scheme not in HERE:
        raise UnsupportedError(
            f"a reference to {scheme} cannot be read here",
            where=where,
            hint=f"secretRef: env:NAME, file:/path, or {SCHEME}NAME/KEY in the namespace",
        )
    yield GivenSecret(key, where, secret, replaces)
