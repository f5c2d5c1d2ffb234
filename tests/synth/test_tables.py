from __future__ import annotations

import datetime as dt
import io
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabular.errors import TableError, TooLargeError
from tabular.synth.tables import TableWriter, detect_format, read_table, write_table


def csv(text: str | bytes) -> io.BytesIO:
    return io.BytesIO(text if isinstance(text, bytes) else text.encode())


def test_csv_types_are_inferred() -> None:
    table = read_table(csv("a,b,c,d,e\n1,1.5,x,2024-01-02,true\n2,,NA,2024-01-03,false\n"), "csv")
    assert [str(kind) for kind in table.schema.types] == [
        "int64",
        "double",
        "string",
        "date32[day]",
        "bool",
    ]
    assert table["b"].to_pylist() == [1.5, None]
    assert table["c"].to_pylist() == ["x", None]


def test_csv_takes_crlf_quotes_and_a_byte_order_mark() -> None:
    text = '\ufeffname,note\r\n"Smith, J.","said ""no""\r\ntwice"\r\n'
    table = read_table(csv(text), "csv")
    assert table.to_pylist() == [{"name": "Smith, J.", "note": 'said "no"\r\ntwice'}]


def test_csv_mixed_types_become_text_even_late() -> None:
    table = read_table(csv("a\n" + "1\n" * 3_000_000 + "x\n"), "csv")
    assert table.schema.field("a").type == pa.string()


def test_header_only_is_a_table_without_rows() -> None:
    assert read_table(csv("a,b\n"), "csv").num_rows == 0


def test_five_thousand_columns() -> None:
    names = [f"c{i}" for i in range(5000)]
    row = ",".join(["1"] * 5000)
    assert read_table(csv(",".join(names) + f"\n{row}\n{row}\n"), "csv").num_columns == 5000


@pytest.mark.parametrize(
    ("data", "format", "where", "says"),
    [
        (b"", "csv", "t.csv", "empty"),
        (b"a,b\n1,2\n3,4,5\n", "csv", "t.csv:3", "3 cells, the header has 2"),
        (b"a,a\n1,2\n", "csv", "t.csv:1", "share a name"),
        ("a,b\n1,x\n2,caf\u00e9\n".encode("latin-1"), "csv", "t.csv:3", "0xe9 at offset 13"),
        ("caf\u00e9,b\n1,2\n".encode("latin-1"), "csv", "t.csv:1", "0xe9 at offset 3"),
        (b"", "jsonl", "t.jsonl", "empty"),
        (b'{"a": 1}\n{"a": "x"}\n', "jsonl", "t.jsonl:2", "from number to string"),
        (b'{"a": 1}\n{a}\n', "jsonl", "t.jsonl:2", "name"),
        (b"[1, 2]\n", "jsonl", "t.jsonl:1", "array"),
        (b'{"a": "caf\xe9"}\n', "jsonl", "t.jsonl:1", "0xe9"),
        (b"PAR1 but not really", "parquet", "t.parquet", "Parquet"),
        (b"", "parquet", "t.parquet", "Parquet"),
    ],
)
def test_bad_files_name_their_place(
    tmp_path: Path, data: bytes, format: str, where: str, says: str
) -> None:
    path = tmp_path / f"t.{format}"
    path.write_bytes(data)
    with pytest.raises(TableError, match=says) as caught:
        read_table(path)
    assert caught.value.where == str(tmp_path / where)
    with pytest.raises(TableError, match=says):
        read_table(io.BytesIO(data), format)


def test_latin_1_is_read_when_told_and_the_hint_tells() -> None:
    data = "a\ncaf\u00e9\n".encode("latin-1")
    with pytest.raises(TableError) as caught:
        read_table(csv(data), "csv")
    assert "encoding='latin-1'" in str(caught.value)
    assert read_table(csv(data), "csv", encoding="latin-1")["a"].to_pylist() == ["caf\u00e9"]
    lines = '{"a": "caf\u00e9"}\n'.encode("latin-1")
    assert read_table(csv(lines), "jsonl", encoding="latin-1")["a"].to_pylist() == ["caf\u00e9"]
    with pytest.raises(TableError, match="encoding"):
        read_table(csv(data), "csv", encoding="klingon")


def test_a_bad_byte_far_into_the_file_is_found() -> None:
    data = b"a\n" + b"\xc3\xa9" * 600_000 + b"\n" + b"\xff\n"
    with pytest.raises(TableError) as caught:
        read_table(csv(data), "csv")
    assert "0xff at offset 1200003" in str(caught.value)
    assert str(caught.value.where).endswith(":3")


def test_ragged_json_lines_are_filled_with_missing() -> None:
    table = read_table(csv(b'{"a": 1}\n{"b": "x"}\n'), "jsonl")
    assert table.to_pylist() == [{"a": 1, "b": None}, {"a": None, "b": "x"}]


def test_a_parquet_file_that_claims_too_much_is_refused_before_reading(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    block = pa.table({"a": pa.array([7]).take(pa.array([0] * 1_000_000))})
    with pq.ParquetWriter(path, block.schema) as writer:
        for _ in range(50):
            writer.write_table(block)
    assert path.stat().st_size < 400_000
    with pytest.raises(TooLargeError, match="400,000,000 bytes"):
        read_table(path, max_bytes=100_000_000)
    assert read_table(path, max_bytes=500_000_000).num_rows == 50_000_000


def test_a_parquet_file_of_one_long_string_repeated_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    long = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), ["x" * 100_000])
    pq.write_table(pa.table({"a": long}), path, store_schema=False)
    assert path.stat().st_size < 200_000
    with pytest.raises(TooLargeError):
        read_table(path, max_bytes=1_000_000_000)


