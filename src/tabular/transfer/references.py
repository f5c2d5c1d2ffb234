"""The objects that the rows of one moment refer to: exactly those belong to a copy.

A store also holds what running jobs write and what waits to be removed. None of that counts: the
database says what exists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, select

from tabular.errors import IntegrityError, NotFoundError
from tabular.infra.database.models import Dataset, Evaluation, Job, Model
from tabular.infra.storage import ObjectInfo, ObjectStore

_COLUMNS = (
    Dataset.object_key,
    Dataset.preview_key,
    Dataset.profile_key,
    Model.object_key,
    Evaluation.report_key,
    Evaluation.page_key,
)
_MAKES_ROWS = "generate"  # what other jobs make is referred to by a row of its own


def referenced(connection: Connection) -> Iterator[str]:
    """The key of each object that some row refers to, in no order.

    Args:
        connection: in a transaction that sees one moment; see `Database.snapshot`.
    """
    for column in _COLUMNS:
        found = connection.scalars(select(column).where(column.is_not(None)))
        yield from (key for key in found if key is not None)
    results = select(Job.result).where(
        Job.kind == _MAKES_ROWS, Job.result.is_not(None), Job.expired_at.is_(None)
    )
    for result in connection.scalars(results):
        if result:
            yield from _keys_of(result)


def _keys_of(result: Mapping[str, Any]) -> list[str]:
    """The objects of generated rows: one, or those that the parts of the job wrote.

    Raises:
        IntegrityError: the row tells none; a backup without them would only look whole.
    """
    try:
        pieces = result["pieces"] if "pieces" in result else [(result["key"],)]
        return [str(key) for key, *_ in pieces]
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(
            f"a job's result names no objects: it has {', '.join(sorted(result)) or 'nothing'}",
            hint="back it up with the release that made it, or delete the job",
            code="unavailable.unknown-result",
        ) from error


def look_up(store: ObjectStore, key: str) -> ObjectInfo:
    """What a store knows of an object that must be there.

    Raises:
        IntegrityError: it is not; the platform has lost it.
    """
    try:
        return store.head(key)
    except NotFoundError as error:
        raise IntegrityError(
            f"the database refers to {key}, which the store does not have",
            where=store.where,
            hint="delete the dataset, model or job that it belonged to, or restore it first",
            code="unavailable.missing-object",
        ) from error
