"""Takes tables from pandas, polars and Arrow, and gives back the kind that came in.

Nothing here imports pandas or polars unless a table of theirs was handed over.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabular.errors import ModelFileError, TableError

Kind = Literal["arrow", "pandas", "polars"]

_UNREADABLE = (pa.ArrowException, TypeError, ValueError, OverflowError)


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
    return plain_types(found), kind  # type: ignore[return-value]


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


def plain_types(table: pa.Table) -> pa.Table:
    """The table with layouts that mean the same as a plainer one in that one.

    Views and run lengths are written out, UUIDs and JSON become the texts that they are.
    """
    schema = pa.schema([field.with_type(_plain_type(field.type)) for field in table.schema])
    if schema.types == table.schema.types:
        return table
    columns = [
        _as_plain(column, kind) for column, kind in zip(table.columns, schema.types, strict=True)
    ]
    return pa.table(columns, schema=schema.with_metadata(table.schema.metadata))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _plain_type(kind.value_type), kind.ordered)
    if pa.types.is_run_end_encoded(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_string_view(kind) or kind == pa.uuid():
        return pa.string()
    if isinstance(kind, pa.JsonType | pa.Bool8Type):
        return pa.bool_() if isinstance(kind, pa.Bool8Type) else kind.storage_type
    return kind


def _as_plain(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if column.type == kind:
        return column
    if pa.types.is_run_end_encoded(column.type):
        chunks = [pc.run_end_decode(chunk) for chunk in column.chunks]
        return _as_plain(pa.chunked_array(chunks, column.type.value_type), kind)
    if column.type == pa.uuid():
        return pa.chunked_array([_uuid_texts(chunk.storage) for chunk in column.chunks], kind)
    return column.cast(kind)


def _uuid_texts(values: pa.Array) -> pa.Array:
    """UUIDs as RFC 9562 writes them, 8-4-4-4-12 hexadecimal digits."""
    absent = np.asarray(values.is_null().to_numpy(zero_copy_only=False), bool)
    octets = np.frombuffer(b"".join(values.fill_null(bytes(16)).to_pylist()), np.uint8)
    octets = octets.reshape(-1, 16)
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    pairs = np.stack([digits[octets >> 4], digits[octets & 15]], axis=2).reshape(-1, 32)
    texts = np.insert(pairs, [8, 12, 16, 20], ord("-"), axis=1)
    return pa.array(texts.view("S36").ravel().astype("U36"), pa.string(), mask=absent)


def _foreign(table: Any) -> tuple[pa.Table, str]:
    package = type(table).__module__.partition(".")[0]
    if package == "pandas" and type(table).__name__ == "DataFrame":
        refuse_repeats([str(label) for label in table.columns])
        return _converted(table, _from_pandas), package
    if package == "polars" and type(table).__name__ == "DataFrame":
        return _converted(table, _from_polars), package
    raise TableError(
        f"cannot read a table from {type(table).__module__}.{type(table).__qualname__}",
        hint="give a pyarrow.Table, pandas.DataFrame or polars.DataFrame",
    )


def _from_polars(frame: Any) -> pa.Table:
    return frame.to_arrow()


def _from_pandas(frame: Any) -> pa.Table:
    """The table, and in its metadata what the labels of the columns were if not texts."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    labels = frame.columns
    if all(isinstance(label, str) for label in labels):
        return table
    noted = json.loads(table.schema.metadata[b"pandas"])
    noted["labels"] = {
        "values": [_jsonable(label) for label in labels.tolist()],
        "names": [None if name is None else str(name) for name in labels.names],
        "type": str(labels.dtype),
        "levels": labels.nlevels,
    }
    return table.replace_schema_metadata({"pandas": json.dumps(noted)})


def _jsonable(label: Any) -> Any:
    if isinstance(label, tuple):
        return [_jsonable(part) for part in label]
    return label if label is None or isinstance(label, str | int | float) else str(label)


def _converted(frame: Any, convert: Callable[[Any], pa.Table]) -> pa.Table:
    """The frame as an Arrow table.

    Raises:
        TableError: Arrow has no type for a column; names it.
    """
    try:
        return convert(frame)
    except _UNREADABLE as error:
        culprit, reason = _culprit(frame, convert) or ("", error)
        text = " ".join(str(part) for part in getattr(reason, "args", ()) or [reason])
        named = f"column {culprit!r}" if culprit else "a column"
        raise TableError(
            f"{named} mixes types or has one that cannot be read: {text.partition(chr(10))[0]}",
            hint="give each column one plain type, for example with astype",
        ) from error


def _culprit(frame: Any, convert: Callable[[Any], pa.Table]) -> tuple[str, Exception] | None:
    for label in frame.columns:
        try:
            convert(frame[[label]])
        except _UNREADABLE as error:
            return str(label), error
    return None


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
        return _to_pandas(table, noted)
    if kind == "polars":
        import polars

        return polars.from_arrow(table)
    return table


def kind_of(kind: Any, noted: Any) -> tuple[Kind, str | None]:
    """The kind of table and the note of pandas types that a model file tells of.

    Raises:
        ModelFileError: there are no such ones.
    """
    if kind not in get_args(Kind) or not isinstance(noted, str | None):
        raise ModelFileError("the model does not tell what kind of table it learnt")
    return kind, noted


def _to_pandas(table: pa.Table, noted: str | None) -> Any:
    if noted is None:
        return table.to_pandas()
    try:
        frame = table.replace_schema_metadata({"pandas": noted}).to_pandas()
        labels = json.loads(noted).get("labels")
        return frame if labels is None else _labelled(frame, labels)
    except (pa.ArrowException, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(f"the model's note of pandas types is damaged: {error}") from error


def _labelled(frame: Any, labels: Mapping[str, Any]) -> Any:
    """A frame with the labels that its columns had."""
    import pandas  # type: ignore[import-untyped]

    if labels["levels"] > 1:
        found = [tuple(label) for label in labels["values"]]
        frame.columns = pandas.MultiIndex.from_tuples(found, names=labels["names"])
    else:
        name = labels["names"][0]
        frame.columns = pandas.Index(labels["values"], dtype=labels["type"], name=name)
    return frame
