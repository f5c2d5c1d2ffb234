"""The front class: learns a table, and draws rows like it.

It knows files, roles and conditions, and hands bins to an engine that knows none of these.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tabular.errors import ConflictError, InputError, ModelFileError
from tabular.synth import modelfile
from tabular.synth.checking import DAMAGED, check_prepared
from tabular.synth.conditions import Where, parse_where, schema_conditions
from tabular.synth.encoding import plain
from tabular.synth.engines import Drawn, Encoded, Engine, RawRandom, engine_class, preset_of
from tabular.synth.frames import Kind, from_arrow, kind_of, pandas_types, to_arrow
from tabular.synth.guard import CopyGuard
from tabular.synth.prepare import Prepared, prepare
from tabular.synth.sampling import BlockSampler, decode
from tabular.synth.schema import TableSchema
from tabular.synth.tables import TableWriter

_TEXT_STREAM, _KEY_STREAM = 1 << 20, 1 << 21


class Synthesizer:
    """Learns the joint distribution of a table's columns and draws new rows from it.

    Args:
        engine: name of an installed engine: ``trees`` or ``bayes``.
        preset: ``fidelity``, ``balanced`` or ``private``.
        schema: roles, ranges and constraints; a `TableSchema`, its dict form, or a file's path.
            What it leaves out is inferred.
        seed: part of every sample's randomness; fitting uses none.

    Raises:
        InputError: an unknown engine or preset, or a wrong schema or seed.
    """

    def __init__(
        self,
        engine: str = "trees",
        preset: str = "balanced",
        schema: TableSchema | Mapping[str, Any] | str | Path | None = None,
        seed: int = 0,
    ) -> None:
        self._engine_name = engine
        self._engine: Engine = engine_class(engine)()
        self._preset_name = preset
        self._preset = preset_of(preset)
        self._given = _schema(schema)
        self._seed = _natural(seed, "seed")
        self._kind: Kind = "arrow"
        self._pandas: str | None = None
        self._prepared: Prepared | None = None
        self._guard: CopyGuard | None = None

    def fit(
        self, table: Any, *, progress: Callable[[float], None] | None = None, workers: int = 1
    ) -> Self:
        """Learns from a table.

        Args:
            table: `pyarrow.Table`, `pandas.DataFrame` or `polars.DataFrame`.
            progress: called with the fraction done, 0 to 1.
            workers: columns fitted side by side; the model does not depend on it.

        Raises:
            TableError: fewer than two rows, or columns that cannot be synthesized.
            InputError: a schema that does not fit the table.
        """
        arrow, self._kind = to_arrow(table)
        self._pandas = pandas_types(arrow)
        prepared, index = prepare(arrow, self._given, self._preset)
        codecs = prepared.codecs
        codes = np.empty((prepared.learnt, len(codecs)), np.uint8)
        for position, (codec, rows) in enumerate(zip(codecs, index, strict=True)):
            codes[:, position] = codec.code_of_index.take(rows)
        engine = engine_class(self._engine_name)()
        if codecs:
            encoded = Encoded(codecs, index, codes)
            engine.fit(encoded, self._preset, progress=progress, workers=max(1, workers))
        self._engine, self._prepared = engine, prepared
        guarded = [index[position] for position in prepared.guarded]
        strict = self._preset.guard == "unique"
        wanted = self._preset.guard != "none" and guarded
        self._guard = CopyGuard.learn(guarded, strict=strict) if wanted else None
        return self

    def sample(self, rows: int, *, seed: int = 0, where: Where = None) -> Any:
        """Draws rows, as the kind of table that was fitted.

        Args:
            rows: how many.
            seed: same seed, same rows.
            where: conditions: ``{"cut": "Ideal"}`` or ``["cut=Ideal", "price>=1000"]``.

        Raises:
            ConstraintError: no row fulfils the conditions and constraints.
            ConflictError: nothing was fitted yet.
        """
        batches = list(self.sample_batches(rows, seed=seed, where=where))
        drawn = pa.Table.from_batches(batches, self.schema)
        return from_arrow(drawn, self._kind, self._pandas)

    def sample_batches(
        self, rows: int, *, seed: int = 0, where: Where = None, start: int = 0
    ) -> Iterator[pa.RecordBatch]:
        """Draws rows piece by piece, in bounded memory.

        Args:
            rows: how many.
            seed: same seed, same rows.
            where: conditions.
            start: number of the first row: parts drawn apart are equal to one whole.

        Raises:
            ConstraintError: no row fulfils the conditions and constraints.
            ConflictError: nothing was fitted yet.
        """
        return self._batches(rows, seed, where, start, dictionary=False)

    def write(
        self,
        target: str | Path | BinaryIO,
        rows: int,
        *,
        seed: int = 0,
        where: Where = None,
        start: int = 0,
        format: str | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> int:
        """Draws rows straight into a file; the quickest way, and in bounded memory.

        Args:
            target: a path, written whole or not at all, or a binary file.
            rows: how many.
            seed: same seed, same rows.
            where: conditions.
            start: number of the first row.
            format: ``csv``, ``parquet`` or ``jsonl``; by default the path's suffix says it.
            progress: called with the fraction done.

        Returns:
            The rows written.
        """
        batches = self._batches(rows, seed, where, start, dictionary=True)
        with TableWriter(target, self.schema, format=format) as writer:
            done = 0
            for batch in batches:
                writer.write(batch)
                done += batch.num_rows
                if progress is not None:
                    progress(done / rows)
        return done

    def _batches(
        self, rows: int, seed: int, where: Where, start: int, *, dictionary: bool
    ) -> Iterator[pa.RecordBatch]:
        """Checks everything now, draws later."""
        prepared = self._fitted()
        rows, seed = _natural(rows, "rows"), _natural(seed, "seed")
        start = _natural(start, "start")
        conditions = schema_conditions(prepared.schema, prepared.arrow)
        conditions += parse_where(where, prepared.arrow)
        sampler = BlockSampler(
            self._engine,
            prepared.codecs,
            (self._seed, seed),
            conditions,
            guard=self._guard,
            guarded=prepared.guarded,
            loose=prepared.loose,
        )
        return self._draw(sampler, rows, seed, start, dictionary)

    def _draw(
        self, sampler: BlockSampler, rows: int, seed: int, start: int, dictionary: bool
    ) -> Iterator[pa.RecordBatch]:
        end = start + rows
        step = sampler.rows
        for number in range(start // step, -(-end // step)):
            first = number * step
            low, high = max(start - first, 0), min(end - first, step)
            arrays = self._arrays(sampler, number, seed, high, dictionary)
            fields = zip(self.schema, arrays, strict=True)
            types = pa.schema([field.with_type(array.type) for field, array in fields])
            batch = pa.RecordBatch.from_arrays(arrays, schema=types)
            yield batch.slice(low, high - low)

    def _arrays(
        self, sampler: BlockSampler, number: int, seed: int, rows: int, dictionary: bool
    ) -> list[pa.Array]:
        prepared = self._fitted()
        drawn = sampler.block(number, rows) if prepared.codecs else []
        made: dict[str, pa.Array] = {}
        keyless: dict[str, npt.NDArray[np.bool_]] = {}
        for position, (codec, column) in enumerate(zip(prepared.codecs, drawn, strict=True)):
            if codec.name in prepared.keys:
                keyless[codec.name] = column.index[:rows] == 0
                continue
            if position in prepared.pools:
                random = RawRandom(self._seed, seed, number, _TEXT_STREAM + position)
                index = prepared.pools[position].vary(column.index[:rows], codec.size, random)
                values = decode(codec, Drawn(index), dictionary=dictionary)
            else:
                values = decode(codec, column, dictionary=dictionary)[:rows]
            kind = prepared.arrow.field(codec.name).type
            made[codec.name] = values if codec.type == kind else plain(values).cast(kind)
        for place, (name, maker) in enumerate(prepared.keys.items()):
            mixed = np.random.SeedSequence([self._seed, seed, _KEY_STREAM + place])
            key_seed = int(mixed.generate_state(1)[0])
            kind = prepared.arrow.field(name).type
            made[name] = maker.make(number * sampler.rows, rows, key_seed, kind)
            if name in keyless:
                made[name] = prepared.without_keys(name, made[name], keyless[name])
        return [made[name] for name in prepared.arrow.names]

    @property
    def columns(self) -> list[str]:
        """Names of the fitted columns.

        Raises:
            ConflictError: nothing was fitted yet.
        """
        return list(self._fitted().arrow.names)

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of what is drawn.

        Raises:
            ConflictError: nothing was fitted yet.
        """
        return self._fitted().arrow

    @property
    def table_schema(self) -> TableSchema:
        """Roles, ranges and constraints in force.

        Raises:
            ConflictError: nothing was fitted yet.
        """
        return self._fitted().schema

    def describe(self) -> dict[str, Any]:
        """The model in words and numbers: engine, preset, training rows, columns with roles."""
        prepared = self._fitted()
        types = {field.name: str(field.type) for field in prepared.arrow}
        return {
            "engine": self._engine_name,
            "preset": self._preset_name,
            "seed": self._seed,
            "training_rows": prepared.rows,
            "rows_learnt_from": prepared.learnt,
            "columns": [
                {"name": name, "type": types[name], **column.to_dict()}
                for name, column in prepared.schema.columns.items()
            ],
            "constraints": list(prepared.schema.constraints),
            "privacy": {
                "smallest_leaf": self._preset.min_leaf,
                "rare_category_floor": prepared.floor,
                "rows_at_each_extreme": prepared.floor,
                "exact_copy_guard": self._preset.guard,
            },
        }

    def save(self, target: str | Path | BinaryIO) -> None:
        """Writes the model file, whole or not at all.

        The file holds donors' values column by column: guard it as you guard the data.

        Args:
            target: path or binary file.
        """
        prepared = self._fitted()
        meta, arrays = self._engine.state() if prepared.codecs else ({}, {})
        stored: dict[str, npt.NDArray[Any]] = {"schema": modelfile.pack_schema(prepared.arrow)}
        for position, codec in enumerate(prepared.codecs):
            stored[f"values/{position}"] = modelfile.pack_values(codec.values)
            stored[f"bins/{position}"] = codec.bins
            if codec.numbers is not None:
                stored[f"numbers/{position}"] = codec.numbers
        stored.update(prepared.key_arrays())
        stored.update({f"engine/{name}": array for name, array in arrays.items()})
        if self._guard is not None:
            stored["guard"] = self._guard.unique
        header = {
            "engine": self._engine_name,
            "preset": self._preset_name,
            "seed": self._seed,
            "kind": self._kind,
            "pandas": self._pandas,
            "state": meta,
            **prepared.to_dict(),
        }
        modelfile.write_model(target, header, stored)

    def to_bytes(self) -> bytes:
        """The model file as bytes."""
        sink = io.BytesIO()
        self.save(sink)
        return sink.getvalue()

    @classmethod
    def load(cls, source: str | Path | BinaryIO) -> Self:
        """Reads a model file.

        Raises:
            ModelFileError: not a model, damaged, or of a newer format.
        """
        header, arrays = modelfile.read_model(source)
        try:
            model = cls(header["engine"], header["preset"], seed=header["seed"])
            model._kind, model._pandas = kind_of(header["kind"], header["pandas"])
            prepared = Prepared.from_dict(header, arrays)
            check_prepared(prepared)
            state = {
                n.removeprefix("engine/"): a for n, a in arrays.items() if n.startswith("engine/")
            }
            if prepared.codecs:
                engine = engine_class(header["engine"])
                model._engine = engine.from_state(prepared.codecs, header["state"], state)
            model._prepared = prepared
            if model._preset.guard != "none" and prepared.guarded:
                model._guard = CopyGuard(np.sort(arrays["guard"].astype(np.uint64).ravel()))
        except DAMAGED as error:
            raise ModelFileError(f"the model file is damaged: {error}") from error
        except ModelFileError:
            raise
        except InputError as error:
            reason = f"the model cannot be used: {error.message}"
            raise ModelFileError(reason, hint=error.hint) from error
        return model

    def _fitted(self) -> Prepared:
        if self._prepared is None:
            raise ConflictError("the synthesizer was not fitted", hint="call fit(table) first")
        return self._prepared


def generate(table: Any, rows: int, *, seed: int = 0, where: Where = None, **options: Any) -> Any:
    """Fits a table and draws rows like it, in one step.

    Args:
        table: `pyarrow.Table`, `pandas.DataFrame` or `polars.DataFrame`.
        rows: how many.
        seed: same seed, same rows.
        where: conditions that hold in every row.
        options: as for `Synthesizer`.
    """
    return Synthesizer(**options).fit(table).sample(rows, seed=seed, where=where)


def _schema(given: TableSchema | Mapping[str, Any] | str | Path | None) -> TableSchema:
    if given is None:
        return TableSchema({})
    if isinstance(given, TableSchema):
        return given
    if isinstance(given, str | Path):
        return TableSchema.load(given)
    return TableSchema.from_dict(given)


def _natural(value: int, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise InputError(f"{what} is a whole number from 0, not {value!r}")
    return int(value)
