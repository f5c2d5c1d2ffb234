"""A backup keeps the objects it copies from being removed meanwhile."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tabular.infra.database.columns import Sequence

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; the release before knows nothing of it and removes as ever."""
    op.create_table(
        "holds",
        sa.Column("seq", Sequence, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_holds"),
        sa.UniqueConstraint("id", name="uq_holds_id"),
    )


def downgrade() -> None:
    """Remove it; a backup that runs is on its own."""
    op.drop_table("holds")