def test_texts_of_a_dictionary_are_counted_before_they_are_written_out(tmp_path: Path) -> None:
    words = pa.array(["x" * 2**20]).dictionary_encode()
    for name, kind in (("text", pa.string()), ("bytes", pa.binary())):
        coded = pa.DictionaryArray.from_arrays(
            pa.array([0] * 4000, pa.int32()), words.dictionary.cast(kind)
        )
        path = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table({"s": coded}), path)
        assert path.stat().st_size < 150_000
        with pytest.raises(TooLargeError, match="1,000,000,000 allowed"):
            read_table(path, max_bytes=1_000_000_000)


def test_nested_columns_are_counted_by_their_items(tmp_path: Path) -> None:
    path = tmp_path / "nested.parquet"
    pq.write_table(pa.table({"l": [[0] * 100_000] * 100}), path)
    assert path.stat().st_size < 100_000
    with pytest.raises(TooLargeError, match="80,000,000 bytes"):
        read_table(path, max_bytes=50_000_000)
    assert read_table(path)["l"][7].as_py() == [0] * 100_000


@pytest.mark.slow
def test_the_default_limit_knows_the_memory_of_the_process(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    pq.write_table(pa.table({"s": ["x" * 2**20] * 4000}), path)
    code = f"from tabular.synth.tables import read_table\nread_table({str(path)!r})\n"
    command = f"ulimit -v 5000000; exec {sys.executable} -c {shlex.quote(code)}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert "TooLargeError" in done.stderr
    assert "2,560,000,000 allowed" in done.stderr


def test_unknown_suffix_and_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"\.csv"):
        detect_format("table.xlsx")
    with pytest.raises(TableError, match="no such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(TableError, match="choose one of"):
        read_table(io.BytesIO(b""), "xml")
    assert detect_format("A.PARQUET") == "parquet"


def test_writer_needs_a_folder_that_exists(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="cannot be written"):
        TableWriter(tmp_path / "no" / "t.csv", pa.schema([("a", pa.int64())]))


@pytest.mark.parametrize("format", ["csv", "parquet", "jsonl"])
def test_a_full_disk_is_named(format: str) -> None:
    table = pa.table({"a": range(3_000_000)})
    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises(TableError, match="space"),
    ):
        write_table(table, full, format)


@pytest.mark.parametrize("format", ["csv", "parquet", "jsonl"])
def test_an_empty_table_can_be_written(tmp_path: Path, format: str) -> None:
    path = tmp_path / f"t.{format}"
    write_table(pa.table({"a": pa.array([], pa.int64())}), path)
    if format == "jsonl":
        assert path.read_bytes() == b""
    else:
        assert read_table(path).column_names == ["a"]


def test_parquet_keeps_every_type_though_categories_come_encoded(tmp_path: Path) -> None:
    words = pa.array(["x", None, "y"])
    schema = pa.schema(
        [
            ("s", pa.string()),
            ("l", pa.large_string()),
            ("t", pa.timestamp("us", "Europe/Berlin")),
            ("d", pa.dictionary(pa.int8(), pa.string())),
        ]
    )
    stamps = pa.array([dt.datetime(2024, 1, 1), None, dt.datetime(2024, 7, 1)], schema.types[2])
    coded = words.dictionary_encode()
    with TableWriter(tmp_path / "t.parquet", schema) as writer:
        writer.write(pa.RecordBatch.from_arrays([coded, coded, stamps, coded], schema.names))
    table = read_table(tmp_path / "t.parquet")
    assert [str(k) for k in table.schema.types[:3]] == [str(k) for k in schema.types[:3]]
    assert table["s"].to_pylist() == table["d"].to_pylist() == ["x", None, "y"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "n": st.none() | st.integers(-(2**53), 2**53),
                "x": st.none() | st.floats(allow_nan=False, allow_infinity=False),
                "s": st.none() | st.text(st.characters(blacklist_categories=["Cs"]), max_size=8),
                "b": st.none() | st.booleans(),
            }
        ),
        min_size=1,
        max_size=20,
    )
)
def test_json_lines_round_trip(rows: list[dict[str, object]]) -> None:
    kinds = [("n", pa.int64()), ("x", pa.float64()), ("s", pa.string()), ("b", pa.bool_())]
    table = pa.Table.from_pylist(rows, pa.schema(kinds))
    file = io.BytesIO()
    write_table(table, file, "jsonl")
    import json

    assert [json.loads(line) for line in file.getvalue().decode().split("\n")[:-1]] == rows


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["csv", "jsonl", "parquet"]))
def test_any_bytes_give_a_table_or_a_clear_error(data: bytes, format: str) -> None:
    try:
        read_table(io.BytesIO(data), format)
    except TableError as error:
        assert error.message


@pytest.mark.parametrize("number", ["9223372036854775808", "-99999999999999999999"])
def test_whole_numbers_beyond_64_bits_are_named_in_json_lines(number: str) -> None:
    lines = b'{"a": 1, "b": 0}\n{"a": %b, "b": 1}\n' % number.encode()
    with pytest.raises(TableError, match=rf"{number} is beyond 64 bits") as caught:
        read_table(csv(lines), "jsonl")
    assert caught.value.where == "the table:2"
    assert read_table(csv(b'{"a": 1e300}\n{"a": 9223372036854775807.5}\n'), "jsonl").num_rows == 2


def test_json_lines_have_a_limit_of_memory() -> None:
    lines = b'{"a": 1}\n' * 10_000
    assert read_table(csv(lines), "jsonl", max_bytes=200_000).num_rows == 10_000
    with pytest.raises(TooLargeError):
        read_table(csv(lines), "jsonl", max_bytes=20_000)
