"""Tells before the work begins that it would fail, from what is recorded of a table or model.

A service answers long before a job reads the table again: names, types and roles of the columns
are all it has then, and enough to refuse most of what cannot be done.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tabular.errors import InputError, TableError
from tabular.synth.conditions import Where, parse_where, schema_conditions
from tabular.synth.encoding import is_learnable, plain
from tabular.synth.prepare import require_rows
from tabular.synth.schema import TableSchema

_DICTIONARY = re.compile(r"dictionary<values=(.+), indices=\w+, ordered=\d>")
_ZONED = re.compile(r"timestamp\[(\w+), tz=(.+)\]")
_DECIMAL = re.compile(r"decimal(128|256)\((\d+), (-?\d+)\)")

Described = Sequence[Mapping[str, Any]]
"""Columns as recorded: ``name``, ``type`` as Arrow writes it, ``role``, maybe ``problem``."""


def obstacle(column: pa.ChunkedArray) -> str | None:
    """Why a model cannot learn a column, None if it can."""
    if not is_learnable(column.type):
        return f"type {column.type} cannot be synthesized"
    values = plain(column)
    if pa.types.is_floating(values.type) and pc.any(pc.is_inf(values)).as_py():
        return "holds infinite values"
    return None


def check_fit(rows: int, columns: Described, given: TableSchema) -> None:
    """Refuses a fit that would fail.

    Args:
        rows: of the table.
        columns: of the table.
        given: what the user says of the columns.

    Raises:
        TableError: too few rows, or columns that cannot be learned.
        InputError: the schema does not fit the table.
    """
    require_rows(rows)
    for column in columns:
        if column.get("problem"):
            raise TableError(
                f"column {column['name']!r} {column['problem']}",
                hint="change or drop the column, and upload the table again",
            )
    schema = _arrow(columns)
    given.check(schema)
    schema_conditions(given, schema)


def check_where(where: Where, columns: Described) -> None:
    """Refuses conditions that no sample could take.

    Args:
        where: the conditions.
        columns: of the model.

    Raises:
        InputError: an unknown column, one that is made afresh, an operator or a value that its
            type has not.
    """
    made = {column["name"] for column in columns if column["role"] in ("id", "text")}
    for condition in parse_where(where, _arrow(columns)):
        if condition.column in made:
            raise InputError(
                f"{condition.text!r}: column {condition.column!r} is made afresh, "
                "not drawn from the data",
                hint="conditions are for columns whose role is not id or text",
            )


def _arrow(columns: Described) -> pa.Schema:
    return pa.schema([(column["name"], _type(str(column["type"]))) for column in columns])


def _type(written: str) -> pa.DataType:
    """The type that Arrow writes like this; null for one that no column of a model has."""
    if match := _DICTIONARY.fullmatch(written):
        return _type(match[1])
    if match := _ZONED.fullmatch(written):
        return pa.timestamp(match[1], match[2])
    if match := _DECIMAL.fullmatch(written):
        make = pa.decimal128 if match[1] == "128" else pa.decimal256
        return make(int(match[2]), int(match[3]))
    try:
        return pa.type_for_alias(written)
    except ValueError:
        return pa.null()
