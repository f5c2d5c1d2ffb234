"""What each principal does on each day is counted, and submissions are weighed against quotas."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tabular.infra.database.columns import Sequence

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_COUNTS = ("rows", "jobs", "bytes_uploaded", "bytes_downloaded", "bytes_stored")
_INDEXES = (
    ("ix_jobs_created_by_status", "jobs", ["created_by", "status"]),
    ("ix_datasets_created_by", "datasets", ["created_by"]),
    ("ix_models_created_by", "models", ["created_by"]),
)


def upgrade() -> None:
    """Add the tables; what the release before does meanwhile is not counted."""
    op.create_table(
        "usage_days",
        sa.Column("seq", Sequence, autoincrement=True, nullable=False),
        sa.Column("principal_id", sa.String(40), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        *(sa.Column(name, Sequence, nullable=False) for name in _COUNTS),
        sa.PrimaryKeyConstraint("seq", name="pk_usage_days"),
        sa.UniqueConstraint("principal_id", "day", name="uq_usage_days_principal_id"),
    )
    op.create_index("ix_usage_days_day", "usage_days", ["day"])
    op.create_table(
        "usage_accounts",
        sa.Column("seq", Sequence, autoincrement=True, nullable=False),
        sa.Column("principal_id", sa.String(40), nullable=False),
        sa.Column("weighed", Sequence, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_usage_accounts"),
        sa.UniqueConstraint("principal_id", name="uq_usage_accounts_principal_id"),
    )
    op.create_table(
        "usage_reservations",
        sa.Column("seq", Sequence, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("principal_id", sa.String(40), nullable=False),
        sa.Column("rows", Sequence, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_usage_reservations"),
        sa.UniqueConstraint("id", name="uq_usage_reservations_id"),
    )
    op.create_index("ix_usage_reservations_principal_id", "usage_reservations", ["principal_id"])
    for name, table, columns in _INDEXES:
        op.create_index(name, table, columns)


def downgrade() -> None:
    """Remove them; what was used is forgotten."""
    for name, table, _ in reversed(_INDEXES):
        op.drop_index(name, table)
    for table in ("usage_reservations", "usage_accounts", "usage_days"):
        op.drop_table(table)
