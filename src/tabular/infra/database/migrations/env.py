"""Alembic's entry: runs inside the transaction that `migrate` opened, and nowhere else."""

from __future__ import annotations

from alembic import context

from tabular.infra.database.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    transactional_ddl=True,
    resuming=context.config.attributes.get("resuming", False),
)
context.run_migrations()
