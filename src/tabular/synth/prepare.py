"""What stands between a raw table and an engine: roles decide what is modelled, masked or made.

Keys are taken out, rare texts are replaced, everything else is encoded; the result is all a model
needs to know of the table besides the engine's own state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tabular.errors import ModelFileError, TableError
from tabular.synth import modelfile
from tabular.synth.conditions import schema_conditions
from tabular.synth.encoding import (
    SNAP_ROWS,
    Codec,
    Index,
    encode,
    is_learnable,
    is_ordered,
    not_learnable,
    plain,
)
from tabular.synth.engines import Preset
from tabular.synth.keys import KeyMaker
from tabular.synth.schema import ORDERED_ROLES, TableSchema
from tabular.synth.text import Pool, disguise, is_text, rare_share, text_type

LEAST_ROWS = 2
"""A model of one row could only copy it."""

MOST_RARE = 0.2
"""Share of rows with rare categories, up to which these are replaced by frequent ones."""

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
        pools: by position, codecs whose values are made-up strings, but for frequent ones.
        texts: positions of those of them that stand for free text, whose rows say nothing else.
        keys: columns made afresh. Where some rows lack a key, a codec of the same name tells which.
    """

    arrow: pa.Schema
    schema: TableSchema
    rows: int
    learnt: int
    floor: int
    codecs: tuple[Codec, ...]
    pools: Mapping[int, Pool]
    texts: frozenset[int]
    keys: Mapping[str, KeyMaker]

    @property
    def guarded(self) -> list[int]:
        """Positions of the codecs whose values come out as drawn."""
        return [
            position
            for position, codec in enumerate(self.codecs)
            if position not in self.texts and codec.name not in self.keys
        ]

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
            "pools": {str(position): pool.to_dict() for position, pool in self.pools.items()},
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

    def without_keys(self, name: str, keys: pa.Array, absent: npt.NDArray[np.bool_]) -> pa.Array:
        """The keys of a column with some of them missing, as the column writes that."""
        (codec,) = (codec for codec in self.codecs if codec.name == name)
        nothing = pa.scalar(float("nan") if codec.nan else None).cast(plain(keys).type)
        found = pc.if_else(pa.array(absent), nothing, plain(keys))
        return found if found.type == keys.type else found.cast(keys.type)

    def key_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What `to_dict` leaves out of the keys, by the name of an array."""
        return {f"keys/{place}": maker.known for place, maker in enumerate(self.keys.values())}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """The inverse of `to_dict`, with the arrays of the model file.

        Raises:
            ModelFileError: parts contradict each other.
            KeyError, TypeError, ValueError: parts are missing or of a wrong type.
        """
        arrow = modelfile.unpack_schema(arrays["schema"])
        keys = {
            str(name): KeyMaker.from_dict(entry, arrays[f"keys/{place}"])
            for place, (name, entry) in enumerate(data["keys"].items())
        }
        codecs = tuple(
            _read_codec(entry, position, arrow, arrays, str(entry["name"]) in keys)
            for position, entry in enumerate(data["codecs"])
        )
        pools = {
            int(position): Pool.from_dict(entry, codecs[int(position)].size)
            for position, entry in data["pools"].items()
        }
        texts = frozenset(int(position) for position in data["texts"])
        names = [codec.name for codec in codecs]
        if len(set(names)) < len(names) or {*names, *keys} != set(arrow.names):
            raise ModelFileError("the model does not hold each column once")
        if not texts <= set(pools) or not set(pools) <= set(range(len(codecs))):
            raise ModelFileError("the texts of a column are damaged")
        schema = TableSchema.from_dict(data["schema"])
        counts = int(data["rows"]), int(data["learnt"]), int(data["floor"])
        return cls(arrow, schema, *counts, codecs, pools, texts, keys)


def _read_codec(
    entry: Mapping[str, Any],
    position: int,
    arrow: pa.Schema,
    arrays: Mapping[str, npt.NDArray[Any]],
    key: bool,
) -> Codec:
    values = modelfile.unpack_values(arrays[f"values/{position}"])
    bins, numbers = arrays[f"bins/{position}"], arrays.get(f"numbers/{position}")
    name = str(entry["name"])
    lengths = {len(values), len(bins)} | ({len(numbers)} if numbers is not None else set())
    if len(lengths) != 1 or values.null_count or bins.dtype != np.uint8 or (bins == 0).any():
        raise ModelFileError(f"the values of column {name!r} are damaged")
    kind = arrow.field(name).type
    return Codec(
        name=name,
        type=values.type if key else text_type(kind) if is_text(kind) else kind,
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
    rows, whole = table.num_rows, table
    if rows > MOST_ROWS:
        table = table.take(pa.array(np.arange(MOST_ROWS) * rows // MOST_ROWS))
    floor = max(2, min(preset.floor, table.num_rows // 50))
    codecs: list[Codec] = []
    indices: list[Index] = []
    pools: dict[int, Pool] = {}
    texts: set[int] = set()
    keys: dict[str, KeyMaker] = {}
    for name, column in schema.columns.items():
        values = table[name]
        if not is_learnable(values.type):
            raise not_learnable(name, values.type)
        if column.role == "id":
            keys[name] = KeyMaker.learn(name, whole[name], floor)
            if keyless := _keyless(name, values):
                codecs.append(keyless[0])
                indices.append(keyless[1])
            continue
        treatment = _treatment(column.role, values, floor)
        if treatment in ("text", "mixed"):
            free = treatment == "text"
            texts.update({len(codecs)} if free else ())
            codec, index, pool = disguise(name, values, whole[name], floor, vary=free)
            pools[len(codecs)] = pool
        else:
            rare = 1 if column.role == "boolean" else floor
            codec, index = encode(name, values, ordered=treatment == "ordered", floor=rare)
        codecs.append(codec)
        indices.append(index)
    arrow = table.schema.remove_metadata()
    found = Prepared(
        arrow, schema, rows, table.num_rows, floor, tuple(codecs), pools, frozenset(texts), keys
    )
    return found, indices


def _treatment(
    role: str, column: pa.ChunkedArray, floor: int
) -> Literal["ordered", "categories", "text", "mixed"]:
    """What to do with a column of a role: many rare categories are no categories.

    Replaced by the frequent ones they would double those, or leave nothing. Strings are made up
    instead, and numbers and times are learnt as what they are.
    """
    if role in ORDERED_ROLES:
        return "ordered"
    if role == "text":
        return "text"
    rare = rare_share(column, floor) if role == "categorical" else 0.0
    if rare <= MOST_RARE:
        return "categories"
    if is_text(column.type):
        return "text" if rare == 1.0 else "mixed"
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return "ordered" if is_ordered(kind) else "categories"


def _keyless(name: str, column: pa.ChunkedArray) -> tuple[Codec, Index] | None:
    """A column that only tells which rows have a key, or None if all have."""
    absent = pc.is_null(column, nan_is_null=True)
    if not pc.any(absent).as_py():
        return None
    nan = pa.types.is_floating(column.type) and column.null_count == 0
    present = pc.if_else(absent, pa.scalar(None, pa.string()), pa.scalar("present"))
    codec, index = encode(name, present, ordered=False)
    return replace(codec, nan=nan), index


def require_rows(rows: int) -> None:
    """Returns when a table has enough rows to learn from.

    Raises:
        TableError: it has not.
    """
    if rows < LEAST_ROWS:
        count = "no rows" if not rows else "one row, which could only be copied"
        raise TableError(f"the table has {count}", hint="give a table of at least two rows")
