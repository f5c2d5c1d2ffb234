"""Jobs know the trace that they are part of; workers give signs of life."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tabular.infra.database.columns import Sequence

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both; the release before leaves them as they are."""
    op.add_column("jobs", sa.Column("traceparent", sa.String(64)))
    op.create_table(
        "workers",
        sa.Column("seq", Sequence, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_workers"),
        sa.UniqueConstraint("name", name="uq_workers_name"),
    )


def downgrade() -> None:
    """Remove them; traces of jobs that wait are cut in two."""
    op.drop_table("workers")
    op.drop_column("jobs", "traceparent")
