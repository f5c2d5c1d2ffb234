"""Takes tables from pandas, polars and Arrow, and gives back the kind that came in.

Nothing here imports pandas or polars unless a table of theirs was handed over.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

import pyarrow as pa

from tabular.errors import TableError

Kind = Literal["arrow", "pandas", "polars"]


def to_arrow(table: Any) -> tuple[pa.Table, Kind]:
    """An Arrow table, and what it was before.

    Args:
        table: `pyarrow.Table` or `RecordBatch`, `pandas.DataFrame`, `polars.DataFrame`.

    Raises:
        TableError: anything else, no columns, or columns that share a name.
    """
    if isinstance(table, pa.Table):
        found, kind = table, "arrow"
    elif isinstance(table, pa.RecordBatch):
        found, kind = pa.Table.from_batches([table]), "arrow"
    else:
        found, kind = _foreign(table)
    names = [str(name) for name in found.column_names]
    if not names:
        raise TableError("the table has no columns")
    refuse_repeats(names)
    return found, kind  # type: ignore[return-value]


def refuse_repeats(names: list[str], where: str | None = None) -> None:
    """Insists that each column has a name of its own.

    Raises:
        TableError: columns share a name.
    """
    twice = sorted(name for name, count in Counter(names).items() if count > 1)[:5]
    if twice:
        raise TableError(
            f"columns share a name: {', '.join(map(repr, twice))}",
            where=where,
            hint="rename one of them",
        )


def _foreign(table: Any) -> tuple[pa.Table, str]:
    package = type(table).__module__.partition(".")[0]
    if package == "pandas" and type(table).__name__ == "DataFrame":
        try:
            return pa.Table.from_pandas(table, preserve_index=False), package
        except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError) as error:
            raise TableError(
                f"a column mixes types: {error}",
                hint="give each column one type, for example with DataFrame.astype",
            ) from error
    if package == "polars" and type(table).__name__ == "DataFrame":
        return table.to_arrow(), package
    raise TableError(
        f"cannot read a table from {type(table).__module__}.{type(table).__qualname__}",
        hint="give a pyarrow.Table, pandas.DataFrame or polars.DataFrame",
    )


def pandas_types(table: pa.Table) -> str | None:
    """What `pyarrow` noted of the pandas types of a table, JSON text."""
    noted = (table.schema.metadata or {}).get(b"pandas")
    return noted.decode() if noted is not None else None


def from_arrow(table: pa.Table, kind: Kind, noted: str | None = None) -> Any:
    """The table as the kind that `to_arrow` met.

    Args:
        table: what was drawn.
        kind: the kind of the fitted table.
        noted: its pandas types, see `pandas_types`.
    """
    if kind == "pandas":
        if noted is not None:
            table = table.replace_schema_metadata({"pandas": noted})
        return table.to_pandas()
    if kind == "polars":
        import polars

        return polars.from_arrow(table)
    return table
