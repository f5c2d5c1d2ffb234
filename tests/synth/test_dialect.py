"""Delimiters, quotes and encodings of CSV files."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabular.errors import TableError
from tabular.synth.dialect import MAX_ROW_BYTES
from tabular.synth.tables import read_table

ROWS = "".join(f"{number},x\n" for number in range(500))


def read(text: str | bytes, **options: str) -> list[dict[str, object]]:
    data = text if isinstance(text, bytes) else text.encode()
    found: list[dict[str, object]] = read_table(io.BytesIO(data), "csv", **options).to_pylist()  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (f'a,b\n{ROWS}3,"open\n{ROWS}', 502, "never closed"),
        (f'a,b\n{ROWS}3,"open\n{ROWS}4,"shut",5\n', 502, "goes on after its end on line 1003"),
        (f'a,b\n3,"open\n{"4,x" * 10}\n' + ROWS * 7000, 2, "more than 16,777,216 bytes"),
        ("a,b\n1,x\n2," + "y" * (MAX_ROW_BYTES + 9), 3, "16,777,216 bytes"),
    ],
)
def test_a_quote_that_is_not_closed_is_named_with_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(TableError, match=says) as caught:
        read(text)
    assert caught.value.where == f"the table:{line}"


def test_rows_of_wrong_width_are_named_by_line_beside_breaks_within_cells() -> None:
    with pytest.raises(TableError, match="3 cells, the header has 2") as caught:
        read('\na,b\n1,"x\ny"\n\n2,z\n1,2,3\n')
    assert caught.value.where == "the table:7"


def test_quotes_amid_a_cell_belong_to_it() -> None:
    found = read('a,b\n1,5" nail\n2,"ok ""x"", y" \n')
    assert [row["b"] for row in found] == ['5" nail', 'ok "x", y ']


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_delimiters_are_recognized(mark: str) -> None:
    found = read(f"a{mark}b\n1{mark}x, y\n2{mark}z\n")
    assert found == [{"a": 1, "b": "x, y"}, {"a": 2, "b": "z"}]


def test_one_column_of_text_and_commas_stay_what_they_are() -> None:
    assert read("note\none; two\nthree\n") == [{"note": "one; two"}, {"note": "three"}]
    assert read("a;x,b\n1;2,3\n") == [{"a;x": "1;2", "b": 3}]


def test_a_delimiter_can_be_told() -> None:
    assert read("a:b\n1:2\n", delimiter=":") == [{"a": 1, "b": 2}]
    assert read("a\tb,c\n1\t2,3\n", delimiter="tab") == [{"a": 1, "b,c": "2,3"}]
    with pytest.raises(TableError, match="separated by any of") as caught:
        read("a|b;c\n1|2;3\n")
    assert "delimiter=';'" in str(caught.value)
    for wrong in ("::", "", '"', "\n", "é"):
        with pytest.raises(TableError, match="cannot be a delimiter"):
            read("a\n1\n", delimiter=wrong)
    with pytest.raises(TableError, match="this is jsonl"):
        read_table(io.BytesIO(b'{"a": 1}\n'), "jsonl", delimiter=";")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize(("format", "text"), [("csv", "a,b\n1,é\n"), ("jsonl", '{"a":1,"b":"é"}')])
def test_wide_text_is_named_and_read_when_told(encoding: str, format: str, text: str) -> None:
    data = text.encode(encoding)
    with pytest.raises(TableError, match=f"mark of {encoding.upper()}") as caught:
        read_table(io.BytesIO(data), format)
    assert f"encoding={encoding!r}" in str(caught.value)
    table = read_table(io.BytesIO(data), format, encoding=encoding)
    assert table.to_pylist() == [{"a": 1, "b": "é"}]


def test_wide_text_without_a_mark_is_named() -> None:
    data = "a,b\n1,2\n".encode("utf-16-le")
    with pytest.raises(TableError, match="NUL"):
        read(data)
    assert read(data, encoding="utf-16-le") == [{"a": 1, "b": 2}]


def test_any_text_encoding_is_read() -> None:
    for encoding in ("cp500", "latin-1", "utf-8-sig", "cp1252", "UTF8"):
        assert read("a,b\n1,é\n".encode(encoding), encoding=encoding) == [{"a": 1, "b": "é"}]
    with pytest.raises(TableError, match="no text in ascii"):
        read("a\né\n", encoding="ascii")


@pytest.mark.parametrize("encoding", ["base64", "rot13", "hex", "zlib", "undefined", "klingon", ""])
@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_what_is_no_text_encoding_is_refused(encoding: str, format: str) -> None:
    with pytest.raises(TableError, match="encoding") as caught:
        read_table(io.BytesIO(b"a,b\n1,2\n"), format, encoding=encoding)
    assert "latin-1" in str(caught.value)


def test_the_process_ends_well_after_a_decoding_error(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n" + b"1,2\n" * 10_000_000 + b"\xff\n")
    code = (
        "import sys\nfrom tabular.synth.tables import read_table\n"
        "from tabular.errors import TableError\n"
        "try: read_table(sys.argv[1], encoding='ascii')\n"
        "except TableError as error: print(error)\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "no text in ascii" in done.stdout


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.text('ab",;\n\r |', max_size=6), st.text('x", ;\t\n', max_size=6)),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(",;|"),
)
def test_what_csv_writes_is_read_back(rows: list[tuple[str, str]], mark: str) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=mark, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([("one", "two"), *((f"{a}.", f"{b}.") for a, b in rows)])
    found = read(text.getvalue(), delimiter=mark)
    assert [(row["one"], row["two"]) for row in found] == [(f"{a}.", f"{b}.") for a, b in rows]
