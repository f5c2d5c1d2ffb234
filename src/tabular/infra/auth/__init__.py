"""Sign-in: who asks, what that one may do, and the record of what was decided.

principal      who asks                          scopes          what may be done; the four roles
authenticator  whose credential this is          tokens          credentials made here
keys           API keys                          sessions        what a sign-in gives
bootstrap      the key that a deployment brings
oidc           tokens of identity providers      provider_keys   their public keys, kept
directory      LDAP and Active Directory         ldap_…          connections, filters, pool
attempts       guessing made slow                audit           the record

Nothing here knows HTTP; `tabular.api.gate` asks it for every request.
"""

from __future__ import annotations

from tabular.infra.auth.attempts import Attempts
from tabular.infra.auth.audit import AuditTrail
from tabular.infra.auth.authenticator import Authenticator
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
    "Attempts",
    "AuditTrail",
    "Authenticator",
    "IssuedKey",
    "IssuedSession",
    "Principal",
    "Sessions",
    "check_scopes",
]
