"""Sign-in: who asks, what that one may do, and the record of what was decided.

principal   who asks                              scopes      what may be done; the four roles
keys        API keys                              sessions    what a sign-in gives
tokens      credentials made here

Nothing here knows HTTP; `tabular.api.gate` asks it for every request.
"""

from __future__ import annotations

from tabular.infra.auth.keys import ApiKeys, IssuedKey
from tabular.infra.auth.principal import DEFAULT_PLAN, Principal
from tabular.infra.auth.scopes import ADMIN, ROLES, SCOPES, check_scopes
from tabular.infra.auth.sessions import IssuedSession, Sessions

__all__ = [
    "ADMIN",
    "DEFAULT_PLAN",
    "ROLES",
    "SCOPES",
    "ApiKeys",
    "IssuedKey",
    "IssuedSession",
    "Principal",
    "Sessions",
    "check_scopes",
]
