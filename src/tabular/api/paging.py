"""Lists, page by page, newest first, stable while rows are added and removed."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query
from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

Row = TypeVar("Row")

DEFAULT, LARGEST = 50, 500


class Page:
    """Which part of a list is asked for."""

    def __init__(
        self,
        limit: Annotated[int, Query(ge=1, le=LARGEST)] = DEFAULT,
        cursor: Annotated[
            str | None, Query(pattern=r"^[0-9]{1,18}$", description="`next` of the page before.")
        ] = None,
    ) -> None:
        self.limit = limit
        self.before = int(cursor) if cursor is not None else None

    def of(
        self, session: Session, query: Select[Row], seq: InstrumentedAttribute[int]
    ) -> tuple[list[Row], str | None]:
        """The rows of this page, and the cursor of the next."""
        if self.before is not None:
            query = query.where(seq < self.before)
        rows: list[Any] = list(session.scalars(query.order_by(seq.desc()).limit(self.limit + 1)))
        more = len(rows) > self.limit
        rows = rows[: self.limit]
        return rows, str(rows[-1].seq) if more else None


Paged = Annotated[Page, Depends()]
