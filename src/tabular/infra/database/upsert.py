"""Add to a row, or make it: one atomic statement that also locks the row, in each dialect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import Session

from tabular.infra.database.models import Base


def add_to(
    session: Session, model: type[Base], key: Mapping[str, Any], amounts: Mapping[str, int]
) -> None:
    """Add amounts to the row of a key; the columns of a row that is new begin at zero.

    Args:
        session: the transaction; the row is locked until its end.
        model: its table, with a unique constraint on the columns of `key` and no other.
        key: column → value.
        amounts: column → what is added.
    """
    table = model.__table__
    assert isinstance(table, Table)
    values = {**key, **amounts}
    raised = {name: table.c[name] + amount for name, amount in amounts.items()}
    if session.get_bind().dialect.name in ("mysql", "mariadb"):
        session.execute(mysql.insert(table).values(values).on_duplicate_key_update(raised))
        return
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    inserted = dialect.insert(table).values(values)
    session.execute(inserted.on_conflict_do_update(index_elements=list(key), set_=raised))
