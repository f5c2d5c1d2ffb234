"""What a cluster's refusals mean, in our words: whose fault, where, and the way out.

A server answers with a `Status` object; the sentences in it are for people who know Kubernetes,
and say nothing of what to type next.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tabular.errors import (
    ConflictError,
    EngineError,
    ForbiddenError,
    NotFoundError,
    TabularError,
    UnavailableError,
)

# "conflict with "kubectl-edit" using apps/v1"; newer servers add the subresource and the time.
_OWNER = re.compile(r'conflicts? with "(?P<manager>[^"]*)"')
_QUOTA = ("exceeded quota", "must specify limits", "must specify requests", "failed quota")


class OwnedElsewhereError(ConflictError):
    """Another field manager owns fields that were to be set.

    Args:
        owners: manager and field, as the server names them.
    """

    code = "conflict.owned"

    def __init__(self, where: str, owners: tuple[tuple[str, str], ...]) -> None:
        self.owners = owners
        said = "; ".join(f"{field} belongs to {manager}" for manager, field in owners)
        super().__init__(
            f"somebody else set what the plan would change: {said}",
            where=where,
            hint="put what they set into the spec, or undo their change, and plan again; "
            "--force-conflicts takes the fields over",
        )


class UnprocessableError(EngineError):
    """The server refuses an object as it is written.

    Args:
        causes: field and sentence of each fault.
        immutable: the object could be made anew with these fields, and not be changed to them.
    """

    code = "engine.invalid"

    def __init__(
        self, message: str, where: str, causes: tuple[tuple[str, str], ...], *, immutable: bool
    ) -> None:
        super().__init__(
            message, where=where, hint="the words are the cluster's own: mend what they name"
        )
        self.causes = causes
        self.immutable = immutable


class TerminatingError(ConflictError):
    """The namespace is on its way out."""

    code = "conflict.terminating"


def refused(status: int, body: Mapping[str, Any], doing: str) -> TabularError:
    """The error of ours for an answer of a cluster.

    Args:
        status: of HTTP.
        body: the ``Status`` object, empty if there was none.
        doing: verb and object, e.g. ``patch deployments demo/demo-api``.
    """
    said = str(body.get("message") or f"HTTP {status}")
    causes = tuple(
        (str(one.get("field", "")), str(one.get("message", "")))
        for one in (body.get("details") or {}).get("causes", ())
    )
    if status == 403:
        return _forbidden(said, doing)
    if status == 409:
        return _conflict(said, body.get("reason", ""), causes, doing)
    if status == 422 or _untyped(said):
        return UnprocessableError(said, doing, causes, immutable=_immutable(said, causes))
    if status in (410, 429) or status >= 500:
        return UnavailableError(
            f"the cluster did not answer after several tries: HTTP {status}: {said[:300]}",
            where=doing,
            hint="wait a minute and run the command again; it goes on where it was",
            code="unavailable.expired" if status == 410 else None,
        )
    if status == 404:
        return NotFoundError(said, where=doing)
    hint = "the words are the cluster's own: mend what they name, and run the command again"
    return EngineError(said, where=doing, hint=hint, code=f"engine.kubernetes-{status}")


def _conflict(
    said: str, reason: str, causes: tuple[tuple[str, str], ...], doing: str
) -> ConflictError:
    owners = tuple(
        (found["manager"], field) for field, message in causes if (found := _OWNER.search(message))
    )
    if owners:
        return OwnedElsewhereError(doing, owners)
    taken = reason == "AlreadyExists"
    hint = "it was made meanwhile" if taken else "it was changed meanwhile"
    code = "conflict.exists" if taken else "conflict.changed"
    return ConflictError(said, where=doing, hint=f"{hint}: run the command again", code=code)


def _forbidden(said: str, doing: str) -> TabularError:
    if any(word in said for word in _QUOTA):
        return EngineError(
            said,
            where=doing,
            hint="`kubectl describe resourcequota` in the namespace shows what is used; ask for "
            "more, or ask for less in the spec",
            code="engine.quota",
        )
    if "is being terminated" in said:
        return TerminatingError(
            said, where=doing, hint="wait until the namespace is gone, and run the command again"
        )
    if "violates PodSecurity" in said:
        return EngineError(
            said,
            where=doing,
            hint="the namespace enforces a Pod Security level; the chart keeps to `restricted`: "
            "look for overrides that do not",
            code="engine.pod-security",
        )
    return ForbiddenError(
        f"these credentials may not: {said}",
        where=doing,
        hint="`inferloop-tabular onprem rbac` prints the role that a deployer needs",
    )


def _untyped(said: str) -> bool:
    """Whether a field has another type than its kind says; 1.20 calls that its own fault (500)."""
    return "failed to create typed" in said or "failed to convert" in said


def _immutable(said: str, causes: tuple[tuple[str, str], ...]) -> bool:
    words = (said, *(message for _, message in causes))
    return any(
        sign in text.lower()
        for text in words
        for sign in ("immutable", "updates to statefulset spec for fields other than",
                     "may not change once set", "primary clusterip")
    )  # fmt: skip
