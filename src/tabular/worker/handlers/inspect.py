"""Reads an uploaded table from end to end, once, and keeps what people ask about it.

A preview and a profile would otherwise load the table again for each request.
"""

from __future__ import annotations

import math
from datetime import date, datetime, time
from typing import Any

import pyarrow as pa

from tabular.errors import TableError, TooLargeError
from tabular.synth.foresight import obstacle
from tabular.synth.profile import profile
from tabular.worker.handlers.bench import Workbench
from tabular.worker.wire import Task

PREVIEW_ROWS = 100
PREVIEW_CELLS = 100_000
MAX_COLUMNS = 10_000


def inspect(task: Task, bench: Workbench) -> dict[str, Any]:
    """Check that the object is a table; keep its preview and its profile.

    Raises:
        TableError: it cannot be read, or has no rows.
        TooLargeError: too many columns.
    """
    table = bench.table(task)
    if table.num_rows == 0:
        raise TableError(
            "the table has no rows", where=task["name"], hint="upload a file with data rows"
        )
    if table.num_columns > MAX_COLUMNS:
        raise TooLargeError(f"{table.num_columns} columns; at most {MAX_COLUMNS} are allowed")
    if any("\0" in name for name in table.column_names):
        raise TableError("the name of a column contains NUL", where=task["name"])
    found = profile(table).to_dict()
    roles = {column["name"]: column["role"] for column in found["columns"]}
    preview = bench.keep_json(f"{task['folder']}/preview.json", _preview(table))
    described = bench.keep_json(f"{task['folder']}/profile.json", found)
    return {
        "rows": table.num_rows,
        "columns": [
            {
                "name": field.name,
                "type": str(field.type),
                "role": roles[field.name],
                "problem": obstacle(table[field.name]),
            }
            for field in table.schema
        ],
        "preview_key": preview.key,
        "profile_key": described.key,
    }


def _preview(table: pa.Table) -> dict[str, Any]:
    rows = max(1, min(PREVIEW_ROWS, PREVIEW_CELLS // table.num_columns))
    head = table.slice(0, rows)
    columns = [[_plain(value) for value in _cells(column)] for column in head.columns]
    return {
        "columns": table.column_names,
        "rows": [list(row) for row in zip(*columns, strict=True)],
    }


def _cells(column: pa.ChunkedArray) -> list[Any]:
    """The cells as Python values; times finer than Python's own as their text or count."""
    kind = column.type
    if pa.types.is_temporal(kind) and getattr(kind, "unit", "") == "ns":
        column = column.cast(pa.int64() if pa.types.is_duration(kind) else pa.string())
    cells: list[Any] = column.to_pylist()
    return cells


def _plain(value: Any) -> Any:
    """A cell as JSON data; what JSON has no form for becomes its text."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return str(value)
