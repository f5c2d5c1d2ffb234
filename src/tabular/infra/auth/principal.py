"""Who asks: the one thing that keys, sessions, tokens and directories all come down to."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from tabular.errors import ForbiddenError
from tabular.infra.auth.scopes import holds, scopes_of

DEFAULT_PLAN = "default"


@dataclass(frozen=True)
class Principal:
    """Who asks.

    Attributes:
        id: of the key, or of the person; what rows name as their maker, and what limits and
            quotas count by. At most 40 characters, the same at every sign-in.
        name: what people call it.
        scopes: what it may do.
        kind: a key, or a person who signed in.
        roles: where the scopes come from, when from roles.
        groups: of the directory or identity provider, as they are called there.
        plan: which quotas hold for it.
        via: the credential of this request: ``key``, ``session`` or ``oidc``.
        session_id: of the session that this request came with.
        right_until: when the credential ends by itself, where it is a secret before a rotation.
    """

    id: str
    name: str
    scopes: frozenset[str]
    kind: Literal["key", "user"] = "key"
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    plan: str = DEFAULT_PLAN
    via: Literal["key", "session", "oidc"] = "key"
    session_id: str | None = field(default=None, compare=False)
    right_until: datetime | None = field(default=None, compare=False)

    def may(self, scope: str) -> bool:
        """Whether the scope is held; ``admin`` holds all, ``x:write`` holds ``x:read``."""
        return holds(self.scopes, scope)

    def require(self, *scopes: str) -> None:
        """Return when every scope is held.

        Raises:
            ForbiddenError: one is not; the message names it.
        """
        for scope in scopes:
            if not self.may(scope):
                who, how = "this key", "for a key with it: POST /v1/keys"
                if self.kind == "user":
                    who, how = self.name, "for a role that has it"
                raise ForbiddenError(
                    f"{who} does not have the scope {scope}",
                    hint=f"ask an administrator {how}",
                    challenge=f'error="insufficient_scope", scope="{scope}"',
                )


def person(
    source: str,
    subject: str,
    name: str,
    *,
    roles: Sequence[str],
    groups: Sequence[str],
    via: Literal["session", "oidc"],
) -> Principal:
    """A person as a principal.

    Args:
        source: who vouches: the issuer's URL, or the directory.
        subject: what `source` calls the person, for ever and nobody else.
        name: what people call the person.
        roles: already mapped to ours.
        groups: as `source` calls them.
        via: how this request signed in.
    """
    digest = hashlib.sha256(f"{source}\0{subject}".encode()).hexdigest()
    return Principal(
        id=f"usr_{digest[:20]}",
        name=name,
        scopes=scopes_of(roles),
        kind="user",
        roles=tuple(roles),
        groups=tuple(groups),
        via=via,
    )
