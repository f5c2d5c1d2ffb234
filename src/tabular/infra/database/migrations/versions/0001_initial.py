"""The first tables: keys, datasets, models, jobs, evaluations.

A migration names its own column types: what the models say tomorrow must not change what was
applied yesterday.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_TIME = sa.DateTime(timezone=True)


def _identified(table: str, *columns: sa.Column[object] | sa.Constraint) -> None:
    """A table with the order of insertion and a random id."""
    op.create_table(
        table,
        sa.Column("seq", _BIG, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("seq", name=f"pk_{table}"),
        sa.UniqueConstraint("id", name=f"uq_{table}_id"),
    )


def _made() -> tuple[sa.Column[object], sa.Column[object]]:
    return (
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("created_by", sa.String(40), nullable=False),
    )


def upgrade() -> None:
    """Make every table."""
    _identified(
        "api_keys",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("scopes", _JSON, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("revoked_at", _TIME),
        sa.Column("last_used_at", _TIME),
    )
    _datasets_and_models()
    _jobs()
    _evaluations()
    _bookkeeping()


def _datasets_and_models() -> None:
    _identified(
        "datasets",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("format", sa.String(16), nullable=False),
        sa.Column("size", _BIG, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("rows", _BIG, nullable=False),
        sa.Column("columns", _JSON, nullable=False),
        sa.Column("object_key", sa.String(512), nullable=False),
        sa.Column("preview_key", sa.String(512), nullable=False),
        sa.Column("profile_key", sa.String(512), nullable=False),
        *_made(),
    )
    _identified(
        "models",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("dataset_id", sa.String(40)),
        sa.Column("engine", sa.String(64), nullable=False),
        sa.Column("preset", sa.String(32), nullable=False),
        sa.Column("seed", _BIG, nullable=False),
        sa.Column("table_schema", _JSON),
        sa.Column("object_key", sa.String(512)),
        sa.Column("size", _BIG),
        sa.Column("sha256", sa.String(64)),
        sa.Column("details", _JSON),
        *_made(),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name="fk_models_dataset_id", ondelete="SET NULL"
        ),
    )
    op.create_index("ix_models_dataset_id", "models", ["dataset_id"])


def _jobs() -> None:
    _identified(
        "jobs",
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("params", _JSON, nullable=False),
        sa.Column("dataset_id", sa.String(40)),
        sa.Column("model_id", sa.String(40)),
        sa.Column("evaluation_id", sa.String(40)),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("max_tries", sa.Integer(), nullable=False),
        sa.Column("beat", _BIG, nullable=False),
        sa.Column("worker", sa.String(200)),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("error", _JSON),
        sa.Column("result", _JSON),
        sa.Column("not_before", _TIME),
        sa.Column("requeued_at", _TIME),
        sa.Column("started_at", _TIME),
        sa.Column("finished_at", _TIME),
        *_made(),
    )
    for column in ("dataset_id", "model_id", "evaluation_id"):
        op.create_index(f"ix_jobs_{column}", "jobs", [column])
    op.create_index("ix_jobs_status_tries_seq", "jobs", ["status", "tries", "seq"])


def _evaluations() -> None:
    _identified(
        "evaluations",
        sa.Column("dataset_id", sa.String(40), nullable=False),
        sa.Column("holdout_dataset_id", sa.String(40)),
        sa.Column("generation_job_id", sa.String(40), nullable=False),
        sa.Column("report_key", sa.String(512)),
        sa.Column("page_key", sa.String(512)),
        *_made(),
    )
    for column in ("dataset_id", "generation_job_id"):
        op.create_index(f"ix_evaluations_{column}", "evaluations", [column])


def _bookkeeping() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("seq", _BIG, autoincrement=True, nullable=False),
        sa.Column("api_key_id", sa.String(40), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_idempotency_keys"),
        sa.UniqueConstraint("api_key_id", "key", name="uq_idempotency_keys_api_key_id"),
    )
    op.create_table(
        "garbage",
        sa.Column("seq", _BIG, autoincrement=True, nullable=False),
        sa.Column("prefix", sa.String(512), nullable=False),
        sa.Column("pending", sa.Boolean(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_garbage"),
        sa.UniqueConstraint("prefix", name="uq_garbage_prefix"),
    )


def downgrade() -> None:
    """Remove every table."""
    for table in (
        "garbage",
        "idempotency_keys",
        "evaluations",
        "jobs",
        "models",
        "datasets",
        "api_keys",
    ):
        op.drop_table(table)
