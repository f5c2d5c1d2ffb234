"""``TABULAR_ADMIN_KEY`` made good: in the database, in the record, and said in one line."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from tabular.infra.auth.audit import KEY_CREATED, KEY_REVOKED, Asked, AuditTrail
from tabular.infra.auth.bootstrap import NAME, bring
from tabular.infra.config import Settings
from tabular.infra.database import Database


def bring_admin_key(settings: Settings, database: Database) -> str | None:
    """Register the administrator's key of the settings.

    Returns:
        What there is to say of it; None when there is no such key or nothing changed.

    Raises:
        UnavailableError: the database does not answer.
    """
    if settings.admin_key is None:
        return None
    secret = settings.secret_key.get_secret_value()
    brought = bring(database, secret, settings.admin_key.get_secret_value(), datetime.now(UTC))
    if brought.made:
        _record(settings, database, KEY_CREATED, brought.id)
        for key_id in brought.replaced:
            _record(settings, database, KEY_REVOKED, key_id)
        ended = ", instead of " + ", ".join(brought.replaced) if brought.replaced else ""
        return f"the administrator's key {NAME!r} is {brought.id}{ended}"
    if not brought.usable:
        return (
            f"TABULAR_ADMIN_KEY is the key {brought.id}, which was revoked or replaced and stays "
            "so; give it another value"
        )
    return None


def _record(settings: Settings, database: Database, event: str, key_id: str) -> None:
    asked = Asked("TABULAR_ADMIN_KEY", key_id, "console", secrets.token_hex(12))
    trail = AuditTrail(database, retention=settings.audit_retention())
    trail.record(event, asked, name=NAME, resource=key_id)
