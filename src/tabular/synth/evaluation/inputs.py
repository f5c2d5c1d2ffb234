"""Tables as callers have them, brought to Arrow without importing pandas or polars."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from tabular.errors import TableError


def as_arrow(table: Any, name: str) -> pa.Table:
    """An Arrow, pandas or polars table as an Arrow one.

    Args:
        table: what the caller gave.
        name: what it is to the caller, for the error.

    Raises:
        TableError: it is no table, or a column mixes types.
    """
    if isinstance(table, pa.Table):
        return table
    kind = f"{type(table).__module__.partition('.')[0]}.{type(table).__name__}"
    if kind == "polars.DataFrame":
        return table.to_arrow()
    if kind == "pandas.DataFrame":
        try:
            return pa.Table.from_pandas(table, preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as problem:
            raise TableError(
                f"a column mixes types: {problem.args[-1]}",
                where=f"the {name} table",
                hint="give the column one type, for example with astype(str)",
                code="table.type",
            ) from problem
    raise TableError(
        f"{kind} is not a table",
        where=f"the {name} table",
        hint="give a pyarrow.Table, a pandas.DataFrame or a polars.DataFrame",
    )
