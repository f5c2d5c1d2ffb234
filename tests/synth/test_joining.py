"""Parts that were drawn apart are the file that one process writes, for every reader."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import polars
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from tabular.errors import TableError
from tabular.synth import Synthesizer
from tabular.synth.joining import Part, head_of, join
from tabular.synth.partition import GROUP_ROWS, partition

ROWS = 2 * GROUP_ROWS + 1234


@pytest.fixture(scope="module")
def model() -> Synthesizer:
    random = np.random.default_rng(1)
    count = 2000
    table = pa.table(
        {
            'a "quoted"\nname': random.integers(0, 100, count),
            "x": random.normal(size=count),
            "group": random.choice(["p", "q", "r"], count),
            "id": [f"id{number}" for number in range(count)],
            "at": pa.array(random.integers(0, 10**9, count)).cast(pa.timestamp("s")),
            "gaps": pa.array(random.integers(0, 9, count), mask=random.random(count) < 0.3),
        }
    )
    return Synthesizer().fit(table)


def written(model: Synthesizer, format: str, start: int, rows: int, **more: object) -> bytes:
    sink = io.BytesIO()
    model.write(sink, rows, seed=5, start=start, format=format, **more)  # type: ignore[arg-type]
    return sink.getvalue()


def joined(parts: list[bytes], schema: pa.Schema, format: str) -> bytes:
    head = head_of(schema, format)
    given = [Part(len(raw), head, lambda low, high, raw=raw: raw[low:high]) for raw in parts]
    plan = join(given, format)
    cut = (raw[low:high] for raw, (low, high) in zip(parts, plan.spans, strict=True))
    return b"".join(cut) + plan.tail


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("where", [None, ["group=q"]])
def test_parts_are_byte_for_byte_the_whole(
    model: Synthesizer, format: str, where: list[str] | None
) -> None:
    whole = written(model, format, 0, ROWS, where=where)
    parts = [written(model, format, *part, where=where) for part in partition(ROWS, 1)]
    assert len(parts) == 3
    assert joined(parts, model.schema, format) == whole


def tables(count: int) -> list[pa.Table]:
    random = np.random.default_rng(count)
    return [
        pa.table(
            {
                "n": pa.array(random.integers(-5, 5, rows), mask=random.random(rows) < 0.2),
                "s": pa.array(random.choice(["", "a", "ä" * 50], rows)).dictionary_encode(),
                "l": pa.array([[1, None]] * rows, pa.list_(pa.int64())),
                "d": pa.array(random.normal(size=rows)),
            }
        )
        for rows in random.integers(1, 700, count)
    ]


@settings(max_examples=12, deadline=None)
@given(
    count=st.integers(1, 20),
    group=st.integers(1, 400),
    index=st.booleans(),
    codec=st.sampled_from(["snappy", "zstd", "none"]),
)
def test_a_joined_file_is_valid_for_arrow(count: int, group: int, index: bool, codec: str) -> None:
    parts = []
    for table in tables(count):
        sink = io.BytesIO()
        parquet.write_table(
            table, sink, row_group_size=group, write_page_index=index, compression=codec
        )
        parts.append(sink.getvalue())
    whole = pa.concat_tables(tables(count), promote_options="permissive").unify_dictionaries()
    raw = joined(parts, whole.schema, "parquet")  # page indexes move along
    found = parquet.ParquetFile(io.BytesIO(raw))
    assert found.read().unify_dictionaries().equals(whole)
    assert found.metadata.num_rows == whole.num_rows


def test_arrow_polars_and_duckdb_read_the_same(model: Synthesizer, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    parts = [written(model, "parquet", *part) for part in partition(ROWS, 1)]
    path = tmp_path / "joined.parquet"
    path.write_bytes(joined(parts, model.schema, "parquet"))
    arrow = parquet.read_table(path)
    assert arrow.num_rows == ROWS
    assert polars.read_parquet(path).equals(polars.DataFrame(polars.from_arrow(arrow)))
    seen = duckdb.sql(f"select * from '{path}'").to_arrow_table()
    assert seen.cast(arrow.schema).equals(arrow)
    where = f"from '{path}' where x > 1 and \"group\" = 'p'"  # by the statistics of row groups
    kept = arrow.filter(pc.and_(pc.greater(arrow["x"], 1), pc.equal(arrow["group"], "p")))
    assert duckdb.sql(f"select count(*) {where}").fetchall() == [(kept.num_rows,)]


def test_parts_of_different_tables_are_refused(model: Synthesizer) -> None:
    sink = io.BytesIO()
    parquet.write_table(pa.table({"other": [1]}), sink)
    parts = [written(model, "parquet", 0, 10), sink.getvalue()]
    with pytest.raises(TableError, match="different columns"):
        joined(parts, model.schema, "parquet")


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"x" * 40, b"PAR1\xff\xff\xff\x7fPAR1"])
def test_what_is_no_parquet_file_is_refused(damage: bytes) -> None:
    with pytest.raises(TableError, match="part"):
        joined([damage.rjust(8, b"x")], pa.schema([]), "parquet")


def test_a_footer_that_is_damaged_is_refused(model: Synthesizer) -> None:
    raw = bytearray(written(model, "parquet", 0, 10))
    raw[-9] = 0x15
    with pytest.raises(TableError, match="footer"):
        joined([bytes(raw)], model.schema, "parquet")


def test_parts_begin_at_row_groups_whatever_their_size() -> None:
    assert partition(10, 1) == [(0, 10)]
    assert partition(GROUP_ROWS, 5) == [(0, GROUP_ROWS)]
    assert partition(GROUP_ROWS + 1, GROUP_ROWS) == [(0, GROUP_ROWS), (GROUP_ROWS, 1)]
    parts = partition(10**9, 4_000_000)
    assert sum(rows for _, rows in parts) == 10**9
    assert {start % GROUP_ROWS for start, _ in parts} == {0}
