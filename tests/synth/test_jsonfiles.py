"""Times in JSON lines are the same as in CSV, in both directions."""

from __future__ import annotations

import datetime as dt
import io
import json

import pyarrow as pa
import pytest

from tabular.synth import Synthesizer
from tabular.synth.tables import read_table, write_table


def lines(column: list[object]) -> io.BytesIO:
    return io.BytesIO("".join(json.dumps({"n": 1, "a": v}) + "\n" for v in column).encode())


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["2024-01-01", "2024-02-29"], pa.date32()),
        (["2024-01-01T10:00:00", "2024-01-02T10:00:00"], pa.timestamp("s")),
        (["2024-01-01 10:00:00", "2024-01-02 10:00:00"], pa.timestamp("s")),
        (["2024-01-01T10:00:00.5", "2024-01-02T10:00:00.25"], pa.timestamp("ns")),
        (["2024-01-01T10:00:00Z", "2024-01-02T10:00:00Z"], pa.timestamp("s", "UTC")),
        (["2024-01-01T10:00:00+02:00", "2024-07-01T10:00:00+01:00"], pa.timestamp("s", "UTC")),
        (["2024-01-01T10:00:00.125Z", "2024-01-02T10:00:00.5Z"], pa.timestamp("ns", "UTC")),
        (["10:00:00", "23:59:59"], pa.time32("s")),
        (["2024-01-01", "soon"], pa.string()),
        (["2024-01-01T10:00:00Z", "2024-01-01T10:00:00"], pa.string()),
        (["2024", "2025"], pa.string()),
        (["12", "007"], pa.string()),
        (["", ""], pa.string()),
        (["030-1234567", "040-7654321"], pa.string()),
    ],
)
@pytest.mark.parametrize("gap", [False, True])
def test_texts_get_the_type_that_csv_gives_them(
    cells: list[object], kind: pa.DataType, gap: bool
) -> None:
    cells = [None, *cells, None] if gap else cells
    table = read_table(lines(cells), "jsonl")
    assert table.schema.field("a").type == kind
    assert table["a"].null_count == 2 * gap
    if kind == pa.string():
        assert table["a"].to_pylist() == cells
        return
    text = "a\n" + "\n".join("NA" if cell is None else str(cell) for cell in cells) + "\n"
    assert table["a"].to_pylist() == read_table(io.BytesIO(text.encode()), "csv")["a"].to_pylist()


def test_texts_that_turn_up_late_keep_what_they_say() -> None:
    dates = b'{"a": "2024-01-01"}\n' * 1_000_000
    table = read_table(io.BytesIO(dates + b'{"a": "never"}\n'), "jsonl")
    assert table.schema.field("a").type == pa.string()
    assert table["a"][-1].as_py() == "never"
    table = read_table(io.BytesIO(dates), "jsonl")
    assert table.schema.field("a").type == pa.date32()
    assert len(table) == 1_000_000


@pytest.mark.parametrize(
    ("values", "written"),
    [
        (pa.array([dt.date(2024, 1, 1)]), "2024-01-01"),
        (pa.array([dt.date(2024, 1, 1)], pa.date64()), "2024-01-01"),
        (pa.array([dt.datetime(2024, 1, 1, 10)], pa.timestamp("s")), "2024-01-01T10:00:00"),
        (pa.array([dt.datetime(2024, 1, 1)], pa.timestamp("s", "UTC")), "2024-01-01T00:00:00Z"),
        (
            pa.array([dt.datetime(2024, 1, 1)], pa.timestamp("us", "Europe/Berlin")),
            "2024-01-01T01:00:00.000000+01:00",
        ),
        (pa.array([dt.time(10)], pa.time32("s")), "10:00:00"),
        (pa.array([dt.timedelta(seconds=90)], pa.duration("s")), 90),
        (pa.array([dt.date(2024, 1, 1)]).dictionary_encode(), "2024-01-01"),
        (pa.array([7]).dictionary_encode(), 7),
        (pa.array(["x"]).dictionary_encode(), "x"),
    ],
)
def test_times_are_written_as_iso_8601(values: pa.Array, written: object) -> None:
    file = io.BytesIO()
    write_table(pa.table({"a": values}), file, "jsonl")
    assert json.loads(file.getvalue()) == {"a": written}


@pytest.mark.parametrize("kind", ["date", "zoned", "clock", "naive"])
def test_a_sample_in_json_lines_reads_back_as_what_was_learnt(kind: str) -> None:
    texts: dict[str, list[object]] = {
        "date": [f"2024-01-{i % 28 + 1:02d}" for i in range(200)],
        "zoned": [f"2024-01-{i % 28 + 1:02d}T10:00:00Z" for i in range(200)],
        "clock": [f"{i % 24:02d}:30:00" for i in range(200)],
        "naive": [f"2024-01-{i % 28 + 1:02d}T10:00:00" for i in range(200)],
    }
    table = read_table(lines(texts[kind]), "jsonl")
    file = io.BytesIO()
    Synthesizer().fit(table).write(file, 50, format="jsonl")
    assert {json.loads(line)["a"] for line in file.getvalue().splitlines()} <= set(texts[kind])
    assert read_table(io.BytesIO(file.getvalue()), "jsonl").schema == table.schema
