"""Sign-in: keys with role, plan, expiry and rotation; sessions; the record of security events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_TIME = sa.DateTime(timezone=True)


def _of_keys() -> list[sa.Column[object]]:
    return [
        sa.Column("role", sa.String(16)),
        sa.Column("plan", sa.String(64), nullable=False, server_default="default"),
        sa.Column("expires_at", _TIME),
        sa.Column("rotated_at", _TIME),
        sa.Column("previous_hash", sa.String(64)),
        sa.Column("previous_until", _TIME),
    ]


def upgrade() -> None:
    """Add the columns and tables."""
    for column in _of_keys():
        op.add_column("api_keys", column)
    _sessions()
    _audit_events()


def _sessions() -> None:
    op.create_table(
        "sign_in_sessions",
        sa.Column("seq", _BIG, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("principal_id", sa.String(40), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("key_id", sa.String(40)),
        sa.Column("roles", _JSON, nullable=False),
        sa.Column("groups", _JSON, nullable=False),
        sa.Column("plan", sa.String(64), nullable=False),
        sa.Column("client", sa.String(64), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("revoked_at", _TIME),
        sa.PrimaryKeyConstraint("seq", name="pk_sign_in_sessions"),
        sa.UniqueConstraint("id", name="uq_sign_in_sessions_id"),
    )
    for column in ("principal_id", "key_id", "expires_at"):
        op.create_index(f"ix_sign_in_sessions_{column}", "sign_in_sessions", [column])


def _audit_events() -> None:
    op.create_table(
        "audit_events",
        sa.Column("seq", _BIG, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("event", sa.String(40), nullable=False),
        sa.Column("outcome", sa.String(8), nullable=False),
        sa.Column("reason", sa.String(64)),
        sa.Column("principal_id", sa.String(40)),
        sa.Column("kind", sa.String(8)),
        sa.Column("name", sa.String(200)),
        sa.Column("resource", sa.String(200)),
        sa.Column("client", sa.String(64), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit_events"),
        sa.UniqueConstraint("id", name="uq_audit_events_id"),
    )
    op.create_index("ix_audit_events_at", "audit_events", ["at"])


def downgrade() -> None:
    """Remove them; sessions end and the record of events is lost."""
    op.drop_table("audit_events")
    op.drop_table("sign_in_sessions")
    for column in reversed(_of_keys()):
        op.drop_column("api_keys", column.name)
