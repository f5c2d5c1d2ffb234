"""Jobs know how long they waited for an outage, and when their result was removed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_INDEX = "ix_jobs_expired_at_finished_at"


def upgrade() -> None:
    """Add the columns; the release before leaves them as they are."""
    op.add_column("jobs", sa.Column("outage", sa.Double(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("expired_at", sa.DateTime(timezone=True)))
    op.create_index(_INDEX, "jobs", ["expired_at", "finished_at"])


def downgrade() -> None:
    """Remove them; which results were removed is forgotten."""
    op.drop_index(_INDEX, "jobs")
    op.drop_column("jobs", "expired_at")
    op.drop_column("jobs", "outage")
