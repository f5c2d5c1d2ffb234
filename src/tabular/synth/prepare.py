"""What stands between a raw table and an engine: roles decide what is modelled, masked or made.

Keys are taken out, text is masked, everything else is encoded; the result is all a model needs
to know of the table besides the engine's own state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tabular.errors import ModelFileError, TableError
from tabular.synth import modelfile
from tabular.synth.conditions import schema_conditions
from tabular.synth.encoding import SNAP_ROWS, Codec, Index, encode, plain
from tabular.synth.engines import Preset
from tabular.synth.keys import KeyMaker
from tabular.synth.schema import ORDERED_ROLES, TableSchema
from tabular.synth.text import mask

LEAST_ROWS = 2
"""A model of one row could only copy it."""

MOST_ROWS = 1_000_000
"""Rows that are learnt from; of a larger table, that many evenly spaced ones."""


@dataclass(frozen=True)
class Prepared:
    """A table's columns, ready for an engine.

    Args:
        arrow: schema of the table.
        schema: role of each column.
        rows: rows of the table.
        learnt: rows that the model learnt from.
        floor: rows a category needed to be kept, and the ends of a number line to be shown.
        codecs: modelled columns.
        texts: positions of those codecs whose values are masks to be filled.
        keys: columns made afresh.
    """

    arrow: pa.Schema
    schema: TableSchema
    rows: int
    learnt: int
    floor: int
    codecs: tuple[Codec, ...]
    texts: frozenset[int]
    keys: Mapping[str, KeyMaker]

    @property
    def guarded(self) -> list[int]:
        """Positions of the codecs whose values come out as drawn."""
        return [position for position in range(len(self.codecs)) if position not in self.texts]

    @property
    def loose(self) -> list[int]:
        """Positions of numbers whose values hold too few rows each to stand for more than them."""
        return [
            position
            for position in self.guarded
            if self.codecs[position].numbers is not None
            and self.codecs[position].size * SNAP_ROWS > self.learnt
        ]

    def to_dict(self) -> dict[str, Any]:
        """Everything but values, bins and numbers, JSON-able."""
        return {
            "rows": self.rows,
            "learnt": self.learnt,
            "floor": self.floor,
            "schema": self.schema.to_dict(),
            "texts": sorted(self.texts),
            "keys": {name: maker.to_dict() for name, maker in self.keys.items()},
            "codecs": [
                {
                    "name": codec.name,
                    "origin": codec.origin,
                    "step": codec.step,
                    "decimals": codec.decimals,
                    "snap": codec.snap,
                    "nan": codec.nan,
                }
                for codec in self.codecs
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """The inverse of `to_dict`, with the arrays of the model file.

        Raises:
            ModelFileError: parts contradict each other.
            KeyError, TypeError, ValueError: parts are missing or of a wrong type.
        """
        arrow = modelfile.unpack_schema(arrays["schema"])
        texts = frozenset(int(position) for position in data["texts"])
        codecs = tuple(
            _read_codec(entry, position, arrow, arrays, position in texts)
            for position, entry in enumerate(data["codecs"])
        )
        keys = {str(name): KeyMaker.from_dict(entry) for name, entry in data["keys"].items()}
        names = [codec.name for codec in codecs] + list(keys)
        if sorted(names) != sorted(arrow.names):
            raise ModelFileError("the model does not hold each column once")
        schema = TableSchema.from_dict(data["schema"])
        counts = int(data["rows"]), int(data["learnt"]), int(data["floor"])
        return cls(arrow, schema, *counts, codecs, texts, keys)


def _read_codec(
    entry: Mapping[str, Any],
    position: int,
    arrow: pa.Schema,
    arrays: Mapping[str, npt.NDArray[Any]],
    text: bool,
) -> Codec:
    values = modelfile.unpack_values(arrays[f"values/{position}"])
    bins, numbers = arrays[f"bins/{position}"], arrays.get(f"numbers/{position}")
    name = str(entry["name"])
    lengths = {len(values), len(bins)} | ({len(numbers)} if numbers is not None else set())
    if len(lengths) != 1 or values.null_count or bins.dtype != np.uint8 or (bins == 0).any():
        raise ModelFileError(f"the values of column {name!r} are damaged")
    return Codec(
        name=name,
        type=pa.string() if text else arrow.field(name).type,
        values=values,
        bins=bins,
        numbers=numbers,
        origin=entry["origin"],
        step=entry["step"],
        decimals=int(entry["decimals"]),
        snap=bool(entry["snap"]),
        nan=bool(entry["nan"]),
    )


def prepare(table: pa.Table, given: TableSchema, preset: Preset) -> tuple[Prepared, list[Index]]:
    """Sorts the columns by role and encodes what is modelled.

    Args:
        table: the training rows.
        given: what is known of the columns; the rest is inferred.
        preset: gives the rare-category floor.

    Returns:
        The prepared table, and for each codec the index of its value per row.

    Raises:
        TableError: too few rows, or a column that cannot be synthesized.
        InputError: the schema does not fit the table.
    """
    require_rows(table.num_rows)
    schema = given.completed(table)
    schema_conditions(schema, table.schema)
    rows = table.num_rows
    if rows > MOST_ROWS:
        table = table.take(pa.array(np.arange(MOST_ROWS) * rows // MOST_ROWS))
    floor = max(2, min(preset.floor, table.num_rows // 50))
    codecs: list[Codec] = []
    indices: list[Index] = []
    texts: set[int] = set()
    keys: dict[str, KeyMaker] = {}
    for name, column in schema.columns.items():
        values = table[name]
        if column.role == "id":
            keys[name] = KeyMaker.learn(name, values)
            continue
        ordered = column.role in ORDERED_ROLES
        if column.role == "text" or (column.role == "categorical" and _all_rare(values, floor)):
            texts.add(len(codecs))
            masked = mask(_strings(name, values), floor)
            codec, index = encode(name, masked, ordered=False)
        else:
            rare = 1 if column.role == "boolean" else floor
            codec, index = encode(name, values, ordered=ordered, floor=rare)
        codecs.append(codec)
        indices.append(index)
    arrow = table.schema.remove_metadata()
    found = Prepared(
        arrow, schema, rows, table.num_rows, floor, tuple(codecs), frozenset(texts), keys
    )
    return found, indices


def require_rows(rows: int) -> None:
    """Returns when a table has enough rows to learn from.

    Raises:
        TableError: it has not.
    """
    if rows < LEAST_ROWS:
        count = "no rows" if not rows else "one row, which could only be copied"
        raise TableError(f"the table has {count}", hint="give a table of at least two rows")


def _all_rare(column: pa.ChunkedArray, floor: int) -> bool:
    """Strings none of which is frequent enough to be kept as a category."""
    values = pc.drop_null(plain(column))
    if not pa.types.is_string(values.type) and not pa.types.is_large_string(values.type):
        return False
    counts = pc.value_counts(values).field("counts") if len(values) else pa.array([floor])
    return bool(pc.max(counts).as_py() < floor)


def _strings(name: str, column: pa.ChunkedArray) -> pa.Array:
    try:
        return plain(column).cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise TableError(
            f"column {name!r} of type {column.type} cannot have the role text"
        ) from error
