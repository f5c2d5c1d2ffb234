"""Large generations are split into parts that several workers do."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add them; a worker of the release before does whole jobs only, and takes no part."""
    op.add_column("jobs", sa.Column("parts", sa.Integer()))
    op.create_table(
        "job_parts",
        sa.Column("seq", _BIG, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("job_attempt", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("place", _BIG, nullable=False),
        sa.Column("start", _BIG, nullable=False),
        sa.Column("rows", _BIG, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("max_tries", sa.Integer(), nullable=False),
        sa.Column("beat", _BIG, nullable=False),
        sa.Column("worker", sa.String(200)),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("error", _JSON),
        sa.Column("result", _JSON),
        sa.Column("not_before", _TIME),
        sa.Column("requeued_at", _TIME),
        sa.Column("outage", sa.Double(), nullable=False, server_default="0"),
        sa.Column("started_at", _TIME),
        sa.PrimaryKeyConstraint("seq", name="pk_job_parts"),
        sa.UniqueConstraint("id", name="uq_job_parts_id"),
        sa.UniqueConstraint("job_id", "number", name="uq_job_parts_job_id"),
    )
    op.create_index("ix_job_parts_status_tries_place", "job_parts", ["status", "tries", "place"])


def downgrade() -> None:
    """Remove them; a job that was split is taken for lost, and done again as a whole."""
    op.drop_index("ix_job_parts_status_tries_place", "job_parts")
    op.drop_table("job_parts")
    op.drop_column("jobs", "parts")
